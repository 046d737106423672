"""More of a feature in the target set, more of it in the outputs? An audit.

A translator that must make its pictures look like a target set can do so by painting
what the set has and the input has not. Train it with several shares of the feature in
the target set, and count.
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from stylejax.checks import check_choice
from stylejax.explain.paired import ALTERNATIVES, mean_ranks
from stylejax.metrics.pixel import Interval, bootstrap_interval
from stylejax.typing import Image

# All orders of so many models are tried; of more, `num_resamples` are drawn.
_EXACT_MODELS = 7


@dataclasses.dataclass(frozen=True, eq=False)
class DoseResponse:
    """How much of a feature the outputs have, by its share in the target set.

    Attributes:
      doses: (d,), one of each model.
      means: (d,), mean amount per picture.
      intervals: bootstrap intervals of `means` over the pictures.
      slope: amount per unit of dose, by least squares through all pictures.
      slope_interval: bootstrap interval over the pictures, for these models as they
        are: another training may differ by more.
      picture_p: of a trend over the doses, if the doses of the pictures were drawn.
      model_p: of a trend of the models' means, if the doses of the *models* were drawn:
        the one that speaks about training. Five models cannot go below 1/120.
      alternative: what the two p-values ask.
      paired: whether picture `i` is the same input for every model.
    """

    doses: np.ndarray
    means: np.ndarray
    intervals: tuple[Interval, ...]
    slope: float
    slope_interval: Interval
    picture_p: float
    model_p: float
    alternative: str
    paired: bool

    def summary(self) -> str:
        """One line for people: the means by dose, the slope and both p-values.

        Returns:
          Text without a line break.
        """
        means = ", ".join(
            f"{dose:g}: {mean:.3g}"
            for dose, mean in zip(self.doses, self.means, strict=True)
        )
        return (
            f"amount by dose {means}; slope {self.slope:.3g}"
            f" [{self.slope_interval.low:.3g}, {self.slope_interval.high:.3g}]; trend"
            f" ({self.alternative}) p = {self.picture_p:.2g} over pictures,"
            f" {self.model_p:.2g} over {len(self.doses)} models"
        )


def dose_response(
    detector: Callable[[Image], Any],
    outputs_per_dose: Sequence[ArrayLike],
    doses: ArrayLike,
    *,
    paired: bool = True,
    alternative: str = "greater",
    num_resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> DoseResponse:
    """Whether outputs have more of a feature, the more the target set had of it.

    Inputs without the feature are the strict case: all that is found was added.

    Args:
      detector: pictures (b, h, w, c) to the amount of the feature in each, (b,): a
        count, or an area.
      outputs_per_dose: by model, its outputs (n, h, w, c), all from the same inputs if
        `paired`.
      doses: (d,), the share of the target set of each model that had the feature; two
        different ones at least. Several models (seeds) of one dose sharpen `model_p`.
      paired: whether picture `i` is the same input for every model.
      alternative: `"greater"` for more with more dose, or `"two-sided"`.
      num_resamples: of the bootstrap and of the permutations.
      seed: of both.
      level: coverage of the intervals, in (0, 1).

    Returns:
      `DoseResponse`.

    Raises:
      ValueError: shapes that do not fit, doses that are all equal or not finite.

    Reference:
      Cohen, Luck and Honari 2018, "Distribution matching losses can hallucinate
      features in medical image translation". The trend test is Page's (1963) where the
      pictures are paired, Spearman's otherwise, both by permutation.
    """
    check_choice(alternative, choices=ALTERNATIVES, name="alternative")
    amounts = [_amounts(detector, outputs) for outputs in outputs_per_dose]
    given = np.asarray(doses, np.float64)
    fits = given.shape == (len(amounts),) and np.isfinite(given).all()
    if not fits or len(np.unique(given)) < 2:
        raise ValueError(
            f"doses: expected one number for each of the {len(amounts)} models, all"
            f" finite, two different ones at least, got {np.asarray(doses).tolist()}"
        )
    sizes = [len(values) for values in amounts]
    if paired and len(set(sizes)) > 1:
        raise ValueError(
            "outputs_per_dose: expected as many pictures of every model where they are"
            f" paired, got {sizes}; or say paired=False"
        )
    trend = functools.partial(
        _trend_p, alternative=alternative, num=num_resamples, seed=seed
    )
    means = np.array([values.mean() for values in amounts])
    if paired:
        blocks, block_doses = np.stack(amounts, axis=1), given
    else:
        blocks, block_doses = np.concatenate(amounts)[None], np.repeat(given, sizes)
    return DoseResponse(
        doses=given,
        means=means,
        intervals=tuple(
            bootstrap_interval(
                values, seed=seed, num_resamples=num_resamples, level=level
            )
            for values in amounts
        ),
        slope=float(_slopes(means, given, sizes)),
        slope_interval=_slope_interval(
            amounts, given, paired=paired, num=num_resamples, seed=seed, level=level
        ),
        picture_p=trend(blocks, block_doses),
        model_p=trend(means[None], given),
        alternative=alternative,
        paired=paired,
    )


def _amounts(detector: Callable[[Image], Any], outputs: ArrayLike) -> np.ndarray:
    values = np.asarray(detector(jnp.asarray(outputs)), np.float64)
    if values.shape != np.shape(outputs)[:1] or not np.isfinite(values).all():
        raise ValueError(
            "detector: expected one finite number for each picture of"
            f" {np.shape(outputs)}, got shape {values.shape}"
        )
    return values


def _slopes(means: np.ndarray, doses: np.ndarray, sizes: list[int]) -> np.ndarray:
    """Least squares through all pictures; their means (..., d) are all it needs."""
    weights = np.asarray(sizes) * (doses - np.average(doses, weights=sizes))
    return means @ weights / (weights @ doses)


def _slope_interval(
    amounts: list[np.ndarray],
    doses: np.ndarray,
    *,
    paired: bool,
    num: int,
    seed: int,
    level: float,
) -> Interval:
    generator, sizes = np.random.default_rng(seed), [len(v) for v in amounts]
    if paired:
        chosen = [generator.integers(sizes[0], size=(num, sizes[0]))] * len(amounts)
    else:
        chosen = [generator.integers(size, size=(num, size)) for size in sizes]
    means = [v[i].mean(axis=1) for v, i in zip(amounts, chosen, strict=True)]
    slopes = _slopes(np.stack(means, axis=1), doses, sizes)
    low, high = np.quantile(slopes, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def _trend_p(
    blocks: Float[np.ndarray, "n k"],
    doses: np.ndarray,
    *,
    alternative: str,
    num: int,
    seed: int,
) -> float:
    """Of the sum over blocks of rank times rank of the dose, permuted within blocks."""
    ranks = np.stack([mean_ranks(row) for row in blocks])
    ordered = mean_ranks(doses)
    ordered = ordered - ordered.mean()
    count = ranks.shape[1]
    if len(ranks) == 1 and count <= _EXACT_MODELS:
        orders = np.array(list(itertools.permutations(range(count))))
        sums = ranks[0][orders] @ ordered
    else:
        generator, sums = np.random.default_rng(seed), np.zeros(num)
        for row in ranks:
            sums += generator.permuted(np.tile(row, (num, 1)), axis=1) @ ordered
    observed = float((ranks @ ordered).sum())
    if alternative == "two-sided":
        sums, observed = np.abs(sums), abs(observed)
    extreme = int((sums >= observed - 1e-9).sum())
    drawn = len(ranks) > 1 or count > _EXACT_MODELS
    return (extreme + drawn) / (len(sums) + drawn)
