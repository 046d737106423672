"""Labels, angles and features as arrays, and what is refused."""

import numpy as np
import pytest

from stylejax.explain.probe_arrays import (
    checked_columns,
    checked_features,
    circular_columns,
    class_columns,
    log_probabilities,
    predicted_classes,
)


def test_two_classes_are_one_column_and_more_are_one_each():
    np.testing.assert_array_equal(
        class_columns([1, 0, 1], num_classes=2), [[1], [0], [1]]
    )
    columns = class_columns(np.array([2, 0]), num_classes=4)
    np.testing.assert_array_equal(columns, [[0, 0, 1, 0], [1, 0, 0, 0]])
    assert columns.dtype == np.float32


@pytest.mark.parametrize(
    ("labels", "num_classes"),
    [([0.0, 1.0], 2), ([0, 2], 2), ([-1, 0], 2), ([0, 0], 1), ([[0, 1]], 2), ([], 2)],
)
def test_labels_must_be_whole_numbers_in_range(labels, num_classes):
    with pytest.raises(ValueError, match="labels: expected whole numbers from 0") as e:
        class_columns(labels, num_classes=num_classes)
    assert "return_inverse" in str(e.value)
    assert "\n" not in str(e.value)


def test_predictions_are_the_largest_logit_or_the_sign_of_the_odds():
    assert predicted_classes([[-0.1], [0.1]]).tolist() == [0, 1]
    assert predicted_classes([[1, 3, 2], [5, 3, 2]]).tolist() == [1, 0]


@pytest.mark.parametrize("period", [1.0, 360.0])
def test_angles_have_no_seam(period):
    """Just below and just above one turn are neighbours, as no single number is."""
    columns = circular_columns([0.001 * period, 0.999 * period], period=period)
    assert np.linalg.norm(columns[0] - columns[1]) < 0.02
    np.testing.assert_allclose(np.linalg.norm(columns, axis=1), 1, rtol=1e-6)
    quarter = circular_columns([0.25 * period], period=period)
    np.testing.assert_allclose(quarter, [[0, 1]], atol=1e-7)


def test_angles_are_refused_where_they_are_none():
    with pytest.raises(ValueError, match="one row of angles, got shape"):
        circular_columns(np.zeros((3, 2)))
    with pytest.raises(ValueError, match="period: expected a number above 0"):
        circular_columns([0.0], period=0)


def test_features_and_targets_are_checked():
    with pytest.raises(ValueError, match=r"pixels: expected \(n, d\).*flatten"):
        checked_features(np.zeros((3, 4, 4, 2)), name="pixels")
    with pytest.raises(ValueError, match="expected finite values"):
        checked_features([[1.0], [np.nan]])
    with pytest.raises(ValueError, match="at least two examples"):
        checked_features(np.zeros((1, 4)))
    assert checked_columns([1, 2], num_examples=2).shape == (2, 1)
    for bad in (np.zeros(3), np.zeros((2, 0)), np.array([1.0, np.inf])):
        with pytest.raises(ValueError, match="one row for each of 2 examples"):
            checked_columns(bad, num_examples=2)


def test_log_probabilities_are_finite_where_probabilities_are_not():
    scores = np.random.default_rng(8).normal(size=(5, 3)) * 30
    expected = np.log(np.exp(scores) / np.exp(scores).sum(1, keepdims=True))
    np.testing.assert_allclose(log_probabilities(scores), expected, atol=1e-12)
    logs = log_probabilities([[-2000.0], [np.log(3)]])
    np.testing.assert_allclose(logs, [[0, -2000], np.log([0.25, 0.75])], atol=1e-12)
    assert log_probabilities([[3000.0, 0.0, 0.0]])[0].tolist() == [0, -3000, -3000]
