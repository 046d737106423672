"""Total variation against NumPy, R1 and the input gradient against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.losses import regularizers

KINDS = pytest.mark.parametrize("kind", ["absolute", "squared"])
IDENTITY_AND_JIT = pytest.mark.parametrize("compile_fn", [lambda f: f, jax.jit])


def expected_variation(image, kind):
    penalize = np.abs if kind == "absolute" else np.square
    vertical = penalize(np.diff(image, axis=1)).mean(axis=(1, 2, 3))
    return vertical + penalize(np.diff(image, axis=2)).mean(axis=(1, 2, 3))


@KINDS
@IDENTITY_AND_JIT
def test_total_variation_equals_numpy(kind, compile_fn, generator):
    image = generator.uniform(size=(3, 5, 7, 2))
    variation = compile_fn(lambda x: regularizers.total_variation(x, kind=kind))
    actual = variation(jnp.float32(image))
    assert actual.shape == (3,)
    np.testing.assert_allclose(actual, expected_variation(image, kind), rtol=1e-5)


def test_total_variation_is_absolute_by_default(generator):
    image = jnp.float32(generator.uniform(size=(1, 4, 4, 3)))
    np.testing.assert_array_equal(
        regularizers.total_variation(image),
        regularizers.total_variation(image, kind="absolute"),
    )


@KINDS
def test_total_variation_does_not_depend_on_the_size(kind):
    small = jnp.tile(jnp.float32([0.0, 1.0])[None, None, :, None], (1, 4, 2, 1))
    large = jnp.tile(small, (1, 2, 1, 3))
    np.testing.assert_allclose(
        regularizers.total_variation(small, kind=kind),
        regularizers.total_variation(large, kind=kind),
    )


@KINDS
@pytest.mark.parametrize("shape", [(2, 4, 4, 3), (2, 1, 4, 3), (2, 1, 1, 3)])
def test_total_variation_of_constants_is_zero_with_a_finite_gradient(kind, shape):
    def total(x):
        return jnp.sum(regularizers.total_variation(x, kind=kind))

    value, gradient = jax.value_and_grad(total)(jnp.full(shape, 0.5))
    assert float(value) == 0
    np.testing.assert_array_equal(gradient, np.zeros(shape))


def test_total_variation_of_half_precision_is_float32():
    image = jnp.zeros((1, 4, 4, 3), jnp.bfloat16)
    assert regularizers.total_variation(image).dtype == jnp.float32


def test_total_variation_refuses_an_unknown_kind():
    with pytest.raises(ValueError, match="absolute, squared"):
        regularizers.total_variation(jnp.zeros((1, 4, 4, 3)), kind="l2")


@IDENTITY_AND_JIT
def test_r1_of_a_linear_discriminator(compile_fn, generator):
    """The gradient is the weights: half their squared norm."""
    weights = generator.normal(size=(4, 5, 3))
    real = jnp.float32(generator.uniform(size=(3, 4, 5, 3)))

    def penalty(x):
        return regularizers.r1(
            lambda y: jnp.einsum("bhwc,hwc->b", y, jnp.float32(weights)), x
        )

    expected = 0.5 * (weights**2).sum()
    np.testing.assert_allclose(
        compile_fn(penalty)(real), np.full(3, expected), rtol=1e-5
    )


def test_r1_is_taken_at_each_real_image(generator):
    """f = |x|^2 / 2 has the gradient x: the penalty is |x|^2 / 2 of each example."""
    real = generator.uniform(size=(3, 2, 2, 3))
    actual = regularizers.r1(
        lambda x: jnp.sum(x**2, axis=(1, 2, 3)) / 2, jnp.float32(real)
    )
    expected = 0.5 * (real**2).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_r1_takes_the_mean_over_patches():
    real = jnp.zeros((2, 2, 2, 1))
    np.testing.assert_allclose(regularizers.r1(lambda x: x, real), [0.125, 0.125])


def test_r1_has_second_derivatives_and_is_finite_at_zero():
    """For f = s x the penalty is s^2 / 2, its derivative s, at s = 0 too."""
    real = jnp.ones((1, 1, 1, 1))

    def penalty(slope):
        return regularizers.r1(lambda x: slope * x, real)[0]

    for slope in (0.0, 0.7, -2.0):
        assert float(jax.grad(penalty)(slope)) == pytest.approx(slope)
