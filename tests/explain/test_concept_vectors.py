"""Concept vectors against means and scikit-learn."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from stylejax.explain.concept_vectors import (
    METHODS,
    Pairs,
    concept_vector,
    vectors_of_pairs,
)

MEMBERS, WIDTH = 15, 6


def sets(seed, count=2):
    generator = np.random.default_rng(seed)
    mix = generator.normal(size=(WIDTH, WIDTH))
    bank = 5 + generator.normal(size=(count, MEMBERS, WIDTH)) @ mix
    bank[0, :, 2] += 3
    return bank.astype(np.float32)


def reference(positive, negative, method, l2):
    if method == "mean_difference":
        return positive.mean(0) - negative.mean(0)
    x = np.concatenate([positive, negative]).astype(float)
    x = x - x.mean(0)
    x = x / np.sqrt((x**2).mean())
    y = np.arange(len(x)) < len(positive)
    if method == "ridge":
        return Ridge(alpha=l2).fit(x, y).coef_
    return LogisticRegression(C=1 / l2, tol=1e-9, max_iter=9999).fit(x, y).coef_[0]


@pytest.mark.parametrize("method", METHODS)
def test_vectors_are_those_of_scikit_learn_a_unit_long(method):
    positive, negative = sets(0)
    for l2 in (0.1, 10.0):
        expected = reference(positive, negative, method, l2)
        got = concept_vector(positive, negative, method=method, l2=l2)
        np.testing.assert_allclose(got, expected / np.linalg.norm(expected), atol=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_the_unit_of_the_activations_does_not_matter(method):
    positive, negative = sets(1)
    plain = concept_vector(positive, negative, method=method)
    other = concept_vector(1e-4 * positive + 2, 1e-4 * negative + 2, method=method)
    np.testing.assert_allclose(other, plain, atol=5e-3)
    back = concept_vector(negative, positive, method=method)
    np.testing.assert_allclose(back, -plain, atol=1e-3)


def test_many_pairs_are_each_pair_alone():
    method = "mean_difference"
    bank = sets(2, 4)
    pairs = Pairs(np.array([0, 0, 2]), np.array([1, 3, 1]))
    vectors = vectors_of_pairs(bank, pairs, 1.0, method=method)
    for got, i, j in zip(vectors, *pairs, strict=True):
        alone = concept_vector(bank[i], bank[j], method=method)
        np.testing.assert_allclose(got, alone, atol=1e-4)


def test_equal_sets_have_no_direction_and_no_nan():
    same = sets(3)[0]
    for method in METHODS[::2]:
        vector = concept_vector(same, same, method=method)
        assert np.isfinite(vector).all()
    np.testing.assert_array_equal(
        concept_vector(same, same, method="mean_difference"), 0
    )


def test_mistakes_end_in_one_line():
    positive, negative = sets(0)
    for call, match in [
        (lambda: concept_vector(positive, negative[:, :3]), "of widths 6 and 3"),
        (lambda: concept_vector(positive, negative, method="svm"), "expected one of"),
        (lambda: concept_vector(positive, negative, l2=0), "l2: expected a number"),
        (lambda: concept_vector(positive[0], negative), "concept_features: expected"),
    ]:
        with pytest.raises(ValueError, match=match) as e:
            call()
        assert "\n" not in str(e.value)
