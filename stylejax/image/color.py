"""Value ranges and colour: the one place where [0, 1] becomes [-1, 1] and back.

All functions accept any number of leading axes and both NumPy and JAX arrays, and
return the kind of array they were given. Channels come last.
"""

from typing import TypeVar

import jax
import numpy as np

# NumPy in, NumPy out; JAX in, JAX out. Ranges and shapes are in the docstrings.
ArrayT = TypeVar("ArrayT", jax.Array, np.ndarray)

# Rec. 601 weights, the ones Pillow's "L" and JPEG's Y use.
_LUMINANCE = (0.299, 0.587, 0.114)


def to_signed(image: ArrayT) -> ArrayT:
    """The image in [-1, 1]: `2 * image - 1`.

    Args:
      image: (..., h, w, c), values in [0, 1].

    Returns:
      Same shape and dtype, values in [-1, 1].

    Example:
      >>> to_signed(np.float32([0.0, 0.5, 1.0])).tolist()
      [-1.0, 0.0, 1.0]
    """
    return image * 2 - 1


def from_signed(image: ArrayT) -> ArrayT:
    """The image in [0, 1]: `(image + 1) / 2`, clipped.

    Args:
      image: (..., h, w, c), nominally in [-1, 1]; values outside are clipped.

    Returns:
      Same shape and dtype, values in [0, 1].

    Example:
      >>> from_signed(np.float32([-1.0, 0.0, 3.0])).tolist()
      [0.0, 0.5, 1.0]
    """
    return ((image + 1) / 2).clip(0, 1)


def to_float(pixels: ArrayT) -> ArrayT:
    """The pixels as float32 in [0, 1].

    Args:
      pixels: any shape; uint8 (divided by 255), uint16 (divided by 65535), or a float
        array that is in [0, 1] already and only changes its dtype.

    Returns:
      Same shape, float32.

    Raises:
      TypeError: for any other dtype, whose range is unknown.

    Example:
      >>> to_float(np.uint8([0, 51, 255])).tolist()
      [0.0, 0.20000000298023224, 1.0]
    """
    # jax.dtypes is not needed: "bfloat16" is the one float NumPy does not class as one.
    if np.issubdtype(pixels.dtype, np.floating) or pixels.dtype.name == "bfloat16":
        return pixels.astype(np.float32)
    if pixels.dtype not in (np.uint8, np.uint16):
        raise TypeError(
            f"pixels: expected uint8, uint16 or float pixels, got {pixels.dtype}; "
            "convert them to one of these first"
        )
    return pixels.astype(np.float32) / np.iinfo(pixels.dtype).max


def to_uint8(image: ArrayT) -> ArrayT:
    """The image as uint8 in 0 … 255, clipped and rounded to the nearest level.

    Args:
      image: any shape, nominally in [0, 1]; values outside are clipped. Must be finite.

    Returns:
      Same shape, uint8. `to_uint8(to_float(x))` is `x` for uint8 `x`.

    Example:
      >>> to_uint8(np.float32([-1.0, 0.2, 1.0])).tolist()
      [0, 51, 255]
    """
    return (image.clip(0, 1) * 255).round().astype(np.uint8)


def luminance(image: ArrayT) -> ArrayT:
    """The luminance of an RGB image: `0.299 r + 0.587 g + 0.114 b` (Rec. 601).

    Args:
      image: (..., h, w, 3), any linear range.

    Returns:
      (..., h, w), in the range of the input.

    Raises:
      ValueError: if the last axis is not RGB.

    Example:
      >>> luminance(np.ones((1, 2, 2, 3), np.float32)).shape
      (1, 2, 2)
    """
    if image.shape[-1] != 3:
        raise ValueError(
            f"image: expected RGB in the last axis, got shape {tuple(image.shape)}; "
            "repeat a grey channel three times first"
        )
    red, green, blue = _LUMINANCE
    return image[..., 0] * red + image[..., 1] * green + image[..., 2] * blue
