"""The shapes world: pictures of known causes, so every translation has a known answer.

Each picture is drawn on the fly from (seed, split, index). Its content (shape, x, y,
scale, count) and its style (hue, frequency, orientation, texture) are drawn
independently of each other; the two domains share the distribution of contents and
have disjoint distributions of styles. The training splits hold different contents
(unpaired). Test pictures i of both domains show one content, and their two styles sit
at the same place of the two domains' ranges: the exact target of a translation is a
function of its input. `render` is there for any other target.
"""

import dataclasses
import functools
import math
from typing import Any

import numpy as np

from stylejax import checks
from stylejax.data import sources
from stylejax.data.shape_drawing import (
    COUNTS,
    SHAPES,
    TEXTURES,
    Content,
    Style,
    object_mask,
    render,
    stroke_ink,
)

__all__ = [
    "COUNTS",
    "DOMAINS",
    "SHAPES",
    "SPLITS",
    "TEXTURES",
    "Content",
    "ShapesSource",
    "ShapesWorld",
    "Style",
    "StyleDomain",
    "load_shapes",
    "object_mask",
    "render",
    "sample_content",
    "sample_style",
    "stroke_ink",
]

# Objects of the largest scale in the widest group still stay inside the picture.
POSITION_RANGE = (0.34, 0.66)
SCALE_RANGE = (0.09, 0.14)
# A test picture exists in both domains; a training picture in one.
SPLITS = ("train_a", "train_b", "test")
_CONTENT_STREAM, _STYLE_STREAM = 0, 1


@dataclasses.dataclass(frozen=True)
class StyleDomain:
    """A family of styles: an interval for each number, a tuple of textures.

    Args:
      hue: lowest and highest hue, in [0, 1).
      frequency: lowest and highest number of strokes per side.
      orientation: lowest and highest angle of the strokes in radians, in [0, pi).
      textures: the textures that occur, a subset of `TEXTURES`.
    """

    hue: tuple[float, float]
    frequency: tuple[float, float]
    orientation: tuple[float, float]
    textures: tuple[str, ...]

    def at(self, place: np.ndarray) -> Style:
        """Returns the style at `place`: four fractions in [0, 1) of the ranges."""
        numbers = (self.hue, self.frequency, self.orientation)
        hue, frequency, orientation = (
            low + float(fraction) * (high - low)
            for (low, high), fraction in zip(numbers, place[:3], strict=True)
        )
        texture = self.textures[int(place[3] * len(self.textures))]
        return Style(hue, frequency, orientation, texture)


DOMAINS = {
    "a": StyleDomain(
        hue=(0.0, 0.13),
        frequency=(4.0, 6.0),
        orientation=(math.radians(15), math.radians(60)),
        textures=("stripes", "waves"),
    ),
    "b": StyleDomain(
        hue=(0.5, 0.68),
        frequency=(8.0, 11.0),
        orientation=(math.radians(105), math.radians(150)),
        textures=("bars", "dashes"),
    ),
}


def sample_content(seed: int, index: int, *, split: str = "test") -> Content:
    """Returns the content of picture `index`: five independent draws.

    Args:
      seed: which world, at least 0.
      index: which picture, at least 0.
      split: one of `SPLITS`; different splits never share a content.

    Returns:
      The content, the same on every call.

    Raises:
      ValueError: on an unknown split.

    Example:
      >>> sample_content(0, 7) == sample_content(0, 7)
      True
    """
    draw = _stream(seed, index, split, _CONTENT_STREAM)
    return Content(
        shape=SHAPES[draw.integers(len(SHAPES))],
        x=draw.uniform(*POSITION_RANGE),
        y=draw.uniform(*POSITION_RANGE),
        scale=draw.uniform(*SCALE_RANGE),
        count=COUNTS[draw.integers(len(COUNTS))],
    )


def sample_style(
    seed: int, index: int, *, domain: str, split: str = "test", spread: float = 1.0
) -> Style:
    """Returns the style of picture `index` in a domain: four independent draws.

    Args:
      seed: which world, at least 0.
      index: which picture, at least 0.
      domain: "a" or "b".
      split: one of `SPLITS`; in "test" both domains draw the same place of their range.
      spread: share of each range that is used, around its middle, in [0, 1]; 0 gives
        one single style per domain.

    Returns:
      The style, the same on every call.

    Raises:
      ValueError: on an unknown domain or split, or a spread outside [0, 1].
    """
    checks.check_choice(domain, choices=tuple(DOMAINS), name="domain")
    if not isinstance(spread, int | float) or not 0 <= spread <= 1:
        raise ValueError(f"expected spread in [0, 1], got {spread}; 0 is one style")
    place = _stream(seed, index, split, _STYLE_STREAM).random(4)
    return DOMAINS[domain].at(0.5 + (place - 0.5) * spread)


def _stream(seed: int, index: int, split: str, stream: int) -> np.random.Generator:
    checks.check_choice(split, choices=SPLITS, name="split")
    return np.random.default_rng([seed, SPLITS.index(split), index, stream])


@dataclasses.dataclass(frozen=True)
class ShapesWorld:
    """All pictures of one seed.

    Args:
      seed: which world, at least 0.
      size: side of the pictures in pixels.
      spread: share of each domain's style ranges that is used, in [0, 1].
    """

    seed: int = 0
    size: int = 64
    spread: float = 1.0

    def content(self, index: int, *, split: str = "test") -> Content:
        """Returns the content of picture `index` of a split."""
        return sample_content(self.seed, index, split=split)

    def style(self, index: int, *, domain: str, split: str = "test") -> Style:
        """Returns the style of picture `index` of a split in a domain."""
        return sample_style(
            self.seed, index, domain=domain, split=split, spread=self.spread
        )

    def picture(self, index: int, *, domain: str, split: str = "test") -> np.ndarray:
        """Returns picture `index`: float32 (size, size, 3) in [0, 1]."""
        style = self.style(index, domain=domain, split=split)
        return render(self.content(index, split=split), style, size=self.size)


class ShapesSource:
    """One domain of one split as a sequence of pictures, drawn when asked for.

    Args:
      world: which world.
      domain: "a" or "b".
      split: one of `SPLITS`.
      length: number of pictures.
    """

    def __init__(self, world: ShapesWorld, *, domain: str, split: str, length: int):
        checks.check_positive(length, name="length")
        self.world, self.domain, self.split = world, domain, split
        self._length = length
        self.names = [f"shapes_{split}_{index:06d}" for index in range(length)]

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> np.ndarray:
        if not 0 <= index < self._length:
            raise IndexError(f"expected an index in [0, {self._length}), got {index}")
        return self.world.picture(int(index), domain=self.domain, split=self.split)

    @functools.cached_property
    def labels(self) -> dict[str, np.ndarray]:
        """The true factors of every picture, arrays of shape (length,).

        `shape` and `texture` are int32 places in `SHAPES` and `TEXTURES`, `count` is
        int32, all others are float32 in the units of `Content` and `Style`.
        """
        rows = []
        for index in range(self._length):
            content = self.world.content(index, split=self.split)
            style = self.world.style(index, domain=self.domain, split=self.split)
            row = dataclasses.asdict(content) | dataclasses.asdict(style)
            row["shape"] = SHAPES.index(content.shape)
            row["texture"] = TEXTURES.index(style.texture)
            rows.append(row)
        whole = ("shape", "texture", "count")
        return {
            name: np.array(
                [row[name] for row in rows], np.int32 if name in whole else np.float32
            )
            for name in rows[0]
        }


def load_shapes(
    *,
    seed: int = 0,
    size: int = 64,
    num_train: int = 1000,
    num_test: int = 100,
    spread: float = 1.0,
    **unknown: object,
) -> sources.TwoDomainDataset:
    """Returns the shapes world as a two-domain data set with exact test pairs.

    Args:
      seed: which world, at least 0.
      size: side of the pictures in pixels.
      num_train: training pictures per domain.
      num_test: test pairs.
      spread: share of each domain's style ranges that is used, in [0, 1].
      **unknown: refused by name; there so that a mistyped option is a clear line.

    Returns:
      A `TwoDomainDataset`; `test_b[i]` is the exact translation of `test_a[i]`, and
      `labels[split]` holds the arrays of `ShapesSource.labels` for the splits
      "train_a", "train_b", "test_a" and "test_b".

    Raises:
      ValueError: on an unknown option or a number out of range.
    """
    whole = {"seed": seed, "size": size, "num_train": num_train, "num_test": num_test}
    if unknown:
        known = ", ".join([*whole, "spread"])
        raise ValueError(f"unknown option {', '.join(unknown)}; shapes takes {known}")
    for name, value in whole.items():
        if not isinstance(value, int) or value < (name != "seed"):
            least = int(name != "seed")
            raise ValueError(
                f"{name}: expected a whole number of at least {least}, got {value!r}"
            )
    world = ShapesWorld(seed=seed, size=size, spread=spread)
    opened: dict[str, Any] = {
        f"{part}_{domain}": ShapesSource(
            world,
            domain=domain,
            split=f"train_{domain}" if part == "train" else "test",
            length=num_train if part == "train" else num_test,
        )
        for part in ("train", "test")
        for domain in DOMAINS
    }
    labels = {split: source.labels for split, source in opened.items()}
    return sources.TwoDomainDataset(name="shapes", **opened, paired=True, labels=labels)
