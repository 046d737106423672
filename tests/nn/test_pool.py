"""Max pooling against XLA's window reduction: values, gradients, ties, NaN."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from stylejax.nn.pool import max_pool2d


def window(x):
    return nn.max_pool(x, (2, 2), strides=(2, 2))


@pytest.mark.parametrize("shape", [(2, 4, 6, 3), (1, 5, 7, 2), (1, 2, 2, 1)])
@pytest.mark.parametrize("levels", [0, 3])
def test_values_and_gradients_are_those_of_the_window(shape, levels):
    x = jax.random.normal(jax.random.key(0), shape)
    if levels:  # many ties: of equals the first one gets the gradient
        x = jnp.round(x * levels / 3)
    np.testing.assert_array_equal(max_pool2d(x), window(x))
    weights = jax.random.normal(jax.random.key(1), window(x).shape)
    found, expected = (
        jax.grad(lambda x, fn=fn: (weights * fn(x)).sum())(x)
        for fn in (max_pool2d, window)
    )
    np.testing.assert_array_equal(found, expected)


def test_nan_stays():
    for place in range(4):
        x = jnp.zeros(4).at[place].set(jnp.nan).reshape(1, 2, 2, 1)
        assert jnp.isnan(max_pool2d(x)).all()


def test_forward_mode_and_a_mapped_axis():
    x, tangent = (jax.random.normal(jax.random.key(i), (3, 2, 4, 4, 1)) for i in (0, 1))
    for fn in (max_pool2d, window):
        assert jax.vmap(fn)(x).shape == (3, 2, 2, 2, 1)
    found, expected = (
        jax.jvp(jax.vmap(fn), (x,), (tangent,))[1] for fn in (max_pool2d, window)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-6)
