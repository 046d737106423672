"""Positions in pictures: mirroring, cropping, boxes.

A box is `(x, y, w, h)` in pixels: its left column, its top row, its width and height,
as in the command line's region targets. Rows and columns count from 0.
"""

import numbers
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from stylejax.typing import Image

Box = tuple[int, int, int, int]


def flip_horizontal(image: Image) -> Image:
    """The image mirrored left to right.

    Args:
      image: (..., h, w, c), NumPy or JAX.

    Returns:
      Same shape and kind of array.

    Example:
      >>> flip_horizontal(np.arange(3.0).reshape(1, 1, 3, 1)).ravel().tolist()
      [2.0, 1.0, 0.0]
    """
    return image[..., ::-1, :]


def crop(image: Image, y: Any, x: Any, h: int, w: int) -> Image:
    """The part of the image of size (h, w) whose top left pixel is (y, x).

    Args:
      image: (..., height, width, c).
      y: first row; an integer, or a traced scalar under `jax.jit`.
      x: first column; likewise.
      h: rows to keep, a Python integer.
      w: columns to keep, a Python integer.

    Returns:
      (..., h, w, c). Traced offsets are moved inside the image, as they cannot be
      refused.

    Raises:
      ValueError: if the part does not lie inside the image (integer offsets).

    Example:
      >>> crop(np.zeros((1, 8, 8, 3)), 2, 0, 5, 8).shape
      (1, 5, 8, 3)
    """
    size_hw = (image.shape[-3], image.shape[-2])
    if isinstance(y, numbers.Integral) and isinstance(x, numbers.Integral):
        check_box(size_hw, (int(x), int(y), w, h))
        return image[..., y : y + h, x : x + w, :]
    check_box(size_hw, (0, 0, w, h))
    rows = jax.lax.dynamic_slice_in_dim(image, y, h, axis=image.ndim - 3)
    return jax.lax.dynamic_slice_in_dim(rows, x, w, axis=image.ndim - 2)


def box_mask(size_hw: tuple[int, int], box_xywh: Box) -> Float[np.ndarray, "h w"]:
    """The mask of a box: 1 inside, 0 outside.

    Args:
      size_hw: height and width of the image, in pixels.
      box_xywh: left, top, width, height, in pixels.

    Returns:
      (h, w), a float32 NumPy array.

    Raises:
      ValueError: if the box is empty or does not lie inside the image.

    Example:
      >>> box_mask((2, 3), (1, 0, 2, 1)).tolist()
      [[0.0, 1.0, 1.0], [0.0, 0.0, 0.0]]
    """
    check_box(size_hw, box_xywh)
    x, y, w, h = box_xywh
    mask = np.zeros(size_hw, np.float32)
    mask[y : y + h, x : x + w] = 1
    return mask


def check_box(size_hw: tuple[int, int], box_xywh: Box) -> None:
    """Returns nothing; refuses boxes that are empty or leave the image.

    Args:
      size_hw: height and width of the image, in pixels.
      box_xywh: left, top, width, height, in pixels.

    Raises:
      ValueError: with the box and the size in its message.
    """
    (height, width), (x, y, w, h) = size_hw, box_xywh
    if min(w, h) < 1 or min(x, y) < 0 or x + w > width or y + h > height:
        raise ValueError(
            f"box: expected x,y,w,h inside the {width}x{height} (width x height) "
            f"image, got {x},{y},{w},{h}"
        )
