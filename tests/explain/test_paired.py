"""Paired tests against SciPy and against all sign flips written out."""

import itertools

import numpy as np
import pytest
import scipy.stats

from stylejax.explain.paired import ALTERNATIVES, mean_ranks, paired_test, sign_test


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@pytest.mark.parametrize("wins", range(0, 12, 2))
@pytest.mark.parametrize("losses", [0, 1, 7])
def test_the_sign_test_is_the_exact_binomial_one(wins, losses, alternative):
    found = sign_test(wins, losses, alternative=alternative)
    if wins + losses == 0:
        assert found == 1
        return
    expected = scipy.stats.binomtest(wins, wins + losses, alternative=alternative)
    assert found == pytest.approx(expected.pvalue, abs=1e-12)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_few_pairs_try_every_flip(alternative, generator):
    x, y = generator.normal(0.5, 1.0, 9), generator.normal(size=9)
    found = paired_test(x, y, alternative=alternative)
    sums = [np.dot(s, x - y) for s in itertools.product((-1, 1), repeat=9)]
    if alternative == "two-sided":
        expected = np.mean(np.abs(sums) >= abs((x - y).sum()) - 1e-9)
    else:
        expected = np.mean(np.array(sums) >= (x - y).sum() - 1e-9)
    assert found.permutation_p == pytest.approx(expected, abs=1e-12)
    assert found.mean == pytest.approx((x - y).mean())
    assert found.interval.low < found.mean < found.interval.high


def test_many_pairs_draw_flips_and_agree_with_scipy(generator):
    x = generator.normal(0.45, 1.0, 40)
    found = paired_test(x, np.zeros(40))
    expected = scipy.stats.permutation_test(
        (x,), np.mean, permutation_type="samples", n_resamples=20_000, rng=1
    )
    assert found.permutation_p == pytest.approx(expected.pvalue, abs=0.01)


def test_one_sided_is_about_the_first_being_greater():
    x = np.arange(1.0, 9.0)
    greater = paired_test(x, 0 * x, alternative="greater")
    smaller = paired_test(0 * x, x, alternative="greater")
    assert greater.permutation_p == 1 / 256
    assert smaller.permutation_p == 1
    assert (greater.wins, greater.losses, smaller.wins) == (8, 0, 0)


def test_drawn_p_values_are_never_zero():
    x = np.ones(40)
    assert paired_test(x, 0 * x, num_resamples=99).permutation_p == 0.01


def test_equal_values_share_their_ranks(generator):
    values = generator.integers(5, size=20)
    np.testing.assert_array_equal(mean_ranks(values), scipy.stats.rankdata(values))


def test_ties_count_for_nothing():
    found = paired_test([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 3.0])
    assert (found.wins, found.losses, found.ties, found.sign_p) == (1, 0, 3, 1.0)


def test_no_difference_is_no_evidence():
    found = paired_test(np.ones(5), np.ones(5))
    assert (found.mean, found.permutation_p, found.sign_p) == (0, 1, 1)


def test_wide_and_rare_differences_part_the_two_tests():
    """Eleven tiny losses and one huge win: the counts and the sizes disagree."""
    x = np.concatenate([np.full(11, -0.01), [50.0]])
    found = paired_test(x, np.zeros(12))
    assert found.sign_p < 0.01
    assert found.permutation_p > 0.4


def test_p_values_are_uniform_without_a_difference():
    generator = np.random.default_rng(3)
    p = [
        paired_test(x, 0 * x, num_resamples=200).permutation_p
        for x in generator.normal(size=(300, 10))
    ]
    assert scipy.stats.kstest(p, "uniform").pvalue > 0.01


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: sign_test(-1, 2), "at least 0, got -1 and 2"),
        (lambda: sign_test(1, 2, alternative="less"), "two-sided, greater; got 'less'"),
        (lambda: paired_test([1.0], [1.0, 2.0]), "first and second of one shape"),
        (lambda: paired_test([np.inf], [1.0]), "finite"),
        (lambda: paired_test([], []), "one finite number per example"),
    ],
)
def test_mistakes_end_in_one_clear_line(call, match):
    with pytest.raises(ValueError, match=match) as e:
        call()
    assert "\n" not in str(e.value)
