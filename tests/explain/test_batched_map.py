"""Batches of problems: the same results, in order, whatever the batch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.explain.batched_map import batch_size, batched_map


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_results_do_not_depend_on_the_batch(batch):
    items = (jnp.arange(7.0), jnp.arange(14.0).reshape(7, 2))

    def fn(item):
        return {"sum": item[0] + item[1], "square": item[0] ** 2}

    got = jax.jit(lambda x: batched_map(fn, x, batch=batch))(items)
    np.testing.assert_array_equal(got["sum"], items[1] + items[0][:, None])
    np.testing.assert_array_equal(got["square"], items[0] ** 2)


def test_the_function_is_traced_once():
    """A remainder of its own would be compiled on its own."""
    traced = []

    def fn(x):
        traced.append(x.shape)
        return x

    jax.jit(lambda x: batched_map(fn, x, batch=4))(jnp.zeros((10, 2)))
    assert traced == [(2,)]


@pytest.mark.parametrize(
    ("backend", "bytes_each", "expected"),
    [("cpu", 1, 1), ("gpu", 2**28, 4), ("gpu", 1, 26), ("gpu", 2**40, 1)],
)
def test_batches_are_as_large_as_memory_allows_but_on_a_cpu(
    backend, bytes_each, expected, monkeypatch
):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    assert batch_size(26, bytes_each=bytes_each) == expected
