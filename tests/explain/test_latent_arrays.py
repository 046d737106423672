"""What walks are made of: shapes, kinds of numbers, and amounts that differ."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.explain.latent_arrays import (
    checked_factors,
    checked_walks,
    float_array,
)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float16, jnp.bfloat16])
def test_floats_keep_their_precision(dtype):
    assert float_array(jnp.ones(3, dtype), name="x").dtype == dtype
    _, _, amounts = checked_walks(jnp.ones((1, 2), dtype), np.ones((1, 2)), [0, 1])
    assert amounts.dtype == dtype


@pytest.mark.parametrize("x", [np.arange(3), np.array([True]), [1, 2], 1j * np.ones(2)])
def test_what_is_no_float_is_refused(x):
    with pytest.raises(TypeError, match="^latent: expected floats, got .*; convert"):
        float_array(x, name="latent")


def test_amounts_must_differ_in_the_latents_precision():
    near = np.array([1.0, 1.001])
    ones = np.ones((1, 2), np.float32)
    assert checked_walks(ones, ones, near)[2].shape == (2,)
    with pytest.raises(ValueError, match=r"finite numbers, .* got \[1.0, 1.0\]$"):
        checked_walks(jnp.ones((1, 2), jnp.bfloat16), ones, near)
    with pytest.raises(ValueError, match=r"got shape \(20,\)$"):
        checked_walks(ones, ones, np.ones(20))


def test_traced_amounts_are_checked_by_their_shape_alone():
    ones = np.ones((1, 2), np.float32)
    check = jax.jit(lambda amounts: checked_walks(ones, ones, amounts)[2])
    np.testing.assert_array_equal(check(np.ones(2)), np.ones(2))
    with pytest.raises(ValueError, match=r"amounts: expected .* got shape \(1,\)"):
        check(np.ones(1))


def test_factors_are_as_many_of_each_picture():
    pictures = jnp.ones((2, 1, 1, 3))
    found = checked_factors(lambda x: x.mean(axis=(1, 2)), pictures)
    assert found.shape == (2, 3)
    with pytest.raises(ValueError, match=r"factors_fn: expected \(2, m\).* got \(2,\)"):
        checked_factors(lambda x: x.mean(axis=(1, 2, 3)), pictures)
