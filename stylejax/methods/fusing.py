"""What methods that fuse features and decode them share: obeying a `StyleControl`.

    maps = encode(content);  goals = [statistics(encode(style)) ...]
    picture = decode(fused(maps, goals, plan))

A plan says how far each style pulls, and where. What it leaves unpainted is not redrawn
by the decoder but kept: at no strength, and outside all masks, the content comes back
exactly.
"""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from stylejax.checks import check_image
from stylejax.image import resize
from stylejax.methods import control as controls
from stylejax.methods.control import StyleControl, resize_map
from stylejax.nn import fusion as fusions
from stylejax.nn.fusion import Fusion
from stylejax.typing import Features, Image, Params

Encode = Callable[[Image], Features]
Decode = Callable[[Features], Image]
FusionOf = str | Callable[[str], Fusion]
Goals = Mapping[str, Any]
"""A style's statistics by tap."""


class Plan(NamedTuple):
    """How far each style pulls, and where; arrays, so that a change compiles nothing.

    Attributes:
      pulls: (k,) in [0, 1]: shares that sum to the strength or, with masks, the
        strength times the style's weight relative to the largest.
      masks: (k, h, w) in [0, 1] at the size of the picture, nowhere summing to more
        than 1; None paints everywhere.
    """

    pulls: Float[Array, " k"]
    masks: Float[Array, "k h w"] | None


def plan(control: StyleControl, num_styles: int, size_hw: tuple[int, ...]) -> Plan:
    """The plan of a control.

    Args:
      control: checked.
      num_styles: k.
      size_hw: of the picture that is painted.

    Returns:
      A `Plan`.
    """
    weights = np.asarray(list(control.style_weights) or [1.0] * num_styles, np.float64)
    weights = weights / weights.max()  # sums of the largest floats overflow
    if control.masks is None:
        pulls = control.strength * weights / weights.sum()
        return Plan(jnp.asarray(pulls, jnp.float32), None)
    masks = resize_map(control.masks, size_hw)
    masks = masks / jnp.maximum(jnp.sum(masks, axis=0, keepdims=True), 1.0)
    return Plan(jnp.asarray(control.strength * weights, jnp.float32), masks)


def is_partial(control: StyleControl) -> bool:
    """Whether some of the content may be left unpainted, which costs a decoding.

    Args:
      control: checked.

    Returns:
      False where every pixel is painted at full strength.
    """
    return control.strength < 1 or control.masks is not None


def goals(maps: Features, taps: Sequence[str], *, fusion: str) -> Goals:
    """The statistics of a style that content takes.

    Args:
      maps: features (b, h, w, c) of the style picture.
      taps: which of them are fused.
      fusion: a key of `stylejax.nn.fusion.FUSIONS`.

    Returns:
      Statistics by tap.
    """
    chosen = fusions.get(fusion)
    return {tap: chosen.statistic(maps[tap]) for tap in taps}


def fused(
    maps: Features, goals: Sequence[Goals], plan: Plan, *, fusion: FusionOf
) -> Features:
    """Content features that take the statistics of the styles, as far as planned.

        f + sum_k m_k pull_k (fuse_k(f) - f)

    With masks a region's features are fused from the region's own statistics, so that
    what lies elsewhere does not matter.

    Args:
      maps: features (b, h, w, c) of the content, by tap.
      goals: k, from `goals`, or what the fusion takes as such.
      plan: for k styles.
      fusion: a key of `stylejax.nn.fusion.FUSIONS`, or a function from a tap to its
        fusion.

    Returns:
      Maps of the taps of the goals, of the same shapes.
    """
    of = fusion if callable(fusion) else lambda _: fusions.get(fusion)
    return {tap: _fused(maps[tap], tap, goals, plan, of(tap)) for tap in goals[0]}


def _fused(
    x: jax.Array, tap: str, goals: Sequence[Goals], plan: Plan, chosen: Fusion
) -> jax.Array:
    moved = jnp.zeros_like(x)
    if plan.masks is None:
        own = chosen.statistic(x)
        for goal, pull in zip(goals, plan.pulls, strict=True):
            moved += pull * (chosen.apply(x, own, goal[tap]) - x)
        return x + moved
    masks = resize_map(plan.masks, x.shape[1:3])
    for goal, pull, mask in zip(goals, plan.pulls, masks, strict=True):
        own = chosen.statistic(x, mask=mask[None])
        step = chosen.apply(x, own, goal[tap]) - x
        moved += pull * mask[None, :, :, None] * step
    return x + moved


def painted(
    content: Image,
    goals: Sequence[Goals],
    plan: Plan,
    *,
    encode: Encode,
    decode: Decode,
    fusion: FusionOf,
    multiple: int,
    partial: bool,
) -> Image:
    """The content with the styles' statistics, decoded; not clipped.

    Args:
      content: (b, h, w, 3) in [0, 1], any size.
      goals: k, from `goals`.
      plan: of this size.
      encode: pictures to maps by tap.
      decode: fused maps to pictures.
      fusion: as in `fused`.
      multiple: of which the decoder's sides are; others are padded by reflection.
      partial: `is_partial` of the control; True is always right.

    Returns:
      (b, h, w, 3), float32.
    """
    padded, size_hw = resize.pad_to_multiple(content, multiple)
    if plan.masks is not None:
        extra = [n - m for n, m in zip(padded.shape[1:3], size_hw, strict=True)]
        widths = ((0, 0), (0, extra[0]), (0, extra[1]))
        plan = plan._replace(masks=jnp.pad(plan.masks, widths, mode="edge"))
    maps = encode(padded)
    found = decode(fused(maps, goals, plan, fusion=fusion))
    if partial:
        own = decode({tap: maps[tap] for tap in goals[0]})
        found = _completed(found, padded, own, plan)
    return resize.crop_to(found, size_hw)


def _completed(found: Image, content: Image, own: Image, plan: Plan) -> Image:
    """What was decoded, with what decoding unchanged features (`own`) loses.

    It is given back as far as nothing is painted, and all of it where no mask is:
    decoders look around, so that a mask's edge alone would not stop them.
    """
    if plan.masks is None:
        return found + (1.0 - jnp.sum(plan.pulls)) * (content - own)
    pull = jnp.einsum("k,khw->hw", plan.pulls, plan.masks)[None, :, :, None]
    found = found + (1.0 - pull) * (content - own)
    inside = jnp.sum(plan.masks, axis=0)[None, :, :, None]
    return content + inside * (found - content)


def stylize(
    encode_style: Callable[..., Goals],
    predict: Callable[..., Image],
    params: Params,
    content: Image,
    styles: Sequence[Image],
    *,
    config: Any,
    control: StyleControl | None = None,
) -> Image:
    """The content painted in the styles, as a control asks for it.

    Methods bind the first two arguments.

    Args:
      encode_style: (params, style, config=...) to the style's goals; pure.
      predict: (params, content, goals, plan, config=..., partial=...) to pictures;
        pure.
      params: from the method's `painting_params`.
      content: (b, h, w, 3) in [0, 1], any size.
      styles: pictures (1, h, w, 3) in [0, 1], of any sizes.
      config: the method's configuration.
      control: what the user asks for.

    Returns:
      (b, h, w, 3), float32 in [0, 1].

    Raises:
      ValueError: no such pictures, or a control that cannot be obeyed.
    """
    control = control or StyleControl()
    check_image(content, name="content")
    if not styles:
        raise ValueError("styles: expected at least one picture, got none")
    for style in styles:
        check_image(style, name="style")
    control.check(len(styles))
    content = jnp.asarray(content, jnp.float32)
    if control.strength == 0:
        return content
    compared = controls.prepare_content(content, control)
    encode = jitted(encode_style)
    goals = [
        encode(params, controls.prepare_style(x, content, control), config=config)
        for x in styles
    ]
    found = jitted(predict)(
        params,
        compared,
        goals,
        plan(control, len(styles), content.shape[1:3]),
        config=config,
        partial=is_partial(control),
    )
    return controls.finish(found, content, control)


@functools.cache
def jitted(function: Callable) -> Callable:
    """A method's pure function, compiled once for each size and configuration.

    Args:
      function: may have the static options `config` and `partial`.

    Returns:
      The jitted function, the same one each time.
    """
    known = inspect.signature(function).parameters
    static = [name for name in ("config", "partial") if name in known]
    return jax.jit(function, static_argnames=static)


def sample(
    encode_style: Callable[..., Goals],
    predict: Callable[..., Image],
    params: Params,
    batch: Mapping[str, Image],
    *,
    config: Any,
) -> dict[str, Image]:
    """What a sample grid of a training shows.

    Args:
      encode_style: as in `stylize`.
      predict: as in `stylize`.
      params: from the method's `painting_params`.
      batch: {"a": contents, "b": a style for each} (b, h, w, 3) in [0, 1].
      config: the method's configuration.

    Returns:
      Dictionary with `stylized` and `reconstructed` (the content's features as they
      are, decoded), in [0, 1].
    """
    goals = [encode_style(params, batch["b"], config=config)]
    found = {}
    for name, pull in (("stylized", 1.0), ("reconstructed", 0.0)):
        everywhere = Plan(jnp.full(1, pull), None)
        picture = predict(
            params, batch["a"], goals, everywhere, config=config, partial=False
        )
        found[name] = jnp.clip(picture, 0.0, 1.0)
    return found
