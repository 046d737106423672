"""Attribution at a layer of networks whose layers are known in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.explain.edits import apply_edit
from stylejax.explain.layers import grad_cam, layer_gradients

WEIGHTS = jnp.array([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]])  # blue goes nowhere


def run(images, edits):
    """Two channels at half the size, then their first minus three times the second."""
    found = {}

    def layer(name, x):
        x = apply_edit(x, edits[name], name=name) if name in edits else x
        found[name] = x
        return x

    hidden = layer("hidden", images[:, ::2, ::2] @ WEIGHTS)
    flat = layer("flat", hidden.mean(axis=(1, 2)))
    return (hidden[..., 0] - 3 * hidden[..., 1] ** 2) + flat.sum() * 0, found


def total(output):
    return output.sum(axis=(1, 2))


IMAGE = jax.random.uniform(jax.random.key(0), (8, 6, 3))
START = jax.random.uniform(jax.random.key(1), (8, 6, 3))


def test_grad_cam_weighs_channels_by_their_mean_gradient():
    hidden = np.asarray(IMAGE[::2, ::2] @ WEIGHTS)
    expected_weights = np.array([1.0, -6 * hidden[..., 1].mean()])
    found = grad_cam(run, total, IMAGE, name="hidden", positive=False)
    np.testing.assert_allclose(found.weights, expected_weights, rtol=1e-5)
    np.testing.assert_allclose(found.coarse, hidden @ expected_weights, rtol=1e-4)
    assert found.map.shape == (8, 6) and found.coarse.shape == (4, 3)
    cut = grad_cam(run, total, IMAGE[None], name="hidden")
    np.testing.assert_allclose(cut.coarse, np.maximum(found.coarse, 0), rtol=1e-5)


def test_a_constant_map_stays_constant_when_it_is_enlarged():
    found = grad_cam(
        run, total, jnp.full((8, 6, 3), 0.5), name="hidden", positive=False
    )
    np.testing.assert_allclose(found.map, found.coarse[0, 0], rtol=1e-5)


def test_layer_gradients_share_the_change_out_over_channels():
    """A square's share along a straight path is the difference of squares."""
    result = layer_gradients(
        run, total, IMAGE, name="hidden", baseline=START, num_steps=4, chunk=3
    )
    end, begin = (np.asarray(x[::2, ::2] @ WEIGHTS) for x in (IMAGE, START))
    assert result.map.shape == (4, 3, 2)
    np.testing.assert_allclose(result.map[..., 0], (end - begin)[..., 0], atol=1e-5)
    squares = -3 * (end**2 - begin**2)[..., 1]
    np.testing.assert_allclose(result.map[..., 1], squares, atol=1e-5)
    assert result.absolute_error < 1e-4
    whole = float(total(run(IMAGE[None], {})[0])[0])
    assert result.target == pytest.approx(whole, rel=1e-5)


def test_a_layer_that_leads_nowhere_gets_nothing():
    result = layer_gradients(run, total, IMAGE, name="flat", num_steps=2)
    assert float(jnp.abs(result.map).max()) == 0
    assert result.target == pytest.approx(result.target_baseline)


def test_wrong_names_list_what_exists():
    with pytest.raises(ValueError, match="flat, hidden; got 'hiden'"):
        grad_cam(run, total, IMAGE, name="hiden")
    with pytest.raises(ValueError, match=r"expected a map \(1, h, w, d\), got 'flat'"):
        grad_cam(run, total, IMAGE, name="flat")


@pytest.mark.parametrize("explain", [grad_cam, layer_gradients])
def test_what_is_not_one_number_of_one_picture_is_refused(explain):
    with pytest.raises(ValueError, match="name: expected one of flat, hidden; got 'x'"):
        explain(run, total, IMAGE, name="x")
    with pytest.raises(ValueError, match=r"target: expected one number .* \(1, 4\)"):
        explain(run, lambda output: output.sum(axis=2), IMAGE, name="hidden")

    def doubled(images, edits):
        output, found = run(images, edits)
        return output, {**found, "hidden": jnp.concatenate([found["hidden"]] * 2)}

    with pytest.raises(ValueError, match="a batch axis of one, got 'hidden' of shape"):
        explain(doubled, total, IMAGE, name="hidden")
