"""The gradients that the losses rely on, against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.losses import gradients


@pytest.mark.parametrize("compile_fn", [lambda f: f, jax.jit])
def test_absolute_and_its_gradient(compile_fn):
    x = jnp.float32([-2.5, -0.0, 0.0, 1e-30, 4.0])
    np.testing.assert_array_equal(compile_fn(gradients.absolute)(x), np.abs(x))
    gradient = compile_fn(jax.grad(lambda y: jnp.sum(gradients.absolute(y))))(x)
    np.testing.assert_array_equal(gradient, [-1, 0, 0, 1, 1])


def test_absolute_keeps_what_is_not_finite():
    """A step must be able to see that its losses went bad."""
    values = gradients.absolute(jnp.float32([np.nan, -np.inf]))
    np.testing.assert_array_equal(values, [np.nan, np.inf])


def test_absolute_keeps_the_dtype():
    assert gradients.absolute(jnp.ones(2, jnp.bfloat16)).dtype == jnp.bfloat16


def test_input_gradient_keeps_examples_apart(generator):
    images = jnp.float32(generator.normal(size=(3, 2, 2, 1)))
    gradient = gradients.input_gradient(lambda x: x**2, images)
    np.testing.assert_allclose(gradient, 2 * images / 4, rtol=1e-6)


def test_input_gradient_is_float32_for_half_precision():
    images = jnp.ones((2, 2, 2, 1), jnp.bfloat16)
    gradient = gradients.input_gradient(lambda x: 3 * x[:, 0, 0, 0], images)
    assert gradient.dtype == jnp.float32
    np.testing.assert_array_equal(gradient[:, 0, 0, 0], [3.0, 3.0])
