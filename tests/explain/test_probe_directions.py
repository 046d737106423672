"""Interventions on linear decoders, where every slope is a scalar product."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from stylejax.explain.probe_directions import (
    conditional_direction,
    direction_effect,
    project_out,
)
from stylejax.explain.probe_report import probe_report

WIDTH, STEPS = 32, np.linspace(-3, 3, 7)
WEIGHTS = jnp.zeros(WIDTH).at[jnp.array([0, 4])].set(jnp.array([3.0, 4.0]))


@jax.jit
def red(pictures):
    return pictures[:, 0, 0, 0]


@jax.jit
def decode(latent):
    """A picture whose red is linear in the latent, the rest of it nonlinear."""
    value = 0.5 + 0.1 * latent @ WEIGHTS
    return jnp.stack([value, latent[1] ** 2, jnp.sin(latent[2])]).reshape(1, 1, 3)


def latents_of(seed, count=5):
    return jnp.asarray(np.random.default_rng(seed).normal(size=(count, WIDTH)) + 2)


def effect(direction, *, latents=None, read_out=red, seed=0, num_random=200, **options):
    """Always of as many directions, so that it is compiled once."""
    options["num_random"] = num_random
    latents = latents_of(0) if latents is None else latents
    key = jax.random.key(seed)
    return direction_effect(key, read_out, decode, latents, direction, STEPS, **options)


@pytest.fixture(scope="module")
def along():
    """Along what the red depends on; the length of the direction is no matter."""
    return effect(7 * WEIGHTS)


def test_the_slope_of_a_linear_decoder_is_a_scalar_product(along):
    """A unit step along weights of length 5, of which a tenth is painted."""
    assert along.slope == pytest.approx(0.5, rel=1e-5)
    assert along.spearman == pytest.approx(1)
    np.testing.assert_allclose(along.curve, along.curve[3] + 0.5 * STEPS, atol=1e-5)
    start = np.array([red(decode(z)[None])[0] for z in latents_of(0)])
    np.testing.assert_allclose(along.curves[:, 3], start, rtol=1e-5)
    assert along.curves.shape == (5, 7)
    assert "moving along it changes the factor" in along.summary()


def test_random_directions_are_as_long_and_spread_as_chance_has_it(along):
    """A unit vector in d dimensions has a component of 1 / sqrt(d)."""
    expected = 0.5 / np.sqrt(WIDTH)
    assert np.std(along.random_slopes) == pytest.approx(expected, rel=0.15)
    assert abs(np.mean(along.random_slopes)) < 4 * expected / np.sqrt(200)
    assert along.z == pytest.approx(np.sqrt(WIDTH), rel=0.15)
    assert np.abs(along.random_slopes).max() <= 0.5
    assert along.percentile == 100
    assert along.p_value == pytest.approx(1 / 201)
    assert along.acts


def test_projecting_out_moves_every_latent_to_the_mean(along):
    """`|w . u| |(z - mean) . u|`, and for random directions the same formula."""
    latents = np.asarray(latents_of(0), np.float64)
    unit = np.asarray(WEIGHTS) / 5
    part = (latents - latents.mean(0)) @ unit
    assert along.removed == pytest.approx(0.5 * np.abs(part).mean(), rel=1e-4)
    assert along.removed > 2 * np.mean(along.random_removed)
    assert along.p_removed < 0.05


def test_a_center_may_be_given():
    unit = WEIGHTS / 5
    latents = latents_of(1)
    result = effect(WEIGHTS, latents=latents, center=jnp.zeros(WIDTH))
    expected = 0.5 * np.abs(latents @ unit).mean()
    assert result.removed == pytest.approx(expected, rel=1e-5)
    alone = effect(WEIGHTS, latents=latents[:1], num_random=8)
    assert np.isnan(alone.removed)
    assert np.isnan(alone.p_removed)
    assert alone.slope == pytest.approx(0.5, rel=1e-5)


def test_the_sign_of_a_direction_is_the_sign_of_its_slope():
    result = effect(-WEIGHTS)
    assert result.slope == pytest.approx(-0.5, rel=1e-5)
    assert result.spearman == pytest.approx(-1)
    assert result.z < 0
    assert result.acts


def test_a_direction_that_nothing_depends_on_does_not_act():
    result = effect(jnp.eye(WIDTH)[7])
    assert result.slope == pytest.approx(0, abs=1e-6)
    assert result.p_value == 1
    assert not result.acts
    assert "does not change the factor" in result.summary()


def test_where_nothing_changes_at_all_every_direction_is_alike():
    result = effect(
        jnp.eye(WIDTH)[0], read_out=lambda x: 0 * x[:, 0, 0, 0], num_random=8
    )
    assert (result.slope, result.spearman, result.percentile) == (0, 0, 0)
    assert result.p_value == result.p_removed == 1


def test_random_directions_are_called_acting_as_rarely_as_the_level_says():
    """The test of the test: 200 random directions, of which one in twenty may act."""
    random = jax.random.normal(jax.random.key(5), (200, WIDTH))
    reference = np.abs(effect(WEIGHTS, seed=6).random_slopes)
    sizes = np.abs(np.asarray(random @ WEIGHTS)) / np.linalg.norm(random, axis=1) / 10
    p_values = (1 + (reference[None] >= sizes[:, None]).sum(1)) / 201
    assert 0.0 < (p_values <= 0.05).mean() < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)


def test_latents_of_any_shape_and_decoders_of_no_picture():
    latents = jnp.asarray(np.random.default_rng(2).normal(size=(3, 2, 16)))
    direction = WEIGHTS.reshape(2, 16)
    result = direction_effect(
        jax.random.key(0),
        lambda rows: rows @ WEIGHTS,
        lambda z: z.reshape(-1),
        latents,
        direction,
        [1.0, -1.0, 0.0],
        num_random=10,
        chunk=3,
    )
    assert result.steps.tolist() == [-1, 0, 1]
    assert result.slope == pytest.approx(5, rel=1e-5)


def test_decodable_is_not_used():
    """Two planted factors, of which the decoder reads one: the probe finds both."""
    generator = np.random.default_rng(3)
    labels = generator.integers(2, size=(2, 240))
    features = generator.normal(size=(240, WIDTH))
    features[:, 0] += 5 * labels[0]
    features[:, 7] += 5 * labels[1]
    reports = []
    for factor in labels:
        report = probe_report(features, factor, num_controls=0)
        assert report.score > 0.95
        result = effect(report.probe.normals[0], latents=jnp.asarray(features[:5]))
        reports.append(report.with_intervention(result))
    used, unused = reports
    assert used.intervention.acts
    assert not unused.intervention.acts
    assert used.verdict.startswith("decodable; moving along it changes the factor")
    assert unused.verdict.startswith("decodable; moving along it does not change")


# --- projections --------------------------------------------------------------------


def test_what_is_projected_out_cannot_be_read():
    generator = np.random.default_rng(4)
    x = generator.normal(size=(200, WIDTH)).astype(np.float32)
    labels = (x @ np.asarray(WEIGHTS) > 0).astype(int)
    blind = project_out(jnp.asarray(x), WEIGHTS)
    np.testing.assert_allclose(blind @ WEIGHTS, 0, atol=1e-5)
    np.testing.assert_allclose(project_out(blind, WEIGHTS), blind, atol=1e-6)
    assert LogisticRegression().fit(x, labels).score(x, labels) > 0.95
    assert LogisticRegression().fit(blind, labels).score(blind, labels) < 0.65


def test_directions_may_be_of_any_length_and_depend_on_each_other():
    x = latents_of(5, 6)
    rows = jnp.stack([WEIGHTS, 1e4 * jnp.eye(WIDTH)[1], WEIGHTS - jnp.eye(WIDTH)[1]])
    left = project_out(x, rows)
    np.testing.assert_allclose(left @ rows.T / 1e4, 0, atol=1e-5)
    removed = np.linalg.matrix_rank(np.asarray(x - left), tol=1e-3)
    assert removed == 2
    np.testing.assert_allclose(left[:, 2:4], x[:, 2:4], atol=1e-5)


def test_a_center_keeps_its_value_along_the_directions():
    x, center = latents_of(6, 4), jnp.arange(WIDTH, dtype=jnp.float32)
    left = project_out(x, WEIGHTS, center=center)
    np.testing.assert_allclose(left @ WEIGHTS, float(center @ WEIGHTS), rtol=1e-5)


@pytest.mark.parametrize("num_conditions", [1, 2, 3])
def test_a_conditional_direction_keeps_the_other_factors(num_conditions):
    """Orthogonal to conditions that are not so to each other, and nearest of all."""
    generator = np.random.default_rng(7)
    primary = generator.normal(size=WIDTH).astype(np.float32)
    conditions = generator.normal(size=(num_conditions, WIDTH)).astype(np.float32)
    conditions[-1] += 3 * conditions[0]
    got = np.asarray(conditional_direction(primary, conditions), np.float64)
    np.testing.assert_allclose(conditions @ got, 0, atol=2e-6)
    assert np.linalg.norm(got) == pytest.approx(1, rel=1e-6)
    inside = np.linalg.lstsq(conditions.T, primary, rcond=None)[0] @ conditions
    expected = primary - inside
    np.testing.assert_allclose(got, expected / np.linalg.norm(expected), atol=1e-5)


def test_moving_conditionally_leaves_the_conditioned_factor_alone():
    primary, condition = jnp.eye(WIDTH)[1] + WEIGHTS / 5, WEIGHTS
    raw = effect(primary)
    kept = effect(conditional_direction(primary, condition))
    assert raw.slope > 0.3
    assert abs(kept.slope) < 1e-5

    def green(pictures):
        return pictures[:, 0, 0, 1]

    moved = effect(
        conditional_direction(primary, condition), read_out=green, num_random=5
    )
    assert moved.slope > 1


def test_conditions_that_span_the_direction_are_refused():
    with pytest.raises(ValueError, match="cannot be told apart by these probes"):
        conditional_direction(WEIGHTS, jnp.eye(WIDTH)[jnp.array([0, 4])])


# --- mistakes -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("direction", "options", "match"),
    [
        (jnp.ones(3), {}, r"direction: expected the shape of a latent, \(32,\)"),
        (jnp.zeros(WIDTH), {}, "finite values that are not all 0"),
        (WEIGHTS, {"num_random": 0}, "num_random: expected at least 1"),
    ],
)
def test_mistakes_end_in_one_line(direction, options, match):
    with pytest.raises(ValueError, match=match) as e:
        effect(direction, **options)
    assert "\n" not in str(e.value)


def test_one_step_has_no_slope():
    with pytest.raises(ValueError, match="at least two different finite distances"):
        direction_effect(
            jax.random.key(0), red, decode, latents_of(0), WEIGHTS, [1.0, 1.0]
        )
