"""Feature maps as one picture of tiles, and the pictures that a unit answers most.

Zero is white, positive is red, negative is blue, and the scale is symmetric and stated:
`"shared"` makes tiles comparable with each other, `"own"` shows what is in each. A
map drawn between its own minimum and maximum, as is common, is comparable with nothing
and shows noise as strongly as signal.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float

from stylejax.checks import check_choice, check_positive

SCALES = ("shared", "own")
_POSITIVE = np.array([0.80, 0.05, 0.08], np.float32)
_NEGATIVE = np.array([0.05, 0.25, 0.85], np.float32)
_PAPER = np.float32(1.0)
_GAP = np.float32(0.85)


@dataclasses.dataclass(frozen=True, eq=False)
class FeatureSheet:
    """Feature maps drawn as tiles.

    Attributes:
      picture: float32 `h' w' 3` in [0, 1]: tiles row by row, with grey lines between
        them; places after the last tile are grey.
      limits: the value drawn in full red (its negative in full blue), for each tile.
      units: the channel that each tile shows.
      columns: tiles in a row.
      scale: `"shared"` or `"own"`.
    """

    picture: np.ndarray
    limits: np.ndarray
    units: tuple[int, ...]
    columns: int
    scale: str

    def summary(self) -> str:
        """The scale in one line, for a caption.

        Returns:
          Text without a line break.
        """
        low, high = self.limits.min(), self.limits.max()
        if self.scale == "shared":
            return f"white 0, red {high:.3g}, blue {-high:.3g} in all tiles"
        return f"white 0, red each tile's largest |value|, from {low:.3g} to {high:.3g}"


@dataclasses.dataclass(frozen=True, eq=False)
class TopPictures:
    """The pictures on which a unit is highest, the highest first.

    Attributes:
      indices: of the pictures, `k`.
      values: of the unit there, `k`.
      positions: row and column of its highest position, `k 2`, at the size of the map.
      unit: the channel.
      by: what was compared: `"max"` over positions or their `"mean"`.
    """

    indices: np.ndarray
    values: np.ndarray
    positions: np.ndarray
    unit: int
    by: str


def feature_sheet(
    maps: Float[ArrayLike, "h w u"],
    *,
    scale: str = "shared",
    units: Sequence[int] | None = None,
    columns: int | None = None,
    zoom: int = 1,
    gap: int = 1,
) -> FeatureSheet:
    """One picture of feature maps, each a tile on a symmetric scale.

    Args:
      maps: `h w u`, one picture's activation, any unit.
      scale: `"shared"` (the largest |value| of all tiles drawn) or `"own"` (of each).
      units: which channels, in this order; None takes all.
      columns: tiles in a row; None makes the sheet about square.
      zoom: side of the square that each position becomes, in pixels.
      gap: grey pixels between tiles and around them.

    Returns:
      A `FeatureSheet`; a tile of zeros is white.

    Raises:
      ValueError: no map, values that are not finite, a channel that is not there.

    Example:
      >>> sheet = feature_sheet(np.float32([[[1.0, -2.0]]]), gap=0)
      >>> sheet.picture.shape, sheet.summary()
      ((1, 2, 3), 'white 0, red 2, blue -2 in all tiles')
    """
    check_choice(scale, choices=SCALES, name="scale")
    check_positive(zoom, name="zoom")
    values = _finite(maps, ndim=3, expected="one picture's maps (h, w, u)")
    chosen = _checked_units(units, values.shape[-1])
    tiles = np.moveaxis(values, -1, 0)[list(chosen)]
    limits = np.abs(tiles).max(axis=(1, 2))
    if scale == "shared":
        limits = np.full_like(limits, limits.max())
    colored = _signed_colors(tiles, limits)
    colored = colored.repeat(zoom, axis=1).repeat(zoom, axis=2)
    width = int(np.ceil(np.sqrt(len(tiles)))) if columns is None else columns
    check_positive(width, name="columns")
    return FeatureSheet(_tiled(colored, width, gap), limits, chosen, width, scale)


def top_pictures(
    activations: Float[ArrayLike, "b h w u"],
    *,
    unit: int,
    num_pictures: int = 9,
    by: str = "max",
) -> TopPictures:
    """The pictures on which a unit is highest, and where in them.

    Args:
      activations: `b h w u`, of one layer on `b` pictures.
      unit: the channel.
      num_pictures: `k`; fewer where there are fewer pictures.
      by: `"max"` over the positions or their `"mean"`.

    Returns:
      A `TopPictures`; of equal pictures the first comes first.

    Raises:
      ValueError: no maps, values that are not finite, a channel that is not there.

    Example:
      >>> maps = np.zeros((3, 2, 2, 1))
      >>> maps[1, 0, 1] = 5
      >>> top = top_pictures(maps, unit=0, num_pictures=1)
      >>> top.indices.tolist(), top.positions.tolist()
      ([1], [[0, 1]])
    """
    check_choice(by, choices=("max", "mean"), name="by")
    check_positive(num_pictures, name="num_pictures")
    values = _finite(activations, ndim=4, expected="maps (b, h, w, u)")
    _checked_units([unit], values.shape[-1])
    flat = values[..., unit].reshape(len(values), -1)
    scores = flat.max(axis=1) if by == "max" else flat.mean(axis=1)
    indices = np.argsort(-scores, kind="stable")[:num_pictures]
    peaks = np.unravel_index(flat[indices].argmax(axis=1), values.shape[1:3])
    return TopPictures(indices, scores[indices], np.stack(peaks, axis=1), unit, by)


def _finite(values: Any, *, ndim: int, expected: str) -> np.ndarray:
    array = np.asarray(values, np.float32)
    if array.ndim != ndim or array.size == 0:
        raise ValueError(f"maps: expected {expected}, got shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError("maps: expected finite values, got NaN or infinity")
    return array


def _checked_units(units: Sequence[int] | None, size: int) -> tuple[int, ...]:
    chosen = tuple(range(size)) if units is None else tuple(int(u) for u in units)
    if not chosen or min(chosen) < 0 or max(chosen) >= size:
        raise ValueError(f"units: expected some of 0 to {size - 1}, got {chosen}")
    return chosen


def _signed_colors(tiles: np.ndarray, limits: np.ndarray) -> np.ndarray:
    safe = np.where(limits > 0, limits, 1)[:, None, None]
    strength = np.clip(tiles / safe, -1, 1)[..., None]
    ink = np.where(strength > 0, _POSITIVE, _NEGATIVE)
    share = np.abs(strength)
    return (share * ink + (1 - share) * _PAPER).astype(np.float32)


def _tiled(tiles: np.ndarray, columns: int, gap: int) -> np.ndarray:
    """Tiles `n h w 3` row by row, with grey between and around them."""
    count, height, width, _ = tiles.shape
    rows = -(-count // columns)
    size = (rows * (height + gap) + gap, columns * (width + gap) + gap, 3)
    sheet = np.full(size, _GAP, np.float32)
    for index, tile in enumerate(tiles):
        row, column = divmod(index, columns)
        top, left = gap + row * (height + gap), gap + column * (width + gap)
        sheet[top : top + height, left : left + width] = tile
    return sheet
