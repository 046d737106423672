import jax
import jax.numpy as jnp
import pytest

from stylejax.explain.memory import chunk_within, temporary_bytes
from stylejax.explain.targets import region_mean

IMAGE = jnp.zeros((16, 16, 3))


def network(images):
    kernel = jnp.ones((3, 3, 3, 8)) / 27
    hidden = jax.lax.conv_general_dilated(
        images, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return region_mean(0)(jnp.tanh(hidden))


def test_memory_does_not_grow_with_the_steps_but_with_the_chunk():
    few, many = (temporary_bytes(network, IMAGE, num_steps=n, chunk=1) for n in (8, 64))
    wide = temporary_bytes(network, IMAGE, num_steps=64, chunk=8)
    assert many < 1.1 * few
    assert wide > 3 * few


def test_the_chunk_fits_the_budget_and_a_larger_one_would_not():
    budget = temporary_bytes(network, IMAGE, num_steps=32, chunk=4)
    chunk = chunk_within(network, IMAGE, max_bytes=budget)
    assert temporary_bytes(network, IMAGE, num_steps=32, chunk=chunk) <= 1.1 * budget
    assert 3 <= chunk <= 5


def test_a_chunk_is_never_larger_than_the_steps():
    assert chunk_within(network, IMAGE, max_bytes=2**40, num_steps=5) == 5


def test_a_budget_below_one_gradient_is_refused():
    with pytest.raises(ValueError, match="max_bytes: expected at least"):
        chunk_within(network, IMAGE, max_bytes=10)
