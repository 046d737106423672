"""Pixels of decoded pictures: any of Pillow's modes to RGB in one of two dtypes."""

from typing import Any

import numpy as np


def as_float(image: np.ndarray) -> np.ndarray:
    """The picture as float32 in [0, 1]: uint8 is divided by 255, floats pass.

    Args:
      image: uint8 or float array of any shape.

    Returns:
      float32, the same shape.
    """
    if image.dtype == np.uint8:
        return image.astype(np.float32) / np.float32(255)
    return np.asarray(image, np.float32)


def to_rgb(image: Any, *, background: float = 1.0) -> np.ndarray:
    """The pixels of a decoded picture of any mode, transparency laid onto a grey.

    Args:
      image: A Pillow image that has been loaded.
      background: What is seen through it: 1 is white, 0 black.

    Returns:
      `h w 3`: uint8, or float32 where 8 bits would lose something.
    """
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return _deep_grey(image, background)
    if not image.has_transparency_data:
        return np.asarray(image.convert("RGB"))
    if image.mode == "La":  # Pillow has no direct way from here to RGBA
        image = image.convert("LA")
    pixels = np.asarray(image.convert("RGBA"))
    if (pixels[..., 3] == 255).all():
        return pixels[..., :3]
    pixels = as_float(pixels)
    alpha = pixels[..., 3:]
    return pixels[..., :3] * alpha + np.float32(background) * (np.float32(1) - alpha)


def _deep_grey(image: Any, background: float) -> np.ndarray:
    values = np.asarray(image)
    grey = values.astype(np.float32)
    if image.mode != "F":
        grey /= np.float32(65535)
    clear = image.info.get("transparency")
    if isinstance(clear, int):  # one grey value stands for transparency
        grey[values == clear] = background
    return np.repeat(grey[..., None], 3, axis=-1)


def range_problem(pixels: np.ndarray) -> str | None:
    """What is wrong with the values of a decoded picture, in a few words.

    Args:
      pixels: uint8 or float32 array.

    Returns:
      None where they are finite and in [0, 1] (uint8 always is).
    """
    if pixels.dtype == np.uint8:
        return None
    if not np.isfinite(pixels).all():
        return "NaN or infinity"
    low, high = float(pixels.min()), float(pixels.max())
    if low < 0 or high > 1:
        return "float values outside [0, 1] or integers beyond 16 bits"
    return None
