"""Correlations against SciPy, and intervals against how often they hold the truth."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from stylejax.metrics.correlation import (
    correlation,
    correlation_interval,
    normal_quantile,
)

SCIPY = {"pearson": scipy.stats.pearsonr, "spearman": scipy.stats.spearmanr}


def by_scipy(x, y, kind):
    return SCIPY[kind](np.ravel(x).astype(float), np.ravel(y).astype(float))[0]


@pytest.mark.parametrize("kind", SCIPY)
@pytest.mark.parametrize("levels", [3, 20, None])
def test_correlations_agree_with_scipy_also_with_ties(kind, levels, generator):
    x = generator.normal(size=(7, 2, 3))
    y = 0.4 * x**3 + generator.normal(size=x.shape)
    if levels:
        x, y = (np.round(v * levels / 6) for v in (x, y))
    found = correlation(jnp.float32(x), jnp.float32(y), kind=kind)
    assert float(found) == pytest.approx(by_scipy(x, y, kind), abs=1e-6)


@pytest.mark.parametrize("kind", SCIPY)
def test_neither_a_tiny_nor_a_shifted_scale_matters(kind, generator):
    """The squares of gradients of 1e-30 are below what float32 holds."""
    x, y = generator.normal(size=(2, 7, 2, 3)).astype(np.float32)
    expected = by_scipy(x, y, kind)
    tiny = correlation(x * np.float32(1e-30), y * np.float32(1e30), kind=kind)
    shifted = correlation(100 - x, 3 + y, kind=kind)
    assert float(tiny) == pytest.approx(expected, abs=1e-5)
    assert float(shifted) == pytest.approx(-expected, abs=1e-4)


@pytest.mark.parametrize("kind", SCIPY)
def test_what_is_undefined_is_nan(kind, generator):
    x = generator.normal(size=(7, 2, 3)).astype(np.float32)
    assert np.isnan(correlation(x, np.zeros_like(x), kind=kind))
    assert np.isnan(correlation(np.full_like(x, 0.3), x, kind=kind))
    for bad in (np.nan, np.inf):
        broken = x.copy()
        broken[3, 0, 1] = bad
        assert np.isnan(correlation(broken, x, kind=kind))


def test_the_rounding_of_sums_is_not_correlated():
    """0.1 added up 256 times in different orders differs in the last bits only."""
    steps = np.arange(42, dtype=np.float32).reshape(7, 2, 3)
    nearly = np.float32(25.6) + np.float32(2e-6) * (steps % 5)
    assert np.ptp(nearly) > 0
    assert np.isnan(correlation(nearly, steps, kind="pearson"))


def test_the_interval_by_hand():
    """atanh 0.5 = 0.5493, 1.96 / 5 = 0.392; for ranks 0.392 sqrt(1.125) = 0.4158."""
    half = jnp.array(0.5)
    ends = correlation_interval(half, num_samples=28, kind="pearson")
    np.testing.assert_allclose(ends, np.tanh([0.15731, 0.94130]), atol=2e-5)
    ends = correlation_interval(half, num_samples=28, kind="spearman")
    np.testing.assert_allclose(ends, np.tanh([0.13353, 0.96508]), atol=2e-5)
    ends = correlation_interval(jnp.array(1.0), num_samples=28, kind="pearson")
    np.testing.assert_array_equal(ends, [1, 1])


def test_the_interval_holds_the_truth_as_often_as_it_says():
    """Of normal numbers with correlation 1/2, whose ranks have 6 / pi asin 1/4."""
    truths = {"pearson": 0.5, "spearman": 6 / np.pi * np.arcsin(0.25)}
    x, noise = np.random.default_rng(0).normal(size=(2, 1500, 50)).astype(np.float32)
    y = 0.5 * x + np.float32(np.sqrt(0.75)) * noise

    @jax.jit
    @jax.vmap
    def intervals(x, y):
        values = {kind: correlation(x, y, kind=kind) for kind in truths}
        return values, {
            kind: correlation_interval(value, num_samples=50, kind=kind)
            for kind, value in values.items()
        }

    values, ends = intervals(x, y)
    for kind, truth in truths.items():
        assert float(values[kind][0]) == pytest.approx(by_scipy(x[0], y[0], kind))
        low, high = map(np.asarray, ends[kind])
        assert 0.93 < ((low < truth) & (truth < high)).mean() < 0.97


def test_quantiles_of_the_normal_distribution():
    assert normal_quantile(0.6826895) == pytest.approx(1, abs=1e-6)
    assert normal_quantile(0.9544997) == pytest.approx(2, abs=1e-6)


@pytest.mark.parametrize("kind", SCIPY)
def test_arrays_of_any_kind_may_be_compared(kind, generator):
    """float64 of NumPy is read as float32, without a warning."""
    x, y = generator.normal(size=(2, 30))
    expected = float(correlation(jnp.float32(x), jnp.float32(y), kind=kind))
    for cast in (np.asarray, list, np.ndarray.tolist):
        found = correlation(cast(x), cast(y), kind=kind)
        assert found.dtype == jnp.float32
        assert float(found) == pytest.approx(expected, abs=1e-6)
    whole = correlation([1, 2, 3], np.array([2, 4, 7]), kind="spearman")
    assert float(whole) == pytest.approx(1)


@pytest.mark.parametrize("value", [0.5, np.float64(0.5), np.array([0.5])])
def test_the_interval_of_a_number_of_any_kind(value):
    for kind in SCIPY:
        ends = correlation_interval(value, num_samples=28, kind=kind)
        again = correlation_interval(jnp.float32(0.5), num_samples=28, kind=kind)
        np.testing.assert_allclose(np.ravel(ends), np.ravel(again), rtol=1e-6)


def test_mistakes_end_in_one_line():
    x = jnp.arange(4.0)
    with pytest.raises(ValueError, match="expected one of pearson, spearman"):
        correlation(x, x, kind="kendall")
    with pytest.raises(ValueError, match="expected x and y of one shape"):
        correlation(x, x[:2], kind="pearson")
    with pytest.raises(ValueError, match="at least two entries"):
        correlation(x[:1], x[:1], kind="pearson")
    with pytest.raises(ValueError, match="expected 4 or more"):
        correlation_interval(x[0], num_samples=3, kind="pearson")
    with pytest.raises(ValueError, match="level: expected a number between"):
        normal_quantile(1.0)
