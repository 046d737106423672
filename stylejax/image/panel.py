"""Pictures of pictures: grids, captions, boxes, heat maps, signed overlays.

Everything here is for people to look at and works on single pictures: NumPy in, NumPy
out, float32 (h, w, 3) in [0, 1]. Grey input is accepted where it says "picture":
(h, w), (h, w, 1) and (h, w, 3); values outside [0, 1] are clipped, NaN is black. The
text is drawn in Pillow's built-in font, so no font file is needed. Figures with axes
belong to `report/`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image as PILImage
from PIL import ImageDraw, ImageFont

from stylejax.checks import check_positive
from stylejax.image import color
from stylejax.image.geometry import Box, check_box

Picture = Float[np.ndarray, "h w 3"]

_PAPER = 1.0
_INK = 0.1
_POSITIVE = np.array([0.80, 0.05, 0.08], np.float32)
_NEGATIVE = np.array([0.05, 0.25, 0.85], np.float32)
# Nine anchors of the colour map "magma" (CC0): its luminance rises all the way.
_MAGMA = "000004 1c1044 4f127b 812581 b5367a e55064 fb8761 fec287 fcfdbf".split()


def grid(
    rows: Sequence[Sequence[Any]],
    *,
    labels: Sequence[str] | None = None,
    column_titles: Sequence[str] | None = None,
    padding: int = 4,
    scale: int = 1,
    font_size: int = 12,
) -> Picture:
    """One picture of pictures in rows and columns, with names around them.

    Args:
      rows: rows of pictures; None leaves a cell empty, short rows end empty. Sizes may
        differ: rows are as high and columns as wide as their largest cell; smaller ones
        stand at the top, in the middle.
      labels: one name per row, drawn to its left.
      column_titles: one name per column, drawn on top.
      padding: white pixels between cells and around the grid.
      scale: every pixel of the cells becomes `scale` x `scale` pixels.
      font_size: of the names, in pixels.

    Returns:
      (h, w, 3), float32 in [0, 1].

    Raises:
      ValueError: if there are no pictures, the number of names does not match, or a
        cell is no picture.

    Example:
      >>> grid([[np.zeros((8, 8, 3)), np.ones((8, 8))]], padding=2).shape
      (12, 22, 3)
    """
    check_positive(scale, name="scale")
    columns = max((len(row) for row in rows), default=0)
    if columns == 0:
        raise ValueError("rows: expected at least one picture, got none")
    _check_names(labels, len(rows), name="labels")
    _check_names(column_titles, columns, name="column_titles")
    cells = [
        [None if cell is None else _enlarge(_as_rgb(cell), scale) for cell in row]
        for row in rows
    ]
    if labels is not None:
        names = [_draw_text(label, font_size) for label in labels]
        cells = [_labelled(name, row) for name, row in zip(names, cells, strict=True)]
    if column_titles is not None:
        corner = [None] if labels is not None else []
        titles = [_draw_text(title, font_size) for title in column_titles]
        cells.insert(0, [*corner, *titles])
    return _table(cells, padding)


def caption(image: Any, text: str, *, font_size: int = 12) -> Picture:
    """The picture with a white strip of text below it.

    Args:
      image: a picture.
      text: wrapped at the picture's width; line breaks are kept. A word wider than the
        picture widens the result.
      font_size: in pixels.

    Returns:
      (h', w', 3), float32 in [0, 1], with the picture at the top, centred.

    Raises:
      ValueError: if `image` is no picture.

    Example:
      >>> caption(np.zeros((32, 64, 3)), "ours").shape[1]
      64
    """
    picture = _as_rgb(image)
    words = _draw_text(_wrap(text, picture.shape[1], font_size), font_size)
    width = max(picture.shape[1], words.shape[1])
    gap = np.full((2, width, 3), _PAPER, np.float32)
    parts = [_centre(part, part.shape[0], width) for part in (picture, words)]
    return np.concatenate([parts[0], gap, parts[1], gap])


def draw_box(
    image: Any,
    box_xywh: Box,
    *,
    line_color: tuple[float, float, float] = (1.0, 0.85, 0.0),
    width: int | None = None,
) -> Picture:
    """The picture with a frame around a box.

    The frame lies just outside the box, so that the box stays visible; at the picture's
    border it moves inside.

    Args:
      image: a picture.
      box_xywh: left, top, width, height, in pixels.
      line_color: RGB in [0, 1].
      width: of the line in pixels; None takes 1 per 100 pixels of the shorter side.

    Returns:
      (h, w, 3), float32 in [0, 1]: a copy.

    Raises:
      ValueError: if `image` is no picture or the box does not lie inside it.

    Example:
      >>> framed = draw_box(np.zeros((8, 8, 3)), (2, 2, 4, 4), line_color=(1, 1, 1))
      >>> float(framed.sum()) / 3  # a ring of 6 x 6 around 4 x 4
      20.0
    """
    picture = _as_rgb(image).copy()
    rows, columns = picture.shape[:2]
    check_box((rows, columns), box_xywh)
    line = width or max(1, round(min(rows, columns) / 100))
    x, y, w, h = box_xywh
    top, left = max(0, y - line), max(0, x - line)
    bottom, right = min(rows, y + h + line), min(columns, x + w + line)
    inside = picture[top + line : bottom - line, left + line : right - line].copy()
    picture[top:bottom, left:right] = np.array(line_color, np.float32)
    picture[top + line : bottom - line, left + line : right - line] = inside
    return picture


def signed_overlay(image: Any, map_hw: Any, *, percentile: float = 99) -> Picture:
    """A signed map over the greyed picture: red is positive, blue is negative.

    The opacity is `min(1, |map| / scale)`, scale being a percentile of |map|, so that a
    few extreme pixels do not fade all others.

    Args:
      image: a picture.
      map_hw: (h, w), any unit, of the picture's size.
      percentile: of |map| that is drawn at full strength, in (0, 100].

    Returns:
      (h, w, 3), float32 in [0, 1]. A map of zeros shows the greyed picture.

    Raises:
      ValueError: if the sizes differ or the map is not finite.

    Example:
      >>> red, blue = signed_overlay(np.zeros((1, 2, 3)), np.float32([[5, -5]]))[0]
      >>> bool(red[0] > red[2]), bool(blue[2] > blue[0])
      (True, True)
    """
    picture = _as_rgb(image)
    values = _as_map(map_hw)
    if values.shape != picture.shape[:2]:
        raise ValueError(
            f"map_hw: expected the picture's size {picture.shape[:2]}, got "
            f"{values.shape}; resize one of them first"
        )
    strength = _strength(np.abs(values), percentile)[..., None]
    grey = 0.45 + 0.55 * color.luminance(picture)[..., None]
    tint = np.where(values[..., None] > 0, _POSITIVE, _NEGATIVE)
    return ((1 - strength) * grey + strength * tint).astype(np.float32)


def heatmap(map_hw: Any, *, percentile: float = 99) -> Picture:
    """A map in colours from black (its minimum) over red to pale yellow.

    Args:
      map_hw: (h, w), any unit. For maps with both signs take `signed_overlay`.
      percentile: of the map above its minimum that gets the brightest colour.

    Returns:
      (h, w, 3), float32 in [0, 1]. A constant map is black.

    Raises:
      ValueError: if the map is not (h, w) or not finite.

    Example:
      >>> heatmap(np.float32([[0, 1]])).sum(axis=-1).round(2).tolist()
      [[0.019999999552965164, 2.7300000190734863]]
    """
    values = _as_map(map_hw)
    strength = _strength(values - values.min(), percentile)
    anchors = np.array([list(bytes.fromhex(anchor)) for anchor in _MAGMA]) / 255
    positions = np.linspace(0, 1, len(anchors))
    channels = [np.interp(strength, positions, anchors[:, i]) for i in range(3)]
    return np.stack(channels, axis=-1).astype(np.float32)


def _strength(magnitude: np.ndarray, percentile: float) -> np.ndarray:
    """The magnitudes (>= 0) in [0, 1]; sparse maps fall back to their maximum."""
    if not 0 < percentile <= 100:
        raise ValueError(f"percentile: expected a number in (0, 100], got {percentile}")
    top = np.percentile(magnitude, percentile) or magnitude.max()
    return np.clip(magnitude / top, 0, 1) if top > 0 else np.zeros_like(magnitude)


def _as_map(map_hw: Any) -> np.ndarray:
    values = np.asarray(map_hw, np.float64)
    if values.ndim != 2 or values.size == 0:
        raise ValueError(
            f"map_hw: expected shape (h, w), got {values.shape}; "
            "sum over channels and take one picture of the batch first"
        )
    if not np.isfinite(values).all():
        raise ValueError("map_hw: expected finite values, got NaN or infinity")
    return values


def _as_rgb(image: Any) -> Picture:
    picture = np.asarray(image, np.float32)
    if picture.ndim == 2:
        picture = picture[..., None]
    if picture.ndim != 3 or picture.shape[-1] not in (1, 3) or picture.size == 0:
        raise ValueError(
            f"image: expected a picture (h, w), (h, w, 1) or (h, w, 3), got shape "
            f"{np.shape(image)}; take one picture of a batch first"
        )
    picture = np.nan_to_num(picture, nan=0.0).clip(0, 1)
    return np.broadcast_to(picture, (*picture.shape[:2], 3))


def _enlarge(picture: Picture, scale: int) -> Picture:
    return picture.repeat(scale, axis=0).repeat(scale, axis=1)


def _check_names(names: Sequence[str] | None, count: int, *, name: str) -> None:
    if names is not None and len(names) != count:
        raise ValueError(f"{name}: expected {count} names, got {len(names)}")


def _table(cells: list[list[Picture | None]], padding: int) -> Picture:
    """The cells pasted on white, each at the top and in the middle of its place."""
    columns = max(len(row) for row in cells)
    heights, widths = [0] * len(cells), [0] * columns
    for i, row in enumerate(cells):
        for j, cell in enumerate(row):
            if cell is not None:
                heights[i] = max(heights[i], cell.shape[0])
                widths[j] = max(widths[j], cell.shape[1])
    size = [sum(sides) + padding * (len(sides) + 1) for sides in (heights, widths)]
    canvas = np.full((*size, 3), _PAPER, np.float32)
    for i, row in enumerate(cells):
        top = sum(heights[:i]) + padding * (i + 1)
        for j, cell in enumerate(row):
            if cell is not None:
                left = sum(widths[:j]) + padding * (j + 1)
                left += (widths[j] - cell.shape[1]) // 2
                rows, width = cell.shape[:2]
                canvas[top : top + rows, left : left + width] = cell
    return canvas


def _labelled(name: Picture, row: list[Picture | None]) -> list[Picture | None]:
    """The row with a name before it, half way down."""
    height = max([name.shape[0], *(c.shape[0] for c in row if c is not None)])
    return [_centre(name, height, name.shape[1]), *row]


def _centre(picture: Picture, height: int, width: int) -> Picture:
    """The picture in the middle of a white area of at least its size."""
    rows, columns = height - picture.shape[0], width - picture.shape[1]
    before = (rows // 2, columns // 2)
    pads = [(before[0], rows - before[0]), (before[1], columns - before[1]), (0, 0)]
    return np.pad(picture, pads, constant_values=_PAPER)


def _draw_text(text: str, font_size: int) -> Picture:
    """Dark text on white, cut to its width; its height depends on its lines alone."""
    font, lines = _font(font_size), text.split("\n")
    line_height = sum(font.getmetrics())
    width = max(1, max(_text_width(line, font_size) for line in lines))
    sheet = PILImage.new("L", (width, line_height * len(lines)), 255)
    draw = ImageDraw.Draw(sheet)
    for i, line in enumerate(lines):
        draw.text((0, i * line_height), line, fill=round(255 * _INK), font=font)
    return _as_rgb(np.asarray(sheet, np.float32) / 255)


def _wrap(text: str, width: int, font_size: int) -> str:
    """The text with line breaks where a further word would leave the width."""
    lines = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}".strip()
            if line and _text_width(longer, font_size) > width:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    return "\n".join(lines)


def _text_width(text: str, font_size: int) -> int:
    return int(np.ceil(_font(font_size).getlength(text)))


def _font(font_size: int) -> Any:
    return ImageFont.load_default(font_size)
