"""Filters on pictures: Gaussian blur, and the gradient energy that measures blur."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from stylejax.checks import check_image
from stylejax.image import color
from stylejax.typing import Image, PerExample

# Beyond four standard deviations a Gaussian adds less than float32 can tell.
_TRUNCATE = 4.0


def gaussian_blur(image: Image, sigma: float) -> Image:
    """The image convolved with a Gaussian: `exp(-r^2 / (2 sigma^2))`, normalised.

    Borders reflect (the border itself is not repeated), so a constant image stays what
    it is. The kernel reaches to four standard deviations.

    Args:
      image: (b, h, w, c), any range and number of channels.
      sigma: standard deviation in pixels, a Python number; 0 returns the image.

    Returns:
      (b, h, w, c), float32.

    Raises:
      ValueError: if `sigma` is negative or not finite, or `image` no batch of images.

    Example:
      >>> dot = jnp.zeros((1, 9, 9, 3)).at[:, 4, 4].set(1.0)
      >>> round(float(gaussian_blur(dot, 1.0)[0, 4, 4, 0]), 4)  # 1 / (2 pi)
      0.1592
    """
    check_image(image, channels=None)
    if not 0 <= sigma < math.inf:
        raise ValueError(f"sigma: expected a number of at least 0, got {sigma}")
    blurred = jnp.asarray(image, jnp.float32)
    if sigma == 0:
        return blurred
    kernel = _gaussian(sigma)
    return _convolve(_convolve(blurred, kernel, axis=1), kernel, axis=2)


def gradient_energy(image: Image) -> PerExample:
    """The gradient energy of each example: `mean dy^2 + mean dx^2` of the luminance.

    dy and dx are differences of neighbouring pixels. Blur lowers it, noise and
    checkerboards raise it.

    Args:
      image: (b, h, w, 3), values in [0, 1]; both sides at least 2 pixels.

    Returns:
      (b,), float32. Not reduced over the batch.

    Raises:
      ValueError: if `image` is no batch of RGB images or has a side of one pixel.

    Example:
      >>> edge = jnp.zeros((1, 2, 3, 3)).at[:, :, 2].set(1.0)
      >>> gradient_energy(edge).tolist()  # dx is 0 or 1, dy is 0
      [0.5]
    """
    check_image(image)
    if min(image.shape[1:3]) < 2:
        raise ValueError(
            f"image: expected sides of at least 2 pixels, got shape {image.shape}"
        )
    y = color.luminance(jnp.asarray(image, jnp.float32))
    vertical = jnp.mean(jnp.square(y[:, 1:] - y[:, :-1]), axis=(1, 2))
    horizontal = jnp.mean(jnp.square(y[:, :, 1:] - y[:, :, :-1]), axis=(1, 2))
    return vertical + horizontal


def _gaussian(sigma: float) -> np.ndarray:
    radius = max(1, math.ceil(_TRUNCATE * sigma))
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return (weights / weights.sum()).astype(np.float32)


def _convolve(
    image: Image, kernel: np.ndarray, *, axis: int
) -> Float[Array, "b h w c"]:
    """The image filtered along one of its two sides, each channel by itself."""
    radius, channels = len(kernel) // 2, image.shape[-1]
    widths = [(radius, radius) if i == axis else (0, 0) for i in range(4)]
    shape = [-1 if i == axis else 1 for i in (1, 2)]
    return jax.lax.conv_general_dilated(
        jnp.pad(image, widths, mode="reflect"),
        jnp.tile(kernel.reshape(*shape, 1, 1), (1, 1, 1, channels)),
        window_strides=(1, 1),
        padding="VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=channels,
        precision=jax.lax.Precision.HIGHEST,
    )
