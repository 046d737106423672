"""Curved paths: where they start and end, that they add up, and what they avoid."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.explain.baselines import blur_baseline
from stylejax.explain.curves import (
    blur_curve,
    curve_gradients,
    guided_gradients,
    statistics_curve,
)


def uniform(seed, *shape):
    return jax.random.uniform(jax.random.key(seed), shape)


def cubic(images):
    return (images**3).sum(axis=(1, 2, 3))


IMAGE, START = uniform(0, 8, 6, 3), uniform(1, 8, 6, 3)


# --- blur ---------------------------------------------------------------------------


def test_a_blur_curve_ends_at_the_picture_and_keeps_its_mean():
    curve = blur_curve(IMAGE, sigma=2)
    np.testing.assert_allclose(curve(jnp.float32(1)), IMAGE, atol=1e-6)
    for alpha in (0.0, 0.4):
        np.testing.assert_allclose(
            curve(jnp.float32(alpha)).mean(axis=(0, 1)),
            IMAGE.mean(axis=(0, 1)),
            rtol=1e-5,
        )


def test_a_blur_curve_starts_at_a_gaussian_blur():
    """Away from the border, which the two reflect differently by one pixel."""
    image = uniform(2, 40, 40, 3)
    curve = blur_curve(image, sigma=1.5)
    expected = blur_baseline(image, sigma=1.5)
    np.testing.assert_allclose(
        curve(jnp.float32(0))[8:-8, 8:-8], expected[8:-8, 8:-8], atol=2e-4
    )


def test_a_cosine_wave_fades_by_its_own_frequency():
    wave = jnp.cos(jnp.pi * 3 * (jnp.arange(16) + 0.5) / 16)
    image = jnp.broadcast_to(wave[:, None, None], (16, 4, 1))
    faded = blur_curve(image, sigma=2)(jnp.float32(0.5))
    rate = np.exp(-0.5 * (np.pi * 3 / 16) ** 2 * 1.0**2)
    np.testing.assert_allclose(faded, image * rate, atol=1e-6)


# --- statistics ---------------------------------------------------------------------


def test_a_statistics_curve_moves_mean_and_deviation_straight():
    curve = statistics_curve(IMAGE, START)
    np.testing.assert_allclose(curve(jnp.float32(1)), IMAGE, atol=1e-5)
    for alpha in (0.0, 0.3):
        point = np.asarray(curve(jnp.float32(alpha)))
        for moment in (np.mean, np.std):
            expected = (1 - alpha) * moment(START, axis=(0, 1)) + alpha * moment(
                IMAGE, axis=(0, 1)
            )
            np.testing.assert_allclose(moment(point, axis=(0, 1)), expected, atol=2e-5)


def test_along_statistics_a_layout_gets_nothing():
    """Of a target that sees only the layout, nothing changes on the way."""

    def layout(images):
        centred = images - images.mean(axis=(1, 2), keepdims=True)
        normed = centred / centred.std(axis=(1, 2), keepdims=True)
        return (normed[:, :4] ** 3).sum(axis=(1, 2, 3))

    result = curve_gradients(layout, statistics_curve(IMAGE, START), num_steps=8)
    assert abs(result.target - result.target_baseline) < 1e-2 * abs(result.target)
    assert abs(result.sum) < 1e-2 * abs(result.target)


# --- completeness on any path -------------------------------------------------------


@pytest.mark.parametrize(
    "curve",
    [
        blur_curve(IMAGE, sigma=2),
        statistics_curve(IMAGE, START),
        lambda a: (1 - a**2) * START + a**2 * IMAGE,
    ],
    ids=["blur", "statistics", "bent"],
)
def test_curves_add_up(curve):
    result = curve_gradients(cubic, curve, num_steps=16, chunk=5)
    assert result.relative_error < 1e-5
    assert result.target == pytest.approx(float(cubic(IMAGE[None])[0]), rel=1e-4)
    assert result.map.shape == IMAGE.shape
    assert float(result.error_map.max()) < 5e-3


def test_a_bent_path_gives_separable_functions_the_same_amounts():
    bent = curve_gradients(
        cubic, lambda a: (1 - a**2) * START + a**2 * IMAGE, num_steps=8
    )
    np.testing.assert_allclose(bent.map, IMAGE**3 - START**3, atol=1e-5)


def test_a_rough_rule_says_so():
    result = curve_gradients(cubic, blur_curve(IMAGE, sigma=2), num_steps=2)
    assert result.relative_error > 1e-3 and result.error_estimate > 1e-3


def test_a_wrong_rule_is_refused():
    with pytest.raises(ValueError, match="gauss_legendre"):
        curve_gradients(cubic, blur_curve(IMAGE, sigma=2), rule="simpson")


# --- guided -------------------------------------------------------------------------


def test_guided_gradients_add_up_as_the_steps_get_small():
    errors = [
        guided_gradients(cubic, IMAGE, baseline="zero", num_steps=n).relative_error
        for n in (25, 200)
    ]
    assert errors[1] < 0.02 and errors[1] < errors[0] / 3


def test_the_guided_path_moves_what_matters_least_first():
    """100 a b with two pixels that differ in how much the function minds them.

    Far from the straight line, the value with the small derivative is moved to its
    end before the other starts: of a (1 + 100 b) from (0, 0) to (1, 1), b costs
    nothing while a is 0, so the whole change is a's.
    """

    def product(images):
        a, b = images[:, 0, 0, 0], images[:, 0, 0, 1]
        return a * (1 + 100 * b)

    image = jnp.ones((1, 1, 2))
    free = guided_gradients(
        product, image, baseline="zero", num_steps=400, max_distance=1.0
    )
    near = guided_gradients(
        product, image, baseline="zero", num_steps=400, max_distance=1e-3
    )
    np.testing.assert_allclose(free.map[0, 0], [101, 0], atol=1.5)
    np.testing.assert_allclose(near.map[0, 0], [51, 50], atol=1.0)


def test_the_guided_path_stays_near_the_straight_one_on_both_sides():
    seen = []

    def watched(images):
        jax.debug.callback(lambda x: seen.append(np.asarray(x)), images)
        return cubic(images)

    steps, distance = 20, 0.06
    guided_gradients(
        watched, IMAGE, baseline=START, num_steps=steps, max_distance=distance
    )
    jax.effects_barrier()
    ends = np.asarray(IMAGE), np.asarray(START)
    is_moving = np.abs(ends[0] - ends[1]) > 0.05
    places = [((x - ends[1]) / (ends[0] - ends[1]))[0][is_moving] for x in seen]
    inner = [x for x in places if 1e-3 < x.mean() < 1 - 1e-3]
    assert len(inner) == steps - 1
    for i, place in enumerate(sorted(inner, key=np.mean)):
        alpha = (i + 1) / steps
        away = place - alpha
        assert np.abs(away).max() <= distance + 1e-3
        # Both bounds are reached: some values wait, others hurry.
        assert away.min() < -0.9 * min(distance, alpha)
        assert away.max() > 0.9 * min(distance, 1 - alpha)


def test_the_last_guided_step_arrives_whatever_was_rounded():
    """The first value's way is 10^8 times the others': their budget is rounding."""
    image = jnp.full((2, 4, 3), 1e-4).at[0, 0, 0].set(1e4)
    weights = jnp.full((2, 4, 3), 1e6).at[0, 0, 0].set(0.0)
    found = guided_gradients(
        lambda x: (weights[None] * x).sum(axis=(1, 2, 3)),
        image,
        baseline="zero",
        num_steps=7,
        max_distance=1.0,
    )
    np.testing.assert_allclose(found.map, weights * image, rtol=1e-5)


@pytest.mark.parametrize("options", [{"num_steps": 0}, {"max_distance": 0.0}])
def test_impossible_steps_are_refused(options):
    with pytest.raises(ValueError, match="guided gradients: expected"):
        guided_gradients(cubic, IMAGE, baseline=START, **options)
