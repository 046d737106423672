"""Ridge against the normal equations; the rest is compared in test_probes.py."""

import jax
import numpy as np
import pytest

from stylejax.explain.linear_solvers import solve_ridge
from stylejax.explain.principal_basis import principal_basis

WIDE, TALL = (20, 50), (40, 6)


@jax.jit
def solve(x, y, weights, l2):
    basis = principal_basis(x, weights, standardize=False)
    fit = solve_ridge(basis, y, weights, l2)
    return fit, basis.axes @ fit.values


def examples(seed, shape):
    generator = np.random.default_rng(seed)
    mix = generator.normal(size=(shape[1], shape[1]))
    x = (5 + generator.normal(size=shape) @ mix).astype(np.float32)
    y = x[:, :2] + generator.normal(size=(len(x), 2))
    return x, y.astype(np.float32), np.linspace(0, 2, len(x), dtype=np.float32)


@pytest.mark.parametrize("shape", [TALL, WIDE])
def test_ridge_solves_the_normal_equations(shape):
    x, y, weights = examples(4, shape)
    fit, got = solve(x, y, weights, 5.0)
    z = x - np.average(x, axis=0, weights=weights)
    gram = z.T * weights @ z + 5 * np.eye(shape[1])
    expected = np.linalg.solve(gram, z.T * weights @ y)
    np.testing.assert_allclose(got, expected, atol=2e-4 * np.abs(expected).max())
    np.testing.assert_allclose(fit.offset, np.average(y, axis=0, weights=weights), 1e-5)
    assert fit.gradient_norm < 1e-5


@pytest.mark.parametrize("shape", [TALL, WIDE])
def test_a_penalty_below_rounding_does_not_go_astray(shape):
    """Corrections diverge where the rounding of the axes exceeds the penalty."""
    x, y, weights = examples(5, shape)
    unit = np.random.default_rng(6).normal(size=shape[1]) / shape[1] ** 0.5
    x = (x + 1e4 * (x @ unit)[:, None] * unit).astype(np.float32)
    for l2 in (1e-3, 1e-9):
        fit, got = solve(x, y, weights, l2)
        assert np.isfinite(got).all()
        assert fit.gradient_norm < 1e-4
        fitted = (x - np.average(x, axis=0, weights=weights)) @ np.asarray(got)
        error = (y - np.asarray(fit.offset) - fitted) * weights[:, None]
        assert np.linalg.norm(error) < np.linalg.norm(y * weights[:, None])
