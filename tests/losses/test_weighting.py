"""Weights, quantiles and vectors of feature maps against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.losses import weighting


def test_without_a_mask_all_positions_weigh_alike(generator):
    features = generator.normal(size=(2, 3, 4, 5))
    weights = weighting.position_weights(features, None)
    np.testing.assert_allclose(weights, np.full((2, 12), 1 / 12), rtol=1e-6)


def test_a_mask_is_normalised_per_example_and_broadcast(generator):
    features = jnp.zeros((2, 3, 4, 1))
    mask = generator.uniform(size=(2, 3, 4)).astype(np.float32)
    weights = weighting.position_weights(features, mask)
    expected = mask.reshape(2, -1) / mask.reshape(2, -1).sum(1, keepdims=True)
    np.testing.assert_allclose(weights, expected, rtol=1e-5)
    shared = weighting.position_weights(features, mask[:1])
    np.testing.assert_allclose(shared, np.stack([expected[0]] * 2), rtol=1e-5)


def test_a_larger_mask_is_averaged_down_to_the_maps():
    mask = jnp.zeros((1, 8, 8)).at[:, :, :4].set(1.0)
    weights = weighting.position_weights(jnp.zeros((1, 2, 2, 1)), mask)
    left, right = map(float, weights.reshape(2, 2)[0])
    assert left == pytest.approx(0.5 * (1 - 2 * right), abs=1e-6)
    assert right < 0.1  # the filter reaches a little over the edge


def test_an_empty_mask_counts_nothing():
    weights = weighting.position_weights(jnp.zeros((1, 2, 2, 1)), jnp.zeros((1, 2, 2)))
    assert float(jnp.abs(weights).max()) == 0.0


@pytest.mark.parametrize("shape", [(4, 4), (3, 4, 4), (2, 4, 4, 1)])
def test_masks_of_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"mask: expected shape \(2, h, w\)"):
        weighting.position_weights(jnp.zeros((2, 4, 4, 3)), jnp.ones(shape))


def test_quantiles_of_equal_weights_are_the_sorted_values(generator):
    x = generator.normal(size=(2, 7, 3)).astype(np.float32)
    found = weighting.weighted_quantiles(x, np.full((2, 7), 1 / 7), num_quantiles=7)
    np.testing.assert_allclose(found, np.sort(x, axis=1), atol=1e-5)


def test_quantiles_are_hazens_where_their_number_differs(generator):
    x = generator.normal(size=(1, 9, 1)).astype(np.float32)
    found = weighting.weighted_quantiles(x, np.full((1, 9), 1 / 9), num_quantiles=4)
    expected = np.quantile(x[0, :, 0], (np.arange(4) + 0.5) / 4, method="hazen")
    np.testing.assert_allclose(found[0, :, 0], expected, atol=1e-5)


def test_what_a_mask_leaves_out_has_no_part_in_the_quantiles(generator):
    x = generator.normal(size=(1, 10, 2)).astype(np.float32)
    weights = np.zeros((1, 10), np.float32)
    weights[0, [1, 4, 5, 8]] = 0.25
    masked = weighting.weighted_quantiles(x, weights, num_quantiles=5)
    alone = weighting.weighted_quantiles(
        x[:, [1, 4, 5, 8]], np.full((1, 4), 0.25), num_quantiles=5
    )
    np.testing.assert_allclose(masked, alone, atol=1e-5)
    moved = x.copy()
    moved[0, 0] = 1e6
    again = weighting.weighted_quantiles(moved, weights, num_quantiles=5)
    np.testing.assert_array_equal(masked, again)


def test_quantiles_have_finite_gradients_with_ties_and_an_empty_mask():
    x = jnp.zeros((1, 6, 1))
    for weights in (jnp.full((1, 6), 1 / 6), jnp.zeros((1, 6))):
        gradient = jax.grad(
            lambda v, w=weights: jnp.sum(
                weighting.weighted_quantiles(v, w, num_quantiles=3) ** 2
            )
        )(x)
        assert np.isfinite(gradient).all()
