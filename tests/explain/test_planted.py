"""Maps drawn by hand, whose shares can be added up on paper."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.explain.planted import (
    mark_share,
    model_contrast,
    pick_region,
)
from stylejax.explain.planted import region_ranking as eager_ranking
from stylejax.image.regions import box_regions, grid_regions

# Compiled as one: operation by operation takes longer.
region_ranking = jax.jit(eager_ranking, static_argnames=("num_regions", "sign"))


def test_regions_are_ranked_for_their_size():
    """The large region has more relevance, the small one more for its size."""
    labels = jnp.array([[0, 0, 0, 0, 1, 2]])
    found = region_ranking(jnp.array([[1.0, 1, 1, 1, 2, 0]]), labels, num_regions=4)
    assert found.order.tolist()[:2] == [1, 0]
    np.testing.assert_allclose(found.shares, [4 / 6, 2 / 6, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(found.areas, [4 / 6, 1 / 6, 1 / 6, 0], rtol=1e-6)
    np.testing.assert_allclose(found.lift, [1, 2, 0, 0], rtol=1e-6)


@pytest.mark.parametrize(
    ("sign", "shares"),
    [("absolute", [0.25, 0.75]), ("positive", [1, 0]), ("negative", [0, 1])],
)
def test_signs_are_asked_for(sign, shares):
    found = region_ranking(
        jnp.array([[1.0, -3.0]]), jnp.array([[0, 1]]), num_regions=2, sign=sign
    )
    assert found.shares.tolist() == shares


def test_a_map_that_knows_nothing_has_lift_one(generator):
    labels = grid_regions((9, 11), rows=2, columns=3)
    found = region_ranking(jnp.ones((9, 11, 3)), labels, num_regions=6)
    np.testing.assert_allclose(found.lift, 1, rtol=1e-6)


def test_pixels_without_a_label_are_left_out():
    found = region_ranking(
        jnp.array([[1.0, 1.0, 8.0]]), jnp.array([[0, 1, -1]]), num_regions=2
    )
    assert found.shares.tolist() == [0.5, 0.5]


def test_the_ranking_is_pure():
    maps = jnp.array([[[1.0, 5.0]], [[5.0, 1.0]]])

    def first(attribution):
        return region_ranking(attribution, jnp.array([[0, 1]]), num_regions=2).order[0]

    assert jax.jit(jax.vmap(first))(maps).tolist() == [1, 0]


def test_a_mark_is_held_against_its_area():
    attribution = jnp.zeros((4, 4, 2)).at[0, 0].set(3.0).at[3, 3, 0].set(-2.0)
    mask = jnp.zeros((4, 4)).at[:2, :2].set(1)
    found = mark_share(attribution, mask)
    assert float(found.share) == 0.75
    assert float(found.area) == 0.25
    assert float(found.lift) == 3.0
    assert float(mark_share(attribution, mask, sign="negative").share) == 0


@pytest.fixture
def twins(generator):
    """Maps of a model that obeys the left half of eight pictures, and its twin."""
    obeys = generator.uniform(0.4, 0.6, size=(10, 4, 4, 3))
    ignores = obeys.copy()
    obeys[:8, :, :2] *= 5
    obeys[8:, :, 2:] *= 5
    return jnp.asarray(obeys), jnp.asarray(7 * ignores)


def test_the_contrast_of_models_is_one_of_shares(twins):
    """So the twin's larger gradients do not count: its maps are seven times as high."""
    mask = np.zeros((4, 4))
    mask[:, :2] = 1
    found = model_contrast(*twins, mask)
    a, b = (np.asarray(x, np.float64).sum(axis=-1) for x in twins)
    expected = [
        x[:, :2].sum() / x.sum() - y[:, :2].sum() / y.sum()
        for x, y in zip(a, b, strict=True)
    ]
    np.testing.assert_allclose(found.contrasts, expected, atol=1e-6)
    assert found.score == pytest.approx(np.mean(expected), abs=1e-6)
    assert found.interval.low < found.score < found.interval.high
    assert found.greater_rate == 0.8
    assert found.greater_interval.low < 0.8 < found.greater_interval.high
    assert found.equal_rate == 0
    raw = a[:, :, :2].mean() - b[:, :, :2].mean()
    assert raw < 0 < found.score


def test_each_picture_may_have_its_own_mask(twins):
    masks = np.zeros((10, 4, 4))
    masks[:8, :, :2] = masks[8:, :, 2:] = 1
    assert model_contrast(*twins, masks).greater_rate == 1


def test_twins_that_ignore_a_region_are_equal(twins):
    found = model_contrast(twins[1], 3 * twins[1], np.eye(4))
    assert found.score == pytest.approx(0, abs=1e-6)
    assert found.equal_rate == 1


@pytest.mark.parametrize(
    ("shares", "areas", "region"),
    [
        ([0.1, 0.8, 0.1], [1 / 3] * 3, 1),
        ([0.1, 0.8, 0.1], [0.1, 0.8, 0.1], None),  # as much as it covers
        ([0.35, 0.33, 0.32], [1 / 3] * 3, None),
        ([0.5, 0.5, 0.0], [1 / 3] * 3, None),
        ([[0.2, 0.8], [0.6, 0.4], [0.1, 0.9]], [0.5, 0.5], 1),
        ([1.0, 0.0], [0.5, 0.5], 0),
    ],
)
def test_a_region_is_picked_where_one_stands_out(shares, areas, region):
    assert pick_region(shares, areas).region == region


def test_a_pick_can_be_forced():
    found = pick_region([0.3, 0.36, 0.34], [1 / 3] * 3, min_share=0, min_lead=0)
    assert found.region == 1
    assert found.share == 0.36
    assert found.lift == pytest.approx(1.08)
    assert found.lead == pytest.approx(0.36 / 0.34)


def test_votes_are_of_pictures():
    found = pick_region([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6]], [0.5, 0.5])
    assert (found.region, found.votes) == (0, pytest.approx(2 / 3))


def test_blind_picks_of_planted_models_are_right_and_none_of_clean_ones(generator):
    """Ten of twenty maps have most of their mass in one of nine boxes."""
    labels = grid_regions((12, 12), rows=3, columns=3)
    answers = [i % 9 if i < 10 else None for i in range(20)]
    picks = []
    for answer in answers:
        attribution = generator.normal(size=(12, 12))
        if answer is not None:
            attribution[labels == answer] *= 20
        ranking = region_ranking(jnp.asarray(attribution), labels, num_regions=9)
        picks.append(pick_region(ranking.shares, ranking.areas).region)
    assert picks == answers


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: pick_region([0.5, 0.5], [1.0]), "one area for each of k >= 2"),
        (lambda: pick_region([1.0], [1.0]), "one area for each of k >= 2"),
        (lambda: pick_region([0.5, np.nan], [0.5, 0.5]), "finite shares of at least 0"),
        (lambda: pick_region([0.5, 0.5], [1.0, 0.0]), "areas above 0"),
        (
            lambda: region_ranking(jnp.ones((2, 2)), np.zeros((1, 2)), num_regions=1),
            "labels and the map's pixels of one",
        ),
        (
            lambda: model_contrast(jnp.ones((2, 2)), jnp.ones((2, 2)), np.ones((2, 2))),
            r"expected maps \(b, h, w, c\)",
        ),
        (
            lambda: mark_share(jnp.ones((2, 2)), 255 * np.eye(2)),
            r"mask: expected values in \[0, 1\], got 0 to 255",
        ),
        (
            lambda: model_contrast(
                jnp.ones((1, 2, 2)), jnp.ones((1, 2, 2)), 255 * np.eye(2)
            ),
            r"mask: expected values in \[0, 1\], got 0 to 255",
        ),
        (
            lambda: mark_share(jnp.ones((2, 2)), jnp.ones((2, 2)), sign="both"),
            "sign: expected one of",
        ),
    ],
)
def test_mistakes_end_in_one_clear_line(call, match):
    with pytest.raises(ValueError, match=match) as e:
        call()
    assert "\n" not in str(e.value)


def test_boxes_are_regions_too():
    labels = box_regions((4, 4), [(0, 0, 2, 2)])
    found = region_ranking(jnp.ones((4, 4)), labels, num_regions=2)
    assert found.areas.tolist() == [0.25, 0.75]
