"""The discrepancy of two batches: its formula, no bias, what it sees."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.losses.discrepancy import moment_discrepancy


@pytest.mark.parametrize("compile_fn", [jax.jit, lambda fn: fn])
def test_it_is_the_formula_of_the_text(compile_fn, generator):
    x, y = generator.normal(size=(4, 3)), 2 + 3 * generator.normal(size=(5, 3))
    both = np.concatenate([x, y])
    u, v = ((z - both.mean(0)) / both.std(0) for z in (x, y))

    def mean(u, v, *, others):
        pairs = [
            (s @ t) / 3 + ((s @ t) / 3) ** 2
            for i, s in enumerate(u)
            for j, t in enumerate(v)
            if not (others and i == j)
        ]
        return np.mean(pairs)

    expected = mean(u, u, others=True) + mean(v, v, others=True)
    expected -= 2 * mean(u, v, others=False)
    found = compile_fn(moment_discrepancy)(jnp.float32(x), jnp.float32(y))
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, expected, rtol=0.01)


def test_it_has_no_bias_and_sees_means_spreads_and_correlations(generator):
    measure = jax.jit(moment_discrepancy)

    def mean(change):
        x, y = generator.normal(size=(2, 400, 8, 4)).astype(np.float32)
        found = [measure(a, b) for a, b in zip(x, change(y), strict=True)]
        return np.mean(found), np.std(found) / 400**0.5

    value, error = mean(lambda y: y)
    assert abs(value) < 4 * error
    for change in (lambda y: y + 1, lambda y: 3 * y, lambda y: y[..., [0, 0, 2, 3]]):
        value, error = mean(change)
        assert value > 4 * error


def test_descending_it_on_small_batches_finds_the_other_distribution(generator):
    def loss(params, x, noise):
        return moment_discrepancy(x, params["mean"] + params["spread"] * noise)

    params = {"mean": jnp.full((1, 4), 1.5), "spread": jnp.full((1, 4), 3.0)}
    slope = jax.jit(jax.grad(loss))
    for x, noise in generator.normal(size=(600, 2, 16, 4)).astype(np.float32):
        grads = slope(params, x, noise)
        params = jax.tree.map(lambda p, g: p - 0.1 * g, params, grads)
    np.testing.assert_allclose(params["mean"], 0.0, atol=0.3)
    np.testing.assert_allclose(params["spread"], 1.0, atol=0.3)


@pytest.mark.parametrize("shapes", [((1, 3), (2, 3)), ((2, 3), (2, 4))])
def test_what_cannot_be_compared_is_refused(shapes):
    with pytest.raises(ValueError, match="expected two batches of two or more"):
        moment_discrepancy(*map(jnp.ones, shapes))
