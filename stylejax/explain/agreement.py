"""The agreement triangle: do several methods say the same about the same regions?

Gradients along a path, taking a region away and putting it in answer different
questions about a function whose regions work together. For an additive function the
answers are equal, exactly; otherwise how far they differ belongs beside every map.
"""

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from stylejax.checks import check_positive
from stylejax.explain.paired import mean_ranks
from stylejax.metrics.perturbation import (
    checked_labels,
    checked_picture,
    compiled,
    map_in_chunks,
    value,
)
from stylejax.typing import ScalarFn

# Differences of float32 values of a target are no finer.
_EXACT = 1e-4
# No label: a mask "all but this region" is then everything.
_NO_REGION = np.iinfo(np.int32).min


class RegionEffects(NamedTuple):
    """What each region does to a target, taken away and put in.

    Attributes:
      occlusion: (k,), `F(x) - F(x with the region from the baseline)`.
      insertion: (k,), `F(baseline with the region from x) - F(baseline)`.
      mean: (k,), of both; equal to either for an additive function.
      target: F at the picture.
      target_baseline: F at the baseline.
    """

    occlusion: Float[Array, " k"]
    insertion: Float[Array, " k"]
    mean: Float[Array, " k"]
    target: Float[Array, ""]
    target_baseline: Float[Array, ""]


@dataclasses.dataclass(frozen=True, eq=False)
class Agreement:
    """How far several methods agree on the effects of the same regions.

    Attributes:
      names: of the methods.
      pearson: (m, m), NaN where a method says the same of every region.
      spearman: (m, m), of the ranks.
      max_difference: (m, m), the largest difference at one region.
      scale: the largest effect that any method reports.
      totals: (m,), each method's sum over the regions.
      tolerance: differences up to this share of `scale` count as none.
    """

    names: tuple[str, ...]
    pearson: np.ndarray
    spearman: np.ndarray
    max_difference: np.ndarray
    scale: float
    totals: np.ndarray
    tolerance: float

    @property
    def exact(self) -> bool:
        """Whether all methods agree to the tolerance, as for an additive function."""
        return bool(self.max_difference.max() <= self.tolerance * self.scale)

    def pairs(self) -> list[tuple[str, str, float, float, float]]:
        """Every pair of methods, the most different first.

        Returns:
          (name, name, Pearson, Spearman, largest difference over `scale`).
        """
        found = [
            (
                self.names[i],
                self.names[j],
                float(self.pearson[i, j]),
                float(self.spearman[i, j]),
                float(self.max_difference[i, j]) / (self.scale or 1.0),
            )
            for i, j in itertools.combinations(range(len(self.names)), 2)
        ]
        return sorted(found, key=lambda pair: -pair[-1])

    def summary(self) -> str:
        """One line for people: whether all agree, and every pair that does not.

        Returns:
          Text without a line break.
        """
        totals = ", ".join(
            f"{name} {total:.4g}"
            for name, total in zip(self.names, self.totals, strict=True)
        )
        if self.exact:
            worst = self.pairs()[0][-1]
            return (
                f"all agree: the largest difference is {worst:.1e} of the largest"
                f" effect {self.scale:.4g}; sums {totals}"
            )
        parts = [
            f"{first} and {second} differ by up to {gap:.1%} (Pearson {pearson:.3f},"
            f" Spearman {spearman:.3f})"
            for first, second, pearson, spearman, gap in self.pairs()
            if gap > self.tolerance
        ]
        return (
            f"disagreement, in shares of the largest effect {self.scale:.4g}: "
            + "; ".join(parts)
            + f"; sums {totals}"
        )


def region_effects(
    fn: ScalarFn,
    image: Any,
    baseline: Any,
    labels: Any,
    *,
    num_regions: int | None = None,
    chunk: int = 8,
) -> RegionEffects:
    """The effect of each region on a target: taken from the picture, put in the other.

    Both are interventions, with no gradient: 2 k + 2 values of the function.

    Args:
      fn: pictures `b h w c` to one number each, `b` (or a scalar).
      image: one picture `h w c`, float.
      baseline: same shape.
      labels: `h w` whole numbers from 0.
      num_regions: `k`; None reads it off the labels.
      chunk: pictures at once, which decides the memory.

    Returns:
      `RegionEffects`.

    Raises:
      ValueError: shapes or numbers that do not fit.
      TypeError: the picture is not float, or the labels are not whole numbers.

    Example:
      >>> total = lambda x: x.sum(axis=(1, 2, 3))
      >>> found = region_effects(
      ...     total, jnp.ones((1, 2, 1)), jnp.zeros((1, 2, 1)), np.array([[0, 1]])
      ... )
      >>> found.occlusion.tolist(), found.insertion.tolist()
      ([1.0, 1.0], [1.0, 1.0])

    Reference:
      Zeiler and Fergus 2014 (occlusion). Putting in as well as taking out follows the
      two directions of activation patching, Heimersheim and Nanda 2024.
    """
    shape = jnp.shape(image)[:2]
    picture, start, _ = checked_picture(image, baseline, jnp.zeros(shape))
    labels, num_regions = checked_labels(labels, size_hw=shape, num_regions=num_regions)
    run = compiled(_effects, fn, num_regions=num_regions, chunk=chunk)
    return run(picture, start, labels)


def agreement(
    effects: Mapping[str, ArrayLike], *, tolerance: float = _EXACT
) -> Agreement:
    """How far several methods agree on the same regions.

    Args:
      effects: by method, (k,) finite signed amounts in the target's unit, such as
        `region_sums` of an attribution map and the fields of `RegionEffects`. Two
        methods and two regions at least.
      tolerance: differences up to this share of the largest effect count as none.

    Returns:
      `Agreement`.

    Raises:
      ValueError: fewer than two methods or regions, different numbers of regions, or
        amounts that are not finite.

    Example:
      >>> agreement({"one": [1.0, 2.0], "other": [1.0, 2.0]}).exact
      True
    """
    check_positive(tolerance, name="tolerance")
    names, values = (
        tuple(effects),
        [np.asarray(v, np.float64) for v in effects.values()],
    )
    shapes = {v.shape for v in values}
    if len(values) < 2 or len(shapes) > 1 or values[0].ndim != 1 or values[0].size < 2:
        listed = ", ".join(f"{n} {v.shape}" for n, v in zip(names, values, strict=True))
        raise ValueError(
            "effects: expected two methods or more, with one number for each of the"
            f" same two or more regions, got {listed or 'none'}"
        )
    rows = np.stack(values)
    if not np.isfinite(rows).all():
        wrong = names[int(np.argmin(np.isfinite(rows).all(axis=1)))]
        raise ValueError(f"effects: expected finite amounts, got others in {wrong!r}")
    return Agreement(
        names=names,
        pearson=_correlations(rows),
        spearman=_correlations(np.stack([mean_ranks(row) for row in rows])),
        max_difference=np.abs(rows[:, None] - rows[None]).max(axis=-1),
        scale=float(np.abs(rows).max()),
        totals=rows.sum(axis=1),
        tolerance=tolerance,
    )


def _effects(
    fn: ScalarFn,
    image: Float[Array, "h w c"],
    baseline: Float[Array, "h w c"],
    labels: Array,
    *,
    num_regions: int,
    chunk: int,
) -> RegionEffects:
    """The values with one region out, one region in, all in and all out."""
    regions = jnp.arange(num_regions)
    ends = jnp.full(2, _NO_REGION)
    chosen = jnp.concatenate([regions, regions, ends])
    is_out = jnp.arange(2 * num_regions + 2) < num_regions
    is_out = is_out.at[2 * num_regions].set(True)

    def value_of(entry: tuple[Array, Array]) -> Array:
        region, out = entry
        from_image = (labels == region) ^ out
        return value(fn, jnp.where(from_image[:, :, None], image, baseline))

    found = map_in_chunks(value_of, (chosen, is_out), chunk=chunk)
    target, target_baseline = found[-2], found[-1]
    occlusion = target - found[:num_regions]
    insertion = found[num_regions:-2] - target_baseline
    mean = (occlusion + insertion) / 2
    return RegionEffects(occlusion, insertion, mean, target, target_baseline)


def _correlations(rows: np.ndarray) -> np.ndarray:
    """Of every two rows; NaN for rows that say the same everywhere."""
    # Scaled first, so that the squares of tiny effects do not vanish.
    centred = rows / (np.abs(rows).max() or 1.0)
    centred = centred - centred.mean(axis=1, keepdims=True)
    centred[np.ptp(rows, axis=1) == 0] = np.nan
    units = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    return np.clip(units @ units.T, -1, 1)
