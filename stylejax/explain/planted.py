"""Planted causes: does an explanation find what somebody put there?

The mark, its place and the models that obey it or not are made by hand, so the right
answer is known. Every share stands beside the share of the area: a map that knows
nothing gives a region as much as it covers.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from stylejax.checks import check_same_shape
from stylejax.explain.detection import binomial_interval
from stylejax.image.regions import region_sums
from stylejax.metrics.attribution_shape import (
    check_mask_range,
    pixel_relevance,
    relevance_mass,
)
from stylejax.metrics.pixel import Interval, bootstrap_interval


class RegionRanking(NamedTuple):
    """Regions by how much of a map they hold.

    Attributes:
      order: (k,), region numbers, the highest `lift` first.
      shares: (k,), of the map's relevance; they sum to 1.
      areas: (k,), of the labelled pixels; they sum to 1.
      lift: (k,), share over area; 1 for a map that knows nothing.
    """

    order: Array
    shares: Float[Array, " k"]
    areas: Float[Array, " k"]
    lift: Float[Array, " k"]


class MarkShare(NamedTuple):
    """How much of a map lies on a mark: `share`, against `area` by chance."""

    share: Float[Array, ""]
    area: Float[Array, ""]
    lift: Float[Array, ""]


class ModelContrast(NamedTuple):
    """How much more one model's maps give a region than another's.

    Attributes:
      contrasts: (b,), share inside for the first model minus that for the second.
      score: their mean, in [-1, 1].
      interval: bootstrap interval of `score` over the pictures.
      greater_rate: share of the pictures whose contrast is above 0.
      greater_interval: Wilson, of `greater_rate`.
      equal_rate: share of the pictures where the two differ by less than `margin` of
        the first: for twins that both ignore the region it should be 1.
    """

    contrasts: np.ndarray
    score: float
    interval: Interval
    greater_rate: float
    greater_interval: Interval
    equal_rate: float


class Pick(NamedTuple):
    """Which region something was planted in, told from numbers alone.

    Attributes:
      region: its number, or None where nothing stands out enough.
      share: of the relevance in the best region, mean over the pictures.
      lift: its share over its area.
      lead: its lift over that of the second best; infinite where that is 0.
      votes: share of the pictures in which it is the best one.
    """

    region: int | None
    share: float
    lift: float
    lead: float
    votes: float


def region_ranking(
    attribution: Float[Array, "h w *c"],
    labels: Any,
    *,
    num_regions: int,
    sign: str = "absolute",
) -> RegionRanking:
    """The regions of a map, by relevance for their size.

    Args:
      attribution: a map `h w c` or `h w`, signed.
      labels: `h w` whole numbers from 0 to `num_regions - 1`; others are left out.
      num_regions: `k`.
      sign: what counts, see `stylejax.metrics.attribution_shape`.

    Returns:
      `RegionRanking`; regions without pixels come last. Pure.

    Raises:
      ValueError: labels of another size, or an unknown sign.

    Example:
      >>> found = region_ranking(
      ...     jnp.array([[1.0, 1.0, 6.0]]), jnp.array([[0, 0, 1]]), num_regions=2
      ... )
      >>> found.order.tolist(), found.shares.tolist()
      ([1, 0], [0.25, 0.75])
    """
    relevance = pixel_relevance(attribution, sign=sign)
    check_same_shape(labels, relevance, names=("labels", "the map's pixels"))
    sums = region_sums(relevance, labels, num_regions=num_regions)
    counts = region_sums(jnp.ones_like(relevance), labels, num_regions=num_regions)
    shares, areas = sums / sums.sum(), counts / counts.sum()
    lift = jnp.where(areas > 0, shares / jnp.where(areas > 0, areas, 1), 0)
    return RegionRanking(jnp.argsort(-lift), shares, areas, lift)


def mark_share(
    attribution: Float[Array, "h w *c"],
    mask: Float[Array, "h w"],
    *,
    sign: str = "absolute",
) -> MarkShare:
    """How much of a map lies on a planted mark, beside the mark's share of the area.

    Args:
      attribution: a map `h w c` or `h w`, signed.
      mask: `h w` in [0, 1], or truth values.
      sign: what counts, see `stylejax.metrics.attribution_shape`.

    Returns:
      `MarkShare`. Pure.

    Raises:
      ValueError: a mask of another size or range, or an unknown sign.

    Example:
      >>> mark_share(jnp.array([[3.0, 1.0]]), jnp.array([[1.0, 0.0]])).lift.tolist()
      1.5
    """
    share = relevance_mass(attribution, mask, sign=sign)
    area = jnp.mean(jnp.asarray(mask).astype(share.dtype))
    return MarkShare(share, area, share / area)


def model_contrast(
    attribution_a: Float[Array, "b h w *c"],
    attribution_b: Float[Array, "b h w *c"],
    mask: Float[Array, "*b h w"],
    *,
    sign: str = "absolute",
    margin: float = 0.1,
    seed: int = 0,
    level: float = 0.95,
) -> ModelContrast:
    """How much more the maps of a model that obeys a region give it than its twin's.

    Args:
      attribution_a: maps of the model that depends on the region.
      attribution_b: of the one that does not, for the same pictures.
      mask: the region, `h w` for all pictures or `b h w`, in [0, 1].
      sign: what counts, see `stylejax.metrics.attribution_shape`.
      margin: of `equal_rate`.
      seed: of the bootstrap.
      level: coverage of the intervals, in (0, 1).

    Returns:
      `ModelContrast`.

    Raises:
      ValueError: shapes that do not fit, a mask out of range, or a map without
        relevance of this sign.

    Reference:
      Yang and Kim 2019, "Benchmarking attribution methods with relative feature
      importance" (model contrast score, input dependence and independence rate). They
      take the mean attribution inside, which depends on each model's scale; we take
      the share of the map's relevance.
    """
    check_same_shape(
        attribution_a, attribution_b, names=("attribution_a", "attribution_b")
    )
    if jnp.ndim(attribution_a) not in (3, 4):
        raise ValueError(
            "attribution_a: expected maps (b, h, w, c) or (b, h, w), got shape"
            f" {jnp.shape(attribution_a)}"
        )
    check_mask_range(mask)
    axis = None if jnp.ndim(mask) == 2 else 0
    mass = jax.vmap(lambda a, m: relevance_mass(a, m, sign=sign), in_axes=(0, axis))
    first, second = (
        np.asarray(mass(jnp.asarray(maps), jnp.asarray(mask)), np.float64)
        for maps in (attribution_a, attribution_b)
    )
    contrasts = first - second
    greater = int((contrasts > 0).sum())
    return ModelContrast(
        contrasts=contrasts,
        score=float(contrasts.mean()),
        interval=bootstrap_interval(contrasts, seed=seed, level=level),
        greater_rate=greater / len(contrasts),
        greater_interval=binomial_interval(greater, len(contrasts), level=level),
        equal_rate=float(np.mean(np.abs(contrasts) <= margin * first)),
    )


def pick_region(
    shares: ArrayLike,
    areas: ArrayLike,
    *,
    min_share: float = 0.5,
    min_lead: float = 2.0,
) -> Pick:
    """The region that something was planted in, if anything was: a blind pick.

    Args:
      shares: (k,) or (n, k), each region's share of the relevance, for n pictures.
      areas: (k,), each region's share of the area, above 0.
      min_share: below this mean share, nothing is picked; 0 always picks.
      min_lead: below this lead over the second best, nothing is picked; 0 always picks.

    Returns:
      `Pick`.

    Raises:
      ValueError: shapes or numbers that do not fit.

    Example:
      >>> pick_region([0.1, 0.8, 0.1], [0.25, 0.25, 0.5]).region
      1
    """
    table, areas = np.atleast_2d(np.asarray(shares, np.float64)), np.asarray(areas)
    if table.ndim != 2 or areas.shape != table.shape[1:] or areas.size < 2:
        raise ValueError(
            "shares: expected (k,) or (n, k) with one area for each of k >= 2 regions,"
            f" got {np.shape(shares)} and {areas.shape} areas"
        )
    if not (np.isfinite(table).all() and (table >= 0).all() and (areas > 0).all()):
        raise ValueError("expected finite shares of at least 0 and areas above 0")
    lifts = table.mean(axis=0) / areas
    second, best = np.argsort(lifts, kind="stable")[-2:]
    lead = float(lifts[best] / lifts[second]) if lifts[second] else float("inf")
    share = float(table[:, best].mean())
    stands_out = share >= min_share and lead >= min_lead
    return Pick(
        region=int(best) if stands_out else None,
        share=share,
        lift=float(lifts[best]),
        lead=lead,
        votes=float(np.mean((table / areas[None]).argmax(axis=1) == best)),
    )
