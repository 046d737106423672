"""How well numbers tell two kinds of models or pictures apart, with honest intervals.

A proof of an explainer ends in few, expensive cases: twenty models with a planted fault
and twenty without. What is said about them needs intervals that hold for so few, also
where every case came out right. All of it runs on the host in float64.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special

from stylejax.checks import check_choice, check_same_shape
from stylejax.metrics.pixel import Interval


class RocAuc(NamedTuple):
    """An area under the ROC curve, with its interval.

    Attributes:
      auc: the chance that a positive scores above a negative; ties count one half.
      interval: of `auc`.
      method: `"delong"`, or `"newcombe"` where DeLong's variance is zero.
      num_positives: how many positives there were.
      num_negatives: how many negatives there were.
    """

    auc: float
    interval: Interval
    method: str
    num_positives: int
    num_negatives: int


class Detection(NamedTuple):
    """What a threshold detects, and how often it cries wolf.

    Attributes:
      rate: share of the positives above the threshold.
      interval: Clopper-Pearson, of `rate`.
      threshold: scores above it count as detected.
      false_alarm_rate: share of the negatives above it.
      false_alarm_interval: Clopper-Pearson, too low where the threshold was chosen on
        the same negatives.
    """

    rate: float
    interval: Interval
    threshold: float
    false_alarm_rate: float
    false_alarm_interval: Interval


def roc_auc(scores: ArrayLike, labels: ArrayLike, *, level: float = 0.95) -> RocAuc:
    """The area under the ROC curve and its interval.

    DeLong's variance is zero where the two kinds are fully separated, which says
    nothing about the next case. There Newcombe's interval stands instead: from 0.90 for
    20 against 20.

    Args:
      scores: (n,), finite; higher means more likely positive.
      labels: (n,), true or 1 for positives; two of each kind at least.
      level: coverage, in (0, 1).

    Returns:
      `RocAuc`.

    Raises:
      ValueError: shapes, labels or numbers that do not fit.

    Example:
      >>> found = roc_auc([0.1, 0.4, 0.3, 0.8], [0, 0, 1, 1])
      >>> found.auc, found.method
      (0.75, 'delong')

    Reference:
      DeLong, DeLong and Clarke-Pearson 1988. Newcombe 2006, "Confidence intervals for
      an effect size measure based on the Mann-Whitney statistic, part 2", method 5.
    """
    positives, negatives = _two_kinds(scores, labels, least=2)
    z = _z(level)
    of_positives = _placements(positives, negatives)
    of_negatives = _placements(negatives, positives)
    auc = float(of_positives.mean())
    m, n = len(positives), len(negatives)
    variance = of_positives.var(ddof=1) / m + of_negatives.var(ddof=1) / n
    if variance > 0:
        half = z * float(np.sqrt(variance))
        interval = Interval(max(0.0, auc - half), min(1.0, auc + half))
        return RocAuc(auc, interval, "delong", m, n)
    return RocAuc(auc, _newcombe(auc, m, n, z), "newcombe", m, n)


def detection_rate(
    scores: ArrayLike,
    labels: ArrayLike,
    *,
    threshold: float | None = None,
    false_alarm_rate: float = 0.05,
    level: float = 0.95,
) -> Detection:
    """How many positives are found at a threshold, or at a rate of false alarms.

    Args:
      scores: (n,), finite; higher means more likely positive.
      labels: (n,), true or 1 for positives; one of each kind at least.
      threshold: scores above it count as detected. None takes the lowest score of a
        negative that at most `false_alarm_rate` of the negatives exceed.
      false_alarm_rate: in [0, 1); only where `threshold` is None.
      level: coverage of the intervals, in (0, 1).

    Returns:
      `Detection`.

    Raises:
      ValueError: shapes, labels or numbers that do not fit.

    Example:
      >>> detection_rate([1.0, 2.0, 2.5, 3.0], [0, 0, 1, 1]).rate
      1.0
    """
    positives, negatives = _two_kinds(scores, labels, least=1)
    if threshold is None:
        if not 0 <= false_alarm_rate < 1:
            raise ValueError(
                f"false_alarm_rate: expected a number in [0, 1), got {false_alarm_rate}"
            )
        # A little added: 0.15 * 20 must allow three, whatever binary makes of it.
        allowed = int(np.floor(false_alarm_rate * len(negatives) + 1e-9))
        threshold = float(np.sort(negatives)[::-1][allowed])
    found, alarms = (int((kind > threshold).sum()) for kind in (positives, negatives))
    return Detection(
        rate=found / len(positives),
        interval=_exact(found, len(positives), level),
        threshold=float(threshold),
        false_alarm_rate=alarms / len(negatives),
        false_alarm_interval=_exact(alarms, len(negatives), level),
    )


def binomial_interval(
    successes: int, trials: int, *, level: float = 0.95, method: str = "wilson"
) -> Interval:
    """The interval of a rate of which so many trials succeeded.

    Args:
      successes: from 0 to `trials`.
      trials: at least 1.
      level: coverage, in (0, 1).
      method: `"wilson"`, right on average over the rates, or `"clopper_pearson"`,
        never below `level` and therefore wider.

    Returns:
      `Interval(low, high)`, in [0, 1].

    Raises:
      ValueError: numbers out of range, or an unknown method.

    Example:
      >>> [round(end, 3) for end in binomial_interval(20, 20)]
      [0.839, 1.0]

    Reference:
      Wilson 1927; Clopper and Pearson 1934.
    """
    check_choice(method, choices=("wilson", "clopper_pearson"), name="method")
    if not (0 <= successes <= trials and trials >= 1):
        raise ValueError(
            "expected at least one trial and successes from 0 to all of them, got"
            f" {successes} of {trials}"
        )
    if method == "clopper_pearson":
        return _exact(int(successes), int(trials), level)
    z = _z(level)
    rate, scale = successes / trials, 1 + z**2 / trials
    center = (rate + z**2 / (2 * trials)) / scale
    spread = rate * (1 - rate) / trials + z**2 / (4 * trials**2)
    half = z * float(np.sqrt(spread)) / scale
    low = 0.0 if successes == 0 else max(0.0, center - half)
    return Interval(low, 1.0 if successes == trials else min(1.0, center + half))


def _placements(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Of each value, the share of the others below it; ties count one half."""
    ordered = np.sort(others)
    below = np.searchsorted(ordered, values, side="left")
    return (below + np.searchsorted(ordered, values, side="right")) / (2 * len(others))


def _newcombe(auc: float, m: int, n: int, z: float) -> Interval:
    star = (m + n) / 2 - 1

    def excess(theta: float) -> float:
        spread = 1 + star * ((1 - theta) / (2 - theta) + theta / (1 + theta))
        return (auc - theta) ** 2 - z**2 * theta * (1 - theta) * spread / (m * n)

    low = 0.0 if auc == 0 else optimize.brentq(excess, 0.0, auc - 1e-12)
    high = 1.0 if auc == 1 else optimize.brentq(excess, auc + 1e-12, 1.0)
    return Interval(float(low), float(high))


def _exact(successes: int, trials: int, level: float) -> Interval:
    tail, failures = (1 - _checked(level)) / 2, trials - successes
    low = special.betaincinv(successes, failures + 1, tail) if successes else 0.0
    high = special.betaincinv(successes + 1, failures, 1 - tail) if failures else 1.0
    return Interval(float(low), float(high))


def _checked(level: float) -> float:
    if not 0 < level < 1:
        raise ValueError(f"level: expected a number between 0 and 1, got {level}")
    return level


def _z(level: float) -> float:
    return float(special.ndtri((1 + _checked(level)) / 2))


def _two_kinds(
    scores: ArrayLike, labels: ArrayLike, *, least: int
) -> tuple[np.ndarray, np.ndarray]:
    values, kinds = np.asarray(scores, np.float64), np.asarray(labels)
    check_same_shape(values, kinds, names=("scores", "labels"))
    if values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError(
            f"scores: expected finite numbers of shape (n,), got shape {values.shape}"
            f" with {int((~np.isfinite(values)).sum())} that are not finite"
        )
    if not np.isin(kinds, (0, 1)).all():
        raise ValueError(
            f"labels: expected 0 or 1, got {np.unique(kinds)[:4].tolist()}"
        )
    positive = kinds.astype(bool)
    counts = int(positive.sum()), int((~positive).sum())
    if min(counts) < least:
        raise ValueError(
            f"labels: expected at least {least} of each kind, got {counts[0]} positives"
            f" and {counts[1]} negatives"
        )
    return values[positive], values[~positive]
