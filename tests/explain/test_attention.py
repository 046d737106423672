"""Attention maps: what they show, and on which scale."""

import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.explain.attention import attention_map, attention_rollout
from stylejax.image.regions import box_regions, region_masks


def rows(seed, *shape):
    """Random attention: the last axis sums to one."""
    weights = np.random.default_rng(seed).gamma(1.0, size=shape)
    return (weights / weights.sum(axis=-1, keepdims=True)).astype(np.float32)


# --- scale and place ----------------------------------------------------------------


def test_uniform_attention_is_one_everywhere():
    found = attention_map(jnp.full((2, 3, 4, 16), 1 / 16), size_hw=(8, 8))
    np.testing.assert_allclose(found, np.ones((2, 8, 8)), rtol=1e-6)


@pytest.mark.parametrize("size_hw", [(8, 8), (7, 10), (3, 2)])
def test_the_mean_of_a_map_is_one_at_any_size(size_hw):
    """Also where cells and pixels do not fit, and where cells are smaller."""
    found = attention_map(rows(0, 2, 3, 5, 16), size_hw=size_hw)
    assert found.shape == (2, *size_hw)
    np.testing.assert_allclose(found.mean(axis=(1, 2)), 1, rtol=1e-5)


def test_each_key_lies_on_its_own_cell():
    """Averaged over heads and queries, row by row, in multiples of uniform."""
    weights = rows(1, 1, 2, 3, 6)
    found = attention_map(weights, size_hw=(4, 9), grid_hw=(2, 3))
    cells = weights.astype(np.float64).mean(axis=(1, 2)).reshape(2, 3) * 6
    expected = cells.repeat(2, axis=0).repeat(3, axis=1)
    np.testing.assert_allclose(found[0], expected, rtol=1e-5)


def test_a_pixel_between_two_cells_has_the_mean_of_both():
    found = attention_map(jnp.array([[[[0.75, 0.25]]]]), size_hw=(1, 3), grid_hw=(1, 2))
    np.testing.assert_allclose(found[0, 0], [1.5, 1.0, 0.5], rtol=1e-6)


def test_pictures_are_not_stretched_to_their_own_range():
    """One picture attends ten times as unevenly as the other, and looks it."""
    ripple = np.array([1, -1, 1, -1]) / 4
    weights = np.stack([1 / 4 + 0.05 * ripple, 1 / 4 + 0.5 * ripple])
    found = attention_map(weights[:, None, None], size_hw=(2, 2))
    np.testing.assert_allclose(np.ptp(found, axis=(1, 2)), [0.1, 1.0], rtol=1e-4)


def test_heads_may_be_kept_apart():
    weights = rows(2, 2, 3, 4, 4)
    heads = attention_map(weights, size_hw=(2, 2), per_head=True)
    assert heads.shape == (2, 3, 2, 2)
    np.testing.assert_allclose(
        heads, 4 * weights.mean(axis=2).reshape(2, 3, 2, 2), rtol=1e-5
    )
    whole = attention_map(weights, size_hw=(2, 2))
    np.testing.assert_allclose(heads.mean(axis=1), whole, rtol=1e-5)


# --- queries of a region ------------------------------------------------------------


def test_queries_of_a_region_are_weighed_by_its_area_in_their_cells():
    """A box over cell 1 and half of cell 3 of a 2 x 2 grid: 2 parts and 1 part."""
    weights = rows(3, 2, 2, 4, 4)
    labels = box_regions((8, 8), [(4, 0, 4, 6)])
    region = region_masks(labels, num_regions=2)[0]
    found = attention_map(weights, size_hw=(2, 2), query_region=region)
    expected = (2 * weights[:, :, 1] + weights[:, :, 3]).mean(axis=1) / 3 * 4
    np.testing.assert_allclose(found, expected.reshape(2, 2, 2), rtol=1e-5)


def test_each_picture_may_have_its_own_region():
    weights = rows(4, 2, 1, 6, 4)
    regions = np.zeros((2, 2, 3))
    regions[0, 0, 0] = regions[1, 1, 2] = 1
    found = attention_map(
        weights, size_hw=(2, 2), query_region=regions, query_grid_hw=(2, 3)
    )
    expected = 4 * np.stack([weights[0, 0, 0], weights[1, 0, 5]]).reshape(2, 2, 2)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_an_empty_region_has_no_attention():
    found = attention_map(
        rows(0, 1, 1, 4, 4), size_hw=(2, 2), query_region=np.zeros((2, 2))
    )
    assert np.isnan(found).all()


# --- maps without queries -----------------------------------------------------------


def test_maps_keep_their_sign_and_lose_their_strength():
    cams = np.array([[[3.0, -1.0]], [[30.0, -10.0]], [[0.0, 0.0]]], np.float32)
    found = attention_map(cams, size_hw=(2, 4))
    line = [1.5, 1.5, -0.5, -0.5]
    np.testing.assert_allclose(found, [[line] * 2, [line] * 2, np.zeros((2, 4))])


# --- rollout ------------------------------------------------------------------------


def test_rollout_is_the_product_of_the_layers_last_one_first():
    layers = [rows(seed, 2, 3, 5, 5) for seed in range(3)]
    found = attention_rollout(layers)
    first, second, third = (
        0.5 * w.astype(np.float64).mean(axis=1) + 0.5 * np.eye(5) for w in layers
    )
    np.testing.assert_allclose(found[:, 0], third @ second @ first, rtol=1e-4)
    np.testing.assert_allclose(found.sum(axis=-1), 1, rtol=1e-5)


def test_rollout_without_attention_stays_where_it_is():
    found = attention_rollout([rows(0, 1, 2, 4, 4)] * 2, residual=1.0)
    np.testing.assert_array_equal(found[0, 0], np.eye(4))


# --- mistakes -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "options", "match"),
    [
        ((4, 4), {}, r"weights: expected \(b, heads, queries, keys\) or maps"),
        ((1, 4, 4), {"per_head": True}, "where a query region or heads are asked for"),
        ((1, 1, 4, 5), {}, "grid_hw: expected rows x columns = 5 positions, got 2 x 2"),
        ((1, 1, 4, 4), {"grid_hw": (3, 1)}, "= 4 positions, got 3 x 1"),
        (
            (1, 1, 5, 4),
            {"query_region": np.ones((2, 2))},
            "query_grid_hw: expected rows x columns = 5 positions, got 2 x 2",
        ),
    ],
)
def test_weights_and_grids_that_do_not_fit(shape, options, match):
    with pytest.raises(ValueError, match=match):
        attention_map(np.ones(shape, np.float32), size_hw=(4, 4), **options)


@pytest.mark.parametrize("layers", [[], [np.ones((1, 1, 4, 5))]])
def test_rollout_needs_self_attention(layers):
    with pytest.raises(ValueError, match="layers: expected self-attention"):
        attention_rollout(layers)
