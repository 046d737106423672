"""Does the map say what the function does? Regions are removed and the drops compared.

A function maps pictures `b h w c` to one number each, such as a target of
`stylejax.explain.targets` behind a network; how it is called is said in
`stylejax.metrics.perturbation`. To remove a region is to put the baseline's pixels
there. A map is in the function's unit, its sum over a region being the claim by how
much the function drops without it: integrated gradients are such a map, a plain
gradient is not (for it, see `stylejax.metrics.infidelity`). The signs of a map are
kept, its channels added up, and nothing is normalised.

All of it is pure: it may be jitted and vmapped (labels that are traced need their
number).
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from stylejax.image.regions import Labels, grid_regions
from stylejax.metrics.correlation import correlation, correlation_interval
from stylejax.metrics.perturbation import (
    Picture,
    checked_image,
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
class Faithfulness:
    """How closely drops of the function follow the sums of the map; arrays, no axes.

    Attributes:
      correlation: in [-1, 1]; 1 is what a correct map of an additive function has. NaN
        where the sums or the drops do not vary.
      low: lower end of its interval over the random choice of subsets.
      high: upper end.
      chance: standard deviation around 0 of the correlation of a random map,
        `sqrt(1 / (k - 1) + 1 / n)` with `k` regions and `n` subsets.
      drops: (n,), `f(x) - f(x without the subset)`.
      sums: (n,), the map summed over the subset.
    """

    correlation: Float[Array, ""]
    low: Float[Array, ""]
    high: Float[Array, ""]
    chance: Float[Array, ""]
    drops: Float[Array, " n"]
    sums: Float[Array, " n"]


def faithfulness_correlation(
    key: Key,
    fn: ScalarFn,
    image: Picture,
    attribution: Float[Array, "h w *c"],
    labels: Labels | np.ndarray,
    *,
    baseline: Picture,
    share: float = 0.2,
    num_subsets: int = 100,
    num_regions: int | None = None,
    kind: str = "pearson",
    chunk: int = 16,
) -> Faithfulness:
    """The correlation of drops with sums of the map, over random subsets of regions.

    `corr_S(f(x) - f(x with x' in S), sum_(i in S) A_i)`, each `S` a draw of as many
    regions without replacement. For a function that adds up over regions it tends to
    the correlation over regions of the map's sums and the true effects, so a random
    map scatters by `chance` around 0, more than its interval.

    Args:
      key: random key of the subsets.
      fn: pictures `b h w c` to one number each, `b`.
      image: one picture `x`, `h w c`.
      attribution: its map `A`, `h w c` or `h w`, in the unit of `fn`.
      labels: `h w` whole numbers, from `stylejax.image.regions`.
      baseline: the picture `x'` that takes the place of what is removed, `h w c`.
      share: of the regions in each subset, in (0, 1); one region at least.
      num_subsets: `n`, at least 4.
      num_regions: needed only where the labels are traced.
      kind: `"pearson"` or `"spearman"`.
      chunk: pictures evaluated at once, which decides the memory.

    Returns:
      A `Faithfulness`.

    Raises:
      ValueError: a wrong shape, number or name.
      TypeError: a picture that is not float, labels that are not whole.

    Reference: Bhatt, Weller and Moura, "Evaluating and Aggregating Feature-based Model
      Explanations", 2020, definition 3. They remove pixels, we regions.
    """
    image, baseline, totals = checked_picture(image, baseline, attribution)
    labels, num_regions = checked_labels(
        labels, size_hw=image.shape[:2], num_regions=num_regions
    )
    size = _subset_size(share, num_regions)
    measure = compiled(
        _faithfulness,
        fn,
        num_regions=num_regions,
        size=size,
        num_subsets=num_subsets,
        kind=kind,
        chunk=chunk,
    )
    return measure(key, image, totals, baseline, labels)


def mu_fidelity(
    key: Key,
    fn: ScalarFn,
    image: Picture,
    attribution: Float[Array, "h w *c"],
    *,
    baseline: Picture,
    grid: int = 9,
    share: float = 0.2,
    num_subsets: int = 200,
    chunk: int = 16,
) -> Faithfulness:
    """The rank correlation of drops with sums of the map, over random cells of a grid.

    `faithfulness_correlation` of ranks on a `grid x grid` of cells: what is asked for
    is the order of the drops, not their size.

    Args:
      key: random key of the subsets.
      fn: pictures `b h w c` to one number each, `b`.
      image: one picture `h w c`, of at least `grid` pixels a side.
      attribution: its map, `h w c` or `h w`, in the unit of `fn`.
      baseline: the picture that takes the place of what is removed, `h w c`.
      grid: cells a side.
      share: of the cells in each subset, in (0, 1).
      num_subsets: how many, at least 4.
      chunk: pictures evaluated at once, which decides the memory.

    Returns:
      A `Faithfulness`.

    Raises:
      ValueError: a wrong shape or number.
      TypeError: a picture that is not float.

    Reference: Bhatt, Weller and Moura 2020, by ranks and cells as is usual for
      pictures.
    """
    height, width, _ = checked_image(image).shape
    labels = grid_regions((height, width), rows=grid, columns=grid)
    return faithfulness_correlation(
        key,
        fn,
        image,
        attribution,
        labels,
        baseline=baseline,
        share=share,
        num_subsets=num_subsets,
        num_regions=grid * grid,
        kind="spearman",
        chunk=chunk,
    )


def _subset_size(share: float, num_regions: int) -> int:
    if not 0 < share < 1:
        raise ValueError(f"share: expected a number between 0 and 1, got {share}")
    return min(max(round(share * num_regions), 1), num_regions - 1)


def _faithfulness(
    fn: ScalarFn,
    key: Key,
    image: Picture,
    totals: Float[Array, "h w"],
    baseline: Picture,
    labels: Labels,
    *,
    num_regions: int,
    size: int,
    num_subsets: int,
    kind: str,
    chunk: int,
) -> Faithfulness:
    def remove(chosen: Bool[Array, " k"]) -> tuple[Array, Array]:
        inside = in_chosen_regions(labels, chosen)
        changed = jnp.where(inside[:, :, None], baseline, image)
        return value(fn, changed), jnp.where(inside, totals, 0).sum()

    draws = jax.random.uniform(key, (num_subsets, num_regions))
    subsets = jnp.argsort(draws, axis=1) < size
    # The whole picture by the same program, so that equal pictures drop by exactly 0.
    subsets = jnp.concatenate([jnp.zeros((1, num_regions), bool), subsets])
    values, sums = map_in_chunks(remove, subsets, chunk=chunk)
    drops, sums = values[0] - values[1:], sums[1:]
    result = correlation(drops, sums, kind=kind)
    low, high = correlation_interval(result, num_samples=num_subsets, kind=kind)
    chance = jnp.sqrt(jnp.asarray(1 / (num_regions - 1) + 1 / num_subsets))
    return Faithfulness(result, low, high, chance, drops, sums)
