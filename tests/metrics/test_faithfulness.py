"""Faithfulness against functions that add up, for which the right map is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from stylejax.image.regions import grid_regions, region_sums
from stylejax.metrics.faithfulness import (
    _subset_size,
    faithfulness_correlation,
    mu_fidelity,
)

KEY = jax.random.key(3)
SHAPE = (18, 20, 3)
WEIGHTS, IMAGE, BASELINE = jax.random.normal(jax.random.key(0), (3, *SHAPE))
TRUTH = WEIGHTS * (IMAGE - BASELINE)
LABELS = grid_regions(SHAPE[:2], rows=6, columns=5)
MEASURES = ("pearson", "spearman")


@jax.jit
def additive(images):
    return 3 + (images * WEIGHTS[None]).sum(axis=(1, 2, 3))


def measure(kind, attribution, *, fn=additive, key=KEY, **options):
    if kind == "spearman":
        return mu_fidelity(key, fn, IMAGE, attribution, baseline=BASELINE, **options)
    return faithfulness_correlation(
        key, fn, IMAGE, attribution, LABELS, baseline=BASELINE, **options
    )


@pytest.mark.parametrize("kind", MEASURES)
def test_the_right_map_of_an_additive_function_has_correlation_one(kind):
    result = measure(kind, TRUTH)
    assert float(result.correlation) > 1 - 1e-5
    assert float(result.low) > 0.9999
    assert float(result.high) <= 1
    np.testing.assert_allclose(result.drops, result.sums, atol=1e-4)


@pytest.mark.parametrize("kind", MEASURES)
def test_the_opposite_map_has_minus_one(kind):
    assert float(measure(kind, -TRUTH).correlation) < -1 + 1e-5


@pytest.mark.parametrize("kind", MEASURES)
@pytest.mark.parametrize("wrong", [WEIGHTS, jnp.abs(TRUTH), TRUTH[::-1]])
def test_other_maps_of_an_additive_function_do_not(kind, wrong):
    """The gradient alone, the map without its signs, the map upside down."""
    assert float(measure(kind, wrong).correlation) < 0.6


@pytest.mark.parametrize("kind", MEASURES)
def test_a_map_whose_channels_are_added_up_is_the_same_map(kind):
    whole, summed = measure(kind, TRUTH), measure(kind, TRUTH.sum(axis=-1))
    np.testing.assert_allclose(whole.sums, summed.sums, atol=1e-4)


@pytest.mark.parametrize("kind", MEASURES)
def test_the_correlation_is_the_one_of_its_drops_and_sums(kind):
    scipys = {"pearson": scipy.stats.pearsonr, "spearman": scipy.stats.spearmanr}
    result = measure(kind, WEIGHTS)
    expected = scipys[kind](np.float64(result.drops), np.float64(result.sums))[0]
    assert float(result.correlation) == pytest.approx(expected, abs=1e-5)
    assert len(result.drops) == {"pearson": 100, "spearman": 200}[kind]
    assert float(result.low) < expected < float(result.high)


def cell_densities(labels, amounts):
    """A map whose sum over region `i` is `amounts[i]`."""
    areas = np.bincount(labels.ravel())
    return jnp.float32((np.asarray(amounts) / areas)[labels])


def test_each_subset_has_as_many_different_regions_drawn_fairly():
    """Maps of powers of two: their sums over a subset say which regions it holds."""
    held = []
    for first in (0, 15):
        powers = np.where(np.arange(30) // 15 == first // 15, 2.0 ** np.arange(30), 0)
        attribution = cell_densities(LABELS, powers / 2.0**first)
        sums = [
            measure("pearson", attribution, key=k).sums
            for k in jax.random.split(KEY, 10)
        ]
        codes = np.rint(np.concatenate(sums)).astype(int)
        held.append(codes[:, None] >> np.arange(15) & 1)
    held = np.concatenate(held, axis=1)
    np.testing.assert_array_equal(held.sum(axis=1), 6)
    assert len(np.unique(held, axis=0)) > 990
    # Binomial with a fifth: four standard deviations.
    assert np.abs(held.mean(axis=0) - 0.2).max() < 4 * np.sqrt(0.16 / 1000)


def test_sixteen_of_the_81_cells_are_removed_by_default():
    labels = grid_regions(SHAPE[:2], rows=9, columns=9)
    result = measure("spearman", cell_densities(labels, np.ones(81)))
    np.testing.assert_allclose(result.sums, 16, rtol=1e-5)


@pytest.fixture(scope="module")
def random_maps():
    """MuFidelity of 144 random maps of one additive function, in one compile."""
    effects, image = np.random.default_rng(0).normal(size=(2, 5, 5, 1))
    image = image.astype(np.float32)

    def fn(images):
        return (images * jnp.float32(effects)[None]).sum(axis=(1, 2, 3))

    @jax.jit
    @jax.vmap
    def score(key):
        draws, noise = jax.random.split(key)
        attribution = jax.random.normal(noise, (5, 5))
        return mu_fidelity(
            draws,
            fn,
            image,
            attribution,
            baseline=0 * image,
            grid=5,
            num_subsets=100,
        )

    return score(jax.random.split(jax.random.key(5), 144))


def test_random_maps_scatter_around_zero_by_the_chance_that_is_stated(random_maps):
    found, chance = np.asarray(random_maps.correlation), random_maps.chance[0]
    assert float(chance) == pytest.approx(np.sqrt(1 / 24 + 1 / 100))
    assert abs(found.mean()) < 3 * chance / 12
    assert found.std() == pytest.approx(float(chance), rel=0.2)


def test_the_subsets_alone_would_promise_too_little_scatter(random_maps):
    """1 / sqrt(100) is that of one map's subsets, not that of random maps."""
    assert np.std(random_maps.correlation) > 1.8 / np.sqrt(100)


def test_the_interval_holds_the_correlation_over_regions():
    """The limit of many subsets, for a function that adds up over regions.

    Vmapped, and in chunks of another size: both change nothing.
    """
    mixed = TRUTH + 1.5 * jax.random.normal(jax.random.key(6), SHAPE)
    sums = [
        np.asarray(region_sums(m.sum(axis=-1), LABELS, num_regions=30), np.float64)
        for m in (TRUTH, mixed)
    ]
    truth = np.corrcoef(*sums)[0, 1]
    assert 0.4 < truth < 0.95

    @jax.jit
    @jax.vmap
    def ends(key):
        result = measure("pearson", mixed, key=key, chunk=7)
        return result.low, result.high

    keys = jax.random.split(jax.random.key(7), 100)
    low, high = ends(keys)
    alone = measure("pearson", mixed, key=keys[0])
    assert float(alone.low) == pytest.approx(float(low[0]), abs=1e-4)
    held = (np.asarray(low) < truth) & (truth < np.asarray(high))
    assert 0.89 < held.mean() < 0.99


def test_what_has_no_order_has_no_correlation():
    assert np.isnan(measure("pearson", TRUTH.at[0, 0, 0].set(jnp.nan)).correlation)
    unchanged = faithfulness_correlation(
        KEY, additive, IMAGE, TRUTH, LABELS, baseline=IMAGE
    )
    np.testing.assert_array_equal(unchanged.drops, 0)
    assert np.isnan(unchanged.correlation)
    assert np.isnan(unchanged.low)


@pytest.mark.parametrize(
    ("share", "size"), [(0.001, 1), (0.2, 16), (0.3, 24), (0.999, 80)]
)
def test_a_subset_has_a_region_and_leaves_one(share, size):
    assert _subset_size(share, 81) == size


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"share": 0}, "share: expected a number between 0 and 1, got 0"),
        ({"share": 1.0}, "share: expected a number between 0 and 1"),
        ({"num_subsets": 3}, "expected 4 or more"),
        ({"chunk": 0}, "chunk: expected a whole number"),
        ({"kind": "kendall"}, "expected one of pearson, spearman"),
    ],
)
def test_mistakes_end_in_one_line(options, match):
    with pytest.raises(ValueError, match=match):
        faithfulness_correlation(
            KEY, additive, IMAGE, TRUTH, LABELS, baseline=BASELINE, **options
        )


def test_pictures_smaller_than_the_grid_are_refused():
    image = jnp.zeros((8, 8, 3))
    with pytest.raises(ValueError, match="grid: expected 1 to 8 rows"):
        mu_fidelity(KEY, additive, image, image, baseline=image)
