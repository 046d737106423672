"""Pictures given by their spectrum: scaled as photographs are, in natural colours.

    logits = irfft(spectrum / f^d) along axes of colour;  picture = sigmoid(4 c logits)

with the logits brought to a root mean square of 1 first, so that `c` is the contrast of
the picture whatever the spectrum's size. A step along any coefficient changes the
picture by what is natural for that frequency and that axis of colour.

Reference: Olah, Mordvintsev and Schubert, "Feature Visualization", 2017. We fix the
  contrast (Fel et al. 2023 fix the magnitude of the whole spectrum), and measured the
  colours ourselves.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from stylejax.checks import check_image
from stylejax.typing import Image, Key

Shape = tuple[int, int, int]
"""Height, width and channels of a picture."""

Spectra = Float[Array, "b 2 h f c"]
"""Real and imaginary parts of the coefficients of a real picture, `f = w // 2 + 1`."""

_AXES = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])
# Standard deviations along these axes on 60 photographs of the Berkeley segmentation
# set, as shares of the first: 0.33 and 0.15 (2026-11).
NATURAL_COLORS = (_AXES * np.array([[1], [1 / 3], [0.15]])).T.astype(np.float32)
"""Columns: grey, red against blue, green against both, each as long as it varies."""


def color_axes(images: Image) -> Float[Array, "c c"]:
    """The axes along which the colours of pictures vary, each as long as it does.

    The principal axes of the pixels, the longest scaled to 1; an alternative to
    `NATURAL_COLORS` for pictures that are no photographs.

    Args:
      images: `b h w c`, any range.

    Returns:
      `c c`, one axis a column.

    Example:
      >>> grey = jnp.linspace(0, 1, 9).reshape(1, 3, 3, 1).repeat(3, axis=-1)
      >>> jnp.abs(color_axes(grey)).round(3).tolist()[0]
      [0.5770000219345093, 0.0, 0.0]
    """
    check_image(images, channels=None)
    pixels = jnp.asarray(images, jnp.float32).reshape(-1, images.shape[-1])
    pixels = pixels - pixels.mean(axis=0, keepdims=True)
    covariance = jnp.matmul(pixels.T, pixels, precision="highest") / len(pixels)
    variances, axes = jnp.linalg.eigh(covariance)
    lengths = jnp.sqrt(jnp.maximum(variances, 0.0))[::-1]
    return axes[:, ::-1] * (lengths / jnp.maximum(lengths[0], 1e-12))[None]


def draw_spectra(key: Key, *, number: int, shape: Shape) -> Spectra:
    """Standard normal coefficients, those of noise.

    Args:
      key: draws them.
      number: how many pictures, `b`.
      shape: height, width and channels.

    Returns:
      `b 2 h (w // 2 + 1) c`.
    """
    height, width, channels = shape
    size = (number, 2, height, width // 2 + 1, channels)
    return jax.random.normal(key, size)


@functools.partial(jax.jit, static_argnames="shape")
def to_pictures(
    spectra: Spectra,
    *,
    shape: Shape,
    contrast: float = 0.2,
    decay: float = 1.0,
    colors: ArrayLike | None = None,
) -> Image:
    """The pictures of spectra; differentiable, and the same for any multiple of one.

    Args:
      spectra: `b 2 h (w // 2 + 1) c`, see `draw_spectra`.
      shape: height, width and channels.
      contrast: standard deviation about grey, before the ends are squeezed into [0, 1].
      decay: `d` of the amplitudes' factor `1 / f^d`; the mean counts as the lowest `f`.
      colors: `c c`, whose columns are axes of colour; None is `NATURAL_COLORS` for
        three channels, and independent channels for others.

    Returns:
      `b h w c` in [0, 1].

    Raises:
      ValueError: colours of another shape.
    """
    height, width, channels = shape
    coefficients = jax.lax.complex(spectra[:, 0], spectra[:, 1])
    amplitudes = _frequencies(height, width) ** -jnp.float32(decay)
    coefficients = coefficients * amplitudes[None, :, :, None]
    planes = jnp.fft.irfft2(coefficients, s=(height, width), axes=(1, 2))
    axes = _checked_colors(colors, channels)
    logits = jnp.einsum("bhwk,ck->bhwc", planes, axes, precision="highest")
    power = jnp.mean(jnp.square(logits), axis=(1, 2, 3), keepdims=True)
    return jax.nn.sigmoid(4 * contrast * logits * jax.lax.rsqrt(power + 1e-20))


def pink_noise(
    key: Key,
    *,
    number: int,
    shape: Shape,
    contrast: float = 0.2,
    decay: float = 1.0,
    colors: ArrayLike | None = None,
) -> Image:
    """Random pictures with the spectrum and the colours of photographs.

    Args:
      key: draws them.
      number: how many, `b`.
      shape: height, width and channels.
      contrast: as in `to_pictures`.
      decay: as in `to_pictures`.
      colors: as in `to_pictures`.

    Returns:
      `b h w c` in [0, 1].

    Example:
      >>> pink_noise(jax.random.key(0), number=2, shape=(8, 8, 3)).shape
      (2, 8, 8, 3)
    """
    spectra = draw_spectra(key, number=number, shape=shape)
    return to_pictures(
        spectra, shape=shape, contrast=contrast, decay=decay, colors=colors
    )


def _frequencies(height: int, width: int) -> Array:
    """Cycles per pixel of each coefficient; the mean counts as the lowest."""
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    frequency = np.maximum(np.hypot(rows, columns), 1 / max(height, width))
    return jnp.asarray(frequency, jnp.float32)


def _checked_colors(colors: ArrayLike | None, channels: int) -> Array:
    if colors is None:
        return jnp.asarray(NATURAL_COLORS if channels == 3 else np.eye(channels))
    if jnp.shape(colors) != (channels, channels):
        raise ValueError(
            f"colors: expected shape {(channels, channels)}, one axis a column, got"
            f" {jnp.shape(colors)}"
        )
    return jnp.asarray(colors)
