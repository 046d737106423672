"""`StyleControl`: how much, where, in which colours and at what scale a style paints.

One dataclass that every stylising method understands, and what methods share to obey
it: resolving masks, preparing style pictures, finishing the painted picture.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from stylejax.checks import check_choice, check_image, check_positive
from stylejax.image import color_transfer, resize
from stylejax.typing import Image

COLORS = ("style", "luminance", *color_transfer.MATCHES)
# No style side gets shorter than this: deep feature maps would have nothing left.
_MIN_STYLE_SIDE = 32
# Masks that leave less than this of every pixel cover the picture.
_NOTHING = 1e-3


@dataclasses.dataclass(frozen=True, eq=False)
class StyleControl:
    """What the user asks for beside the pictures.

    Attributes:
      strength: 0 returns the content, 1 paints fully; continuous between.
      style_weights: one number of at least 0 per style; () weighs them alike. Without
        masks they are mixing shares, with masks the pull of each style in its region.
      masks: (k, h, w) in [0, 1], one per style, of any size: where each style paints.
        Soft edges blend. What no mask covers keeps the content's own style. None
        paints everywhere.
      color: "style" takes the style's colours; "luminance" keeps each pixel's own;
        "histogram", "coral" and "optimal_transport" recolour the style pictures with
        the content's palette first.
      stroke_scale: size of the style picture relative to the content's: 2 paints
        strokes twice as large.
      content_weight: (h, w) in [0, 1] of any size, how much of the content each pixel
        keeps: 0 is painted freely, 1 stays exactly as it is ("keep this face").
    """

    strength: float = 1.0
    style_weights: Sequence[float] = ()
    masks: Any = None
    color: str = "style"
    stroke_scale: float = 1.0
    content_weight: Any = None

    def check(self, num_styles: int) -> None:
        """Returns nothing; refuses what cannot be obeyed with so many styles.

        Args:
          num_styles: k.

        Raises:
          ValueError: the first thing that is wrong, and what to do.
        """
        if not 0 <= self.strength <= 1:
            raise ValueError(
                f"strength: expected a number from 0 to 1, got {self.strength}"
            )
        check_choice(self.color, choices=COLORS, name="color")
        check_positive(self.stroke_scale, name="stroke_scale")
        if self.stroke_scale == float("inf"):
            raise ValueError("stroke_scale: expected a finite number, got inf")
        weights = self.style_weights
        if len(weights) and len(weights) != num_styles:
            raise ValueError(
                f"style_weights: expected one for each of {num_styles} styles, got"
                f" {len(weights)}"
            )
        if any(not 0 <= w < float("inf") for w in weights) or (
            len(weights) and not max(weights) > 0
        ):
            raise ValueError(
                "style_weights: expected numbers of at least 0, one of them above,"
                f" got {tuple(weights)}"
            )
        _check_map(self.masks, 3, name="masks", shape="(k, h, w)")
        _check_map(self.content_weight, 2, name="content_weight", shape="(h, w)")
        if self.masks is not None and np.shape(self.masks)[0] != num_styles:
            raise ValueError(
                f"masks: expected one for each of {num_styles} styles, got"
                f" {np.shape(self.masks)[0]}; give as many --mask as --style"
            )


@dataclasses.dataclass(frozen=True, eq=False)
class Progress:
    """Where a run stands, for whoever watches it.

    Attributes:
      scale: index of the scale, from 0.
      num_scales: how many there are.
      size_hw: of the pictures at this scale.
      iteration: steps done at this scale.
      num_iterations: steps planned at this scale.
      loss: of each picture, (b,).
      images: the pictures now, (b, h, w, 3), not finished.
    """

    scale: int
    num_scales: int
    size_hw: tuple[int, ...]
    iteration: int
    num_iterations: int
    loss: np.ndarray
    images: jax.Array


class Region(NamedTuple):
    """Where a style paints and how hard.

    Attributes:
      mask: (1, h, w), or None for everywhere.
      weight: (), strength included.
      own_weight: (), of the content's own style in the same place.
    """

    mask: Array | None
    weight: Array
    own_weight: Array


def regions(
    control: StyleControl, num_styles: int, size_hw: tuple[int, ...]
) -> tuple[list[Region], Region | None]:
    """Where each style paints, and what is left over for the content's own style.

    Masks that overlap to more than 1 share a pixel. A region's weight is its share of
    the area times its style's weight, so that small regions pull no harder.

    Args:
      control: checked.
      num_styles: k.
      size_hw: of the picture that is painted.

    Returns:
      k regions; and the rest of the picture, None where masks leave none.
    """
    strength = jnp.float32(control.strength)
    # Divided in float64: a float32 holds neither every weight nor their sum.
    weights = np.asarray(list(control.style_weights) or [1.0] * num_styles, np.float64)
    weights = weights / weights.max()
    shares = jnp.asarray(weights / weights.sum(), jnp.float32)
    if control.masks is None:
        every = [Region(None, strength * s, (1 - strength) * s) for s in shares]
        return every, None
    masks = resize_map(control.masks, size_hw)
    masks = masks / jnp.maximum(jnp.sum(masks, axis=0, keepdims=True), 1.0)
    areas = jnp.mean(masks, axis=(1, 2))
    # The mean weight is 1, so that masks alone do not change how hard styles pull.
    relative = shares * num_styles
    painted = [
        Region(mask[None], strength * area * w, (1 - strength) * area * w)
        for mask, area, w in zip(masks, areas, relative, strict=True)
    ]
    rest = jnp.clip(1.0 - jnp.sum(masks, axis=0), 0.0, 1.0)
    if float(jnp.max(rest)) < _NOTHING:
        return painted, None
    return painted, Region(rest[None], jnp.float32(0.0), jnp.mean(rest))


def own_regions(
    places: Sequence[str],
    painted: Sequence[Region],
    rest: Region | None,
    control: StyleControl,
) -> list[tuple[str, Region]]:
    """Where the content's own style counts: where strength leaves it a share.

    Args:
      places: names of the painted regions.
      painted: from `regions`.
      rest: from `regions`.
      control: checked.

    Returns:
      Names and regions, whose `own_weight` is meant; what no mask covers is "rest".
    """
    found = [("rest", rest)] if rest is not None else []
    if control.strength == 1:
        return found
    if control.masks is not None:
        return [*zip(places, painted, strict=True), *found]
    # Every region is the whole picture: one will do.
    weight = jnp.sum(jnp.stack([region.own_weight for region in painted]))
    return [("", painted[0]._replace(own_weight=weight))]


def keep_map(
    control: StyleControl, size_hw: tuple[int, ...]
) -> Float[Array, "1 h w 1"] | None:
    """How much of the content each pixel keeps, as a map to multiply pictures with.

    Args:
      control: checked.
      size_hw: of the picture.

    Returns:
      (1, h, w, 1) in [0, 1], None where nothing is asked for.
    """
    if control.content_weight is None:
        return None
    found = resize_map(jnp.asarray(control.content_weight)[None], size_hw)
    return found[..., None]


def sizes_that_fit(
    sizes: Sequence[tuple[int, ...]], feature_fn: Any, *, least_side: int = 1
) -> list[tuple[int, ...]]:
    """The sizes of a pyramid at which no feature map of the pictures vanishes.

    Args:
      sizes: (height, width) of each scale, the smallest first.
      feature_fn: pictures (b, h, w, 3) to maps by tap.
      least_side: positions that a map must have on each side.

    Returns:
      The last ones. The picture's own size is always among them: whoever uses it says
      what is too small.
    """

    def fits(size_hw: tuple[int, ...]) -> bool:
        shape = jax.ShapeDtypeStruct((1, *size_hw, 3), jnp.float32)
        try:
            maps = jax.eval_shape(feature_fn, shape)
        except ValueError:  # nothing is left to pool
            return False
        return min(min(x.shape[1:3]) for x in maps.values()) >= least_side

    return [size for size in sizes[:-1] if fits(size)] + [sizes[-1]]


def resize_map(
    maps: Float[Array, "k h w"], size_hw: tuple[int, ...]
) -> Float[Array, "k h w"]:
    """Masks at another size, antialiased, in [0, 1].

    Args:
      maps: (k, h, w).
      size_hw: the new size.

    Returns:
      (k, *size_hw), float32.
    """
    maps = jnp.asarray(maps, jnp.float32)[..., None]
    if maps.shape[1:3] != tuple(size_hw):
        maps = resize.resize(maps, size_hw, method="bilinear")
    return jnp.clip(maps[..., 0], 0.0, 1.0)


def prepare_content(content: Image, control: StyleControl) -> Image:
    """The content as it is compared: in grey where only lightness shall change.

    Args:
      content: (b, h, w, 3), values in [0, 1].
      control: checked.

    Returns:
      The same shape.
    """
    if control.color == "luminance":
        return color_transfer.match_luminance(content, content)
    return content


def prepare_style(style: Image, content: Image, control: StyleControl) -> Image:
    """A style picture at its scale and in its colours.

    Its longer side becomes that of the content times `stroke_scale`.

    Args:
      style: (1, h, w, 3), values in [0, 1].
      content: (b, h', w', 3), the pictures at the size they are painted.
      control: checked.

    Returns:
      (1, h'', w'', 3), float32 in [0, 1]; (b, h'', w'', 3) where the colours depend on
      the content.

    Raises:
      ValueError: one of them is no batch of RGB pictures.
    """
    check_image(style, name="style")
    check_image(content, name="content")
    longest = max(content.shape[1:3]) * control.stroke_scale
    scale = longest / max(style.shape[1:3])
    size_hw = tuple(max(_MIN_STYLE_SIDE, round(scale * n)) for n in style.shape[1:3])
    style = jnp.clip(resize.resize(jnp.asarray(style), size_hw), 0.0, 1.0)
    if control.color != "style":
        style = jnp.repeat(style, content.shape[0], axis=0)
    if control.color == "luminance":
        return color_transfer.match_luminance(style, content)
    if control.color in color_transfer.MATCHES:
        return color_transfer.recolor(style, content, how=control.color)
    return style


def finish(painted: Image, content: Image, control: StyleControl) -> Image:
    """The painted picture in [0, 1], with the content's colours and kept pixels.

    Args:
      painted: (b, h, w, 3).
      content: (b, h, w, 3), as it came.
      control: checked.

    Returns:
      (b, h, w, 3), float32 in [0, 1].
    """
    painted = jnp.clip(painted, 0.0, 1.0)
    if control.color == "luminance":
        painted = color_transfer.keep_chroma(painted, content)
    keep = keep_map(control, painted.shape[1:3])
    if keep is None:
        return painted
    return keep * content + (1 - keep) * painted


def _check_map(values: Any, rank: int, *, name: str, shape: str) -> None:
    if values is None:
        return
    array = np.asarray(values)
    if array.ndim != rank or 0 in array.shape:
        raise ValueError(f"{name}: expected shape {shape}, got {array.shape}")
    if not np.isfinite(array).all() or array.min() < 0 or array.max() > 1:
        raise ValueError(f"{name}: expected finite numbers from 0 to 1")
