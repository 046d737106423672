"""Effects of directions on factors, with decoders whose effects are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import entropy

from stylejax.explain.directions import principal_directions
from stylejax.explain.entanglement import (
    dci_scores,
    entanglement,
    entanglement_band,
    factor_slopes,
    random_turn,
)

AMOUNTS = jnp.array([-1.0, 0.0, 1.0])
MIXING = np.array([[2.0, 0.0, 0.5, 0.0], [0.0, -1.0, 0.5, 0.0], [0.0, 3.0, 3.0, 0.0]])


def paint(code):
    """Three numbers become the colour of a picture 1 2 2 3."""
    return jnp.broadcast_to(code[:3], (1, 2, 2, 3))


def colors(pictures):
    return pictures.mean(axis=(1, 2))


def mixed(code):
    return paint(jnp.asarray(MIXING, code.dtype) @ code)


@pytest.fixture(scope="module")
def latents():
    """30 latents of 4 numbers with different spreads, far from zero."""
    draws = np.random.default_rng(0).normal(size=(30, 4))
    return jnp.asarray(draws * [1.0, 0.5, 2.0, 1.0] + 3, jnp.float32)


@pytest.fixture(scope="module")
def of_mixed(latents):
    return entanglement(colors, mixed, latents, jnp.eye(4), AMOUNTS)


# --- slopes and the matrix ----------------------------------------------------------


def test_slopes_of_a_linear_decoder_are_its_matrix(latents):
    directions = np.random.default_rng(1).normal(size=(5, 4))
    slopes = factor_slopes(
        colors, mixed, latents, directions, np.array([0.0, 0.5, 3.0])
    )
    assert slopes.shape == (30, 5, 3)
    expected = np.broadcast_to(directions @ MIXING.T, slopes.shape)
    np.testing.assert_allclose(slopes, expected, atol=1e-4)


@pytest.mark.parametrize("chunk", [1, 4])
def test_the_chunk_changes_nothing(chunk, latents, of_mixed):
    again = entanglement(colors, mixed, latents, jnp.eye(4), AMOUNTS, chunk=chunk)
    np.testing.assert_allclose(again.effects, of_mixed.effects, rtol=1e-5, atol=1e-6)


def test_slopes_are_fitted_with_an_intercept():
    """z^2 from z = 2 at 0, 1 and 4: y = 4, 9, 36; the line's slope, by NumPy."""
    slopes = factor_slopes(
        colors,
        lambda z: paint(jnp.repeat(z**2, 3)),
        jnp.full((1, 1), 2.0),
        jnp.ones((1, 1)),
        jnp.array([0.0, 1.0, 4.0]),
    )
    expected = np.polyfit([0, 1, 4], [4, 9, 36], 1)[0]
    np.testing.assert_allclose(slopes, np.full((1, 1, 3), expected), rtol=1e-5)


def test_effects_are_in_spreads_of_the_factor(latents, of_mixed):
    spreads = (np.asarray(latents, np.float64) @ MIXING.T).std(axis=0)
    np.testing.assert_allclose(of_mixed.spreads, spreads, rtol=1e-4)
    np.testing.assert_allclose(of_mixed.effects, MIXING.T / spreads, atol=1e-4)
    sizes = np.abs(MIXING.T) / spreads
    np.testing.assert_allclose(of_mixed.sizes, sizes, atol=1e-4)
    shares = sizes[:3] / sizes[:3].sum(axis=1, keepdims=True)
    np.testing.assert_allclose(of_mixed.matrix[:3], shares, atol=1e-4)


def test_a_direction_without_effect_is_a_row_of_zeros(of_mixed):
    assert (of_mixed.matrix[3] == 0).all()
    assert of_mixed.scores.per_direction[3] == 0


def test_the_unit_of_a_factor_does_not_matter(latents, of_mixed):
    def in_other_units(pictures):
        return colors(pictures) * jnp.array([[1000.0, 1.0, 0.01]]) + 5

    again = entanglement(in_other_units, mixed, latents, jnp.eye(4), AMOUNTS)
    np.testing.assert_allclose(again.matrix, of_mixed.matrix, atol=1e-3)


def test_effects_that_differ_in_sign_cancel_and_their_sizes_do_not():
    """|z| rises with z on one side of 0 and falls on the other."""
    latents = jnp.array(
        [[-3.0, 1.0, 2.0], [3.0, 2.0, 1.0], [-4.0, 3.0, 4.0], [4.0, 4.0, 3.0]]
    )
    found = entanglement(
        colors,
        lambda z: paint(z.at[0].set(jnp.abs(z[0]))),
        latents,
        jnp.eye(3),
        AMOUNTS,
    )
    np.testing.assert_allclose(found.effects[0], 0, atol=1e-6)
    assert found.sizes[0, 0] == pytest.approx(1 / 0.5, rel=1e-5)
    np.testing.assert_allclose(found.matrix, np.eye(3), atol=1e-6)


def test_one_factor_for_each_direction_scores_one(latents):
    found = entanglement(colors, paint, latents[:, :3], 2 * jnp.eye(3), AMOUNTS)
    np.testing.assert_allclose(found.matrix, np.eye(3), atol=1e-6)
    assert found.scores[:2] == pytest.approx((1, 1), abs=1e-5)


# --- scores -------------------------------------------------------------------------


def test_scores_are_those_of_the_published_code():
    """Its formula, with SciPy's entropy, on a matrix without zeros."""
    sizes = np.random.default_rng(0).gamma(1.0, size=(5, 3))
    scores = dci_scores(sizes)
    per_direction = 1 - entropy(sizes.T, base=3)
    per_factor = 1 - entropy(sizes, base=5)
    np.testing.assert_allclose(scores.per_direction, per_direction, atol=1e-12)
    np.testing.assert_allclose(scores.per_factor, per_factor, atol=1e-12)
    rows, columns = sizes.sum(axis=1) / sizes.sum(), sizes.sum(axis=0) / sizes.sum()
    assert scores.disentanglement == pytest.approx(per_direction @ rows)
    assert scores.completeness == pytest.approx(per_factor @ columns)


@pytest.mark.parametrize(
    ("sizes", "disentanglement", "completeness"),
    [
        (np.eye(3), 1, 1),
        (np.ones((4, 3)), 0, 0),
        (np.array([[1.0, 1.0, 0, 0], [0, 0, 1, 1]]), 0.5, 1),
        (np.array([[1.0, 0], [1, 0], [0, 1], [0, 1]]), 1, 0.5),
        (np.array([[5.0, 0], [0, 5], [0, 0]]), 1, 1),
        (np.zeros((2, 2)), 0, 0),
        (np.array([[1.0], [1.0]]), 1, 0),
        (np.array([[1.0, 1.0]]), 0, 1),
    ],
)
def test_scores_by_hand(sizes, disentanglement, completeness):
    scores = dci_scores(sizes)
    assert scores.disentanglement == pytest.approx(disentanglement, abs=1e-12)
    assert scores.completeness == pytest.approx(completeness, abs=1e-12)


@pytest.mark.parametrize("sizes", [np.ones(3), [[1.0, -1.0]], [[np.nan, 1.0]]])
def test_scores_of_what_is_no_matrix_of_sizes(sizes):
    with pytest.raises(ValueError, match="sizes: expected a matrix"):
        dci_scores(sizes)


# --- directions turned at random ----------------------------------------------------


@pytest.mark.parametrize("k", [2, 5])
def test_a_turn_keeps_lengths_and_angles(k):
    directions = jnp.asarray(np.random.default_rng(k).normal(size=(k, 3)), "float32")
    turned = jax.jit(random_turn)(jax.random.key(1), directions)
    np.testing.assert_allclose(turned @ turned.T, directions @ directions.T, atol=1e-5)
    assert float(jnp.abs(turned - directions).max()) > 0.1


def test_turns_point_everywhere_alike():
    """Mean zero and equal second moments; a plain QR prefers one side."""
    directions = jnp.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    keys = jax.random.split(jax.random.key(0), 4000)
    turned = np.asarray(jax.jit(jax.vmap(random_turn, (0, None)))(keys, directions))
    np.testing.assert_allclose(turned.mean(axis=0), 0, atol=0.04)
    np.testing.assert_allclose((turned**2).mean(axis=0), 1 / 3, atol=0.03)


@pytest.fixture(scope="module")
def band_of():
    """Directions -> their band, of a decoder that paints one colour for each axis."""
    latents = jax.random.normal(jax.random.key(5), (12, 3))

    def measure(directions, **options):
        return entanglement_band(
            jax.random.key(2), colors, paint, latents, directions, AMOUNTS, **options
        )

    return measure


def test_clean_directions_stand_out_of_the_band(band_of):
    band = band_of(jnp.eye(3), num_draws=39)
    assert band.disentanglement.high < 0.9
    assert band.completeness.high < 0.9
    assert band.p_disentanglement == band.p_completeness == 1 / 40


def test_directions_that_were_turned_do_not(band_of):
    turned = random_turn(jax.random.key(8), np.eye(3))
    band = band_of(np.asarray(turned, np.float64), num_draws=39)
    assert band.p_disentanglement > 0.1
    wider = band_of(turned, num_draws=39, level=0.99)
    assert wider.disentanglement.low <= band.disentanglement.low
    assert wider.disentanglement.high >= band.disentanglement.high


def test_every_direction_of_one_number_ties_with_its_turns():
    band = entanglement_band(
        jax.random.key(0),
        colors,
        lambda z: paint(jnp.repeat(z, 3)),
        jnp.arange(4.0)[:, None],
        jnp.ones((1, 1)),
        AMOUNTS,
        num_draws=4,
    )
    assert band.p_disentanglement == 1
    assert band.disentanglement == pytest.approx((0, 0), abs=1e-6)


def test_principal_directions_of_planted_factors_are_disentangled():
    """Found from samples alone: the axes, as their variances differ."""
    spreads = jnp.array([[4.0, 2.0, 1.0]])
    latents = jax.random.normal(jax.random.key(1), (400, 3)) * spreads
    directions = principal_directions(latents, num=3).directions
    found = entanglement(colors, paint, latents[:20], directions, AMOUNTS)
    assert found.scores.disentanglement > 0.6
    np.testing.assert_array_equal(found.matrix.argmax(axis=1), [0, 1, 2])


# --- mistakes -----------------------------------------------------------------------


def test_a_factor_that_never_varies_is_named(latents):
    def factors(pictures):
        return jnp.concatenate([colors(pictures), 0 * colors(pictures) + 0.1], axis=1)

    with pytest.raises(ValueError, match="same value of factor 3 for all 30"):
        entanglement(factors, paint, latents, jnp.eye(4), AMOUNTS)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (1, 2, 4)])
def test_directions_of_the_wrong_width(shape, latents):
    with pytest.raises(ValueError, match=r"expected latents \(n, d\) and directions"):
        factor_slopes(colors, paint, latents, jnp.ones(shape), AMOUNTS)


def test_one_amount_has_no_slope(latents):
    with pytest.raises(ValueError, match="amounts: expected at least two"):
        factor_slopes(colors, paint, latents, jnp.eye(4), jnp.ones(1))


def test_options_of_the_band(band_of):
    with pytest.raises(ValueError, match="num_draws: expected a number above 0"):
        band_of(jnp.eye(3), num_draws=0)
    with pytest.raises(ValueError, match="level: expected a number between 0 and 1"):
        band_of(jnp.eye(3), level=1.0)


@pytest.mark.parametrize(
    ("factors", "got"),
    [
        (lambda pictures: pictures.mean(axis=(1, 2, 3)), r"\(\d,\)"),
        (lambda pictures: pictures, r"\(\d, 2, 2, 3\)"),
        (lambda pictures: pictures.mean(axis=(0, 1)), r"\(2, 3\)"),
    ],
)
def test_factors_of_another_shape(factors, got, latents):
    match = rf"factors_fn: expected \(\d, m\), m factors of each picture, got {got}"
    with pytest.raises(ValueError, match=match):
        factor_slopes(factors, paint, latents, jnp.eye(4), AMOUNTS)
    with pytest.raises(ValueError, match=match):
        entanglement(factors, paint, latents, jnp.eye(4), AMOUNTS)


def test_whole_latents_are_refused():
    """Their amounts would be cut to whole numbers as well."""
    whole = jnp.arange(12).reshape(3, 4)
    with pytest.raises(TypeError, match="latents: expected floats, got int32"):
        factor_slopes(colors, paint, whole, jnp.eye(4), AMOUNTS)
    with pytest.raises(TypeError, match="latents: expected floats, got int32"):
        entanglement(colors, paint, whole, jnp.eye(4), AMOUNTS)


@pytest.mark.parametrize(
    "amounts", [[1.0, 1.0], [1, 1, 1], [0.0, np.nan], [[0.0, 1.0]], 3.0, [np.inf, 0]]
)
def test_amounts_that_have_no_slope(amounts, latents):
    match = "amounts: expected at least two different finite numbers"
    with pytest.raises(ValueError, match=match):
        factor_slopes(colors, paint, latents, jnp.eye(4), jnp.asarray(amounts))
    with pytest.raises(ValueError, match=match):
        entanglement(colors, paint, latents, jnp.eye(4), np.asarray(amounts))
    with pytest.raises(ValueError, match=match):
        entanglement_band(
            jax.random.key(0), colors, paint, latents, jnp.eye(4), np.asarray(amounts)
        )


def test_slopes_may_be_jitted_over_the_amounts(latents):
    slopes = jax.jit(lambda a: factor_slopes(colors, mixed, latents, jnp.eye(4), a))
    expected = np.broadcast_to(MIXING.T, (30, 4, 3))
    np.testing.assert_allclose(slopes(AMOUNTS), expected, atol=1e-4)
