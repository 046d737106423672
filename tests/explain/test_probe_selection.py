"""The choice of a penalty against scikit-learn; test folds have no say in it."""

import numpy as np
import pytest
from scipy.special import log_expit, log_softmax
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from stylejax.explain import probe_selection
from stylejax.explain.cross_validation import nested_folds
from stylejax.explain.probe_arrays import class_columns
from stylejax.explain.probe_selection import (
    checked_grid,
    cross_validate,
    default_l2_grid,
    example_losses,
)

GRID = (1000.0, 30.0, 1.0, 0.03)
COUNT, WIDTH = 72, 12


def ridge(l2):
    return make_pipeline(StandardScaler(), Ridge(alpha=l2))


def logistic(l2):
    model = LogisticRegression(C=1 / l2, solver="newton-cholesky")
    return make_pipeline(StandardScaler(), model)


class Case:
    """One task, fitted once: what the tests below look at."""

    def __init__(self, kind):
        generator = np.random.default_rng(0)
        x = generator.normal(size=(COUNT, WIDTH)) + 4
        self.x = x.astype(np.float32)
        signal = x[:, :2] - 4 + generator.normal(size=(COUNT, 2))
        self.labels = (signal[:, 0] > 0).astype(int)
        self.kind = kind
        if kind == "ridge":
            self.y = signal.astype(np.float32)
        else:
            self.y = class_columns(self.labels, num_classes=2)
        self.groups = np.arange(COUNT) // 3
        self.folds = nested_folds(
            self.labels, groups=self.groups, num_folds=4, num_inner_folds=3
        )
        self.extra = (np.arange(COUNT) < 30).astype(np.float32)[None]
        self.result = self.validate(self.x, self.y)

    def validate(self, x, y):
        options = {"kind": self.kind, "l2_grid": GRID, "extra_masks": self.extra}
        return cross_validate(x, y, self.folds, **options)

    def reference(self, training, l2):
        """scikit-learn's scores of all examples, from one training set."""
        x = self.x.astype(float)
        if self.kind == "ridge":
            model = ridge(l2).fit(x[training], self.y[training])
            return model.predict(x)
        model = logistic(l2).fit(x[training], self.labels[training])
        return model.decision_function(x)[:, None]

    def loss(self, scores, tested):
        if self.kind == "ridge":
            return ((scores - self.y) ** 2)[tested].sum() / 2
        signs = 2 * self.y - 1
        return -log_expit(signs * scores)[tested].sum()


@pytest.fixture(scope="module", params=["ridge", "logistic"])
def case(request):
    """Ridge one training set at a time, as on a CPU, logistic in uneven batches."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "logistic":
            patch.setattr(probe_selection, "batch_size", lambda *_, **__: 7)
        yield Case(request.param)


def test_each_fold_chooses_its_penalty_within_its_training_set(case):
    """The same choice by hand, with scikit-learn and the inner folds."""
    training, tested = (
        case.folds.inner_training_masks() > 0,
        case.folds.inner_test_masks() > 0,
    )
    for fold in range(4):
        losses = [
            sum(
                case.loss(case.reference(training[fold, j], l2), tested[fold, j])
                for j in range(3)
            )
            for l2 in GRID
        ]
        assert case.result.fold_l2[fold] == GRID[int(np.argmin(losses))]
    assert case.result.l2 in GRID[1:3]


def test_the_scores_are_those_of_probes_that_never_saw_the_example(case):
    masks = case.folds.training_masks() > 0
    for fold in range(4):
        expected = case.reference(masks[fold], case.result.fold_l2[fold])
        tested = ~masks[fold]
        np.testing.assert_allclose(
            case.result.scores[tested], expected[tested], atol=2e-3
        )
        np.testing.assert_allclose(
            case.result.baseline[tested],
            np.tile(case.y[masks[fold]].mean(0), (tested.sum(), 1)),
            rtol=1e-5,
        )


def test_the_last_probe_is_fitted_to_all(case):
    expected = case.reference(np.ones(COUNT, bool), case.result.l2)
    got = case.result.probe.scores(case.x)
    np.testing.assert_allclose(got, expected, atol=2e-3)
    assert case.result.converged
    assert case.result.num_iterations >= 1


def test_extra_training_sets_are_fitted_for_every_penalty(case):
    assert case.result.extra_scores.shape == (1, 4, COUNT, case.y.shape[1])
    for got, l2 in zip(case.result.extra_scores[0], GRID, strict=True):
        expected = case.reference(case.extra[0] > 0, l2)
        np.testing.assert_allclose(got, expected, atol=5e-3)


def test_what_a_fold_tests_has_no_say_in_its_probe(case):
    """Spoiled test examples of fold 0 change neither its penalty nor its scores."""
    tested = case.folds.outer == 0
    x, y = case.x.copy(), case.y.copy()
    y[tested] = 1 - y[tested] if case.kind == "logistic" else 50
    spoiled = case.validate(x, y)
    assert spoiled.fold_l2[0] == case.result.fold_l2[0]
    np.testing.assert_array_equal(spoiled.scores[tested], case.result.scores[tested])
    others = spoiled.scores[~tested] - case.result.scores[~tested]
    assert np.abs(others).max() > 0.1
    x[tested] += 100 * np.arange(WIDTH, dtype=np.float32)
    moved = case.validate(x, case.y)
    assert moved.fold_l2[0] == case.result.fold_l2[0]


def test_losses_are_half_squares_and_log_losses():
    scores = np.array([[[1.0, 2.0]], [[0.0, 0.0]]])
    got = example_losses(scores, np.array([[0.0, 4.0]]), kind="ridge")
    np.testing.assert_allclose(got, [[2.5], [8.0]])
    got = example_losses([[-3.0], [2.0]], np.array([[1.0], [0.0]]), kind="logistic")
    np.testing.assert_allclose(got, -log_expit([-3.0, -2.0]), rtol=1e-6)
    logits = np.array([[1.0, 2.0, 0.0], [5.0, 0.0, 1.0]])
    got = example_losses(logits, np.eye(3)[[2, 0]], kind="logistic")
    expected = -log_softmax(logits, axis=1)[[0, 1], [2, 0]]
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_default_penalties_go_from_no_features_to_a_fit():
    """In units of the mean sum of squares along an axis, in the dual form as well."""
    for shape in ((300, 20), (20, 300)):
        z = np.random.default_rng(0).normal(size=shape)
        z = (z - z.mean(0)) / z.std(0)
        squares = np.linalg.svd(z, compute_uv=False) ** 2
        grid = default_l2_grid(shape)
        assert grid[2] == pytest.approx(squares.mean(), rel=0.01)
        assert grid[0] > 10 * squares.max()
        assert grid[-1] < 1e-3 * np.median(squares)


def test_penalties_are_sorted_from_large_to_small():
    """Each fit starts from the one before, and of two equal losses the larger wins."""
    np.testing.assert_array_equal(checked_grid([1, 100, 0.1]), [100, 1, 0.1])
    for bad in ([], [0.0, 1.0], [np.nan], [np.inf]):
        with pytest.raises(ValueError, match="l2_grid: expected penalties above 0"):
            checked_grid(bad)
