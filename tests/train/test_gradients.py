"""Accumulated gradients equal whole ones; collectives equal the global batch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.train import gradients


def terms_fn(params, batch):
    prediction = batch["x"] @ params["w"]
    error = jnp.mean((prediction - batch["y"]) ** 2)
    return {"error": error, "size": 0.1 * jnp.sum(params["w"] ** 2)}, prediction


@pytest.fixture
def problem(generator):
    batch = {
        "x": jnp.asarray(generator.normal(size=(8, 3)), jnp.float32),
        "y": jnp.asarray(generator.normal(size=(8,)), jnp.float32),
    }
    return {"w": jnp.array([0.5, -1.0, 2.0])}, batch


def test_gradient_by_hand(problem):
    params, batch = problem
    _, _, grads = gradients.mean_gradients(terms_fn, params, batch)
    residual = batch["x"] @ params["w"] - batch["y"]
    expected = 2 * batch["x"].T @ residual / 8 + 0.2 * params["w"]
    np.testing.assert_allclose(grads["w"], expected, rtol=1e-5)


@pytest.mark.parametrize("num_parts", [2, 4, 8])
def test_parts_change_nothing(problem, num_parts):
    params, batch = problem
    whole = gradients.mean_gradients(terms_fn, params, batch)
    parts = jax.jit(
        lambda p, b: gradients.mean_gradients(terms_fn, p, b, num_parts=num_parts)
    )(params, batch)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5), whole, parts)


def test_parts_must_divide_the_batch(problem):
    with pytest.raises(ValueError, match="3 parts do not divide a batch of 8"):
        gradients.mean_gradients(terms_fn, *problem, num_parts=3)


def test_without_an_axis_nothing_happens():
    across, x = gradients.Across(), jnp.arange(4.0)
    assert across.size(4) == 4
    for same in (across.mean, across.gather, across.share):
        assert same(x) is x


def test_over_an_axis_shares_and_gathers_are_the_global_batch():
    across, x = gradients.Across("data"), jnp.arange(8.0).reshape(4, 2)

    def visit(mine):
        everything = across.gather(mine)
        back = across.share({"x": everything})["x"]
        return everything, back, across.mean(jnp.sum(mine)), across.size(2)

    everything, back, mean, size = jax.pmap(visit, axis_name="data")(x)
    np.testing.assert_array_equal(everything, np.tile(np.arange(8.0), (4, 1)))
    np.testing.assert_array_equal(back, x)
    np.testing.assert_allclose(mean, np.full(4, 7.0))
    assert size.tolist() == [8] * 4
