"""One process of the runs in test_two_processes.py; the reference runs in the test.

    python two_process_worker.py MODE OUT [--coordinator=… --num_processes=… …]

MODE: join, train, toy (endless small steps), raise (like toy; process 1 has a bug).
"""

import argparse
import dataclasses
import functools
import json
import pathlib
import sys
import time

import jax
import numpy as np

from stylejax.cli.messages import one_line_errors
from stylejax.data.pipeline import PipelineConfig, train_iterator
from stylejax.data.sources import ArraySource, TwoDomainDataset
from stylejax.methods import cyclegan
from stylejax.train import parallel, writers

NUM_STEPS, BATCH_SIZE, SIDE = 3, 8, 16
CONFIG = cyclegan.CycleGANConfig(
    ngf=4,
    ndf=4,
    num_blocks=1,
    num_layers=1,
    image_size=SIDE,
    identity_weight=0.0,
    optimizer="sgd",
    generator_lr=0.002,
    discriminator_lr=0.02,
    pool_size=10,
    augment="translation",
    ema_decay=0.5,
    steps_per_epoch=10,
)


def batches(*, process_index=0, process_count=1):
    images = np.random.default_rng(7).random((2, 6, 20, 20, 3), np.float32)
    a, b = (ArraySource(list(domain)) for domain in images)
    dataset = TwoDomainDataset("noise", a, b, a, b)
    config = PipelineConfig(BATCH_SIZE, SIDE, load_size=18, seed=3, backend="python")
    return train_iterator(
        dataset, config, process_index=process_index, process_count=process_count
    )


def train(mesh, iterator, *, with_pmap=False, read=lambda step, metrics: None):
    """(state on the host, metrics of every step) after NUM_STEPS steps."""
    make_step = functools.partial(cyclegan.make_train_step, CONFIG)
    state = parallel.replicate(cyclegan.init(jax.random.key(1), CONFIG), mesh)
    wrap = parallel.pmap_step if with_pmap else parallel.jit_step
    step_fn = wrap(make_step if with_pmap else make_step(), mesh)
    history = []
    for number in range(NUM_STEPS):
        batch = next(iterator)
        if not with_pmap:
            batch = parallel.place_batch(batch, mesh)
        state, metrics = step_fn(state, batch)
        history.append({name: float(x) for name, x in metrics.items()})
        read(number + 1, history[-1])
    return jax.device_get(state), history


def least_squares(*, axis_name=None):
    """A step small enough to know by heart: state w, loss mean((x @ w - 1)^2)."""

    def step(w, batch):
        def loss_of(w):
            return ((batch["x"] @ w - 1) ** 2).mean()

        loss, grad = jax.value_and_grad(loss_of)(w)
        if axis_name:
            loss, grad = jax.lax.pmean((loss, grad), axis_name)
        return w - 0.1 * grad, {"loss": loss}

    return step


def run_train(peers, out):
    rows = []

    def recorded():
        for batch in batches(
            process_index=peers.process_id, process_count=peers.num_processes
        ):
            rows.append(batch)
            yield batch

    mesh = parallel.data_mesh()
    out.mkdir(parents=True, exist_ok=True)
    writer = writers.default_writer(out / "log", process_index=peers.process_id)
    state, history = train(mesh, recorded(), read=writer.write_scalars)
    writer.close()
    local = rows[0]["a"].reshape(len(rows[0]["a"]), -1)[:, :3]
    both = {}
    for name in ("jit", "pmap"):
        w = parallel.replicate(np.full(3, peers.process_id, np.float32), mesh)
        if name == "pmap":
            step, batch = parallel.pmap_step(least_squares, mesh), {"x": local}
        else:
            step = parallel.jit_step(least_squares(), mesh)
            batch = parallel.place_batch({"x": local}, mesh)
        for _ in range(NUM_STEPS):
            w, _ = step(w, batch)
        both[name] = np.asarray(w)
    leaves = {f"leaf{i}": x for i, x in enumerate(jax.tree.leaves(state))}
    shares = {f"{d}{i}": b[d] for i, b in enumerate(rows) for d in "ab"}
    np.savez(out / f"{peers.process_id}.npz", **leaves, **shares, **both)
    (out / f"{peers.process_id}.json").write_text(json.dumps(history))


def run_toy(peers, out, *, fails=False):
    mesh = parallel.data_mesh()
    w = parallel.replicate(np.zeros(3, np.float32), mesh)
    step = parallel.jit_step(least_squares(), mesh)
    batch = {"x": np.ones((4, 3), np.float32)}
    for number in range(600):
        w, metrics = step(w, parallel.place_batch(batch, mesh))
        float(metrics["loss"])
        if number == 3:
            (out / f"ready{peers.process_id}").touch()
            if fails and peers.process_id == 1:
                raise ZeroDivisionError("a bug of process 1")
        time.sleep(0.1)


def main():
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", 2)
    jax.config.update("jax_disable_most_optimizations", True)
    parser = argparse.ArgumentParser()
    parser.add_argument("mode")
    parser.add_argument("out", type=pathlib.Path)
    for field in dataclasses.fields(parallel.PeersConfig):
        kind = type(field.default)
        parser.add_argument(f"--{field.name}", type=kind, default=field.default)
    options = vars(parser.parse_args())
    mode, out = options.pop("mode"), options.pop("out")
    with one_line_errors("worker"):
        peers = parallel.initialize_distributed(**options)
        with parallel.fail_fast():
            if mode == "join":
                print(json.dumps([*peers, jax.device_count()]))
            elif mode == "train":
                run_train(peers, out)
            else:
                run_toy(peers, out, fails=mode == "raise")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
