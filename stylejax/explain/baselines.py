"""Baselines: the picture a path of attribution starts from.

An attribution answers "why this picture and not the baseline?", so the baseline is
part of the question. The default keeps the picture's colours and layout and removes
its detail (a blur). A constant colour is the usual choice for classifiers and the
wrong one for most style networks: a normalisation layer removes the mean and the
scale of what it sees, so that every point of the path but its very start looks the
same to the network.

Pictures here are single: `h w c`.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from stylejax.image.filters import gaussian_blur
from stylejax.typing import Key

_CONSTANTS = {"zero": 0.0, "black": 0.0, "grey": 0.5, "white": 1.0}

BASELINES = ("blur", "noise", *_CONSTANTS)
"""Names that `make_baseline` knows."""

# One step of an 8-bit picture: a black JPEG counts as constant too.
_CONSTANT_RANGE = 1 / 255


def blur_baseline(
    image: Float[Array, "h w c"], *, sigma: float | None = None
) -> Float[Array, "h w c"]:
    """The picture without its detail: a Gaussian blur.

    Args:
      image: one picture.
      sigma: standard deviation in pixels; by default 1/16 of the shorter side and at
        least 1, which leaves coarse colour patches.

    Returns:
      A picture of the same shape.

    Reference: Gu and Dong, "Interpreting Super-Resolution Networks with Local
      Attribution Maps", 2021. They also blur along the path; ours is straight.
    """
    if sigma is None:
        sigma = max(1.0, min(image.shape[:2]) / 16)
    return gaussian_blur(image[None], sigma)[0].astype(image.dtype)


def noise_baseline(key: Key, image: Float[Array, "h w c"]) -> Float[Array, "h w c"]:
    """Independent uniform noise in [0, 1], shaped like the picture.

    Args:
      key: random key.
      image: one picture; only its shape and dtype are used.

    Returns:
      A picture of the same shape.
    """
    return jax.random.uniform(key, image.shape, image.dtype)


def constant_baseline(
    image: Float[Array, "h w c"], *, value: float
) -> Float[Array, "h w c"]:
    """One value everywhere, shaped like the picture.

    Args:
      image: one picture; only its shape and dtype are used.
      value: the value of every pixel and channel.

    Returns:
      A picture of the same shape.

    Example:
      >>> constant_baseline(jnp.ones((1, 2, 1)), value=0.5).tolist()
      [[[0.5], [0.5]]]
    """
    return jnp.full_like(image, value)


def is_constant(image: Float[Array, "h w c"]) -> bool:
    """Whether each channel is flat, to within one step of an 8-bit picture.

    Args:
      image: one picture, concrete (not under `jax.jit`).

    Returns:
      True if no channel varies by more than 1/255 over the picture.

    Example:
      >>> is_constant(jnp.zeros((4, 4, 3)))
      True
    """
    pixels = np.asarray(image)
    return bool(np.ptp(pixels, axis=(0, 1)).max() <= _CONSTANT_RANGE)


def make_baseline(
    baseline: str | Float[Array, "h w c"], *, image: Float[Array, "h w c"]
) -> Float[Array, "h w c"]:
    """The baseline that a name or an array stands for.

    Args:
      baseline: a name in `BASELINES`, or a picture of the shape of `image` (a leading
        axis of one is allowed). `"noise"` is always the same draw; for another one
        pass `noise_baseline(key, image)`.
      image: the picture to explain.

    Returns:
      A picture of the shape and dtype of `image`.

    Raises:
      ValueError: unknown name, wrong shape, or values that are not finite.
    """
    if isinstance(baseline, str):
        if baseline == "blur":
            return blur_baseline(image)
        if baseline == "noise":
            return noise_baseline(jax.random.key(0), image)
        if baseline in _CONSTANTS:
            return constant_baseline(image, value=_CONSTANTS[baseline])
        raise ValueError(
            f"baseline: expected one of {', '.join(BASELINES)} or a picture as an"
            f" array, got {baseline!r}"
        )
    shape = jnp.shape(baseline)
    if shape not in (image.shape, (1, *image.shape)):
        raise ValueError(
            f"baseline: expected the picture's shape {image.shape}, got {shape};"
            " resize it, or name one of " + ", ".join(BASELINES)
        )
    picture = jnp.asarray(baseline).reshape(image.shape).astype(image.dtype)
    if not np.isfinite(np.asarray(picture)).all():
        raise ValueError("baseline: expected finite values, got NaN or infinity")
    return picture
