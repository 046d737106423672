"""Tests of pairs: the same pictures, seen by two methods, models or moments.

On the host, in float64, with p-values that are exact or count what was drawn.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from stylejax.checks import check_choice, check_same_shape
from stylejax.metrics.pixel import Interval, bootstrap_interval

ALTERNATIVES = ("two-sided", "greater")
"""What a paired test may be asked: any difference, or that the first is greater."""

# All sign flips of so many pairs are tried; of more, some are drawn.
_EXACT_PAIRS = 14


class PairedTest(NamedTuple):
    """Whether the first of each pair is greater, by how much and how surely.

    Attributes:
      mean: mean of first minus second.
      interval: bootstrap interval of `mean` over the pairs.
      permutation_p: of the mean, under random signs of the differences.
      sign_p: of the number of wins, whatever their size; ties are left out.
      wins: pairs where the first is greater.
      losses: pairs where the second is greater.
      ties: pairs where they are equal.
    """

    mean: float
    interval: Interval
    permutation_p: float
    sign_p: float
    wins: int
    losses: int
    ties: int


def sign_test(wins: int, losses: int, *, alternative: str = "two-sided") -> float:
    """The chance of so uneven a split of fair coins: the exact sign (McNemar) test.

    Args:
      wins: how often the first was greater (or: what only the first has).
      losses: how often the second was greater (or: what only the second has).
      alternative: `"two-sided"`, or `"greater"` for more wins than losses.

    Returns:
      p, in (0, 1]; 1 where there is neither.

    Raises:
      ValueError: negative counts, or an unknown alternative.

    Example:
      >>> sign_test(5, 0)
      0.0625

    Reference:
      McNemar 1947, with exact binomial chances.
    """
    check_choice(alternative, choices=ALTERNATIVES, name="alternative")
    if min(wins, losses) < 0:
        raise ValueError(f"expected counts of at least 0, got {wins} and {losses}")
    total = wins + losses
    if alternative == "greater":
        return float(special.bdtr(losses, total, 0.5))
    return min(1.0, 2 * float(special.bdtr(min(wins, losses), total, 0.5)))


def paired_test(
    first: ArrayLike,
    second: ArrayLike,
    *,
    alternative: str = "two-sided",
    num_resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> PairedTest:
    """Whether the first of each pair is greater than the second.

    Args:
      first: (n,), finite, such as our method's score on each picture.
      second: (n,), of the same pictures in the same order.
      alternative: a name in `ALTERNATIVES`.
      num_resamples: sign flips tried, and bootstrap samples. Up to 14 pairs all flips
        are tried and the p-value is exact.
      seed: of flips and resamples.
      level: coverage of the interval, in (0, 1).

    Returns:
      `PairedTest`.

    Raises:
      ValueError: shapes or numbers that do not fit.

    Example:
      >>> paired_test([2.0, 3.0, 5.0], [1.0, 1.0, 1.0]).permutation_p
      0.25

    Reference:
      Fisher 1935. Drawn flips count the observed one as well, so p is never 0.
    """
    check_choice(alternative, choices=ALTERNATIVES, name="alternative")
    one, other = (np.asarray(x, np.float64) for x in (first, second))
    check_same_shape(one, other, names=("first", "second"))
    differences = one - other
    interval = bootstrap_interval(
        differences, seed=seed, num_resamples=num_resamples, level=level
    )
    wins, losses = int(np.sum(differences > 0)), int(np.sum(differences < 0))
    return PairedTest(
        mean=float(differences.mean()),
        interval=interval,
        permutation_p=_sign_flips(differences, alternative, num_resamples, seed),
        sign_p=sign_test(wins, losses, alternative=alternative),
        wins=wins,
        losses=losses,
        ties=len(differences) - wins - losses,
    )


def mean_ranks(values: ArrayLike) -> np.ndarray:
    """The ranks of numbers, from 1; equal ones share the mean of their ranks.

    Args:
      values: (n,).

    Returns:
      (n,), float64.

    Example:
      >>> mean_ranks([5.0, 1.0, 5.0]).tolist()
      [2.5, 1.0, 2.5]
    """
    numbers = np.asarray(values)
    ordered = np.sort(numbers)
    first = np.searchsorted(ordered, numbers, side="left")
    return (first + np.searchsorted(ordered, numbers, side="right") + 1) / 2


def _sign_flips(
    differences: np.ndarray, alternative: str, num_resamples: int, seed: int
) -> float:
    n = len(differences)
    exact = n <= _EXACT_PAIRS
    if exact:
        bits = (np.arange(2**n)[:, None] >> np.arange(n)[None]) & 1
    else:
        bits = np.random.default_rng(seed).integers(2, size=(num_resamples, n))
    sums = (2 * bits - 1) @ differences
    observed = differences.sum()
    # Equal sums count as at least as extreme, whatever the rounding of their order.
    slack = 1e-12 * np.abs(differences).sum()
    if alternative == "two-sided":
        sums, observed = np.abs(sums), abs(observed)
    extreme = int((sums >= observed - slack).sum())
    return extreme / len(sums) if exact else (extreme + 1) / (len(sums) + 1)
