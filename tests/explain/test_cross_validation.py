"""Folds that share no group, look alike, and control tasks that can be remembered."""

import numpy as np
import pytest
from sklearn.model_selection import StratifiedGroupKFold

from stylejax.explain.cross_validation import (
    assign_folds,
    control_targets,
    nested_folds,
    numbered,
    quantile_strata,
    recurring,
)


def drawn(seed, *, num_groups=40, count=300, num_classes=3):
    generator = np.random.default_rng(seed)
    groups = generator.integers(num_groups, size=count)
    return generator.integers(num_classes, size=count), groups


def unevenness(folds, labels):
    """How far the folds are from equal parts of every label, in examples."""
    counts = np.array([np.bincount(labels[folds == k], minlength=3) for k in range(5)])
    return np.abs(counts - counts.mean(0)).mean()


def test_every_label_is_spread_to_within_one_example():
    labels, _ = drawn(0)
    folds = assign_folds(labels, num_folds=5)
    for label in range(3):
        counts = np.bincount(folds[labels == label], minlength=5)
        assert np.ptp(counts) <= 1
    assert np.ptp(np.bincount(folds)) <= 3


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_group_is_in_two_folds_and_the_folds_look_alike(seed):
    labels, groups = drawn(seed)
    folds = assign_folds(labels, groups=groups, num_folds=5, seed=seed)
    for group in np.unique(groups):
        assert len(np.unique(folds[groups == group])) == 1
    assert np.ptp(np.bincount(folds, minlength=5)) <= 10
    splitter = StratifiedGroupKFold(5, shuffle=True, random_state=seed)
    other = np.zeros_like(folds)
    for k, (_, test) in enumerate(splitter.split(labels, labels, groups)):
        other[test] = k
    assert unevenness(folds, labels) <= 1.5 * unevenness(other, labels)


def test_groups_of_one_label_are_balanced_as_well():
    """The usual case: all crops of a scene share its label."""
    labels = np.repeat(np.arange(40) % 2, 5)
    folds = assign_folds(labels, groups=np.repeat(np.arange(40), 5), num_folds=4)
    for fold in range(4):
        assert np.bincount(labels[folds == fold]).tolist() == [25, 25]


def test_the_seed_decides():
    labels, groups = drawn(0)
    first, again, other = (
        assign_folds(labels, groups=groups, seed=seed) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_names_may_be_words():
    folds = assign_folds(["x"] * 4, groups=["a", "b", "a", "b"], num_folds=2)
    assert folds[0] == folds[2] != folds[1] == folds[3]


def test_nested_training_sets_hold_nothing_that_the_outer_fold_tests():
    labels, groups = drawn(5)
    folds = nested_folds(labels, groups=groups, num_folds=4, num_inner_folds=3)
    outer, inner = folds.training_masks(), folds.inner_training_masks()
    tested = folds.inner_test_masks()
    assert outer.shape == (4, 300)
    assert inner.shape == tested.shape == (4, 3, 300)
    assert ((1 - outer).sum(0) == 1).all()
    np.testing.assert_array_equal((inner + tested), outer[:, None].repeat(3, 1))
    np.testing.assert_array_equal(tested.sum(1), outer)
    for fold, part in np.ndindex(4, 3):
        trained = set(groups[inner[fold, part] > 0])
        assert trained.isdisjoint(groups[tested[fold, part] > 0])
        assert trained.isdisjoint(groups[outer[fold] == 0])


def test_too_few_groups_are_refused():
    with pytest.raises(
        ValueError, match="expected 2 to 3, the number of groups, got 5"
    ):
        assign_folds(np.zeros(9), groups=np.arange(9) // 3)
    with pytest.raises(ValueError, match="num_folds: expected 2 to"):
        assign_folds(np.zeros(9), num_folds=1)
    with pytest.raises(ValueError, match="groups: expected one for each of 9, got 8"):
        assign_folds(np.zeros(9), groups=np.zeros(8))
    with pytest.raises(ValueError, match="strata: expected one for each example"):
        assign_folds(np.zeros((3, 3)))


def test_quantile_strata_are_of_one_size_and_in_order():
    values = np.random.default_rng(0).normal(size=100)
    bins = quantile_strata(values, num_bins=4)
    assert np.bincount(bins).tolist() == [25] * 4
    assert values[bins == 0].max() < values[bins == 1].min()


def test_control_labels_are_a_shuffle_over_groups():
    groups = np.random.default_rng(0).permutation(np.repeat(np.arange(30), 4))
    labels = (np.arange(30) % 3)[groups]
    control = control_targets(labels, groups=groups, seed=1)
    per_group = [np.unique(control[groups == g]) for g in range(30)]
    assert all(len(values) == 1 for values in per_group)
    counts = np.bincount(np.concatenate(per_group))
    assert counts.tolist() == [10, 10, 10]
    assert (control != labels).mean() > 0.4
    assert (control != control_targets(labels, groups=groups, seed=2)).any()


def test_control_labels_of_mixed_groups_keep_the_marginal_on_average():
    """Taking the first example, or the most frequent label, would not."""
    groups = np.repeat(np.arange(2000), 5)
    labels = (np.arange(10_000) % 5 == 4).astype(int)
    control = control_targets(labels, groups=groups, seed=0)
    assert abs(control.mean() - 0.2) < 4 * np.sqrt(0.16 / 2000)


def test_control_columns_stay_together():
    targets = np.arange(12.0).reshape(6, 2)
    control = control_targets(targets, groups=[0, 0, 1, 1, 2, 2], seed=0)
    rows = {tuple(row) for row in targets}
    assert {tuple(row) for row in control} < rows
    np.testing.assert_array_equal(control[::2], control[1::2])


def test_folds_over_ids_leave_part_of_every_group_for_training():
    """Otherwise a control task could not be solved by remembering."""
    groups = np.random.default_rng(1).integers(60, size=200)
    folds = nested_folds(groups, num_folds=5)
    for mask in folds.training_masks():
        tested = groups[(mask == 0) & recurring(groups)]
        assert set(tested) <= set(groups[mask > 0])


def test_recurring_and_numbered():
    assert recurring([5, 7, 5, 9]).tolist() == [True, False, True, False]
    assert numbered(["b", "a", "b"], name="ids").tolist() == [1, 0, 1]
    with pytest.raises(ValueError, match="groups: expected 4|each of 4"):
        control_targets(np.zeros(4), groups=[0, 1], seed=0)
