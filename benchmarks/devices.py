"""One device against four, two processes and pmap: losses and parameters, by SGD.

    python -m benchmarks.devices --steps=3

Every way trains the same CycleGAN on the same global batches, with pool, augmentation
and moving average on; fake CPU devices stand for real ones. Prints one table of the
largest differences from one device and writes JSON. SGD, because Adam's first steps
hide a gradient of the wrong scale.

Twice: on noise, and on `emoji`. Where pictures are flat, as emoji are, many units sit
at a kink (of ReLU, of the absolute value) at once, and the last bit decides on which
side. How much of a difference is that, the row of rounding tells: one device again,
with all pictures brighter by one part in eight million.
"""

import functools
import hashlib
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import numpy as np
from absl import flags

from stylejax.cli.flags import refuse_arguments, run_app
from stylejax.data import sources
from stylejax.data.pipeline import PipelineConfig, train_iterator
from stylejax.methods import cyclegan
from stylejax.train import parallel

_STEPS = flags.DEFINE_integer("steps", 3, "Training steps.")
_BATCH = flags.DEFINE_integer("batch", 8, "Pictures of each domain in a global batch.")
_SIZE = flags.DEFINE_integer("size", 32, "Side in pixels.")
_NGF = flags.DEFINE_integer("ngf", 4, "Channels of generator and discriminator.")
_BLOCKS = flags.DEFINE_integer("blocks", 1, "Residual blocks.")
_FAST = flags.DEFINE_bool("fast_compilation", True, "Compile without optimisations.")
_TIMEOUT = flags.DEFINE_integer("timeout", 1800, "Seconds a way may take.")
_OUT = flags.DEFINE_string("out", "benchmarks/results/devices.json", "JSON file.")
_WAY = flags.DEFINE_string("way", "", "Set by the script for its own processes.")
_PROCESS = flags.DEFINE_integer("process", 0, "Likewise.")
_PORT = flags.DEFINE_integer("port", 0, "Likewise.")
_FOLDER = flags.DEFINE_string("folder", "", "Likewise.")

# Way: (processes, devices of each, factor on the pictures).
WAYS = {
    "one device": (1, 1, 1.0),
    "four devices": (1, 4, 1.0),
    "pmap, four devices": (1, 4, 1.0),
    "two processes": (2, 1, 1.0),
    "two processes of two devices": (2, 2, 1.0),
    "pmap, two processes of two devices": (2, 2, 1.0),
    "one device, other rounding": (1, 1, 1 + 2.0**-23),
}
REFERENCE = "one device"
DATASETS = ("noise", "emoji")


def load(name):
    """Returns the two domains of one column group of the table."""
    if name != "noise":
        return sources.load(name)
    side = _SIZE.value * 5 // 4
    noise = np.random.default_rng(7).random((2, 20, side, side, 3), np.float32)
    a, b = (sources.ArraySource(list(domain)) for domain in noise)
    return sources.TwoDomainDataset("noise", a, b, a, b)


def method_config():
    """Returns a small CycleGAN, all that could depend on devices switched on."""
    return cyclegan.CycleGANConfig(
        ngf=_NGF.value,
        ndf=_NGF.value,
        num_blocks=_BLOCKS.value,
        num_layers=2,
        image_size=_SIZE.value,
        optimizer="sgd",
        generator_lr=0.002,
        discriminator_lr=0.02,
        pool_size=10,
        augment="translation,cutout,color",
        ema_decay=0.5,
        steps_per_epoch=100,
    )


def train(way):
    """Writes what one process of a way saw and got into its files."""
    processes, devices, factor = WAYS[way]
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", devices)
    jax.config.update("jax_disable_most_optimizations", _FAST.value)
    parallel.initialize_distributed(
        coordinator=f"127.0.0.1:{_PORT.value}",
        num_processes=processes,
        process_id=_PROCESS.value,
    )
    mesh = parallel.data_mesh()
    parallel.check_batch(_BATCH.value, mesh)
    config = method_config()
    make_step = functools.partial(cyclegan.make_train_step, config)
    if way.startswith("pmap"):
        step, place = parallel.pmap_step(make_step, mesh), lambda batch: batch
    else:
        step = parallel.jit_step(make_step(), mesh)
        place = functools.partial(parallel.place_batch, mesh=mesh)
    before = cyclegan.init(jax.random.key(config.seed), config)
    with parallel.fail_fast():
        for name in DATASETS:
            batches = train_iterator(
                load(name),
                PipelineConfig(batch_size=_BATCH.value, image_size=_SIZE.value),
                process_index=_PROCESS.value,
                process_count=processes,
            )
            state = parallel.replicate(before, mesh)
            found = take_steps(state, step, place, batches, np.float32(factor))
            params = flat(before.generator_params, before.discriminator_params)
            found["moved"] = np.abs(found["params"] - params).max()
            np.savez(Path(_FOLDER.value) / f"{name}{_PROCESS.value}.npz", **found)


def take_steps(state, step, place, batches, factor):
    """Returns the losses, parameters and pictures of some steps, as arrays by name."""
    losses, rows, seconds = [], [], []
    for number in range(_STEPS.value):
        batch = next(batches)
        for domain in "ab":
            digests = [hashlib.sha256(row).hexdigest() for row in batch[domain]]
            rows += [f"{number} {domain} {digest}" for digest in digests]
        batch = {domain: images * factor for domain, images in batch.items()}
        start = time.perf_counter()
        state, metrics = step(state, place(batch))
        names = [n for n in metrics if n.startswith(("generator/", "discriminator/"))]
        losses.append([float(metrics[name]) for name in sorted(names)])
        seconds.append(time.perf_counter() - start)
    return {
        "losses": np.array(losses),
        "params": flat(state.generator_params, state.discriminator_params),
        "state": flat(state),
        "rows": np.array(rows),
        "seconds": min(seconds),
    }


def flat(*trees):
    """Returns all numbers of some trees in one vector."""
    leaves = jax.tree.leaves(jax.device_get(trees))
    return np.concatenate([np.ravel(leaf).astype(np.float64) for leaf in leaves])


def run(way, folder):
    """Returns what the processes of a way wrote: data set to results in their order."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "benchmarks.devices", *sys.argv[1:]]
    command += [f"--way={way}", f"--port={port}", f"--folder={folder}"]
    children = [
        subprocess.Popen([*command, f"--process={i}"], env={**os.environ})
        for i in range(WAYS[way][0])
    ]
    try:
        statuses = [child.wait(timeout=_TIMEOUT.value) for child in children]
    finally:
        for child in children:
            child.kill()
            child.wait()
    if any(statuses):
        raise RuntimeError(f"{way}: its processes ended with {statuses}")
    return {
        name: [dict(np.load(folder / f"{name}{i}.npz")) for i in range(len(children))]
        for name in DATASETS
    }


def compare(results, reference):
    """Returns the numbers of one way and data set: how far it is from one device."""
    first = results[0]
    scale = np.maximum(np.abs(reference["losses"]), 1)
    return {
        "rows_equal": sorted(np.concatenate([r["rows"] for r in results]))
        == sorted(reference["rows"]),
        "processes_equal": all(
            np.array_equal(first[name], other[name])
            for other in results
            for name in ("losses", "state")
        ),
        "loss": float((np.abs(first["losses"] - reference["losses"]) / scale).max()),
        "params": float(np.abs(first["params"] - reference["params"]).max()),
        "moved": float(first["moved"]),
        "seconds": float(first["seconds"]),
    }


def print_table(table):
    """Prints one row a way, the numbers of each data set side by side."""
    print(
        f"{_STEPS.value} steps of SGD, {_SIZE.value} px, global batch {_BATCH.value};"
        " largest differences from one device\n"
    )
    columns = ["way", "same pictures", "processes agree", "s/step"]
    for name in DATASETS:
        columns += [f"{name}: losses", "parameters", "parameters moved by"]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for way, row in table.items():
        cells = [way]
        for fact in ("rows_equal", "processes_equal"):
            cells.append("yes" if all(r[fact] for r in row.values()) else "NO")
        cells.append(f"{min(r['seconds'] for r in row.values()):.2f}")
        for found in row.values():
            cells += [f"{found[name]:.1e}" for name in ("loss", "params", "moved")]
        print(f"| {' | '.join(cells)} |")
    print("\nLosses are relative where they are above 1; parameters are absolute.")


def main(argv):
    """Returns 0 after the table is printed and the JSON written."""
    refuse_arguments(argv)
    if _WAY.value:
        train(_WAY.value)
        return 0
    results = {}
    for way in WAYS:
        with tempfile.TemporaryDirectory() as folder:
            results[way] = run(way, Path(folder))
    table = {
        way: {name: compare(r[name], results[REFERENCE][name][0]) for name in DATASETS}
        for way, r in results.items()
    }
    print_table(table)
    settings = {
        name: flags.FLAGS[name].value
        for name in ("steps", "batch", "size", "ngf", "blocks", "fast_compilation")
    }
    report = {
        "command": "python -m benchmarks.devices",
        "settings": settings,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "jax": jax.__version__,
        "ways": table,
    }
    path = Path(_OUT.value)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    run_app(main)
