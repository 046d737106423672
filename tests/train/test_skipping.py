"""Steps with numbers that are not finite leave the state and are counted."""

import flax.struct
import jax
import jax.numpy as jnp
import pytest

from stylejax.train import skipping


@flax.struct.dataclass
class Toy:
    step: jax.Array
    weight: jax.Array
    skipped_in_a_row: jax.Array
    skipped_total: jax.Array


def visit(state, gradient):
    moved = state.replace(weight=state.weight - gradient)
    return skipping.keep_if_finite(moved, state, checked={"gradient": gradient})


def test_counts_and_keeps():
    zero = jnp.zeros((), jnp.int32)
    state, step = Toy(zero, jnp.array(1.0), zero, zero), jax.jit(visit)
    rows = []
    for gradient in [0.5, jnp.nan, -jnp.inf, 0.25, jnp.nan]:
        state, metrics = step(state, jnp.array(gradient))
        rows.append([int(metrics["skipped"]), int(state.skipped_in_a_row)])
    assert rows == [[0, 0], [1, 1], [1, 2], [0, 0], [1, 1]]
    assert int(state.step) == 5
    assert int(state.skipped_total) == int(metrics["skipped_total"]) == 3
    assert float(state.weight) == pytest.approx(0.25)
