"""Fusions against NumPy, and what they must do to statistics."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.nn import fusion


@pytest.fixture
def content(generator):
    mixing = generator.normal(size=(6, 6))
    return jnp.float32(generator.normal(size=(2, 9, 8, 6)) @ mixing + 1.0)


@pytest.fixture
def style(generator):
    mixing = generator.normal(size=(6, 6))
    return jnp.float32(3.0 * generator.normal(size=(1, 7, 11, 6)) @ mixing - 2.0)


def test_moments_are_those_of_numpy(content):
    found = fusion.moments(content)
    x = np.asarray(content, np.float64).reshape(2, 72, 6)
    np.testing.assert_allclose(found.mean, x.mean(1), rtol=1e-5, atol=1e-6)
    expected = np.sqrt(x.var(1, ddof=1) + 1e-5)
    np.testing.assert_allclose(found.deviation, expected, rtol=1e-5)


def test_a_mask_counts_its_positions_alone(content):
    mask = jnp.zeros((2, 9, 8)).at[:, :4].set(1.0)
    for statistic in (fusion.moments, fusion.covariance):
        masked, cut = statistic(content, mask=mask), statistic(content[:, :4])
        jax.tree.map(
            lambda x, y: np.testing.assert_allclose(x, y, rtol=2e-5, atol=1e-5),
            masked,
            cut,
        )


@pytest.mark.parametrize("name", fusion.FUSIONS)
def test_fused_features_have_the_statistics_of_the_style(name, content, style):
    chosen = fusion.get(name)
    goal = chosen.statistic(style)
    fused = chosen.apply(content, chosen.statistic(content), goal)
    assert fused.shape == content.shape
    found = chosen.statistic(fused)
    for x, y in zip(found, goal, strict=True):
        expected = np.broadcast_to(y, x.shape)
        np.testing.assert_allclose(x, expected, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("name", fusion.FUSIONS)
def test_fusing_with_their_own_statistics_changes_nothing(name, content):
    chosen = fusion.get(name)
    own = chosen.statistic(content)
    found = chosen.apply(content, own, own)
    np.testing.assert_allclose(found, content, rtol=1e-3, atol=1e-3)


def test_whitening_and_colouring_is_that_of_numpy(content, style):
    own, goal = fusion.covariance(content), fusion.covariance(style)
    found = fusion.whiten_and_color(content, own, goal)

    def power(matrix, exponent):
        values, vectors = np.linalg.eigh(np.asarray(matrix, np.float64))
        return (vectors * values**exponent) @ vectors.T

    for i in range(2):
        x = np.asarray(content[i], np.float64).reshape(72, 6)
        matrix = power(goal.covariance[0], 0.5) @ power(own.covariance[i], -0.5)
        expected = (x - x.mean(0)) @ matrix.T + np.asarray(goal.mean[0])
        np.testing.assert_allclose(
            found[i].reshape(72, 6), expected, rtol=2e-3, atol=2e-3
        )


def test_flat_features_take_the_mean_and_stay_finite(style):
    flat = jnp.ones((1, 5, 5, 6))
    for chosen in fusion.FUSIONS.values():
        fused = chosen.apply(flat, chosen.statistic(flat), chosen.statistic(style))
        mean = np.asarray(chosen.statistic(style).mean)[:, None, None]
        np.testing.assert_allclose(
            fused, np.broadcast_to(mean, flat.shape), rtol=1e-3, atol=1e-3
        )


def test_unknown_fusions_are_refused():
    with pytest.raises(ValueError, match="fusion: expected one of adain, wct"):
        fusion.get("mean")
