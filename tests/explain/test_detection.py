"""Intervals and areas against scikit-learn, SciPy and answers worked out by hand."""

import numpy as np
import pytest
import scipy.stats
from sklearn.metrics import roc_auc_score

from stylejax.explain.detection import binomial_interval, detection_rate, roc_auc

LABELS = np.repeat([0, 1], 20)


def delong(positives, negatives):
    """The covariance of the structural components, pair by pair."""
    wins = np.array([[(p > n) + 0.5 * (p == n) for n in negatives] for p in positives])
    variance = wins.mean(axis=1).var(ddof=1) / len(positives)
    return wins.mean(), np.sqrt(
        variance + wins.mean(axis=0).var(ddof=1) / len(negatives)
    )


@pytest.mark.parametrize("decimals", [8, 0])
@pytest.mark.parametrize("num_positives", [2, 7, 30])
def test_the_area_and_delong_s_interval(decimals, num_positives, generator):
    """With ties too, where ranks must be shared."""
    negatives = generator.normal(size=25).round(decimals)
    positives = generator.normal(0.8, 2.0, size=num_positives).round(decimals)
    scores = np.concatenate([positives, negatives])
    labels = np.repeat([True, False], [num_positives, 25])
    found = roc_auc(scores, labels)
    auc, error = delong(positives, negatives)
    assert found.method == "delong"
    assert found.auc == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert found.auc == pytest.approx(auc, abs=1e-12)
    expected = np.clip([auc - 1.959964 * error, auc + 1.959964 * error], 0, 1)
    np.testing.assert_allclose(found.interval, expected, atol=1e-6)
    assert (found.num_positives, found.num_negatives) == (num_positives, 25)


def newcombe_s_equation(theta, auc, m, n):
    star = (m + n) / 2 - 1
    spread = 1 + star * ((1 - theta) / (2 - theta) + theta / (1 + theta))
    return (auc - theta) ** 2 - 1.959964**2 * theta * (1 - theta) * spread / (m * n)


def test_full_separation_is_no_certainty():
    """DeLong's interval would be [1, 1]."""
    found = roc_auc(np.arange(40), LABELS)
    assert (found.auc, found.method, found.interval.high) == (1.0, "newcombe", 1.0)
    assert found.interval.low == pytest.approx(0.8987, abs=1e-4)
    equation = newcombe_s_equation(found.interval.low, 1.0, 20, 20)
    assert equation == pytest.approx(0, abs=1e-6)


def test_separation_the_wrong_way_mirrors_it():
    right, wrong = roc_auc(np.arange(40), LABELS), roc_auc(-np.arange(40), LABELS)
    assert wrong.auc == 0
    np.testing.assert_allclose(wrong.interval, (0, 1 - right.interval.low), atol=1e-9)


def test_equal_scores_say_nothing():
    found = roc_auc(np.ones(40), LABELS)
    assert found.auc == 0.5
    assert found.interval.low < 0.35
    assert found.interval.high > 0.65


def test_nine_of_ten_intervals_of_level_0_9_hold_the_truth():
    """Coverage by simulation: normal scores one apart, area Phi(1 / sqrt 2)."""
    generator, hits = np.random.default_rng(1), 0
    truth = scipy.stats.norm.cdf(1 / np.sqrt(2))
    for _ in range(400):
        scores = generator.normal(size=80) + np.repeat([0, 1], 40)
        low, high = roc_auc(scores, np.repeat([0, 1], 40), level=0.9).interval
        hits += low <= truth <= high
    assert 0.86 <= hits / 400 <= 0.94


@pytest.mark.parametrize("method", ["wilson", "clopper_pearson"])
@pytest.mark.parametrize("successes", [0, 1, 10, 19, 20])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_binomial_intervals(method, successes, level):
    found = binomial_interval(successes, 20, level=level, method=method)
    scipy_s = {"wilson": "wilson", "clopper_pearson": "exact"}[method]
    expected = scipy.stats.binomtest(successes, 20).proportion_ci(level, scipy_s)
    np.testing.assert_allclose(found, (expected.low, expected.high), atol=1e-9)


def test_a_threshold_is_set_by_the_false_alarms_it_may_give():
    """Of 20 negatives 0 to 19 at most one, 15 % of them three, may be above."""
    scores = np.concatenate([np.arange(20.0), [17.5, 18.5, 19.5, 30.0]])
    labels = np.repeat([0, 1], [20, 4])
    strict = detection_rate(scores, labels)
    assert (strict.threshold, strict.false_alarm_rate, strict.rate) == (
        18.0,
        0.05,
        0.75,
    )
    loose = detection_rate(scores, labels, false_alarm_rate=0.15)
    assert (loose.threshold, loose.false_alarm_rate, loose.rate) == (16.0, 0.15, 1.0)
    none = detection_rate(scores, labels, false_alarm_rate=0)
    assert (none.threshold, none.false_alarm_rate, none.rate) == (19.0, 0, 0.5)
    expected = scipy.stats.binomtest(3, 4).proportion_ci(0.95, "exact")
    np.testing.assert_allclose(strict.interval, (expected.low, expected.high))


def test_a_given_threshold_is_kept_and_equal_scores_are_no_detection():
    found = detection_rate([1.0, 2.0, 2.0, 3.0], [0, 0, 1, 1], threshold=2.0)
    assert (found.rate, found.false_alarm_rate, found.threshold) == (0.5, 0, 2.0)
    expected = scipy.stats.binomtest(0, 2).proportion_ci(0.95, "exact")
    np.testing.assert_allclose(found.false_alarm_interval, (0, expected.high))


def test_ties_among_negatives_do_not_break_the_promise():
    """Nine equal negatives: any threshold below them would raise nine alarms."""
    scores = np.concatenate([np.ones(9), [0.0], [0.5, 2.0]])
    found = detection_rate(scores, np.repeat([0, 1], [10, 2]), false_alarm_rate=0.3)
    assert found.false_alarm_rate <= 0.3
    assert found.rate == 0.5


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: roc_auc([1.0, 2.0], [0, 1]), "at least 2 of each kind, got 1 pos"),
        (lambda: roc_auc([1.0, np.nan, 1, 2], [0, 1, 0, 1]), "1 that are not finite"),
        (lambda: roc_auc([1.0, 2, 3, 4], [0, 1, 2, 1]), "expected 0 or 1, got"),
        (lambda: roc_auc([1.0, 2, 3], [0, 1]), "expected scores and labels of one"),
        (lambda: roc_auc([1.0, 2, 3, 4], [0, 1, 0, 1], level=95), "between 0 and 1"),
        (lambda: detection_rate([1.0], [1]), "1 positives and 0 negatives"),
        (
            lambda: detection_rate([1.0, 2.0], [0, 1], false_alarm_rate=1),
            r"expected a number in \[0, 1\)",
        ),
        (lambda: binomial_interval(3, 2), "got 3 of 2"),
        (lambda: binomial_interval(0, 0), "at least one trial"),
        (lambda: binomial_interval(1, 2, method="wald"), "clopper_pearson; got 'wald'"),
    ],
)
def test_mistakes_end_in_one_clear_line(call, match):
    with pytest.raises(ValueError, match=match) as e:
        call()
    assert "\n" not in str(e.value)
