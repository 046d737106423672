"""Labelled regions of a picture: a whole number for each pixel, and what is in each.

An explanation by region is asked for by labels: `h w` whole numbers, 0 to `k - 1`. They
come from a grid, from boxes or from a segmentation.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

Labels = Int[Array, "h w"] | np.ndarray
"""A whole number for each pixel, `h w`, of JAX or NumPy."""


def grid_regions(size_hw: tuple[int, int], *, rows: int, columns: int) -> np.ndarray:
    """Labels of a grid of cells as equal as whole pixels allow, row by row.

    Args:
      size_hw: height and width in pixels.
      rows: cells down, at least 1 and at most the height.
      columns: cells across, at least 1 and at most the width.

    Returns:
      int32 `h w`, from 0 to `rows columns - 1`.

    Raises:
      ValueError: a cell would hold no pixel.

    Example:
      >>> grid_regions((2, 4), rows=1, columns=2).tolist()
      [[0, 0, 1, 1], [0, 0, 1, 1]]
    """
    height, width = size_hw
    if not (1 <= rows <= height and 1 <= columns <= width):
        raise ValueError(
            f"grid: expected 1 to {height} rows and 1 to {width} columns for a picture"
            f" of {height} x {width} pixels, got {rows} x {columns}"
        )
    row = np.arange(height) * rows // height
    column = np.arange(width) * columns // width
    return (row[:, None] * columns + column[None]).astype(np.int32)


def box_regions(
    size_hw: tuple[int, int], boxes: Sequence[tuple[int, int, int, int]]
) -> np.ndarray:
    """Labels of boxes: box `i` is region `i`, and what lies in none is the last one.

    Args:
      size_hw: height and width in pixels.
      boxes: (x, y, w, h) in pixels, inside the picture; a later one covers an earlier.

    Returns:
      int32 `h w`, from 0 to `len(boxes)`.

    Raises:
      ValueError: a box that reaches outside the picture, or is empty.

    Example:
      >>> box_regions((2, 3), [(0, 0, 2, 1)]).tolist()
      [[0, 0, 1], [1, 1, 1]]
    """
    height, width = size_hw
    labels = np.full(size_hw, len(boxes), np.int32)
    for index, (x, y, w, h) in enumerate(boxes):
        if min(x, y) < 0 or min(w, h) < 1 or x + w > width or y + h > height:
            raise ValueError(
                f"box {index}: expected x,y,w,h inside a picture {width} wide and"
                f" {height} high, got {x},{y},{w},{h}"
            )
        labels[y : y + h, x : x + w] = index
    return labels


def count_regions(
    labels: Labels,
    *,
    size_hw: tuple[int, ...],
    num_regions: int | None = None,
    name: str = "labels",
) -> int:
    """The number of regions, once the labels are known to be sound.

    Args:
      labels: `h w` whole numbers, concrete (not under `jax.jit`).
      size_hw: the size they must have.
      num_regions: how many there are; None takes the largest label plus one.
      name: what the caller calls them.

    Returns:
      `k`, at least 1.

    Raises:
      ValueError: another size, no whole numbers, or one below 0 or above `k - 1`.

    Example:
      >>> count_regions(np.array([[0, 2]]), size_hw=(1, 2))
      3
    """
    values = np.asarray(labels)
    if values.shape != tuple(size_hw) or not np.issubdtype(values.dtype, np.integer):
        raise ValueError(
            f"{name}: expected whole numbers of shape {tuple(size_hw)}, got"
            f" {values.dtype} of shape {values.shape}; make them with"
            " stylejax.image.regions.grid_regions"
        )
    count = int(values.max()) + 1 if num_regions is None else num_regions
    if values.min() < 0 or values.max() >= count:
        raise ValueError(
            f"{name}: expected whole numbers from 0 to {count - 1}, got"
            f" {values.min()} to {values.max()}"
        )
    return count


def region_masks(labels: Labels, *, num_regions: int) -> Float[Array, "k h w"]:
    """One mask for each region: 1 inside, 0 outside.

    Args:
      labels: `h w` whole numbers; those outside 0 to `num_regions - 1` are in no mask.
      num_regions: `k`.

    Returns:
      float32 `k h w`, summing over `k` to one where every pixel has a label.

    Example:
      >>> region_masks(jnp.array([[0, 1]]), num_regions=2).tolist()
      [[[1.0, 0.0]], [[0.0, 1.0]]]
    """
    index = jnp.arange(num_regions)[:, None, None]
    return (jnp.asarray(labels)[None] == index).astype(jnp.float32)


def region_sums(
    values: Float[Array, "h w *c"], labels: Labels, *, num_regions: int
) -> Float[Array, "..."]:
    """The sum of a map over each region.

    Args:
      values: `h w …`, such as an attribution map `h w c`.
      labels: `h w` whole numbers from 0 to `num_regions - 1`.
      num_regions: `k`.

    Returns:
      `k …`: the pixels are summed, the other axes are kept.

    Example:
      >>> region_sums(jnp.ones((1, 3)), jnp.array([[0, 1, 1]]), num_regions=2).tolist()
      [1.0, 2.0]
    """
    flat = values.reshape(-1, *values.shape[2:])
    return jax.ops.segment_sum(flat, jnp.asarray(labels).reshape(-1), num_regions)
