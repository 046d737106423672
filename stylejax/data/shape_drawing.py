"""Pictures of the shapes world, drawn from numbers: what is there, how it is painted.

A `Content` says what is in the picture, a `Style` how it is painted, and `render`
draws any content in any style. Everything is a closed formula per pixel (signed
distances for outlines, phases for strokes), so a picture has no pixel grid of its own:
drawn at 256 px and averaged down it is the picture drawn at 64 px.

Positions and lengths are fractions of the side of the picture, x to the right and y
downwards. Every pixel of a picture has exactly the hue of its style; content and
strokes change only how much white and how much of the pure colour it holds.
NumPy only; which contents and styles occur is decided in `shapes.py`.
"""

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from stylejax import checks

SHAPES = ("disc", "ring", "square", "triangle", "star", "cross")
TEXTURES = ("stripes", "waves", "bars", "dashes")
# Centres of the objects of one picture, in units of their scale. They sum to zero, so
# that (x, y) is the centroid of the group whatever its count; neighbours never touch.
_ARRANGEMENTS = {
    1: ((0.0, 0.0),),
    2: ((-1.15, 0.0), (1.15, 0.0)),
    3: ((0.0, -1.3), (-1.3 * math.sqrt(0.75), 0.65), (1.3 * math.sqrt(0.75), 0.65)),
}
COUNTS = tuple(_ARRANGEMENTS)
Distance = Callable[[np.ndarray, np.ndarray], np.ndarray]
# (white, pure colour) of a pixel: rows background and object, columns bare and inked.
_WHITE = np.array([[0.90, 0.60], [0.20, 0.00]], np.float32)
_PURE = np.array([[0.08, 0.32], [0.66, 0.42]], np.float32)


@dataclasses.dataclass(frozen=True)
class Content:
    """What is in a picture: `count` equal objects around one point.

    Args:
      shape: one of `SHAPES`.
      x: centroid of the group, fraction of the width, to the right.
      y: centroid of the group, fraction of the height, downwards.
      scale: radius of the circle around one object, fraction of the side.
      count: number of objects, one of `COUNTS`.
    """

    shape: str
    x: float
    y: float
    scale: float
    count: int


@dataclasses.dataclass(frozen=True)
class Style:
    """How a picture is painted: one hue, one family of strokes over everything.

    Args:
      hue: in [0, 1), 0 red, 1/3 green, 2/3 blue.
      frequency: strokes per side of the picture, counted across the strokes.
      orientation: angle along the strokes in radians, in [0, pi), 0 horizontal,
        counter-clockwise as seen.
      texture: one of `TEXTURES`: smooth stripes, wavy stripes, hard-edged bars, or
        bars broken into dashes.
    """

    hue: float
    frequency: float
    orientation: float
    texture: str


def render(content: Content, style: Style, *, size: int) -> np.ndarray:
    """Returns the picture of `content` painted in `style`.

    Args:
      content: what is in the picture.
      style: how it is painted.
      size: side of the picture in pixels.

    Returns:
      float32 (size, size, 3) in [0, 1], antialiased.

    Raises:
      ValueError: on an unknown shape, texture or count, or a size below 1.

    Example:
      >>> content = Content("disc", x=0.5, y=0.5, scale=0.2, count=1)
      >>> render(content, Style(0.0, 5.0, 0.5, "bars"), size=8).shape
      (8, 8, 3)
    """
    checks.check_positive(size, name="size")
    mask = object_mask(content, size=size)
    ink = stroke_ink(style, size=size)
    white = _mix(_WHITE, mask, ink)
    pure = _mix(_PURE, mask, ink)
    return white[:, :, None] + pure[:, :, None] * pure_colour(style.hue)


def object_mask(content: Content, *, size: int) -> np.ndarray:
    """Returns how much of each pixel the objects cover.

    Args:
      content: what is in the picture.
      size: side of the picture in pixels.

    Returns:
      float32 (size, size) in [0, 1]: 1 inside an object, 0 outside, a ramp one pixel
      wide between them.

    Raises:
      ValueError: on an unknown shape or count.
    """
    checks.check_choice(content.shape, choices=SHAPES, name="shape")
    checks.check_choice(content.count, choices=COUNTS, name="count")
    centres = np.array(_ARRANGEMENTS[content.count], np.float32)
    grid = _pixel_centres(size)
    # In units of the scale: (objects, h, 1) and (objects, 1, w).
    dy = (grid[None, :, None] - content.y) / content.scale - centres[:, 1, None, None]
    dx = (grid[None, None, :] - content.x) / content.scale - centres[:, 0, None, None]
    distance = _DISTANCES[content.shape](dx, dy).min(axis=0)
    return _coverage(distance * content.scale, size)


def stroke_ink(style: Style, *, size: int) -> np.ndarray:
    """Returns how much ink the strokes of a style put on each pixel.

    Args:
      style: how the picture is painted; its hue plays no part.
      size: side of the picture in pixels.

    Returns:
      float32 (size, size) in [0, 1].

    Raises:
      ValueError: on an unknown texture.
    """
    checks.check_choice(style.texture, choices=TEXTURES, name="texture")
    grid = _pixel_centres(size) - np.float32(0.5)
    y, x = grid[:, None], grid[None, :]
    cosine, sine = math.cos(style.orientation), math.sin(style.orientation)
    across = np.float32(sine) * x + np.float32(cosine) * y
    along = np.float32(cosine) * x - np.float32(sine) * y
    return _INKS[style.texture](across, along, np.float32(style.frequency), size)


def pure_colour(hue: float) -> np.ndarray:
    """Returns the fully saturated RGB colour of a hue.

    Args:
      hue: in [0, 1), 0 red, 1/3 green, 2/3 blue.

    Returns:
      float32 (3,): the largest channel is 1, the smallest 0.

    Example:
      >>> pure_colour(0.5).tolist()
      [0.0, 1.0, 1.0]
    """
    sector = np.mod(6.0 * hue + np.array([0.0, 4.0, 2.0]), 6.0)
    return np.clip(np.abs(sector - 3.0) - 1.0, 0.0, 1.0).astype(np.float32)


def _pixel_centres(size: int) -> np.ndarray:
    return (np.arange(size, dtype=np.float32) + np.float32(0.5)) / np.float32(size)


def _coverage(signed_distance: np.ndarray, size: int) -> np.ndarray:
    """Share of a pixel inside an edge at that distance (negative inside, in sides)."""
    return np.clip(np.float32(0.5) - signed_distance * np.float32(size), 0.0, 1.0)


def _mix(corners: np.ndarray, mask: np.ndarray, ink: np.ndarray) -> np.ndarray:
    """Bilinear mix of four values: background or object, bare or inked."""
    background = corners[0, 0] + (corners[0, 1] - corners[0, 0]) * ink
    painted = corners[1, 0] + (corners[1, 1] - corners[1, 0]) * ink
    return background + (painted - background) * mask


# Signed distances to the outline of one object of scale 1 around the origin.


def _disc(dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
    return np.hypot(dx, dy) - np.float32(1.0)


def _ring(dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
    return np.abs(np.hypot(dx, dy) - np.float32(0.75)) - np.float32(0.25)


def _cross(dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
    x, y = np.abs(dx), np.abs(dy)
    return np.minimum(_box(x, y, 0.94, 0.33), _box(x, y, 0.33, 0.94))


def _box(x: np.ndarray, y: np.ndarray, half_w: float, half_h: float) -> np.ndarray:
    """Distance to a box from its positive quadrant."""
    x, y = x - np.float32(half_w), y - np.float32(half_h)
    outside = np.hypot(np.maximum(x, 0), np.maximum(y, 0))
    return outside + np.minimum(np.maximum(x, y), 0)


def _star(points: int, inner: float, turn: float) -> Distance:
    """Distance to a star with `points` tips at radius 1 and dents at radius `inner`.

    With inner = cos(pi / points) it is the regular polygon. `turn` is the angle of one
    tip. The plane is folded onto half a tip, whose outline is a single segment.
    """
    wedge = math.pi / points
    dent_x, dent_y = inner * math.cos(wedge), inner * math.sin(wedge)
    edge_x, edge_y = dent_x - 1.0, dent_y

    def distance(dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
        radius = np.hypot(dx, dy)
        angle = np.arctan2(-dy, dx) - np.float32(turn)
        folded = np.abs(np.mod(angle + np.float32(wedge), 2 * wedge) - wedge)
        px = radius * np.cos(folded) - np.float32(1.0)
        py = radius * np.sin(folded)
        along = (px * edge_x + py * edge_y) / (edge_x**2 + edge_y**2)
        along = np.clip(along, 0.0, 1.0)
        gap = np.hypot(px - along * edge_x, py - along * edge_y)
        return np.where(px * edge_y - py * edge_x > 0, gap, -gap)

    return distance


_DISTANCES = {
    "disc": _disc,
    "ring": _ring,
    "square": _star(4, math.cos(math.pi / 4), math.pi / 4),
    "triangle": _star(3, math.cos(math.pi / 3), math.pi / 2),
    "star": _star(5, 0.5, math.pi / 2),
    "cross": _cross,
}


# Ink of the strokes, from the coordinates across and along them (in sides).


def _stripes(across, along, frequency, size) -> np.ndarray:
    del along, size
    return np.float32(0.5) + np.float32(0.5) * np.cos(2 * np.pi * frequency * across)


def _waves(across, along, frequency, size) -> np.ndarray:
    sway = np.float32(0.16) * np.cos(np.float32(2 * np.pi / 3) * frequency * along)
    return _stripes(across + sway / frequency, along, frequency, size)


def _bars(across, along, frequency, size) -> np.ndarray:
    del along
    phase = across * frequency
    offset = np.abs(phase - np.round(phase))
    return _coverage((offset - np.float32(0.25)) / frequency, size)


def _dashes(across, along, frequency, size) -> np.ndarray:
    """Bars cut every three strokes' width, every second bar shifted by half a dash."""
    row = np.round(across * frequency)
    phase = along * frequency / np.float32(3.0) + np.float32(0.5) * np.mod(row, 2)
    offset = np.abs(phase - np.round(phase))
    length = _coverage((offset - np.float32(0.36)) * np.float32(3.0) / frequency, size)
    return length * _bars(across, along, frequency, size)


_INKS = {"stripes": _stripes, "waves": _waves, "bars": _bars, "dashes": _dashes}
