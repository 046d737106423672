"""Norms against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.nn import norm
from stylejax.nn.norm import instance_norm, layer_norm

AXES = {instance_norm: (1, 2), layer_norm: (1, 2, 3)}
both = pytest.mark.parametrize("normalize", list(AXES), ids=lambda f: f.__name__)


def by_hand(x, axes):
    mean = x.mean(axis=axes, keepdims=True)
    return (x - mean) / np.sqrt(x.var(axis=axes, keepdims=True) + 1e-5)


@both
@pytest.mark.parametrize("transform", [lambda f: f, jax.jit], ids=["eager", "jit"])
def test_agrees_with_numpy(generator, transform, normalize):
    x = generator.normal(3.0, 2.0, (2, 5, 7, 4)).astype(np.float32)
    x[..., 1] *= 7.0
    expected = by_hand(x, AXES[normalize])
    np.testing.assert_allclose(transform(normalize)(x), expected, atol=2e-6)


@both
def test_pictures_do_not_see_each_other(generator, normalize):
    x = generator.normal(size=(3, 4, 4, 2)).astype(np.float32)
    np.testing.assert_array_equal(normalize(x)[1:2], normalize(x[1:2]))


@both
def test_bfloat16_keeps_float32_moments(normalize):
    # In bfloat16 a mean of 256 swallows differences of 1: the moments must be wider.
    x = jnp.array([255.0, 257.0] * 8, jnp.bfloat16).reshape(1, 4, 4, 1)
    y = normalize(x)
    assert y.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.abs(np.asarray(y, np.float32)), 1.0, atol=0.02)


@both
def test_constant_channel_gives_zero_and_a_finite_gradient(normalize):
    x = jnp.full((1, 3, 3, 2), 0.7)
    grads = jax.grad(lambda x: jnp.sum(normalize(x) ** 2))(x)
    assert float(jnp.abs(normalize(x)).max()) < 1e-3
    assert bool(jnp.isfinite(grads).all())


def test_conditional_norm_takes_the_gains_of_each_picture(generator):
    layer = norm.ConditionalInstanceNorm(3)
    x = jnp.float32(generator.normal(2.0, 3.0, (2, 5, 6, 4)))
    tables = {
        name: jnp.float32(generator.normal(size=(3, 4))) for name in ("gain", "shift")
    }
    weights = jnp.float32([[0.0, 1.0, 0.0], [0.5, 0.0, 2.0]])
    found = layer.apply({"params": tables}, x, weights)
    y = np.asarray(x, np.float64)
    y = (y - y.mean((1, 2), keepdims=True)) / np.sqrt(
        y.var((1, 2), keepdims=True) + 1e-5
    )
    gains, shifts = (
        (np.asarray(weights) @ np.asarray(tables[n]))[:, None, None]
        for n in ("gain", "shift")
    )
    np.testing.assert_allclose(found, y * gains + shifts, rtol=1e-4, atol=1e-4)
