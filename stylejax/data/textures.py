"""Drawn textures that stand in for paintings: strokes, hatches, dots, cells, marble.

Some twenty paintings cannot teach every way of painting. These widen what a stylising
network sees: each is drawn from its number alone, in a palette of its own, by one of
`KINDS`, with noise of several scales in place of a subject.
"""

import colorsys
from collections.abc import Callable

import numpy as np

from stylejax.data.cache import ByteLimitedCache
from stylejax.image import files
from stylejax.image.color import to_uint8

KINDS = ("strokes", "hatching", "dots", "cells", "marble", "woodcut")


class TextureSource:
    """Textures by number, float32 `side side 3` in [0, 1], in steps of 1 / 255.

    `names` tell the kind. Drawing one takes a few tenths of a second, so drawn ones
    are kept, up to `cache_bytes` of them, the least recently used going first.
    """

    def __init__(
        self,
        count: int,
        *,
        side: int = 256,
        seed: int = 0,
        cache_bytes: int = 256 << 20,
    ):
        if count < 0 or side < 16:
            raise ValueError(
                f"expected count of at least 0 and side of at least 16, got {count},"
                f" {side}"
            )
        self._count, self._side, self._seed = count, side, seed
        self._cache = ByteLimitedCache(cache_bytes)
        self.names = [f"{KINDS[i % len(KINDS)]}-{i}" for i in range(count)]

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> np.ndarray:
        """The texture: float32 `side side 3` in [0, 1]."""
        if not -self._count <= index < self._count:
            raise IndexError(f"expected an index below {self._count}, got {index}")
        index %= self._count
        pixels = self._cache.get(index)
        if pixels is None:
            generator = np.random.default_rng((self._seed, index))
            drawn = draw(generator, KINDS[index % len(KINDS)], side=self._side)
            pixels = to_uint8(drawn)
            self._cache.put(index, pixels)
        return files.as_float(pixels)


def draw(generator: np.random.Generator, kind: str, *, side: int) -> np.ndarray:
    """One texture.

    Args:
      generator: of its randomness.
      kind: one of `KINDS`.
      side: in pixels.

    Returns:
      float32 `side side 3` in [0, 1].

    Raises:
      ValueError: an unknown kind.
    """
    if kind not in KINDS:
        raise ValueError(f"kind: expected one of {', '.join(KINDS)}, got {kind!r}")
    palette = _palette(generator, count=int(generator.integers(3, 8)))
    picture = _DRAWERS[kind](generator, palette, side)
    grain = generator.normal(0.0, generator.uniform(0.0, 0.03), picture.shape)
    return np.clip(picture + grain, 0.0, 1.0).astype(np.float32)


def _palette(generator: np.random.Generator, *, count: int) -> np.ndarray:
    """Colours around one hue and its opposite, from dark to light."""
    hue, spread = generator.random(), generator.uniform(0.03, 0.25)
    top = generator.uniform(0.2, 0.95)
    colors = []
    for value in np.linspace(generator.uniform(0.05, 0.3), 0.95, count):
        turned = hue + spread * generator.normal() + 0.5 * (generator.random() < 0.25)
        saturation = top * generator.uniform(0.4, 1.0)
        colors.append(colorsys.hsv_to_rgb(turned % 1.0, saturation, value))
    return np.array(colors)


def _noise(generator: np.random.Generator, side: int, *, cells: int) -> np.ndarray:
    """Smooth noise with so many waves to a side, about -1 to 1."""
    coarse = generator.normal(size=(cells + 3, cells + 3))
    return _enlarged(coarse, side, cells)


def _enlarged(coarse: np.ndarray, side: int, cells: int) -> np.ndarray:
    at = np.linspace(0.0, cells, side, endpoint=False) + 1.0
    low = at.astype(int)
    t = at - low
    # Catmull-Rom weights of the four neighbours.
    weights = np.stack(
        [
            ((-t + 2) * t - 1) * t / 2,
            ((3 * t - 5) * t * t + 2) / 2,
            ((-3 * t + 4) * t + 1) * t / 2,
            (t - 1) * t * t / 2,
        ]
    )
    rows = sum(weights[k][:, None] * coarse[low + k - 1] for k in range(4))
    return sum(weights[k][None] * rows[:, low + k - 1] for k in range(4))


def _layered(generator: np.random.Generator, side: int) -> np.ndarray:
    """Noise of several scales, stretched to 0 to 1."""
    cells = int(generator.integers(2, 6))
    total = sum(
        0.55**i * _noise(generator, side, cells=cells * 2**i)
        for i in range(4)
        if cells * 2**i < side
    )
    low, high = np.quantile(total, (0.02, 0.98))
    return np.clip((total - low) / (high - low + 1e-9), 0.0, 1.0)


def _colored(values: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Numbers in [0, 1] as colours between those of the palette."""
    at = values * (len(palette) - 1)
    low = np.minimum(at.astype(int), len(palette) - 2)
    share = (at - low)[..., None]
    return (1 - share) * palette[low] + share * palette[low + 1]


def _strokes(generator: np.random.Generator, palette: np.ndarray, side: int):
    values = _layered(generator, side)
    angles = np.pi * _noise(generator, side, cells=int(generator.integers(1, 4)))
    picture = _colored(values, palette)
    long = side * generator.uniform(0.03, 0.09)
    thin = long * generator.uniform(0.12, 0.35)
    for _ in range(int(2.5 * side * side / (long * thin))):
        y, x = generator.integers(0, side, 2)
        angle = angles[y, x] + 0.2 * generator.normal()
        color = _colored(values[y, x], palette) + 0.06 * generator.normal(size=3)
        _brush(picture, y, x, angle, (long, thin), color)
    return picture


def _brush(picture, y, x, angle, size, color) -> None:
    """One stroke laid over the picture, with bristles along it."""
    long, thin = size
    reach = int(long) + 1
    rows = np.arange(max(0, y - reach), min(picture.shape[0], y + reach + 1))
    columns = np.arange(max(0, x - reach), min(picture.shape[1], x + reach + 1))
    dy, dx = rows[:, None] - y, columns[None] - x
    along = np.cos(angle) * dx + np.sin(angle) * dy
    across = -np.sin(angle) * dx + np.cos(angle) * dy
    cover = np.clip(1.5 - (along / long) ** 4 - (across / thin) ** 2, 0.0, 1.0)
    light = 0.08 * np.sin(across * (4.0 / max(thin, 1.0)))
    patch = picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    patch += cover[..., None] * (color + light[..., None] - patch)


def _hatching(generator: np.random.Generator, palette: np.ndarray, side: int):
    values = _layered(generator, side)
    grid = np.mgrid[:side, :side].astype(np.float64)
    picture = np.broadcast_to(palette[-1], (side, side, 3)).copy()
    period = generator.uniform(3.0, 9.0)
    first = generator.uniform(0, np.pi)
    for i, level in enumerate((0.75, 0.5, 0.25)):
        angle = first + i * np.pi / 3
        bent = 2.0 * _noise(generator, side, cells=4)
        phase = (np.cos(angle) * grid[1] + np.sin(angle) * grid[0] + bent) / period
        lines = np.clip(2.5 * np.sin(2 * np.pi * phase) - 0.5, 0.0, 1.0)
        cover = lines * np.clip(6.0 * (level - values) + 0.5, 0.0, 1.0)
        ink = palette[min(i, len(palette) - 2)]
        picture += cover[..., None] * (ink - picture)
    return picture


def _dots(generator: np.random.Generator, palette: np.ndarray, side: int):
    """Points of pure colour on a jittered grid, as pointillists set them."""
    values = _layered(generator, side)
    picture = np.broadcast_to(palette[-1], (side, side, 3)).copy()
    radius = generator.uniform(1.5, 5.0)
    for _ in range(int(1.6 * side * side / (np.pi * radius**2))):
        y, x = generator.integers(0, side, 2)
        shade = np.clip(values[y, x] + 0.15 * generator.normal(), 0.0, 1.0)
        color = palette[int(round(shade * (len(palette) - 1)))]
        size = radius * generator.uniform(0.7, 1.3)
        _brush(picture, y, x, 0.0, (size, size), color)
    return picture


def _cells(generator: np.random.Generator, palette: np.ndarray, side: int):
    """Flat pieces with lines between them: mosaic, stained glass, cubes."""
    values = _layered(generator, side)
    count = int(generator.integers(40, 400))
    seeds = generator.uniform(0, side, (count, 2))
    grid = np.indices((side, side)).reshape(2, -1).T.astype(np.float64)
    distances = (
        np.square(grid).sum(1)[:, None]
        - 2.0 * grid @ seeds.T
        + np.square(seeds).sum(1)[None]
    )
    nearest = np.argpartition(distances, 1, axis=1)[:, :2]
    two = np.take_along_axis(distances, nearest, 1)
    first = nearest[np.arange(len(grid)), two.argmin(1)]
    roots = np.sqrt(np.maximum(two, 0.0))
    gap = np.abs(roots[:, 0] - roots[:, 1])
    y, x = seeds.astype(int).T
    shades = np.clip(values[y, x] + 0.1 * generator.normal(size=count), 0.0, 1.0)
    colors = _colored(shades, palette)
    width = generator.uniform(0.0, 3.0)
    line = np.clip(width - gap, 0.0, 1.0)[:, None]
    flat = colors[first]
    return (flat + line * (palette[0] - flat)).reshape(side, side, 3)


def _marble(generator: np.random.Generator, palette: np.ndarray, side: int):
    bent = [_noise(generator, side, cells=3) for _ in range(2)]
    strength = generator.uniform(0.5, 2.5)
    values = _layered(generator, side)
    waves = values * generator.uniform(2, 6) + strength * bent[0] * bent[1]
    return _colored(0.5 + 0.5 * np.sin(2 * np.pi * waves), palette)


def _woodcut(generator: np.random.Generator, palette: np.ndarray, side: int):
    """Few flat colours with dark outlines, as prints have them."""
    values = _layered(generator, side)
    steps = len(palette)
    level = np.minimum((values * steps).astype(int), steps - 1)
    edge = sum(np.abs(np.gradient(level.astype(float), axis=a)) for a in (0, 1)) > 0
    lines = np.sin(2 * np.pi * values * generator.uniform(15, 45)) > 0.8
    dark = edge | (lines & (level % 2 == 0))
    picture = palette[level]
    picture[dark] = palette[0] * 0.4
    return picture


_DRAWERS: dict[str, Callable] = {
    "strokes": _strokes,
    "hatching": _hatching,
    "dots": _dots,
    "cells": _cells,
    "marble": _marble,
    "woodcut": _woodcut,
}
