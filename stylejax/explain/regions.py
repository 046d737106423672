"""Which input region made which output pixel: region tensors, complete for each pixel.

Integrated gradients explain one number by every pixel. Turned around, with forward
derivatives, they explain every output pixel by a few causes: one derivative for each
region of the input, in all output pixels at once. Nothing is summed over the output, so
the parts add up at every single pixel, with an error of its own. Where the output is
regions too, the same table comes from backward derivatives, one for each of its
regions; the cheaper way is taken.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from stylejax.checks import check_choice
from stylejax.explain.baselines import make_baseline
from stylejax.explain.cancellation import check_baseline
from stylejax.explain.paths import checked_chunk
from stylejax.explain.pictures import Picture, one_picture
from stylejax.explain.quadrature import nodes_and_weights
from stylejax.image.regions import (
    Labels,
    count_regions,
    region_masks,
    region_sums,
)
from stylejax.typing import ImageFn

MODES = ("auto", "forward", "reverse")
"""How `region_table` works: by derivatives of causes, of effects, or the fewer."""


@dataclasses.dataclass(frozen=True, eq=False)
class RegionMaps:
    """What each input region contributed to every output value.

    Attributes:
      maps: `k h w c`, in the output's unit: summed over `k` it is the change.
      output: `h w c`, the function at the picture.
      output_baseline: `h w c`, the function at the baseline.
      error_map: `h w c`, `|sum of maps - change|` at each output value.
      max_error: the largest of it.
      mean_error: its mean.
      mean_change: the mean of `|output - output_baseline|`, to compare these with.
      num_steps: nodes of the rule; the cost is `k num_steps` forward derivatives.
    """

    maps: Float[Array, "k h w c"]
    output: Picture
    output_baseline: Picture
    error_map: Picture
    max_error: float
    mean_error: float
    mean_change: float
    num_steps: int

    def summary(self) -> str:
        """One line for people: how well the maps add up at each output value.

        Returns:
          Text without a line break.
        """
        return (
            f"{len(self.maps)} regions; per output value the parts miss the change by"
            f" {self.mean_error:.1e} on average and {self.max_error:.1e} at most, of a"
            f" mean change of {self.mean_change:.2e}; {self.num_steps} steps"
        )


@dataclasses.dataclass(frozen=True, eq=False)
class RegionTable:
    """What each input region contributed to the mean of each output region.

    Attributes:
      table: `k m`: input regions by output regions, in the output's unit.
      change: `m`, the change of each output region's mean.
      errors: `m`, `|column sum - change|`.
      mode: "forward" or "reverse", whichever was used.
      num_derivatives: how many derivatives it took.
    """

    table: Float[Array, "k m"]
    change: Float[Array, " m"]
    errors: Float[Array, " m"]
    mode: str
    num_derivatives: int


def region_maps(
    image_fn: ImageFn,
    image: Any,
    *,
    labels: Labels,
    num_regions: int | None = None,
    baseline: Any = "blur",
    num_steps: int = 32,
    rule: str = "gauss_legendre",
    chunk: int | None = None,
    allow_constant_baseline: bool = False,
) -> RegionMaps:
    """What each input region contributed to every output pixel, all at once.

    `maps_k = sum_n w_n J(x' + alpha_n (x - x')) [mask_k (x - x')]`: summed over the
    regions it is the change of the output, at each pixel by itself.

    Args:
      image_fn: pictures `b h w c` to pictures or maps `b h' w' c'`; differentiable.
      image: one picture `h w c` or `1 h w c`.
      labels: `h w` whole numbers from 0 to `k - 1`; see `stylejax.image.regions`.
      num_regions: `k`; by default the largest label plus one.
      baseline: where the path starts: a name in `baselines.BASELINES` or a picture.
      num_steps: nodes of the rule.
      rule: a name in `quadrature.RULES`.
      chunk: regions differentiated at once, which decides the memory.
      allow_constant_baseline: explain even where a constant baseline is meaningless.

    Returns:
      `RegionMaps`.

    Raises:
      ValueError: labels of another size or out of range; a wrong name or number; a
        constant baseline that a normalisation layer cancels.
      TypeError: `image` is not float.

    Example:
      >>> double = lambda x: 2 * x
      >>> image, labels = jnp.ones((1, 2, 1)), np.array([[0, 1]])
      >>> found = region_maps(double, image, labels=labels, baseline="zero")
      >>> found.maps[:, 0, :, 0].round(3).tolist()
      [[2.0, 0.0], [0.0, 2.0]]

    Reference: none known; the forward-mode counterpart of Sundararajan, Taly and Yan,
      "Axiomatic Attribution for Deep Networks", 2017, by region.
    """
    picture = one_picture(image)
    start = make_baseline(baseline, image=picture)
    count = count_regions(labels, size_hw=picture.shape[:2], num_regions=num_regions)
    check_baseline(
        functools.partial(_at, image_fn), start, picture, allow=allow_constant_baseline
    )
    size = checked_chunk(chunk, shape=picture.shape, num_steps=count)
    rule_of = nodes_and_weights(rule, num_steps=num_steps)
    tangents = region_masks(labels, num_regions=count)[..., None]
    node = functools.partial(_forward, image_fn, size=min(size, count))
    maps = _over_nodes(node, rule_of, picture, start, tangents)
    output, output_baseline = _ends(image_fn, picture, start)
    change = np.asarray(output, np.float64) - np.asarray(output_baseline, np.float64)
    errors = np.abs(np.asarray(maps, np.float64).sum(axis=0) - change)
    return RegionMaps(
        maps=maps,
        output=output,
        output_baseline=output_baseline,
        error_map=jnp.asarray(errors, jnp.float32),
        max_error=float(errors.max()),
        mean_error=float(errors.mean()),
        mean_change=float(np.abs(change).mean()),
        num_steps=num_steps,
    )


def region_table(
    image_fn: ImageFn,
    image: Any,
    *,
    labels: Labels,
    output_labels: Labels,
    baseline: Any = "blur",
    num_steps: int = 32,
    rule: str = "gauss_legendre",
    mode: str = "auto",
    chunk: int | None = None,
    allow_constant_baseline: bool = False,
) -> RegionTable:
    """What each input region contributed to the mean of each output region.

    Args:
      image_fn: pictures `b h w c` to pictures or maps `b h' w' c'`; differentiable.
      image: one picture `h w c` or `1 h w c`.
      labels: `h w`, the `k` regions of the input.
      output_labels: `h' w'`, the `m` regions of the output. Their means are over
        pixels and channels.
      baseline: where the path starts: a name in `baselines.BASELINES` or a picture.
      num_steps: nodes of the rule.
      rule: a name in `quadrature.RULES`.
      mode: "forward" takes `k` derivatives a node, "reverse" takes `m`, "auto" fewer.
      chunk: derivatives held at once, which decides the memory.
      allow_constant_baseline: explain even where a constant baseline is meaningless.

    Returns:
      A `RegionTable`.

    Raises:
      ValueError: labels of another size or out of range; a wrong name or number; a
        constant baseline that a normalisation layer cancels.
      TypeError: `image` is not float.
    """
    check_choice(mode, choices=MODES, name="mode")
    picture = one_picture(image)
    start = make_baseline(baseline, image=picture)
    count = count_regions(labels, size_hw=picture.shape[:2])
    shape = jax.eval_shape(image_fn, picture[None]).shape[1:]
    outputs = count_regions(output_labels, size_hw=shape[:2], name="output_labels")
    check_baseline(
        functools.partial(_at, image_fn), start, picture, allow=allow_constant_baseline
    )
    if mode == "auto":
        mode = "forward" if count <= outputs else "reverse"
    size = checked_chunk(
        chunk,
        shape=picture.shape,
        num_steps=count if mode == "forward" else outputs,
    )
    rule_of = nodes_and_weights(rule, num_steps=num_steps)
    spread = functools.partial(_means, labels=output_labels, num_regions=outputs)
    means_fn = lambda images: spread(image_fn(images)[0])  # noqa: E731
    if mode == "forward":
        masks = region_masks(labels, num_regions=count)[..., None]
        node = functools.partial(_forward, means_fn, size=min(size, count))
        table = _over_nodes(node, rule_of, picture, start, masks)
    else:
        node = functools.partial(
            _reverse, means_fn, size=min(size, outputs), labels=labels, count=count
        )
        table = _over_nodes(node, rule_of, picture, start, jnp.eye(outputs)).T
    end, begin = _ends(means_fn, picture, start)
    change = np.asarray(end, np.float64) - np.asarray(begin, np.float64)
    errors = np.abs(np.asarray(table, np.float64).sum(axis=0) - change)
    return RegionTable(
        table=table,
        change=jnp.asarray(change, jnp.float32),
        errors=jnp.asarray(errors, jnp.float32),
        mode=mode,
        num_derivatives=num_steps * (count if mode == "forward" else outputs),
    )


def _at(fn: Callable, picture: Picture) -> jax.Array:
    with jax.default_matmul_precision("highest"):
        out = fn(picture[None])
    out = out.astype(jnp.promote_types(out.dtype, jnp.float32))
    return out[0] if out.ndim == 4 else out


def _ends(
    fn: Callable, picture: Picture, start: Picture
) -> tuple[jax.Array, jax.Array]:
    at = jax.jit(functools.partial(_at, fn))
    return at(picture), at(start)


def _over_nodes(
    node: Callable, rule: Any, picture: Picture, start: Picture, masks: jax.Array
) -> jax.Array:
    """The weighted sum of what a function finds at each node of the path."""
    find = jax.jit(node)
    total: Any = 0.0
    # A loop on the host: see `StraightPath`.
    for alpha, weight in zip(*rule, strict=True):
        point = (1 - alpha) * start + alpha * picture
        total = total + weight * find(point, picture - start, masks)
    return total


def _forward(
    fn: Callable,
    point: Picture,
    difference: Picture,
    masks: Float[Array, "k h w 1"],
    *,
    size: int,
) -> jax.Array:
    """One forward derivative for each region."""
    _, derivative = jax.linearize(functools.partial(_at, fn), point)
    return jax.lax.map(
        lambda mask: derivative(mask * difference), masks, batch_size=size
    )


def _reverse(
    fn: Callable,
    point: Picture,
    difference: Picture,
    effects: Float[Array, "m m"],
    *,
    size: int,
    labels: Labels,
    count: int,
) -> jax.Array:
    """One backward derivative for each effect, summed over the regions."""
    _, pull = jax.vjp(functools.partial(_at, fn), point)

    def by_region(effect: jax.Array) -> jax.Array:
        amounts = pull(effect)[0] * difference
        return region_sums(amounts, labels, num_regions=count).sum(axis=-1)

    return jax.lax.map(by_region, effects, batch_size=size)


def _means(
    output: Float[Array, "h w c"], *, labels: Labels, num_regions: int
) -> Float[Array, " m"]:
    """The mean of each region, over its pixels and the channels."""
    masks = region_masks(labels, num_regions=num_regions)
    sums = region_sums(output, labels, num_regions=num_regions).mean(axis=-1)
    return sums / jnp.maximum(masks.sum(axis=(1, 2)), 1)
