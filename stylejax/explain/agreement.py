"""The agreement triangle: do several methods say the same about the same regions?

Gradients along a path, taking a region away and putting it in answer different
questions about a function whose regions work together. For an additive function the
answers are equal, exactly; otherwise how far they differ belongs beside every map.
"""

import dataclasses
import itertools
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from stylejax.checks import check_positive
from stylejax.explain.paired import mean_ranks

_EXACT = 1e-4


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


def _correlations(rows: np.ndarray) -> np.ndarray:
    """Of every two rows; NaN for rows that say the same everywhere."""
    # Scaled first, so that the squares of tiny effects do not vanish.
    centred = rows / (np.abs(rows).max() or 1.0)
    centred = centred - centred.mean(axis=1, keepdims=True)
    centred[np.ptp(rows, axis=1) == 0] = np.nan
    units = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    return np.clip(units @ units.T, -1, 1)
