"""The L1 losses against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.losses import cycle

NAMES = {
    cycle.cycle_loss: "cycled",
    cycle.identity_loss: "same",
    cycle.preserve_loss: "fake",
}
LOSSES = pytest.mark.parametrize("loss", NAMES)


@LOSSES
@pytest.mark.parametrize("compile_fn", [lambda f: f, jax.jit])
def test_equals_numpy_per_example(loss, compile_fn, generator):
    real, other = generator.uniform(-1, 1, (2, 3, 4, 5, 3)).astype(np.float32)
    expected = np.abs(real.astype(np.float64) - other).mean(axis=(1, 2, 3))
    actual = compile_fn(loss)(real, other)
    assert actual.shape == (3,)
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


@LOSSES
def test_is_zero_for_equal_images_and_symmetric(loss, generator):
    x, y = jnp.float32(generator.uniform(size=(2, 2, 4, 4, 3)))
    assert loss(x, x).tolist() == [0.0, 0.0]
    np.testing.assert_array_equal(loss(x, y), loss(y, x))


@LOSSES
def test_half_precision_is_averaged_in_float32(loss):
    """A bfloat16 sum of this many equal terms would stop growing far too early."""
    x = jnp.zeros((1, 64, 64, 3), jnp.bfloat16)
    value = loss(x, jnp.full_like(x, 0.5))
    assert value.dtype == jnp.float32
    assert value.tolist() == [0.5]


@LOSSES
def test_gradient_is_the_sign_over_the_count_and_finite_at_equality(loss):
    real = jnp.zeros((1, 2, 2, 1))
    other = jnp.float32([[[[1.0], [-1.0]], [[0.0], [2.0]]]])
    gradient = jax.grad(lambda y: jnp.sum(loss(real, y)))(other)
    np.testing.assert_allclose(gradient[0, :, :, 0], [[0.25, -0.25], [0.0, 0.25]])


@pytest.mark.parametrize(("loss", "name"), NAMES.items())
def test_differing_shapes_are_refused_by_name(loss, name):
    with pytest.raises(ValueError, match=f"real and {name}"):
        loss(jnp.zeros((1, 4, 4, 3)), jnp.zeros((1, 4, 4, 1)))
