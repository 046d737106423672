"""Agreement by rank and by sign, against SciPy and by hand."""

from itertools import permutations

import jax
import numpy as np
import pytest
from scipy.stats import binomtest, spearmanr

from stylejax.explain.attention_agreement import rank_agreement, sign_violations

KEY = jax.random.key(3)


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


# --- by rank ------------------------------------------------------------------------


def test_correlations_are_those_of_scipy_with_ties():
    x, y = normal(0, 3, 7).round(0), normal(1, 3, 7).round(1)
    found = rank_agreement(KEY, x, y, num_permutations=99)
    expected = [spearmanr(a, b).statistic for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(found.correlations, expected, atol=1e-5)
    assert found.mean == pytest.approx(np.mean(expected), abs=1e-5)
    assert found.num_permutations == 99


def test_p_values_are_those_of_all_permutations():
    """Five regions of one picture have 120 orders: the exact share, by hand."""
    x, y = np.array([[1.0, 2, 3, 4, 5]]), np.array([[2.0, 1, 3, 5, 4]])
    observed = spearmanr(x[0], y[0]).statistic
    exact = np.mean(
        [
            abs(spearmanr(p, y[0]).statistic) >= observed - 1e-9
            for p in permutations(x[0])
        ]
    )
    found = rank_agreement(KEY, x, y, num_permutations=999)
    assert found.mean == pytest.approx(observed, abs=1e-6)
    assert found.p_value == pytest.approx(exact, abs=0.04)


@pytest.mark.parametrize("sign", [1, -1])
def test_agreement_and_its_opposite_are_both_rare(sign):
    x = normal(0, 3, 7)
    found = rank_agreement(KEY, x, sign * np.exp(x), num_permutations=99)
    assert found.mean == pytest.approx(sign, abs=1e-5)
    assert found.p_value == 1 / 100


def test_p_values_of_unrelated_maps_are_uniform():
    """Of 40 pairs about a twentieth is below 0.05, and half below a half."""
    values = [
        rank_agreement(
            jax.random.key(s),
            normal(s, 3, 7),
            normal(1000 + s, 3, 7),
            num_permutations=99,
        ).p_value
        for s in range(40)
    ]
    assert np.mean(np.array(values) <= 0.05) < 0.15
    assert 0.3 < np.mean(np.array(values) <= 0.5) < 0.7


def test_each_picture_is_permuted_in_its_own_way():
    """Three pictures alike are rarer by chance than one: p 0.1 alone, 0.01 together."""
    x, y = np.array([[3.0, 0, 1, 5, 2, 4, 6]] * 3), np.array([np.arange(7.0)] * 3)
    alone = spearmanr(x[0], y[0])
    assert alone.statistic > 0.6 and alone.pvalue > 0.08
    assert rank_agreement(KEY, x, y, num_permutations=99).p_value <= 0.05


def test_a_flat_map_has_no_correlation_and_the_others_count():
    x, y = normal(0, 3, 7), normal(1, 3, 7)
    x[1] = 2.5
    found = rank_agreement(KEY, x, y, num_permutations=99)
    assert np.isnan(found.correlations[1])
    assert found.mean == pytest.approx(found.correlations[[0, 2]].mean())
    flat = rank_agreement(KEY, np.ones((3, 7)), y, num_permutations=99)
    assert np.isnan([flat.mean, flat.p_value]).all()


# --- by sign ------------------------------------------------------------------------


def test_violations_by_hand():
    """Top two of each picture: +-, ++ and, with an importance below zero, -+."""
    importance = np.array([[5.0, 3, 1, 2], [1, 4, 2, 9], [-8, 1, 6, 2]])
    effects = np.array([[1.0, -1, 2, 2], [-3, 1, -1, 1], [2, -1, 3, 0]])
    found = sign_violations(importance, effects, top=2)
    assert (found.violations, found.decided, found.undecided) == (2, 6, 0)
    assert found.share == pytest.approx(1 / 3)
    # Blindly: pictures 1, 2 and 3 have negative effects in 1/4, 2/4 and 1/3.
    blind = np.mean([1 / 4, 1 / 4, 1 / 2, 1 / 2, 2 / 3, 1 / 3])
    assert found.blind_share == pytest.approx(blind)
    assert found.p_value == pytest.approx(binomtest(2, 6, 0.5).pvalue)
    less = binomtest(2, 6, found.blind_share, alternative="less").pvalue
    assert found.p_blind == pytest.approx(less)


def test_the_top_region_alone_is_the_published_test():
    importance, effects = abs(normal(0, 200, 5)), normal(1, 200, 5)
    found = sign_violations(importance, effects)
    tops = effects[np.arange(200), importance.argmax(axis=1)]
    assert found.share == pytest.approx((tops < 0).mean())


def test_effects_of_rounding_size_have_no_sign():
    importance, effects = np.ones((4, 3)), 1e-8 * normal(0, 4, 3)
    found = sign_violations(importance, effects, top=3)
    assert (found.decided, found.undecided, found.p_value) == (0, 12, 1)
    assert np.isnan([found.share, found.blind_share]).all()
    assert sign_violations(importance, effects, top=3, tolerance=0).decided == 12


def test_no_importance_makes_no_claim():
    found = sign_violations(np.array([[0.0, 0, 2]]), np.array([[1.0, 1, 1]]), top=3)
    assert (found.violations, found.decided, found.undecided) == (0, 1, 0)


def test_mostly_positive_effects_are_no_merit_of_attention():
    """Random attention over effects that are nearly all positive violates little."""
    importance = np.random.default_rng(0).uniform(size=(300, 10))
    effects = normal(1, 300, 10) + 1.3
    found = sign_violations(importance, effects)
    assert found.share < 0.15 and found.p_value < 1e-6
    assert found.p_blind > 0.05


# --- mistakes -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "test", [lambda x, y: rank_agreement(KEY, x, y), sign_violations]
)
def test_maps_must_be_of_one_shape_with_pictures_first(test):
    with pytest.raises(
        ValueError, match="expected importance and effects of one shape"
    ):
        test(np.ones((2, 3)), np.ones((2, 4)))
    with pytest.raises(
        ValueError, match=r"importance: expected shape \(pictures, regions\)"
    ):
        test(np.ones(3), np.ones(3))


def test_numbers_that_do_not_fit():
    with pytest.raises(ValueError, match="expected three regions or more, got 2"):
        rank_agreement(KEY, np.ones((2, 2)), np.ones((2, 2)))
    with pytest.raises(ValueError, match="top: expected 1 to 2 regions, got 3"):
        sign_violations(np.ones((2, 2)), np.ones((2, 2)), top=3)
    with pytest.raises(ValueError, match="tolerance: expected at least 0, got -1"):
        sign_violations(np.ones((2, 2)), np.ones((2, 2)), tolerance=-1)
    with pytest.raises(ValueError, match="expected finite importance and effects"):
        sign_violations(np.full((2, 2), np.nan), np.ones((2, 2)))
