"""Fréchet and kernel distance against closed forms, loops in NumPy, and chance."""

import itertools
import math

import numpy as np
import pytest
from scipy import linalg

from stylejax.metrics import distribution
from stylejax.metrics.sample_statistics import SampleStatistics, empty, update


def of(vectors):
    return update(empty(vectors.shape[1]), vectors)


def gaussian(mean, covariance, count=1000):
    """Statistics with exactly these moments."""
    mean = np.asarray(mean, float)
    return SampleStatistics(count, mean, (count - 1) * np.asarray(covariance, float))


def random_covariance(generator, d, rank=None):
    root = generator.normal(size=(d, rank or d))
    return root @ root.T


# Fréchet distance.


def test_one_dimension_in_closed_form():
    found = distribution.frechet_distance(
        gaussian([1.0], [[4.0]]), gaussian([3.5], [[9.0]])
    )
    # (difference of means)^2 + (difference of deviations)^2
    assert found.value == pytest.approx(2.5**2 + 1.0, rel=1e-12)
    assert not found.rank_deficient


def test_commuting_covariances_in_closed_form(generator):
    for _ in range(20):  # which zeros rounding leaves is a matter of chance
        turn, _ = np.linalg.qr(generator.normal(size=(6, 6)))
        a, b = generator.uniform(0, 3, (2, 6))
        a[0] = b[1] = 0.0  # singular ones are no special case
        means = generator.normal(size=(2, 6))
        found = distribution.frechet_distance(
            gaussian(means[0], (turn * a**2) @ turn.T),
            gaussian(means[1], (turn * b**2) @ turn.T),
        )
        expected = ((means[0] - means[1]) ** 2).sum() + ((a - b) ** 2).sum()
        assert found.value == pytest.approx(expected, rel=1e-9)


def test_against_scipy_on_covariances_that_do_not_commute(generator):
    first, second = (random_covariance(generator, 12) for _ in range(2))
    mean = generator.normal(size=12)
    root = linalg.sqrtm(first @ second)
    expected = mean @ mean + np.trace(first + second - 2 * root.real)
    found = distribution.frechet_distance(
        gaussian(mean, first), gaussian(np.zeros(12), second)
    )
    assert found.value == pytest.approx(expected, rel=1e-8)


def test_against_eigenvalues_of_the_product_from_samples(generator):
    x = generator.normal(0, 1, (200, 8)) @ generator.normal(size=(8, 8))
    y = generator.normal(0.4, 1, (150, 8)) @ generator.normal(size=(8, 8))
    c, d = (np.cov(z, rowvar=False) for z in (x, y))
    roots = np.sqrt(np.linalg.eigvals(c @ d).real).sum()
    shift = ((x.mean(0) - y.mean(0)) ** 2).sum()
    expected = shift + np.trace(c) + np.trace(d) - 2 * roots
    found = distribution.frechet_distance(of(x), of(y))
    assert found.value == pytest.approx(expected, rel=1e-8)
    assert found[2:] == ((200, 150), 8)


def test_it_is_symmetric_zero_for_one_set_and_blind_to_a_turn(generator):
    x, y = generator.normal(size=(2, 50, 6))
    y = 2 * y + 1
    value = distribution.frechet_distance(of(x), of(y)).value
    assert distribution.frechet_distance(of(y), of(x)).value == pytest.approx(value)
    turn, _ = np.linalg.qr(generator.normal(size=(6, 6)))
    turned = distribution.frechet_distance(of(x @ turn + 3), of(y @ turn + 3)).value
    assert turned == pytest.approx(value, rel=1e-9)
    same = distribution.frechet_distance(of(x), of(x[generator.permutation(50)]))
    assert 0 <= same.value < 1e-10


def test_fewer_samples_than_dimensions_are_marked_and_biased(generator):
    few = [of(generator.normal(size=(20, 40))) for _ in range(2)]
    found = distribution.frechet_distance(*few)
    assert found.rank_deficient and math.isfinite(found.value)
    assert found.value > 20  # the truth is 0
    many = [of(generator.normal(size=(2000, 40))) for _ in range(2)]
    assert not distribution.frechet_distance(*many).rank_deficient
    assert distribution.frechet_distance(*many).value < 2
    assert distribution.frechet_distance(few[0], many[0]).rank_deficient
    # As many samples as dimensions are one too few: the mean takes one.
    just = of(generator.normal(size=(40, 40)))
    assert distribution.frechet_distance(just, many[0]).rank_deficient
    enough = of(generator.normal(size=(41, 40)))
    assert not distribution.frechet_distance(enough, many[0]).rank_deficient


def test_it_grows_with_the_distance(generator):
    x = generator.normal(size=(300, 4))
    values = [
        distribution.frechet_distance(of(x), of(x * (1 + s) + s)).value
        for s in (0.0, 0.1, 0.5, 1.0)
    ]
    assert values == sorted(values) and values[1] > 1e-3


def test_sets_that_cannot_be_compared_are_refused(generator):
    x = of(generator.normal(size=(9, 3)))
    with pytest.raises(ValueError, match="one length, got 3 and 2"):
        distribution.frechet_distance(x, of(np.zeros((9, 2))))
    with pytest.raises(ValueError, match="two samples or more"):
        distribution.frechet_distance(x, of(np.zeros((1, 3))))


# Kernel distance.


def by_loops(x, y):
    """The definition, pair by pair."""
    d = x.shape[1]

    def k(u, v):
        return (sum(a * b for a, b in zip(u, v, strict=True)) / d + 1) ** 3

    def within(z):
        return np.mean([k(u, v) for u, v in itertools.permutations(z, 2)])

    between = np.mean([k(u, v) for u, v in itertools.product(x, y)])
    return within(x) + within(y) - 2 * between


def truth_in_one_dimension(mean, deviation, other_mean, other_deviation):
    """Of two Gaussians on a line: differences of raw moments, weighed 1, 3, 3."""

    def moments(m, s):
        return m, m**2 + s**2, m**3 + 3 * m * s**2

    pairs = zip(
        moments(mean, deviation), moments(other_mean, other_deviation), strict=True
    )
    return sum(w * (a - b) ** 2 for w, (a, b) in zip((3, 3, 1), pairs, strict=True))


def test_against_the_definition(generator):
    x, y = generator.normal(size=(11, 4)), generator.normal(0.5, 2, (7, 4))
    found = distribution.kernel_distance(x, y)
    assert found.value == pytest.approx(by_loops(x, y), rel=1e-10)
    assert found.num_samples == (11, 7)
    assert found.interval.low < found.value < found.interval.high


def test_in_blocks_it_is_the_same(generator, monkeypatch):
    x, y = generator.normal(size=(23, 4)), generator.normal(0.5, 2, (17, 4))
    whole = distribution.kernel_distance(x, y, num_subsets=9)
    monkeypatch.setattr(distribution, "_BLOCK", 40)
    blocks = distribution.kernel_distance(x, y, num_subsets=9)
    np.testing.assert_allclose(blocks.value, whole.value, rtol=1e-10)
    np.testing.assert_allclose(blocks.interval, whole.interval, rtol=1e-10)


def test_order_does_not_matter_and_seeds_do(generator):
    x, y = generator.normal(size=(2, 30, 3))
    found = distribution.kernel_distance(x, y, seed=1)
    turned = distribution.kernel_distance(y[::-1], x, seed=1)
    assert turned.value == pytest.approx(found.value, rel=1e-9)
    assert distribution.kernel_distance(x, y, seed=1) == found
    assert distribution.kernel_distance(x, y, seed=2).interval != found.interval


def test_subsets_are_the_distance_of_their_samples(generator):
    x, y = generator.normal(size=(12, 3)), generator.normal(1, 1, (9, 3))
    found = distribution.kernel_distance_subsets(x, y, subset_size=9, num_subsets=4)
    # All of y and some nine of x, each time.
    possible = [by_loops(x[list(i)], y) for i in itertools.combinations(range(12), 9)]
    gaps = np.abs(found[:, None] - np.array(possible)[None]).min(axis=1)
    np.testing.assert_allclose(gaps, 0.0, atol=1e-10)
    assert len(set(found.round(12))) > 1
    whole = distribution.kernel_distance_subsets(x[:9], y, subset_size=9, num_subsets=2)
    np.testing.assert_allclose(whole, by_loops(x[:9], y), rtol=1e-10)


def test_it_is_unbiased_where_the_distributions_are_equal(generator):
    values = [
        distribution.kernel_distance(
            *generator.normal(size=(2, 10, 2)), num_subsets=1
        ).value
        for _ in range(2000)
    ]
    error = np.std(values) / np.sqrt(len(values))
    assert abs(np.mean(values)) < 3.5 * error
    assert np.mean(np.array(values) < 0) > 0.3
    # With k(x, x) in the means it would be off by 2 E[k(x, x) - k(x, x')] / n.
    x, y = generator.normal(size=(2, 100_000, 2))
    itself, other = ((np.sum(x * z, axis=1) / 2 + 1) ** 3 for z in (x, y))
    assert 2 * np.mean(itself - other) / 10 > 20 * error


def test_it_is_unbiased_where_they_are_not(generator):
    truth = truth_in_one_dimension(0.0, 0.5, 0.5, 0.6)
    values, inside, errors = [], [], []
    for _ in range(400):
        x, y = generator.normal(0, 0.5, (100, 1)), generator.normal(0.5, 0.6, (80, 1))
        found = distribution.kernel_distance(x, y, num_subsets=100)
        values.append(found.value)
        errors.append(found.standard_error)
        inside.append(found.interval.low <= truth <= found.interval.high)
    error = np.std(values) / np.sqrt(len(values))
    assert abs(np.mean(values) - truth) < 3.5 * error
    # The interval keeps about its promise, and the standard error too.
    assert 0.86 < np.mean(inside) <= 0.99
    assert 0.8 < np.median(errors) / np.std(values) < 1.25


def test_it_grows_with_the_distance_of_the_sets(generator):
    x, y = generator.normal(size=(2, 200, 5))
    values = [
        distribution.kernel_distance(x, y + s, num_subsets=10).value
        for s in (0.0, 0.3, 0.6, 1.2)
    ]
    assert values == sorted(values)
    far = distribution.kernel_distance(x, y + 1.2)
    assert far.interval.low > 0


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"num_subsets": 0}, "num_subsets"),
        ({"level": 1.0}, "level"),
    ],
)
def test_options_out_of_range_are_refused(options, text):
    with pytest.raises(ValueError, match=text):
        distribution.kernel_distance(np.eye(5), np.eye(5), **options)


def test_samples_that_do_not_do_are_refused():
    with pytest.raises(ValueError, match="4 samples or more in each set, got 5 and 3"):
        distribution.kernel_distance(np.eye(5), np.eye(5)[:3])
    with pytest.raises(ValueError, match="one length"):
        distribution.kernel_distance(np.eye(5), np.eye(6))
    with pytest.raises(ValueError, match="subset_size: expected 2 to 4"):
        distribution.kernel_distance_subsets(np.eye(5), np.eye(5)[:4], subset_size=5)
    with pytest.raises(ValueError, match="subset_size"):
        distribution.kernel_distance_subsets(np.eye(5), np.eye(5), subset_size=1)
    with pytest.raises(ValueError, match="finite"):
        distribution.kernel_distance(np.eye(5), np.nan * np.eye(5))
