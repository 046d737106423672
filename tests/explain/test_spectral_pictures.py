"""Pictures from spectra: their spectrum, contrast and colours, measured in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.explain.spectral_pictures import (
    NATURAL_COLORS,
    color_axes,
    draw_spectra,
    pink_noise,
    to_pictures,
)


def logits(pictures):
    """What the sigmoid was applied to, in float64."""
    p = np.asarray(pictures, np.float64)
    return np.log(p / (1 - p))


def slope(pictures):
    """The exponent of the amplitude spectrum, by least squares over rings."""
    size = pictures.shape[1]
    amplitude = np.abs(np.fft.fft2(logits(pictures), axes=(1, 2))) ** 2
    amplitude = np.sqrt(amplitude.mean(axis=(0, 3)))
    f = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None])
    keep = f >= 1 / size
    return np.polyfit(np.log(f[keep]), np.log(amplitude[keep]), 1)[0]


@pytest.mark.parametrize("decay", [0.0, 1.0, 2.0])
def test_the_spectrum_falls_as_asked(decay):
    noise = pink_noise(jax.random.key(0), number=24, shape=(24, 24, 3), decay=decay)
    assert slope(noise) == pytest.approx(-decay, abs=0.05)
    assert 0 <= noise.min() and noise.max() <= 1


@pytest.mark.parametrize("contrast", [0.05, 0.2])
def test_the_contrast_is_as_asked_whatever_the_spectrum_s_size(contrast):
    spectra = draw_spectra(jax.random.key(1), number=3, shape=(9, 12, 3))
    scale = jnp.array([1e-3, 1.0, 1e3])[:, None, None, None, None]
    pictures = to_pictures(spectra * scale, shape=(9, 12, 3), contrast=contrast)
    rms = np.sqrt((logits(pictures) ** 2).mean(axis=(1, 2, 3)))
    np.testing.assert_allclose(rms, 4 * contrast, rtol=1e-4)
    same = to_pictures(spectra, shape=(9, 12, 3), contrast=contrast)
    np.testing.assert_allclose(pictures, same, atol=1e-5)


def test_small_contrast_is_the_standard_deviation_about_grey():
    noise = np.asarray(
        pink_noise(jax.random.key(2), number=24, shape=(24, 24, 3), contrast=0.02)
    )
    rms = np.sqrt(((noise - 0.5) ** 2).mean(axis=(1, 2, 3)))
    np.testing.assert_allclose(rms, 0.02, rtol=0.01)


def test_colours_vary_along_the_axes_asked_for():
    """The covariance of the logits is the axes times their transpose."""
    noise = pink_noise(jax.random.key(3), number=24, shape=(24, 24, 3))
    pixels = logits(noise).reshape(-1, 3)
    covariance = pixels.T @ pixels
    expected = NATURAL_COLORS @ NATURAL_COLORS.T
    np.testing.assert_allclose(
        covariance / np.trace(covariance), expected / np.trace(expected), atol=0.02
    )


def test_the_natural_axes_are_grey_first_and_at_right_angles():
    gram = NATURAL_COLORS.T @ NATURAL_COLORS
    np.testing.assert_allclose(gram, np.diag([1, 1 / 9, 0.15**2]), atol=1e-6)
    np.testing.assert_allclose(NATURAL_COLORS[:, 0], 3**-0.5, rtol=1e-6)


def test_axes_of_pictures_are_their_principal_axes():
    numbers = np.random.default_rng(0)
    mixing = numbers.normal(size=(3, 3))
    pixels = numbers.normal(size=(4, 8, 8, 3)) @ mixing.T + 5
    axes = np.asarray(color_axes(pixels.astype(np.float32)))
    covariance = np.cov(pixels.reshape(-1, 3).T, bias=True)
    largest = np.linalg.eigvalsh(covariance)[-1]
    np.testing.assert_allclose(axes @ axes.T, covariance / largest, atol=1e-5)
    assert np.linalg.norm(axes[:, 0]) == pytest.approx(1, abs=1e-5)


def test_any_number_of_channels_and_odd_sides_work():
    noise = pink_noise(jax.random.key(4), number=2, shape=(5, 7, 4))
    assert noise.shape == (2, 5, 7, 4)


def test_a_spectrum_of_zeros_is_grey_and_has_a_finite_gradient():
    zeros = jnp.zeros((1, 2, 4, 3, 3))
    loss = jax.jit(lambda s: to_pictures(s, shape=(4, 4, 3)).sum())
    value, gradient = jax.value_and_grad(loss)(zeros)
    assert value == 24 and np.isfinite(gradient).all()


def test_colours_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"colors: expected shape \(1, 1\)"):
        pink_noise(jax.random.key(0), number=1, shape=(4, 4, 1), colors=np.eye(3))
