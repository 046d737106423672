"""Infidelity and sensitivity of functions whose expectations are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.metrics.infidelity import infidelity, sensitivity

KEY = jax.random.key(3)
IMAGE, BASELINE, WEIGHTS = (
    np.random.default_rng(0).normal(size=(3, 4, 3, 2)).astype(np.float32)
)
D = IMAGE.size
ZERO = np.zeros_like(IMAGE)


@jax.jit
def linear(images):
    return 2 + (images * WEIGHTS[None]).sum(axis=(1, 2, 3))


@jax.jit
def quadratic(images):
    return (images**2).sum(axis=(1, 2, 3))


def measure(fn, slope, *, noise=0.3, key=KEY, **options):
    return infidelity(key, fn, IMAGE, slope, noise=noise, **options)


def test_the_slope_of_a_linear_function_has_none():
    result = measure(linear, WEIGHTS)
    assert float(result.mean) < 1e-10
    assert float(result.relative) < 1e-10


@pytest.mark.parametrize("factor", [0, -1, 3])
def test_a_wrong_scale_shows_as_its_square(factor):
    """`E <I, w>^2 = s^2 |w|^2`, and of it `(factor - 1)^2` is missed."""
    keys = jax.random.split(KEY, 20)
    results = [measure(linear, factor * WEIGHTS, key=k) for k in keys]
    for result in results:
        assert float(result.relative) == pytest.approx((factor - 1) ** 2, rel=1e-4)
    expected = (factor - 1) ** 2 * 0.09 * (WEIGHTS**2).sum()
    # Each mean of 100 scatters by sqrt(2 / 100) of itself, 20 of them by 3 %.
    found = np.mean([float(r.mean) for r in results])
    assert found == pytest.approx(expected, rel=0.1)


def test_a_quadratic_function_has_the_fourth_moment():
    """`<I, 2x> - (|x|^2 - |x - I|^2) = |I|^2`, whose square has mean s^4 (d^2 + 2d)."""
    results = [measure(quadratic, 2 * IMAGE, key=k) for k in jax.random.split(KEY, 20)]
    expected = 0.3**4 * (D**2 + 2 * D)
    found = np.mean([float(r.mean) for r in results])
    assert found == pytest.approx(expected, rel=0.06)
    held = [float(r.low) < expected < float(r.high) for r in results]
    assert np.mean(held) > 0.75


def test_without_noise_it_is_the_squared_completeness_error():
    """From `x` to `x'`: the average slope `x + x'` is right, that at `x` is not."""
    options = {"noise": 0.0, "baseline": BASELINE}
    right = measure(quadratic, IMAGE + BASELINE, **options)
    assert float(right.mean) < 1e-9
    wrong = measure(quadratic, 2 * IMAGE, **options)
    expected = ((IMAGE - BASELINE) ** 2).sum() ** 2
    assert float(wrong.mean) == pytest.approx(expected, rel=1e-4)
    assert float(wrong.low) == pytest.approx(float(wrong.high), rel=1e-4)


def test_a_noisy_baseline_scatters_around_that():
    """With slope 2x the error is |I|^2, and I is normal around x - x'."""
    shift = ((IMAGE - BASELINE) ** 2).sum()
    variance = 0.09
    mean, spread = shift + variance * D, 4 * variance * shift + 2 * variance**2 * D
    results = [
        measure(quadratic, 2 * IMAGE, baseline=BASELINE, key=k)
        for k in jax.random.split(KEY, 10)
    ]
    found = np.mean([float(r.mean) for r in results])
    assert found == pytest.approx(mean**2 + spread, rel=0.05)


def test_a_function_that_does_not_change_leaves_the_share_undefined():
    result = measure(quadratic, IMAGE, noise=0.0)
    assert float(result.mean) == 0
    assert np.isnan(result.relative)


@jax.jit
def identity(picture):
    return 5 * picture


def test_a_map_that_does_not_depend_on_the_picture_is_not_sensitive():
    result = sensitivity(KEY, lambda p: jnp.asarray(WEIGHTS), IMAGE, radius=0.5)
    assert float(result.maximum) == float(result.mean) == 0


def test_one_pixel_moves_by_half_the_radius_on_average_and_by_the_radius_at_most():
    picture = np.full((1, 1, 1), -4.0, np.float32)
    result = sensitivity(KEY, identity, picture, radius=2.0, num_samples=400)
    assert 0.98 * 0.5 < float(result.maximum) <= 0.5
    assert float(result.low) < 0.25 < float(result.high)
    assert float(result.high) - float(result.low) < 0.05


def test_the_noise_goes_both_ways():
    """A map that doubles where the picture got brighter: half of the draws."""
    picture = np.full((1, 1, 1), -4.0, np.float32)
    result = sensitivity(
        KEY, lambda p: 1.0 + (p > -4), picture, radius=2.0, num_samples=400
    )
    assert float(result.low) < 0.5 < float(result.high)


def test_many_pixels_move_together():
    """`E |d|^2 = n r^2 / 3`; the length of a map over that of the map before."""
    result = sensitivity(KEY, identity, IMAGE, radius=0.2)
    expected = np.sqrt(D * 0.04 / 3) / np.linalg.norm(IMAGE)
    assert float(result.mean) == pytest.approx(expected, rel=0.05)
    assert float(result.mean) < float(result.maximum) < 1.6 * expected


def test_twice_the_radius_moves_a_linear_map_twice_as_far():
    once = sensitivity(KEY, identity, IMAGE, radius=0.1)
    twice = sensitivity(KEY, identity, IMAGE, radius=0.2)
    assert float(twice.maximum) == pytest.approx(2 * float(once.maximum), rel=1e-4)


def test_a_map_that_was_zero_is_infinitely_sensitive():
    assert np.isinf(sensitivity(KEY, identity, ZERO, radius=0.2).maximum)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"noise": -1.0}, "expected noise of at least 0"),
        ({"noise": float("nan")}, "expected noise of at least 0"),
        ({"num_samples": 1}, "two samples or more"),
        ({"baseline": ZERO[0]}, "expected image and baseline of one shape"),
        ({"slope": ZERO[..., 0]}, "expected image and slope of one shape"),
    ],
)
def test_mistakes_of_infidelity(options, match):
    with pytest.raises(ValueError, match=match):
        measure(linear, **{"slope": WEIGHTS, **options})


def test_mistakes_of_sensitivity():
    with pytest.raises(ValueError, match="radius: expected a number above 0"):
        sensitivity(KEY, identity, IMAGE, radius=0)
    with pytest.raises(ValueError, match="num_samples: expected two or more"):
        sensitivity(KEY, identity, IMAGE, radius=1, num_samples=1)


def test_a_constant_function_leaves_the_share_of_any_map_undefined():
    constant = jax.jit(lambda images: jnp.full(len(images), 4.0))
    result = measure(constant, WEIGHTS)
    assert float(result.mean) > 0.1
    assert np.isnan(result.relative)
