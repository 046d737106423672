"""The basis and the solvers against NumPy in float64, and what must not matter."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.explain.linear_solvers import principal_basis, solve_ridge

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
    """A constant of 3.1 has a variance of rounding errors: dividing by it is noise."""
    x = correlated(2, TALL)
    x[:, 1], x[:, 4] = 3.1, 0.0
    basis = basis_of(x, np.ones(len(x), np.float32), standardize=True)
    np.testing.assert_array_equal(basis.scale[jnp.array([1, 4])], [1, 1])
    np.testing.assert_allclose((basis.rows @ basis.axes.T)[:, 1], 0, atol=1e-6)
    assert int((np.asarray(basis.spectrum) > 1e-3).sum()) == 4


def test_features_far_from_zero_keep_their_variance(basis_of):
    """Of 1000 +- 0.1 float32 has four digits: a one-pass variance would have none."""
    generator = np.random.default_rng(3)
    x = (1000 + 0.1 * generator.normal(size=TALL)).astype(np.float32)
    basis = basis_of(x, np.ones(len(x), np.float32), standardize=True)
    np.testing.assert_allclose(basis.scale, x.std(0, dtype=float), rtol=1e-4)


@pytest.mark.parametrize("shape", [TALL, WIDE])
def test_ridge_solves_the_normal_equations(shape, basis_of):
    x, weights = correlated(4, shape), np.linspace(0, 2, shape[0], dtype=np.float32)
    y = x[:, :2] + np.random.default_rng(5).normal(size=(len(x), 2))
    basis = basis_of(x, weights, standardize=False)
    fit = jax.jit(solve_ridge)(
        basis, jnp.asarray(y, jnp.float32), jnp.asarray(weights), 5.0
    )
    mean = np.average(x, axis=0, weights=weights)
    z = x - mean
    gram = z.T * weights @ z + 5.0 * np.eye(shape[1])
    expected = np.linalg.solve(gram, z.T * weights @ y)
    got = np.asarray(basis.axes @ fit.values)
    np.testing.assert_allclose(got, expected, atol=2e-4 * np.abs(expected).max())
    np.testing.assert_allclose(fit.offset, np.average(y, axis=0, weights=weights), 1e-5)
    assert fit.gradient_norm < 1e-5
