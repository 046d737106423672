"""The shape of maps: uniform, of one pixel, and random against other formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from stylejax.metrics.attribution_shape import (
    SIGNS,
    complexity,
    pixel_relevance,
    pointing_game,
    relevance_mass,
    relevance_rank,
    sparseness,
)

UNIFORM = np.full((5, 8), 0.1, np.float32)
ONE = np.zeros((5, 8), np.float32)
ONE[3, 2] = 7.0
MASK = np.zeros((5, 8), bool)
MASK[2:4, 1:4] = True
AREA = 6 / 40


@pytest.fixture
def signed(generator):
    return generator.normal(size=(5, 8, 3)).astype(np.float32)


def test_channels_are_added_up_before_the_sign_is_applied():
    attribution = jnp.array([[[1.0, -3.0], [2.0, 1.0]]])
    by_sign = {s: pixel_relevance(attribution, sign=s).tolist() for s in SIGNS}
    assert by_sign == {
        "absolute": [[2, 3]],
        "positive": [[0, 3]],
        "negative": [[2, 0]],
    }


@pytest.mark.parametrize(
    "measure",
    [
        sparseness,
        complexity,
        lambda a, sign: relevance_mass(a, MASK, sign=sign),
        lambda a, sign: relevance_rank(a, MASK, sign=sign),
        lambda a, sign: pointing_game(a, MASK, sign=sign),
    ],
)
def test_the_sign_is_obeyed_and_must_be_given(measure, signed):
    totals = signed.sum(axis=-1)
    for sign, counted in {
        "absolute": np.abs(totals),
        "positive": np.maximum(totals, 0),
        "negative": np.maximum(-totals, 0),
    }.items():
        found, expected = measure(signed, sign=sign), measure(counted, sign="positive")
        assert float(found) == pytest.approx(float(expected), rel=1e-5)
    with pytest.raises(ValueError, match="expected one of absolute, positive"):
        measure(signed, sign="both")
    with pytest.raises(TypeError, match="sign"):
        measure(signed)


# --- sparseness and complexity -------------------------------------------------------


def test_a_uniform_map_is_not_sparse_and_most_complex():
    assert float(sparseness(UNIFORM, sign="absolute")) == pytest.approx(0, abs=1e-6)
    found = float(complexity(UNIFORM, sign="absolute"))
    assert found == pytest.approx(np.log(40), rel=1e-6)


def test_a_map_of_one_pixel_is_most_sparse_and_not_complex():
    assert float(sparseness(ONE, sign="absolute")) == pytest.approx(1 - 1 / 40)
    assert float(complexity(ONE, sign="absolute")) == 0


def test_a_map_of_m_equal_pixels():
    attribution = MASK.astype(np.float32)
    assert float(sparseness(attribution, sign="positive")) == pytest.approx(1 - AREA)
    found = float(complexity(attribution, sign="positive"))
    assert found == pytest.approx(np.log(6), rel=1e-6)


def test_the_gini_index_is_half_the_relative_mean_difference(signed):
    v = np.abs(signed.sum(axis=-1)).ravel().astype(float)
    expected = np.abs(v[:, None] - v[None]).mean() / (2 * v.mean())
    found = float(sparseness(signed, sign="absolute"))
    assert found == pytest.approx(expected, rel=1e-5)


def test_the_entropy_is_scipy_s(signed):
    v = np.abs(signed.sum(axis=-1)).ravel()
    found = float(complexity(signed, sign="absolute"))
    assert found == pytest.approx(scipy.stats.entropy(v), rel=1e-5)


@pytest.mark.parametrize("measure", [sparseness, complexity])
def test_neither_the_scale_nor_the_places_matter(measure, signed, generator):
    found = float(measure(signed, sign="absolute"))
    moved = generator.permutation(signed.reshape(40, 3)).reshape(5, 8, 3)
    assert float(measure(1e-9 * moved, sign="absolute")) == pytest.approx(found)


def test_nothing_of_the_sign_is_undefined():
    for found in (
        sparseness(UNIFORM, sign="negative"),
        complexity(UNIFORM, sign="negative"),
        relevance_mass(UNIFORM, MASK, sign="negative"),
    ):
        assert np.isnan(found)


# --- mass, rank, pointing ------------------------------------------------------------


def test_a_uniform_map_has_the_area_fraction_of_everything():
    """Taking equal pixels row by row would give the rank 0 here."""
    for found in (
        relevance_mass(UNIFORM, MASK, sign="absolute"),
        relevance_rank(UNIFORM, MASK, sign="absolute"),
        pointing_game(UNIFORM, MASK, sign="absolute"),
    ):
        assert float(found) == pytest.approx(AREA, rel=1e-6)


def test_a_map_inside_the_mask_has_one_and_outside_zero():
    inside = MASK * np.arange(1, 41, dtype=np.float32).reshape(5, 8)
    for measure in (relevance_mass, relevance_rank, pointing_game):
        assert float(measure(inside, MASK, sign="positive")) == 1
        assert float(measure(inside, ~MASK, sign="positive")) == pytest.approx(
            # The rank of the 34 pixels outside: 28 of them are among the top 34.
            28 / 34 if measure is relevance_rank else 0
        )


def test_mass_and_rank_by_hand(signed):
    v = np.abs(signed.sum(axis=-1))
    mass = v[MASK].sum() / v.sum()
    assert float(relevance_mass(signed, MASK, sign="absolute")) == pytest.approx(mass)
    top = np.argsort(v.ravel())[-6:]
    rank = MASK.ravel()[top].mean()
    assert float(relevance_rank(signed, MASK, sign="absolute")) == pytest.approx(rank)


def test_a_soft_mask_counts_in_part():
    found = relevance_mass(UNIFORM, 0.5 * MASK, sign="absolute")
    assert float(found) == pytest.approx(AREA / 2, rel=1e-6)


def test_ties_at_the_limit_count_as_drawn():
    """Four above the limit, two of them inside; two more of 36 equal, four inside."""
    attribution = np.ones((5, 8), np.float32)
    attribution[2, 1] = attribution[3, 3] = attribution[0, 0] = attribution[4, 7] = 2
    found = relevance_rank(attribution, MASK, sign="positive")
    assert float(found) == pytest.approx((2 + 2 * 4 / 36) / 6, rel=1e-6)


@pytest.mark.parametrize(
    ("at", "tolerance", "expected"),
    [
        ((3, 3), 0, 1),
        ((3, 4), 0, 0),
        ((3, 4), 1, 1),
        ((4, 4), 1, 0),
        ((4, 4), 1.5, 1),
        ((0, 7), 4.4, 0),
        ((0, 7), 4.5, 1),
    ],
)
def test_pointing_near_the_mask(at, tolerance, expected):
    """The corner at (0, 7) is sqrt(4 + 16) = 4.47 pixels from (2, 3)."""
    attribution = np.zeros((5, 8), np.float32)
    attribution[at] = 1
    found = pointing_game(attribution, MASK, sign="positive", tolerance=tolerance)
    assert float(found) == expected


def test_pointing_with_two_highest_pixels_is_half_a_hit():
    attribution = ONE.copy()
    attribution[0, 7] = 7.0
    assert float(pointing_game(attribution, MASK, sign="positive")) == 0.5


def test_what_is_not_finite_points_nowhere():
    broken = UNIFORM.copy()
    broken[0, 0] = np.nan
    assert np.isnan(pointing_game(broken, MASK, sign="positive"))
    assert np.isnan(relevance_rank(broken, MASK, sign="positive"))
    assert np.isnan(relevance_rank(UNIFORM, 0 * MASK, sign="positive"))


def test_all_may_be_jitted_and_vmapped(signed):
    @jax.jit
    @jax.vmap
    def all_of(attribution, mask):
        return (
            sparseness(attribution, sign="absolute"),
            complexity(attribution, sign="absolute"),
            relevance_mass(attribution, mask, sign="absolute"),
            relevance_rank(attribution, mask, sign="absolute"),
            pointing_game(attribution, mask, sign="absolute", tolerance=1),
        )

    found = all_of(np.stack([signed, -signed]), np.stack([MASK, ~MASK]))
    assert all(v.shape == (2,) for v in found)
    assert float(found[2].sum()) == pytest.approx(1)


@pytest.mark.parametrize("mask", [255 * MASK, MASK - 0.5, np.where(MASK, np.nan, 0)])
def test_a_mask_out_of_range_is_refused_unless_it_is_traced(mask):
    """255 for inside would give a share of 38."""
    with pytest.raises(
        ValueError, match=r"^mask: expected values in \[0, 1\], got .* to"
    ):
        relevance_mass(UNIFORM, mask, sign="absolute")
    inside = jax.vmap(lambda a: relevance_mass(a, mask, sign="absolute"))
    with pytest.raises(ValueError, match=r"mask: expected values in \[0, 1\]"):
        jax.jit(inside)(UNIFORM[None])
    jax.jit(lambda m: relevance_mass(UNIFORM, m, sign="absolute"))(mask)


def test_a_mask_may_be_off_by_rounding():
    found = relevance_mass(UNIFORM, MASK * np.float32(1 + 1e-6), sign="absolute")
    assert float(found) == pytest.approx(AREA, rel=1e-4)


def test_mistakes_end_in_one_line():
    with pytest.raises(ValueError, match="mask: expected shape"):
        relevance_mass(UNIFORM, MASK[1:], sign="absolute")
    with pytest.raises(ValueError, match="attribution: expected a map"):
        sparseness(UNIFORM[0], sign="absolute")
    with pytest.raises(ValueError, match="tolerance: expected pixels of at least 0"):
        pointing_game(UNIFORM, MASK, sign="absolute", tolerance=-1)
