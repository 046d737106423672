"""Scores, intervals and control tasks, each against numbers worked out by hand."""

import numpy as np
import pytest

from stylejax.explain import probe_protocol
from stylejax.explain.cross_validation import nested_folds
from stylejax.explain.description_length import code_blocks
from stylejax.explain.probe_protocol import (
    Scored,
    evaluate,
    make_task,
    run_control,
    score_interval,
)
from stylejax.explain.probe_selection import CrossValidation


def scored(lost, scale=None):
    """What `evaluate` gives, of known losses."""
    lost = np.asarray(lost, float)
    scale = np.ones(len(lost)) if scale is None else np.asarray(scale, float)
    return Scored(np.zeros(2), lost, scale, None, None)


@pytest.fixture
def fixed_scores(monkeypatch):
    """`evaluate` with probes whose scores are given."""

    def fix(scores, baseline):
        result = CrossValidation(
            scores=np.asarray(scores),
            baseline=np.asarray(baseline),
            probe=None,
            l2=1.0,
            fold_l2=(1.0,),
            converged=True,
            num_iterations=1,
            extra_scores=np.zeros((20, 1, len(scores), 1)),
        )
        monkeypatch.setattr(probe_protocol, "cross_validate", lambda *_, **__: result)

    return fix


# --- tasks --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "labels", [["red", "blue", "red"], [7, 3, 7], [True, False, 1]]
)
def test_labels_of_any_name_are_numbered_in_order(labels):
    task = make_task(labels, num_examples=3)
    assert task.kind == "logistic"
    assert task.labels.tolist() == [1, 0, 1]
    assert task.classes == tuple(sorted(set(np.asarray(labels).tolist())))
    assert task.targets.tolist() == [[1], [0], [1]]
    assert task.majority == pytest.approx(2 / 3)


def test_floats_are_a_regression_balanced_by_quantiles():
    values = np.random.default_rng(0).normal(size=50)
    task = make_task(values, num_examples=50)
    assert (task.kind, task.majority, task.classes) == ("ridge", 0.0, ())
    assert np.bincount(task.strata).tolist() == [10] * 5
    assert make_task(np.eye(4), num_examples=4).targets.shape == (4, 4)


@pytest.mark.parametrize(
    ("labels", "match"),
    [
        ([1, 1, 1], "at least two classes, got one"),
        ([0.5, 0.5, 0.5], "expected a factor that varies"),
        ([0, 1], "expected 3 whole numbers or names"),
        (np.eye(3, dtype=int), "expected 3 whole numbers or names"),
        ([0.0, 1.0], "one row for each of 3 examples"),
    ],
)
def test_labels_that_are_no_task(labels, match):
    with pytest.raises(ValueError, match=match):
        make_task(labels, num_examples=3)


# --- scores -------------------------------------------------------------------------


def test_accuracy_is_the_mean_of_the_folds(fixed_scores):
    labels = np.array([0, 1, 0, 1, 0, 1])
    task = make_task(labels, num_examples=6)
    folds = nested_folds(labels, num_folds=3, num_inner_folds=2)
    blocks = code_blocks(6, num_classes=2)
    scores = np.where(labels == 1, 1.0, -1.0)
    scores[folds.outer == 1] *= -1
    fixed_scores(scores[:, None], np.zeros((6, 1)))
    result = evaluate(np.zeros((6, 2)), task, folds, blocks, l2_grid=[1])
    assert result.fold_scores.tolist() == [1, 0, 1]
    assert result.score == pytest.approx(2 / 3)
    assert result.std == pytest.approx(np.std([1, 0, 1], ddof=1))
    counted = folds.outer != 1
    only = evaluate(np.zeros((6, 2)), task, folds, blocks, l2_grid=[1], counted=counted)
    assert only.fold_scores.tolist() == [1, 1]
    counted = np.flatnonzero(folds.outer == 1)[:1] != np.arange(6)
    only = evaluate(np.zeros((6, 2)), task, folds, blocks, l2_grid=[1], counted=counted)
    assert only.fold_scores.tolist() == [1, 0, 1]


def test_r2_is_against_the_mean_of_the_training_fold(fixed_scores):
    values = np.array([1.0, 2.0, 4.0, 8.0])
    task = make_task(values, num_examples=4)
    folds = nested_folds(np.zeros(4), num_folds=2, num_inner_folds=2)
    predictions, means = values + [1, 0, -1, 2], np.array([3.0, 3.0, 5.0, 5.0])
    fixed_scores(predictions[:, None], means[:, None])
    result = evaluate(
        np.zeros((4, 2)), task, folds, code_blocks(4, num_classes=2), l2_grid=[1]
    )
    lost, scale = np.array([1, 0, 1, 4]), (values - means) ** 2
    for fold, score in enumerate(result.fold_scores):
        here = folds.outer == fold
        assert score == pytest.approx(1 - lost[here].sum() / scale[here].sum())
    assert result.description is None


# --- intervals ----------------------------------------------------------------------


def test_independent_answers_get_wilson_s_interval():
    """The formula of 1927; at 40 of 40 the normal interval would have no width."""
    task = make_task([0, 1] * 20, num_examples=40)
    for wrong in (0, 6):
        lost = np.arange(40) < wrong
        interval, method = score_interval(scored(lost), task, np.arange(40), seed=0)
        share, z = 1 - wrong / 40, 1.959964
        middle = (share + z**2 / 80) / (1 + z**2 / 40)
        reach = z * np.sqrt(share * (1 - share) / 40 + z**2 / 6400) / (1 + z**2 / 40)
        assert interval == pytest.approx((middle - reach, middle + reach), abs=1e-5)
        assert method == "Wilson"


def test_groups_that_stand_or_fall_together_count_once():
    """Twenty groups of ten equal answers are twenty answers, not two hundred."""
    task = make_task([0, 1] * 100, num_examples=200)
    groups = np.arange(200) // 10
    lost = (groups % 2).astype(float)
    grouped, method = score_interval(scored(lost), task, groups, seed=0)
    assert method == "bootstrap over 20 groups"
    alone, _ = score_interval(scored(lost), task, np.arange(200), seed=0)
    ratio = (grouped.high - grouped.low) / (alone.high - alone.low)
    assert ratio == pytest.approx(np.sqrt(10), rel=0.15)
    assert grouped.low < 0.5 < grouped.high


def test_the_interval_of_r2_is_a_bootstrap_of_the_ratio():
    generator = np.random.default_rng(0)
    scale = generator.chisquare(1, size=400)
    task = make_task(generator.normal(size=400), num_examples=400)
    exact, method = score_interval(
        scored(0.25 * scale, scale), task, np.arange(400), seed=0
    )
    assert exact == pytest.approx((0.75, 0.75))
    assert method == "bootstrap over 400 examples"
    noisy, _ = score_interval(
        scored(0.25 * generator.chisquare(1, size=400), scale),
        task,
        np.arange(400),
        seed=0,
    )
    assert 0.6 < noisy.low < 0.75 < noisy.high < 0.85


# --- control ------------------------------------------------------------------------


def control_of(groups, **options):
    count = len(groups)
    task = make_task(np.arange(count) % 2, num_examples=count)
    settings = {"num_controls": 2, "num_folds": 5, "num_inner_folds": 2} | options
    blocks = code_blocks(count, num_classes=2)
    features = np.zeros((count, 2), np.float32)
    return run_control(
        features, task, np.asarray(groups), blocks, l2_grid=[1], seed=0, **settings
    )


@pytest.mark.parametrize(
    ("groups", "options", "why"),
    [
        (np.arange(30), {}, "no group has two examples, so that no label could be"),
        (np.append(np.arange(28), [0, 0]), {}, "few groups recur"),
        (np.arange(30) // 3, {"num_controls": 0}, "none was asked for"),
    ],
)
def test_a_control_that_means_nothing_is_not_invented(groups, options, why):
    control = control_of(groups, **options)
    assert np.isnan(control.score)
    assert np.isnan(control.std)
    assert why in control.note


def test_a_control_says_what_it_was_made_of(monkeypatch):
    """Its labels are constant in a group, its folds are not."""
    seen = []

    def watch(features, task, folds, blocks, *, l2_grid, counted):
        seen.append((task.labels, folds.outer, counted))
        return Scored(np.array([0.5, 0.7]), None, None, None, None)

    monkeypatch.setattr(probe_protocol, "evaluate", watch)
    groups = np.append(np.arange(24) // 3, [20, 21, 22, 23, 24, 25])
    control = control_of(groups)
    assert control.score == pytest.approx(0.6)
    assert (
        control.note == "2 random labelings of 8 groups, scored on 80% of the examples"
    )
    assert (seen[0][0] != seen[1][0]).any()
    for labels, outer, counted in seen:
        assert counted.sum() == 24
        for group in range(8):
            assert len(np.unique(labels[groups == group])) == 1
            assert len(np.unique(outer[groups == group])) == 3
