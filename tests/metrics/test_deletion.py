"""Deletion and insertion against a function whose curves and areas are known."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.image.regions import grid_regions
from stylejax.metrics.deletion import deletion_curves

KEY = jax.random.key(3)
K = 36
# Effects 1 to K in a mixed order: pixel i adds EFFECTS[i] to the target.
EFFECTS = np.random.default_rng(0).permutation(K).astype(np.float32) + 1
IMAGE = np.stack([EFFECTS, np.zeros(K, np.float32)], axis=1).reshape(6, 6, 2)
BLACK = np.zeros_like(IMAGE)
TRUTH = EFFECTS.reshape(6, 6)


@jax.jit
def total(images):
    return images.sum(axis=(1, 2, 3))


@jax.jit
def brightest(images):
    return images.max(axis=(1, 2, 3))


def curves(attribution, *, fn=total, key=KEY, **options):
    options = {"num_steps": K, **options}
    return deletion_curves(key, fn, IMAGE, attribution, baseline=BLACK, **options)


@pytest.fixture(scope="module")
def truth():
    return curves(TRUTH)


def test_the_curves_are_those_of_triangular_numbers(truth):
    """After c of the effects 1 to K are gone: K - c are left, or all but 1 to c."""
    left = np.arange(K, -1, -1)
    np.testing.assert_array_equal(truth.deletion, left * (left + 1) / 2)
    gone = np.arange(K + 1)
    np.testing.assert_array_equal(truth.reverse, (K * (K + 1) - gone * (gone + 1)) / 2)
    np.testing.assert_allclose(truth.shares, gone / K, rtol=1e-6)


def test_the_areas_are_known_in_closed_form(truth):
    assert float(truth.deletion_area) == pytest.approx((K + 1) * (2 * K + 1) / 12)
    assert float(truth.reverse_area) == pytest.approx((K + 1) * (4 * K - 1) / 12)
    spread = np.std(truth.random_areas) / np.sqrt(len(truth.random))
    assert abs(np.mean(truth.random_areas) - K * (K + 1) / 4) < 4 * spread


def test_deletion_is_below_random_is_below_reverse(truth):
    assert truth.random.shape == (20, K + 1)
    assert float(truth.deletion_area) < float(truth.random_areas.min())
    assert float(truth.random_areas.max()) < float(truth.reverse_area)
    assert float(truth.p_value) == pytest.approx(1 / 21)
    low, high = np.asarray(truth.random_band)
    assert (truth.deletion <= low).all()
    assert (high <= truth.reverse).all()


def test_every_curve_runs_from_the_picture_to_the_baseline(truth):
    every = np.concatenate([truth.deletion[None], truth.reverse[None], truth.random])
    np.testing.assert_array_equal(every[:, 0], K * (K + 1) / 2)
    np.testing.assert_array_equal(every[:, -1], 0)


def test_insertion_is_the_reverse_read_backwards(truth):
    """By hand: the largest put into black first."""
    expected = np.cumsum([0, *np.sort(EFFECTS)[::-1]])
    np.testing.assert_array_equal(truth.insertion, expected)
    inserted = np.asarray(1 - truth.shares[::-1])
    area = np.trapezoid(expected, inserted)
    assert float(truth.reverse_area) == pytest.approx(area, rel=1e-5)


def test_the_opposite_map_swaps_the_two(truth):
    swapped = curves(-TRUTH)
    np.testing.assert_array_equal(swapped.deletion, truth.reverse)
    np.testing.assert_array_equal(swapped.reverse, truth.deletion)
    assert float(swapped.p_value) == 1


def test_only_the_order_counts(truth):
    np.testing.assert_array_equal(curves(np.exp(TRUTH / 5)).deletion, truth.deletion)
    by_channel = np.stack([TRUTH + 5, np.full_like(TRUTH, -5)], axis=-1)
    np.testing.assert_array_equal(curves(by_channel).deletion, truth.deletion)


def test_random_orders_differ_and_are_drawn_anew_with_the_key(truth):
    assert len(np.unique(np.asarray(truth.random), axis=0)) == 20
    other = curves(TRUTH, key=jax.random.key(4))
    assert not np.array_equal(other.random, truth.random)
    np.testing.assert_array_equal(other.deletion, truth.deletion)


def test_equal_values_go_in_a_random_order():
    """Sorting alone would take them row by row, from the upper left corner."""
    p_values = [
        float(curves(np.ones((6, 6), np.float32), key=k).p_value)
        for k in jax.random.split(KEY, 30)
    ]
    assert len(set(p_values)) > 8
    assert abs(np.mean(p_values) - 0.52) < 0.2


def test_regions_go_by_the_sum_of_the_map_also_for_other_functions():
    """A function that does not add up, in regions of 1 to 3 rows, by hand."""
    labels = np.repeat([2, 0, 0, 1, 1, 1], 6).reshape(6, 6)
    attribution = np.where(labels == 2, 4.0, np.where(labels == 0, 1.0, 1.5))
    # Sums 12, 27 and 24 for regions 0, 1 and 2; values 1, 1.5 and 4 a pixel. Two steps
    # of three regions: 1.5 is rounded to 2.
    result = curves(attribution, fn=brightest, labels=labels, num_steps=2, num_orders=1)
    left, expected = IMAGE[..., 0].copy(), [EFFECTS.max()]
    for regions in ((1, 2), (0,)):
        left[np.isin(labels, regions)] = 0
        expected.append(left.max())
    np.testing.assert_array_equal(result.deletion, expected)
    np.testing.assert_allclose(result.shares, [0, 2 / 3, 1], rtol=1e-6)
    area = np.trapezoid(expected, [0, 2 / 3, 1])
    assert float(result.deletion_area) == pytest.approx(area, rel=1e-6)


def test_pixels_and_regions_of_one_pixel_are_the_same(truth):
    labels = grid_regions((6, 6), rows=6, columns=6)
    by_label = curves(TRUTH, labels=labels)
    for name in ("shares", "deletion", "reverse", "random"):
        np.testing.assert_array_equal(getattr(by_label, name), getattr(truth, name))


def test_a_map_that_is_not_finite_has_no_order():
    broken = TRUTH.copy()
    broken[2, 2] = np.nan
    result = curves(broken)
    assert np.isnan(result.deletion_area)
    assert np.isnan(result.p_value)
    assert np.isfinite(result.random).all()


def test_it_may_be_jitted_and_vmapped_and_chunked(truth):
    def area(attribution, labels):
        return deletion_curves(
            KEY,
            total,
            IMAGE,
            attribution,
            baseline=BLACK,
            labels=labels,
            num_regions=K,
            num_steps=K,
            chunk=50,
        ).deletion_area

    labels = jnp.asarray(grid_regions((6, 6), rows=6, columns=6))
    maps = jnp.stack([jnp.asarray(TRUTH), jnp.asarray(-TRUTH)])
    found = jax.jit(jax.vmap(area, in_axes=(0, None)))(maps, labels)
    expected = [float(truth.deletion_area), float(truth.reverse_area)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize(
    "options", [{"num_steps": 0}, {"num_steps": K + 1}, {"num_orders": 0}]
)
def test_mistakes_end_in_one_line(options):
    with pytest.raises(ValueError, match="expected 1 to 36 steps") as e:
        curves(TRUTH, **options)
    assert "\n" not in str(e.value)


def test_random_orders_that_break_the_function_are_no_evidence(truth):
    """NaN is not as low as anything: the p-value would be the smallest there is."""
    broken = dataclasses.replace(truth, random=truth.random.at[3, 5].set(jnp.nan))
    assert np.isnan(broken.p_value)
