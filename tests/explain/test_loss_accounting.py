"""Accounts against terms whose gradients are known, and what they must refuse."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax import explain
from stylejax.losses.terms import Term

A, B, C = (
    Term("style", "relu1", "wave"),
    Term("style", "relu2", "wave"),
    Term("content", "relu2"),
)


@pytest.fixture
def weights(generator):
    return jnp.asarray(generator.normal(size=(5, 6, 3)).astype(np.float32))


def terms_fn(weights):
    """Linear, quadratic and one that looks at the left half alone."""

    def fn(x):
        left = x * (jnp.arange(6) < 3)[None, None, :, None]
        return {
            A: jnp.sum(x * weights[None], axis=(1, 2, 3)),
            B: 0.5 * jnp.sum(x**2, axis=(1, 2, 3)),
            C: jnp.sum(left**3, axis=(1, 2, 3)),
        }

    return fn


@pytest.fixture
def picture(generator):
    return generator.random((5, 6, 3), np.float32)


def test_values_and_gradients_are_those_of_each_term(weights, picture):
    found = explain.account(terms_fn(weights), picture)
    np.testing.assert_allclose(found.gradients[A], weights, rtol=1e-6)
    np.testing.assert_allclose(found.gradients[B], picture, rtol=1e-6)
    expected = np.where(np.arange(6)[None, :, None] < 3, 3 * picture**2, 0)
    np.testing.assert_allclose(found.gradients[C], expected, rtol=1e-5)
    assert found.values[B] == pytest.approx(0.5 * np.sum(picture**2), rel=1e-6)


def test_the_parts_sum_to_the_whole(weights, picture):
    fn = terms_fn(weights)
    found = explain.account(fn, picture[None])
    whole = jax.grad(lambda x: sum(v.sum() for v in fn(x).values()))(picture[None])
    np.testing.assert_allclose(found.gradient, whole[0], rtol=1e-5)
    assert found.value_error < 1e-5
    assert found.gradient_error < 1e-5


def test_an_account_that_leaves_a_term_out_shows_an_error(weights, picture):
    found = explain.account(terms_fn(weights), picture)
    values = {k: v for k, v in found.values.items() if k != B}
    gradients = {k: v for k, v in found.gradients.items() if k != B}
    short = dataclasses.replace(found, values=values, gradients=gradients)
    assert short.value_error > 0.1
    assert short.gradient_error > 0.1


def test_errors_are_measured_by_the_parts_where_the_whole_cancels():
    parts = {A: np.full((2, 2, 3), 5.0), B: np.full((2, 2, 3), -5.0)}
    values = {A: 5.0, B: -5.0}
    found = explain.Account(values, parts, 1e-6, np.full((2, 2, 3), 1e-6))
    assert found.value_error == pytest.approx(1e-7)
    assert found.gradient_error == pytest.approx(1e-7)


def test_groups_add_up(weights, picture):
    found = explain.account(terms_fn(weights), picture)
    by_layer = found.by("layer")
    assert set(by_layer.values) == {"relu1", "relu2"}
    np.testing.assert_allclose(
        by_layer.gradients["relu2"], found.gradients[B] + found.gradients[C]
    )
    assert by_layer.values["relu2"] == pytest.approx(found.values[B] + found.values[C])
    assert by_layer.value_error < 1e-5
    assert set(found.by("style").values) == {"wave", ""}
    assert by_layer.gradient_error < 1e-5
    one = found.by(lambda term: "all")
    np.testing.assert_allclose(one.gradients["all"], found.gradient, atol=1e-5)


def test_pull_and_shares(weights, picture):
    found = explain.account(terms_fn(weights), picture)
    shares = found.shares()
    np.testing.assert_allclose(sum(shares.values()), np.ones((5, 6)), rtol=1e-5)
    assert (shares[C][:, 3:] == 0).all()
    assert (shares[C][:, :3] > 0).all()
    np.testing.assert_allclose(
        found.pull()[B], np.sqrt((picture**2).sum(axis=-1)), rtol=1e-5
    )


def test_blurred_shares_still_sum_to_one_and_reach_beyond(weights, picture):
    found = explain.account(terms_fn(weights), picture)
    shares = found.shares(sigma=1.0)
    np.testing.assert_allclose(sum(shares.values()), np.ones((5, 6)), rtol=1e-5)
    assert (shares[C][:, 3] > 0).all()
    assert (shares[C][:, 5] < shares[C][:, 3]).all()


def test_regions_split_each_terms_gradient(weights, picture):
    found = explain.account(terms_fn(weights), picture)
    masks = np.zeros((2, 5, 6))
    masks[0, :, :3] = 1
    masks[1] = 1 - masks[0]
    table = found.in_regions(masks)
    assert table.shape == (3, 2)
    assert table[list(found.values).index(C), 1] == 0
    sums = [np.abs(g).sum() for g in found.gradients.values()]
    np.testing.assert_allclose(table.sum(axis=1), sums, rtol=1e-6)


def test_bad_input_is_refused(weights, picture):
    fn = terms_fn(weights)
    with pytest.raises(ValueError, match="expected one picture"):
        explain.account(fn, np.stack([picture, picture]))
    with pytest.raises(ValueError, match="at least one term"):
        explain.account(lambda x: {}, picture)
    found = explain.account(fn, picture)
    with pytest.raises(ValueError, match="kind, layer, style, region"):
        found.by("colour")
    with pytest.raises(ValueError, match="sum to 1"):
        found.in_regions(np.ones((2, 5, 6)))
    with pytest.raises(ValueError, match="masks: expected shape"):
        found.in_regions(np.ones((1, 4, 6)))
