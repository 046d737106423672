"""Principal axes against NumPy in float64, and what must not matter."""

import jax
import numpy as np
import pytest

from stylejax.explain.principal_basis import principal_basis

WIDE, TALL = (20, 50), (40, 6)


def correlated(seed, shape):
    generator = np.random.default_rng(seed)
    mix = generator.normal(size=(shape[1], shape[1]))
    return (5 + generator.normal(size=shape) @ mix).astype(np.float32)


@pytest.fixture(scope="module")
def basis_of():
    return jax.jit(principal_basis, static_argnames="standardize")


@pytest.mark.parametrize("shape", [TALL, WIDE])
def test_the_rows_are_the_standardized_features_turned(shape, basis_of):
    """The axes are orthonormal where used, so that lengths and penalties are kept."""
    x, weights = correlated(0, shape), np.ones(shape[0], np.float32)
    basis = basis_of(x, weights, standardize=True)
    z = (x - x.mean(0, dtype=float)) / x.std(0, dtype=float)
    np.testing.assert_allclose(basis.rows @ basis.axes.T, z, atol=2e-5)
    products = np.asarray(basis.axes.T @ basis.axes)
    used = np.asarray(basis.spectrum) > 0
    np.testing.assert_allclose(products, np.diag(used), atol=1e-4)
    np.testing.assert_allclose(basis.metric, np.eye(len(used)), atol=1e-4)
    values = np.linalg.svd(z, compute_uv=False)[::-1] ** 2
    np.testing.assert_allclose(
        basis.spectrum[-len(values) :], values, atol=1e-5 * values.max()
    )


@pytest.mark.parametrize("shape", [TALL, WIDE])
def test_moments_are_those_of_the_weighted_examples(shape, basis_of):
    x, weights = correlated(1, shape), np.ones(shape[0], np.float32)
    weights[::3] = 0
    spoiled = np.where(weights[:, None] == 0, 1e4, x).astype(np.float32)
    basis = basis_of(spoiled, weights, standardize=True)
    training = x[weights > 0].astype(np.float64)
    np.testing.assert_allclose(basis.center, training.mean(0), rtol=1e-5)
    np.testing.assert_allclose(basis.scale, training.std(0), rtol=1e-5)


def test_features_that_do_not_vary_are_left_out(basis_of):
    """Their variance is one of rounding errors: dividing by it would make noise."""
    x = correlated(2, TALL)
    x[:, :4] = [3.1, 0.0, -1000.1, 1e6]
    x[::2, 3] += 0.06
    basis = basis_of(
        x, np.linspace(0.1, 1, len(x)).astype(np.float32), standardize=True
    )
    np.testing.assert_array_equal(basis.scale[:4], 1)
    np.testing.assert_allclose((basis.rows @ basis.axes.T)[:, :4], 0, atol=1e-6)
    assert int((np.asarray(basis.spectrum) > 1e-3).sum()) == 2


def test_a_unit_that_fires_for_one_training_example_is_left_out(basis_of):
    """Where it is tested it may fire at ten times that, 60 standard deviations off."""
    x, weights = correlated(2, TALL), np.ones(TALL[0], np.float32)
    weights[30:] = 0
    x[:, 1:3] = 0
    x[3, 1], x[35, 1] = 1, 10
    x[[3, 5, 7, 9], 2] = [1, 2, 1, 2]
    basis = basis_of(x, weights, standardize=True)
    z = np.asarray(basis.rows @ basis.axes.T)
    np.testing.assert_allclose(z[:, 1], 0, atol=1e-5)
    expected = (x[:, 2] - x[:30, 2].mean()) / x[:30, 2].std()
    np.testing.assert_allclose(z[:, 2], expected, atol=1e-5)
    kept = basis_of(x, weights, standardize=False)
    np.testing.assert_allclose((kept.rows @ kept.axes.T)[35, 1], 10 - 1 / 30, rtol=1e-5)


def test_rare_examples_of_a_small_training_set_are_kept(basis_of):
    """Of four examples one is a quarter: what few there are must do."""
    x, weights = correlated(2, TALL), np.zeros(TALL[0], np.float32)
    weights[:4] = 0.5
    x[:4, 0] = [0, 0, 1, 0]
    basis = basis_of(x, weights, standardize=True)
    assert np.ptp((basis.rows @ basis.axes.T)[:4, 0]) > 2


def test_features_far_from_zero_keep_their_variance(basis_of):
    """Of 1000 +- 0.1 float32 has four digits: a one-pass variance would have none."""
    generator = np.random.default_rng(3)
    x = (1000 + 0.1 * generator.normal(size=TALL)).astype(np.float32)
    basis = basis_of(x, np.ones(len(x), np.float32), standardize=True)
    np.testing.assert_allclose(basis.scale, x.std(0, dtype=float), rtol=1e-4)


def test_the_rounding_of_a_large_mean_is_no_intercept(basis_of):
    """Of 100,000 +- 1 a float32 mean misses some hundredths."""
    generator = np.random.default_rng(9)
    x = (1e5 + generator.normal(size=TALL)).astype(np.float32)
    basis = basis_of(x, np.ones(len(x), np.float32), standardize=True)
    np.testing.assert_allclose(basis.rows.mean(0), 0, atol=1e-5)
