"""Gradients and their averages against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.explain.gradients import (
    expected_gradients,
    gradient,
    input_x_gradient,
    smooth_gradient,
)

KEY = jax.random.key(0)


def uniform(seed, *shape):
    return jax.random.uniform(jax.random.key(seed), shape)


def cubic(images):
    return (images**3).sum(axis=(1, 2, 3))


IMAGE, START = uniform(0, 4, 5, 3), uniform(1, 4, 5, 3)


def test_the_gradient_of_a_cube():
    result = gradient(cubic, IMAGE, baseline=START)
    np.testing.assert_allclose(result.map, 3 * IMAGE**2, rtol=1e-5)
    predicted = float((3 * IMAGE**2 * (IMAGE - START)).sum())
    assert result.sum == pytest.approx(predicted, rel=1e-4)
    change = result.target - result.target_baseline
    assert result.absolute_error == pytest.approx(abs(predicted - change), rel=1e-4)
    assert result.method == "gradient" and result.error_map is None


def test_the_gradient_times_the_distance():
    result = input_x_gradient(cubic, IMAGE[None], baseline=START)
    assert result.map.shape == (1, 4, 5, 3)
    expected = 3 * IMAGE**2 * (IMAGE - START)
    np.testing.assert_allclose(result.map[0], expected, rtol=1e-5)


@pytest.mark.parametrize("method", [gradient, input_x_gradient])
def test_linear_functions_are_complete(method):
    weights = uniform(2, 4, 5, 3)

    def linear(images):
        return (images * weights[None]).sum(axis=(1, 2, 3))

    assert method(linear, IMAGE, baseline="zero").relative_error < 1e-5


def test_noise_adds_its_variance_to_the_gradient_of_a_cube():
    """E[3 (x + s e)^2] = 3 x^2 + 3 s^2, within the standard errors that it states."""
    result = smooth_gradient(
        KEY, cubic, IMAGE, baseline=START, num_samples=400, noise=0.5, chunk=7
    )
    sigma = 0.5 * float(IMAGE.max() - IMAGE.min())
    off = np.asarray(result.map - 3 * IMAGE**2 - 3 * sigma**2)
    z = off / np.asarray(result.error_map)
    assert np.abs(z).max() < 4.5 and 0.6 < z.std() < 1.4
    assert off.mean() == pytest.approx(0, abs=0.05)
    assert result.error_kind == "sampling" and result.num_steps == 400


def test_smooth_gradients_follow_their_key():
    options = {"baseline": START, "num_samples": 5}
    first, again, other = (
        smooth_gradient(jax.random.key(s), cubic, IMAGE, **options).map
        for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert float(jnp.abs(first - other).max()) > 1e-3


def test_chunks_change_nothing():
    options = {"baseline": START, "num_samples": 10}
    whole, parts = (
        smooth_gradient(KEY, cubic, IMAGE, chunk=c, **options) for c in (10, 3)
    )
    np.testing.assert_allclose(whole.map, parts.map, rtol=1e-5)
    np.testing.assert_allclose(whole.error_map, parts.error_map, rtol=1e-3)


def test_expected_gradients_are_the_mean_over_baselines():
    """Of a cube each value's own change, averaged; stratified draws come close."""
    baselines = uniform(3, 4, 4, 5, 3)
    result = expected_gradients(KEY, cubic, IMAGE, baselines=baselines, num_samples=400)
    expected = np.asarray(IMAGE**3 - (baselines**3).mean(axis=0))
    np.testing.assert_allclose(result.map, expected, atol=0.01)
    assert result.target_baseline == pytest.approx(
        float(cubic(baselines).mean()), rel=1e-5
    )
    assert result.absolute_error < 0.01 * result.target
    assert result.num_steps == 400


def test_expected_gradients_of_a_linear_function_are_exact():
    baselines = uniform(3, 3, 4, 5, 3)
    result = expected_gradients(
        KEY,
        lambda x: 2 * x.sum(axis=(1, 2, 3)),
        IMAGE,
        baselines=baselines,
        num_samples=7,
    )
    expected = 2 * (IMAGE - baselines.mean(axis=0))
    np.testing.assert_allclose(result.map, expected, atol=1e-6)
    assert result.num_steps == 6  # the same number of draws for each baseline


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"baselines": uniform(0, 4, 5, 3)}, r"shape \(m, 4, 5, 3\)"),
        ({"baselines": uniform(0, 9, 4, 5, 3), "num_samples": 8}, "at least 9"),
    ],
)
def test_wrong_baselines_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        expected_gradients(KEY, cubic, IMAGE, **options)


def test_wrong_noise_and_numbers_are_refused():
    with pytest.raises(ValueError, match="noise: expected a number above 0"):
        smooth_gradient(KEY, cubic, IMAGE, noise=0)
    with pytest.raises(ValueError, match="num_samples: expected at least 1"):
        smooth_gradient(KEY, cubic, IMAGE, num_samples=0)


@pytest.mark.parametrize("method", [gradient, input_x_gradient])
def test_what_is_no_number_is_refused(method):
    with pytest.raises(ValueError, match="put a target behind it"):
        method(lambda x: x, IMAGE)


@pytest.mark.parametrize("method", ["smooth", "expected"])
def test_one_draw_says_nothing_of_its_own_error(method):
    def cubes(images):
        return (images**3).sum(axis=(1, 2, 3))

    image = jax.random.uniform(jax.random.key(3), (4, 4, 3))
    key = jax.random.key(0)
    if method == "smooth":
        found = smooth_gradient(key, cubes, image, num_samples=1)
    else:
        baselines = 0.3 * image[None, ::-1]
        found = expected_gradients(
            key, cubes, image, baselines=baselines, num_samples=1
        )
    assert found.error_map is None and found.error_kind == ""
    assert np.isnan(found.error_estimate)
    assert "sampling" not in found.summary()


def test_a_large_constant_slope_does_not_hide_the_standard_error():
    """The draws' deviation is noise * range; their mean is 10^5 times larger."""
    slope, draws = 1e4, 64

    def fn(images):
        return (slope * images + 0.5 * images**2).sum(axis=(1, 2, 3))

    image = jax.random.uniform(jax.random.key(4), (12, 12, 3))
    found = smooth_gradient(
        jax.random.key(1), fn, image, noise=0.1, num_samples=draws, chunk=8
    )
    expected = 0.1 * float(image.max() - image.min()) / np.sqrt(draws)
    assert float(found.error_map.mean()) == pytest.approx(expected, rel=0.1)
    np.testing.assert_allclose(found.map, slope + image, atol=6 * expected)
