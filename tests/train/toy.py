"""A training small enough to be killed many times: noisy regression on seeded data.

Run as a script it trains in a directory until it is done or killed:
    python -m tests.train.toy WORKDIR NUM_STEPS [SECONDS_PER_STEP]
"""

import functools
import sys
import time
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax

from stylejax.train import loop
from stylejax.train.checkpoint import Checkpointer
from stylejax.train.writers import default_writer

OPTIMIZER = optax.adam(1e-2)


@flax.struct.dataclass
class State:
    """Like a method's state: with an empty pool, an unused branch and counters."""

    step: Any
    params: Any
    opt_state: Any
    ema_params: Any
    pool: Any
    skipped_in_a_row: Any


def init(width=16):
    """The first state."""
    params = {"w": jnp.ones((width, width)), "b": jnp.zeros((width,), jnp.bfloat16)}
    return State(
        step=jnp.int32(0),
        params=params,
        opt_state=OPTIMIZER.init(params),
        ema_params={},
        pool=jnp.zeros((0, 4, 4, 3)),
        skipped_in_a_row=jnp.int32(0),
    )


@functools.partial(jax.jit, donate_argnums=0)
def step(state, batch):
    """One noisy step; a batch with NaN is skipped and counted."""
    key = jax.random.fold_in(jax.random.key(0), state.step)

    def loss_fn(params):
        noise = 0.1 * jax.random.normal(key, batch["a"].shape)
        out = jnp.tanh(batch["a"] @ params["w"] + params["b"][None, :] + noise)
        return jnp.mean(jnp.square(out - batch["b"]))

    loss, gradient = jax.value_and_grad(loss_fn)(state.params)
    updates, opt_state = OPTIMIZER.update(gradient, state.opt_state)
    finite = jnp.isfinite(loss)
    params, opt_state = jax.tree.map(
        lambda new, old: jnp.where(finite, new, old),
        (optax.apply_updates(state.params, updates), opt_state),
        (state.params, state.opt_state),
    )
    skipped = jnp.where(finite, 0, state.skipped_in_a_row + 1)
    state = state.replace(
        step=state.step + 1,
        params=params,
        opt_state=opt_state,
        skipped_in_a_row=skipped,
    )
    return state, {"generator/total": loss, "skipped_in_a_row": skipped}


class Iterator:
    """Batch `i` is a pure function of `i`; those listed as bad hold NaN."""

    def __init__(self, *, bad=(), on_next=lambda i: None, width=16):
        self.position = 0
        self.bad = bad
        self.on_next = on_next
        self.width = width

    def __next__(self):
        generator = np.random.default_rng(self.position)
        shape = (4, self.width)
        batch = {n: generator.normal(size=shape).astype(np.float32) for n in "ab"}
        if self.position in self.bad:
            batch["a"] += np.nan
        self.position += 1
        self.on_next(self.position)
        return batch

    def get_state(self):
        """The number of batches given out."""
        return {"position": self.position}

    def set_state(self, state):
        """Goes back to where `get_state` was."""
        self.position = state["position"]


def same_bits(left, right):
    """Whether two trees have the same structure and the same bytes in every leaf."""
    (a, structure), (b, other) = jax.tree.flatten(left), jax.tree.flatten(right)
    same = [
        np.asarray(x).tobytes() == np.asarray(y).tobytes()
        for x, y in zip(a, b, strict=True)
    ]
    return structure == other and all(same)


def train(
    workdir,
    num_steps,
    *,
    iterator=None,
    config_dict=None,
    max_to_keep=2,
    writer=None,
    evaluate_fn=None,
    sample_fn=None,
    state=None,
    **options,
):
    """Trains in a directory and returns the `RunResult`."""
    options = {"log_every": 5, "checkpoint_every": 10, "evaluate_every": 0} | options
    writer = writer or default_writer(workdir)
    try:
        with Checkpointer(
            workdir / "checkpoints",
            max_to_keep=max_to_keep,
            on_report=writer.write_message,
        ) as checkpointer:
            return loop.run(
                init() if state is None else state,
                step,
                iterator or Iterator(),
                config=loop.LoopConfig(num_steps=num_steps, **options),
                config_dict=config_dict or {"model": {"width": 16}, "lr": 1e-2},
                workdir=workdir,
                checkpointer=checkpointer,
                writer=writer,
                evaluate_fn=evaluate_fn,
                sample_fn=sample_fn,
            )
    finally:
        writer.close()


if __name__ == "__main__":
    import pathlib

    pause = float(sys.argv[3]) if len(sys.argv) > 3 else 0.0
    slow = Iterator(on_next=lambda _: time.sleep(pause))
    train(
        pathlib.Path(sys.argv[1]),
        int(sys.argv[2]),
        iterator=slow,
        log_every=1,
        checkpoint_every=3,
    )
