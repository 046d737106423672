"""Filters against SciPy and NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from stylejax.image import filters

IDENTITY_AND_JIT = pytest.mark.parametrize("compile_fn", [lambda f: f, jax.jit])


@pytest.mark.parametrize("sigma", [0.2, 0.8, 1.5, 4.0])
@IDENTITY_AND_JIT
def test_gaussian_blur_equals_scipy(sigma, compile_fn, generator):
    """SciPy calls this border "mirror"; sigma 4 reaches further than the image."""
    image = generator.uniform(size=(2, 14, 17, 3))
    actual = compile_fn(lambda x: filters.gaussian_blur(x, sigma))(jnp.float32(image))
    radius = max(1, int(np.ceil(4 * sigma)))
    expected = scipy.ndimage.gaussian_filter(
        image, (0, sigma, sigma, 0), mode="mirror", radius=(0, radius, radius, 0)
    )
    np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_gaussian_blur_of_sigma_zero_is_the_image(generator):
    image = jnp.float32(generator.uniform(size=(1, 4, 4, 3)))
    np.testing.assert_array_equal(filters.gaussian_blur(image, 0), image)


@pytest.mark.parametrize("shape", [(1, 8, 8, 1), (2, 1, 6, 3), (1, 3, 2, 4)])
def test_gaussian_blur_keeps_constants_at_any_size(shape):
    image = jnp.full(shape, 0.7)
    blurred = filters.gaussian_blur(image, 2.0)
    np.testing.assert_allclose(blurred, image, rtol=1e-5)


def test_gaussian_blur_keeps_channels_apart():
    image = jnp.zeros((1, 11, 11, 3)).at[0, 5, 5, 1].set(1.0)
    blurred = filters.gaussian_blur(image, 1.0)
    assert float(jnp.abs(blurred[..., [0, 2]]).max()) == 0
    np.testing.assert_allclose(blurred[..., 1].sum(), 1.0, rtol=1e-5)


def test_gaussian_blur_is_differentiable():
    gradient = jax.grad(lambda x: jnp.sum(filters.gaussian_blur(x, 1.0)))(
        jnp.ones((1, 8, 8, 3))
    )
    assert bool(jnp.isfinite(gradient).all())
    np.testing.assert_allclose(gradient.sum(), 8 * 8 * 3, rtol=1e-5)


@pytest.mark.parametrize("sigma", [-1.0, float("nan"), float("inf")])
def test_gaussian_blur_refuses_bad_widths(sigma):
    with pytest.raises(ValueError, match="sigma: expected"):
        filters.gaussian_blur(jnp.zeros((1, 8, 8, 3)), sigma)


@IDENTITY_AND_JIT
def test_gradient_energy_equals_numpy(compile_fn, generator):
    image = generator.uniform(size=(3, 6, 9, 3))
    y = image @ [0.299, 0.587, 0.114]
    expected = np.square(np.diff(y, axis=1)).mean((1, 2))
    expected += np.square(np.diff(y, axis=2)).mean((1, 2))
    actual = compile_fn(filters.gradient_energy)(jnp.float32(image))
    assert actual.shape == (3,)
    np.testing.assert_allclose(actual, expected, rtol=1e-4)


def test_gradient_energy_orders_blur_image_checkerboard(generator):
    image = jnp.float32(generator.uniform(size=(1, 16, 16, 3)))
    board = jnp.float32(np.indices((16, 16)).sum(0) % 2)[None, :, :, None]
    energies = [
        float(filters.gradient_energy(x)[0])
        for x in (
            jnp.full_like(image, 0.5),
            filters.gaussian_blur(image, 2.0),
            image,
            jnp.tile(board, (1, 1, 1, 3)),
        )
    ]
    assert energies == sorted(energies)
    np.testing.assert_allclose([energies[0], energies[-1]], [0, 2], atol=1e-5)


def test_gradient_energy_has_finite_gradients_on_constants():
    gradient = jax.grad(lambda x: jnp.sum(filters.gradient_energy(x)))(
        jnp.full((1, 4, 4, 3), 0.5)
    )
    np.testing.assert_allclose(gradient, np.zeros((1, 4, 4, 3)), atol=1e-7)


def test_gradient_energy_refuses_grey_and_lines():
    with pytest.raises(ValueError, match="3 channels"):
        filters.gradient_energy(jnp.zeros((1, 4, 4, 1)))
    with pytest.raises(ValueError, match="at least 2 pixels"):
        filters.gradient_energy(jnp.zeros((1, 1, 4, 3)))
