"""Dissection of planted units against overlap counted in NumPy."""

import numpy as np
import pytest
from scipy import ndimage

from stylejax.explain.dissection import dissect_units, unit_levels


@pytest.fixture(scope="module")
def planted():
    """Maps of 4 units on 6 pictures, and masks of 2 concepts at twice their size.

    Unit 0 sees concept 0, unit 1 sees concept 1, unit 2 is noise, unit 3 is dead.
    """
    numbers = np.random.default_rng(0)
    masks = np.zeros((6, 16, 16, 2), bool)
    for mask in masks:
        for concept in range(2):
            y, x = 2 * numbers.integers(0, 6, 2)
            mask[y : y + 4, x : x + 4, concept] = True
    coarse = masks[:, ::2, ::2].astype(np.float32)
    noise = numbers.uniform(0, 0.1, (6, 8, 8, 4)).astype(np.float32)
    maps = noise.copy()
    maps[..., :2] += coarse
    maps[..., 3] = 0
    return maps, masks


def counted_iou(maps, masks, quantile):
    """The definition, pixel by pixel, with SciPy's bilinear enlargement."""
    result = np.zeros((maps.shape[-1], masks.shape[-1]))
    for unit in range(maps.shape[-1]):
        level = np.quantile(maps[..., unit], 1 - quantile)
        # Pixel centres of the larger grid in the smaller one; ends repeat.
        at = (np.arange(masks.shape[1]) + 0.5) / 2 - 0.5
        grid = np.meshgrid(at, at, indexing="ij")
        high = [
            ndimage.map_coordinates(m, grid, order=1, mode="nearest") > level
            for m in maps[..., unit]
        ]
        for concept in range(masks.shape[-1]):
            inside = masks[..., concept]
            result[unit, concept] = (high & inside).sum() / (high | inside).sum()
    return result


@pytest.mark.parametrize("quantile", [0.005, 0.05])
def test_overlap_equals_what_is_counted_pixel_by_pixel(planted, quantile):
    maps, masks = planted
    result = dissect_units(maps, masks, quantile=quantile)
    np.testing.assert_allclose(
        result.iou, counted_iou(maps, masks, quantile), atol=1e-6
    )
    levels = np.quantile(maps, 1 - quantile, axis=(0, 1, 2))
    np.testing.assert_allclose(result.thresholds, levels, rtol=1e-6)
    assert (result.quantile, result.iou_threshold) == (quantile, 0.05)
    assert result.num_pictures == 6


def test_planted_units_are_found_and_noise_and_dead_ones_are_not(planted):
    maps, masks = planted
    result = dissect_units(maps, masks, quantile=0.05)
    assert result.best[:2].tolist() == [0, 1]
    assert result.interpretable.tolist() == [True, True, False, False]
    assert (result.iou[3] == 0).all()


def test_chance_is_what_shuffled_pictures_give(planted):
    """The closed form against the mean over many shuffles of positions."""
    maps, masks = planted
    numbers = np.random.default_rng(1)
    same_size = masks[:, ::2, ::2]
    result = dissect_units(maps, same_size, quantile=0.1)
    high = maps > np.quantile(maps, 0.9, axis=(0, 1, 2))
    ious = []
    for _ in range(400):
        shuffled = numbers.permutation(same_size.reshape(-1, 2)).reshape(
            same_size.shape
        )
        both = (high[..., :1] & shuffled[..., :1]).sum()
        ious.append(both / (high[..., :1] | shuffled[..., :1]).sum())
    error = 4 * np.std(ious) / np.sqrt(len(ious))
    assert abs(result.chance_iou[0, 0] - np.mean(ious)) < error + 1e-3


def test_overlap_no_better_than_chance_is_not_interpretable():
    """A concept nearly everywhere overlaps any unit by more than 0.05."""
    numbers = np.random.default_rng(2)
    maps = numbers.normal(size=(4, 16, 16, 3)).astype(np.float32)
    everywhere = np.ones((4, 16, 16, 1), bool)
    everywhere[:, 0] = False
    maps[:, 0] += 3  # so that all units prefer where the concept is not
    result = dissect_units(maps, everywhere, quantile=0.2)
    assert (result.iou > 0.05).all()
    assert not result.interpretable.any()


def test_the_level_is_exceeded_at_its_share_of_positions():
    maps = np.random.default_rng(3).normal(size=(5, 20, 20, 2)).astype(np.float32)
    levels = np.asarray(unit_levels(maps, quantile=0.005))
    np.testing.assert_allclose((maps > levels).mean(axis=(0, 1, 2)), 0.005)


def test_an_absent_concept_has_no_overlap(planted):
    maps, masks = planted
    result = dissect_units(maps[..., 3:], np.zeros_like(masks[..., :1]))
    assert result.iou.tolist() == [[0.0]] and result.chance_iou.tolist() == [[0.0]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"masks": np.zeros((5, 16, 16, 1))}, "masks: expected .* 6 pictures, got"),
        (
            {"masks": np.zeros((6, 16, 16))},
            r"masks: expected shape \(b, h, w, concepts",
        ),
        ({"quantile": 0.0}, "quantile: expected a number in"),
        ({"quantile": 1.0}, "quantile: expected a number in"),
        ({"activations": np.zeros((6, 4), np.float32)}, "activations: expected"),
    ],
)
def test_what_cannot_be_dissected_is_refused(planted, change, message):
    arguments = {"activations": planted[0], "masks": planted[1], **change}
    with pytest.raises(ValueError, match=message):
        dissect_units(arguments.pop("activations"), arguments.pop("masks"), **arguments)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_units_that_are_not_finite_are_named(planted, value):
    """A threshold of NaN is exceeded nowhere: the unit would look at nothing."""
    maps, masks = planted[0].copy(), planted[1]
    maps[4, 2, 3, [1, 3]] = value
    match = "^activations: expected finite numbers, got NaN or infinity in units 1, 3$"
    with pytest.raises(ValueError, match=match):
        dissect_units(maps, masks)


def test_the_level_of_what_is_not_a_number_is_not_a_number(planted):
    maps = planted[0].copy()
    maps[4, 2, 3, 1] = np.nan
    levels = unit_levels(maps)
    assert np.isnan(levels).tolist() == [False, True, False, False]


def test_masks_that_are_not_finite_are_named(planted):
    maps, masks = planted[0], planted[1].astype(np.float32)
    masks[0, 0, 0, 1] = np.nan
    with pytest.raises(
        ValueError, match="^masks: .* got NaN or infinity in concepts 1"
    ):
        dissect_units(maps, masks)
