"""Statistics of samples: in portions, merged and all at once they are the same."""

import numpy as np
import pytest

from stylejax.metrics import sample_statistics as samples


@pytest.fixture
def vectors(generator):
    # A mean far off shows sums of squares that cancel.
    return generator.normal(1e4, 1.0, (60, 5)) @ generator.normal(size=(5, 5))


def in_portions(vectors, size):
    statistics = samples.empty(vectors.shape[1])
    for start in range(0, len(vectors), size):
        statistics = samples.update(statistics, vectors[start : start + size])
    return statistics


def assert_same(x, y):
    assert x.count == y.count
    np.testing.assert_allclose(x.mean, y.mean, rtol=1e-12)
    np.testing.assert_allclose(x.covariance, y.covariance, rtol=1e-6)


@pytest.mark.parametrize("size", [1, 7, 60, 1000])
def test_against_numpy_in_any_portions(vectors, size):
    found = in_portions(vectors, size)
    assert found.count == 60 and found.mean.dtype == np.float64
    np.testing.assert_allclose(found.mean, vectors.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(
        found.covariance, np.cov(vectors, rowvar=False), rtol=1e-6
    )


def test_merging_is_seeing_both(vectors):
    parts = [in_portions(v, 4) for v in (vectors[:13], vectors[13:14], vectors[14:])]
    whole = in_portions(vectors, 60)
    assert_same(samples.merge(samples.merge(*parts[:2]), parts[2]), whole)
    assert_same(samples.merge(parts[2], samples.merge(parts[1], parts[0])), whole)
    assert_same(samples.merge(samples.empty(5), whole), whole)


def test_nothing_seen_yet(vectors):
    nothing = samples.merge(samples.empty(5), samples.empty(5))
    assert nothing.count == 0
    assert samples.update(nothing, np.zeros((0, 5))).count == 0
    for statistics in (nothing, samples.update(nothing, vectors[:1])):
        with pytest.raises(ValueError, match="two samples or more"):
            _ = statistics.covariance


def test_what_was_given_stays_as_it_was(vectors):
    before = in_portions(vectors, 60)
    mean, scatter = before.mean.copy(), before.scatter.copy()
    samples.update(before, vectors)
    np.testing.assert_array_equal(before.mean, mean)
    np.testing.assert_array_equal(before.scatter, scatter)


def test_pool_is_the_mean_over_positions(generator):
    maps = generator.random((2, 3, 4, 5)).astype(np.float32)
    found = samples.pool(maps)
    np.testing.assert_allclose(found, maps.mean(axis=(1, 2)), rtol=1e-6)


def test_what_are_no_vectors_is_refused():
    with pytest.raises(ValueError, match="pool feature maps first"):
        samples.update(samples.empty(3), np.zeros((2, 4, 4, 3)))
    with pytest.raises(ValueError, match="2 that are not"):
        samples.update(samples.empty(2), [[np.nan, np.inf]])
    with pytest.raises(ValueError, match="one length, got 3 and 2"):
        samples.update(samples.empty(3), np.zeros((4, 2)))
    with pytest.raises(ValueError, match="dimensions"):
        samples.empty(0)
