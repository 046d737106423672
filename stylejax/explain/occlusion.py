"""What happens when a region is taken out or put in: effects, not derivatives."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from stylejax.explain.baselines import make_baseline
from stylejax.explain.completeness import Attribution, measure
from stylejax.explain.paths import checked_chunk
from stylejax.explain.pictures import (
    Picture,
    check_function,
    one_picture,
    scalar_at,
)
from stylejax.image.regions import (
    Labels,
    count_regions,
    grid_regions,
    region_masks,
)
from stylejax.typing import ScalarFn


@dataclasses.dataclass(frozen=True, eq=False)
class RegionEffects:
    """What each region does to the target, measured by two interventions.

    Attributes:
      removed: `k`, `F(x) - F(x with region k from the baseline)`.
      inserted: `k`, `F(baseline with region k from x) - F(baseline)`.
      target: `F(x)`.
      target_baseline: `F(baseline)`.
    """

    removed: Float[Array, " k"]
    inserted: Float[Array, " k"]
    target: float
    target_baseline: float

    @property
    def mean(self) -> Float[Array, " k"]:
        """The mean of both: for two regions and any function it is complete."""
        return (self.removed + self.inserted) / 2

    @property
    def interaction(self) -> float:
        """How far the two disagree: `sum |removed - inserted| / sum (|.| + |.|)`.

        0 for a function that is a sum over the regions, at most 1.
        """
        first, second = np.abs(self.removed), np.abs(self.inserted)
        size = float(first.sum() + second.sum())
        gap = float(np.abs(self.removed - self.inserted).sum())
        return gap / size if size > 0 else 0.0


def region_effects(
    fn: ScalarFn,
    image: Any,
    *,
    labels: Labels,
    baseline: Any = "blur",
    chunk: int | None = None,
) -> RegionEffects:
    """What taking each region out, and putting it in, does to the target.

    Args:
      fn: pictures `b h w c` to one number each, `b` (or a scalar); it need not be
        differentiable.
      image: one picture `h w c` or `1 h w c`.
      labels: `h w` whole numbers from 0 to `k - 1`.
      baseline: what a region is replaced by: a name in `baselines.BASELINES` or a
        picture.
      chunk: pictures evaluated at once, which decides the memory.

    Returns:
      `RegionEffects`.

    Raises:
      ValueError: labels of another size or range; a wrong name.
      TypeError: `image` is not float.

    Example:
      >>> total = lambda x: x.sum(axis=(1, 2, 3))
      >>> labels = np.array([[0, 1, 1]])
      >>> image = jnp.ones((1, 3, 1))
      >>> found = region_effects(total, image, labels=labels, baseline="zero")
      >>> found.removed.tolist(), found.interaction
      ([1.0, 2.0], 0.0)

    Reference: Zeiler and Fergus, "Visualizing and Understanding Convolutional
      Networks", 2014, for removal (theirs to grey); insertion is its twin.
    """
    picture = one_picture(image)
    check_function(fn, picture)
    start = make_baseline(baseline, image=picture)
    count = count_regions(labels, size_hw=picture.shape[:2])
    size = checked_chunk(chunk, shape=picture.shape, num_steps=count)
    masks = region_masks(labels, num_regions=count)
    run = jax.jit(functools.partial(_effects, fn, size=size))
    removed, inserted, target, target_baseline = run(picture, start, masks)
    return RegionEffects(removed, inserted, float(target), float(target_baseline))


def occlusion(
    fn: ScalarFn,
    image: Any,
    *,
    labels: Labels | None = None,
    baseline: Any = "blur",
    chunk: int | None = None,
) -> Attribution:
    """The effect of taking each region out, spread evenly over its pixels.

    Args:
      fn: pictures `b h w c` to one number each, `b` (or a scalar); it need not be
        differentiable.
      image: one picture `h w c` or `1 h w c`.
      labels: `h w` whole numbers; by default a grid of 8 x 8 cells.
      baseline: what a region is replaced by.
      chunk: pictures evaluated at once, which decides the memory.

    Returns:
      An `Attribution`: the map sums to the effects' sum, which is the target's change
      only where regions do not interact.

    Raises:
      ValueError: labels of another size or range; a wrong name.
      TypeError: `image` is not float.

    Reference: Zeiler and Fergus, "Visualizing and Understanding Convolutional
      Networks", 2014. Ours replaces by a blur: a grey box adds edges of its own.
    """
    picture = one_picture(image)
    height, width = picture.shape[:2]
    if labels is None:
        labels = grid_regions(
            (height, width), rows=min(8, height), columns=min(8, width)
        )
    effects = region_effects(fn, picture, labels=labels, baseline=baseline, chunk=chunk)
    index = np.asarray(labels)
    areas = np.bincount(index.ravel(), minlength=len(effects.removed))
    share = np.asarray(effects.removed) / np.maximum(areas, 1) / picture.shape[2]
    values = np.broadcast_to(share[index][..., None], picture.shape)
    return measure(
        jnp.asarray(values, jnp.float32).reshape(jnp.shape(image)),
        ends=(effects.target, effects.target_baseline),
        num_steps=len(effects.removed),
        method="occlusion",
    )


def _effects(
    fn: ScalarFn,
    picture: Picture,
    start: Picture,
    masks: Float[Array, "k h w"],
    *,
    size: int,
) -> tuple[jax.Array, ...]:
    target, begin = scalar_at(fn, picture), scalar_at(fn, start)

    def both(mask: jax.Array) -> tuple[jax.Array, jax.Array]:
        inside = mask[..., None] > 0
        without = scalar_at(fn, jnp.where(inside, start, picture))
        alone = scalar_at(fn, jnp.where(inside, picture, start))
        return target - without, alone - begin

    removed, inserted = jax.lax.map(both, masks, batch_size=size)
    return removed, inserted, target, begin
