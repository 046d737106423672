"""Deletion and insertion: the function while a picture is removed in the map's order.

The same in reverse and in random orders comes with it, since an area by itself says
nothing. What a function and a map are is said in `stylejax.metrics.faithfulness`; of
the map only the order counts here. Pure: it may be jitted and vmapped.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from stylejax.image.regions import Labels, region_sums
from stylejax.metrics.perturbation import (
    Picture,
    checked_labels,
    checked_picture,
    compiled,
    in_chosen_regions,
    map_in_chunks,
    value,
)
from stylejax.typing import Key, ScalarFn


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class DeletionCurves:
    """The function while regions are removed: in the map's order, reversed, at random.

    An area is the mean of the function along a curve, in its own unit. By itself it
    says nothing; a map that is right has `deletion_area` below the random ones and
    `reverse_area` above.

    Attributes:
      shares: (t,), of the regions that are removed: 0 is the picture, 1 the baseline.
      deletion: (t,), the largest of the map removed first.
      reverse: (t,), the smallest removed first. Read backwards it is the insertion
        curve, since the largest are then put in first.
      random: (n, t), each row a random order.
    """

    shares: Float[Array, " t"]
    deletion: Float[Array, " t"]
    reverse: Float[Array, " t"]
    random: Float[Array, "n t"]

    @property
    def insertion(self) -> Float[Array, " t"]:
        """(t,), the largest of the map put into the baseline first, at
        `1 - shares[::-1]`; its area is the reverse area.
        """
        return self.reverse[::-1]

    @property
    def deletion_area(self) -> Float[Array, ""]:
        """The area under `deletion`: low is good."""
        return _area(self.shares, self.deletion[None])[0]

    @property
    def reverse_area(self) -> Float[Array, ""]:
        """The area under `reverse`, which is the insertion area: high is good."""
        return _area(self.shares, self.reverse[None])[0]

    @property
    def random_areas(self) -> Float[Array, " n"]:
        """The areas of the random orders, of deletion and insertion alike."""
        return _area(self.shares, self.random)

    @property
    def random_band(self) -> Float[Array, "2 t"]:
        """The lowest and the highest of the random orders at each share."""
        return jnp.stack([self.random.min(axis=0), self.random.max(axis=0)])

    @property
    def p_value(self) -> Float[Array, ""]:
        """The chance that a random order deletes as well: `(1 + # as low) / (1 + n)`.

        NaN where a curve is not finite.
        """
        area, others = self.deletion_area, self.random_areas
        chance = (1 + jnp.sum(others <= area)) / (1 + len(self.random))
        finite = jnp.isfinite(area) & jnp.isfinite(others).all()
        return jnp.where(finite, chance, jnp.nan)


def deletion_curves(
    key: Key,
    fn: ScalarFn,
    image: Picture,
    attribution: Float[Array, "h w *c"],
    *,
    baseline: Picture,
    labels: Labels | np.ndarray | None = None,
    num_regions: int | None = None,
    num_steps: int = 10,
    num_orders: int = 20,
    chunk: int = 16,
) -> DeletionCurves:
    """The function while the picture is removed region by region, and put back.

    Regions go by the sum of the map over them, with its sign; equal ones in a random
    order, so that a constant map is a random one.

    Args:
      key: random key of the random orders.
      fn: pictures `b h w c` to one number each, `b`.
      image: one picture `h w c`.
      attribution: its map, `h w c` or `h w`; only its order counts.
      baseline: the picture that takes the place of what is removed, `h w c`.
      labels: `h w` whole numbers; None removes pixels one by one.
      num_regions: needed only where the labels are traced.
      num_steps: steps from the picture to the baseline, at most the regions.
      num_orders: random orders, at least 1; with 20 a p-value can be below 0.05.
      chunk: pictures evaluated at once, which decides the memory.

    Returns:
      `DeletionCurves` of `num_steps + 1` points, of insertion as well.

    Raises:
      ValueError: a wrong shape or number.
      TypeError: a picture that is not float, labels that are not whole.

    Reference: Petsiuk, Das and Saenko, "RISE", 2018; for the reverse Samek et al. 2017.
      We add the random orders.
    """
    image, baseline, totals = checked_picture(image, baseline, attribution)
    if labels is None:
        labels = np.arange(totals.size, dtype=np.int32).reshape(totals.shape)
    labels, num_regions = checked_labels(
        labels, size_hw=totals.shape, num_regions=num_regions
    )
    if not 1 <= num_steps <= num_regions or num_orders < 1:
        raise ValueError(
            f"expected 1 to {num_regions} steps, as many as regions, and orders, got"
            f" num_steps {num_steps} and num_orders {num_orders}"
        )
    measure = compiled(
        _deletion,
        fn,
        num_regions=num_regions,
        num_steps=num_steps,
        num_orders=num_orders,
        chunk=chunk,
    )
    return measure(key, image, totals, baseline, labels)


def _deletion(
    fn: ScalarFn,
    key: Key,
    image: Picture,
    totals: Float[Array, "h w"],
    baseline: Picture,
    labels: Labels,
    *,
    num_regions: int,
    num_steps: int,
    num_orders: int,
    chunk: int,
) -> DeletionCurves:
    scores = region_sums(totals, labels, num_regions=num_regions)
    draws = jax.random.uniform(key, (num_orders + 1, num_regions))
    turn = jnp.argsort(jnp.lexsort((draws[0], -scores)))
    # When each region goes, in each order.
    turns = jnp.stack([turn, num_regions - 1 - turn])
    turns = jnp.concatenate([turns, jnp.argsort(draws[1:], axis=1)])
    counts = np.round(np.arange(num_steps + 1) * num_regions / num_steps)

    def remove(index: Array) -> Array:
        gone = turns[index // len(counts)] < jnp.asarray(counts)[index % len(counts)]
        inside = in_chosen_regions(labels, gone)
        return value(fn, jnp.where(inside[:, :, None], baseline, image))

    points = jnp.arange(len(turns) * len(counts))
    curves = map_in_chunks(remove, points, chunk=chunk).reshape(len(turns), -1)
    # A map with NaN has no order, though sorting would give one.
    ordered = jnp.where(jnp.isfinite(scores).all(), curves[:2], jnp.nan)
    shares = jnp.asarray(counts / num_regions, curves.dtype)
    return DeletionCurves(shares, ordered[0], ordered[1], curves[2:])


def _area(shares: Float[Array, " t"], curves: Float[Array, "n t"]) -> Array:
    middles = (curves[:, 1:] + curves[:, :-1]) / 2
    return jnp.sum(jnp.diff(shares)[None] * middles, axis=1)
