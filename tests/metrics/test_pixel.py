"""Pixel metrics against NumPy and SciPy, bootstrap intervals against known answers."""

import jax
import numpy as np
import pytest

from stylejax.metrics import pixel

METRICS = [pixel.mean_absolute_error, pixel.psnr, pixel.ssim]
IDENTITY_AND_JIT = pytest.mark.parametrize("compile_fn", [lambda f: f, jax.jit])
PAIRED = pytest.mark.parametrize(
    "metric", [*METRICS, pixel.gradient_energy_ratio], ids=lambda m: m.__name__
)


@pytest.fixture
def pair(generator):
    truth = generator.uniform(size=(3, 14, 13, 3))
    noisy = np.clip(truth + generator.normal(0, 0.1, truth.shape), 0, 1)
    return noisy.astype(np.float32), truth.astype(np.float32)


def ssim_in_numpy(x, y):
    """Wang et al. by their formula, one window at a time, in float64."""
    positions = np.arange(11) - 5
    line = np.exp(-0.5 * (positions / 1.5) ** 2)
    window = np.outer(line, line)[:, :, None] / line.sum() ** 2
    c1, c2 = 0.01**2, 0.03**2
    values = []
    for i in range(x.shape[0] - 10):
        for j in range(x.shape[1] - 10):
            a = x[i : i + 11, j : j + 11].astype(np.float64)
            b = y[i : i + 11, j : j + 11].astype(np.float64)
            mean_a, mean_b = (window * a).sum((0, 1)), (window * b).sum((0, 1))
            var_a = (window * a * a).sum((0, 1)) - mean_a**2
            var_b = (window * b * b).sum((0, 1)) - mean_b**2
            covariance = (window * a * b).sum((0, 1)) - mean_a * mean_b
            values.append(
                (2 * mean_a * mean_b + c1)
                * (2 * covariance + c2)
                / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
            )
    return np.mean(values)


@IDENTITY_AND_JIT
def test_mean_absolute_error_equals_numpy(compile_fn, pair):
    x, y = pair
    expected = 255 * np.abs(x.astype(np.float64) - y).mean(axis=(1, 2, 3))
    actual = compile_fn(pixel.mean_absolute_error)(x, y)
    assert actual.shape == (3,)
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_mean_absolute_error_has_a_scale(pair):
    grey_levels = pixel.mean_absolute_error(*pair)
    unit = pixel.mean_absolute_error(*pair, scale=1.0)
    np.testing.assert_allclose(grey_levels, 255 * unit, rtol=1e-6)


@IDENTITY_AND_JIT
def test_psnr_equals_numpy(compile_fn, pair):
    x, y = pair
    error = np.square(x.astype(np.float64) - y).mean(axis=(1, 2, 3))
    actual = compile_fn(pixel.psnr)(x, y)
    assert actual.shape == (3,)
    np.testing.assert_allclose(actual, -10 * np.log10(error), rtol=1e-5)


def test_psnr_of_equal_images_is_infinite(pair):
    assert np.isposinf(np.asarray(pixel.psnr(pair[0], pair[0]))).all()


@IDENTITY_AND_JIT
def test_ssim_equals_numpy(compile_fn, pair):
    x, y = pair
    actual = compile_fn(pixel.ssim)(x, y)
    expected = [ssim_in_numpy(a, b) for a, b in zip(x, y, strict=True)]
    assert actual.shape == (3,)
    np.testing.assert_allclose(actual, expected, atol=1e-4)
    assert 0.1 < min(expected) and max(expected) < 0.99


def test_ssim_of_equal_and_of_constant_images(pair):
    np.testing.assert_allclose(pixel.ssim(pair[0], pair[0]), np.ones(3), atol=1e-5)
    grey = np.full((1, 12, 12, 3), 0.5, np.float32)
    np.testing.assert_allclose(pixel.ssim(grey, grey), [1.0], atol=1e-5)


def test_ssim_refuses_images_below_its_window():
    small = np.zeros((1, 10, 32, 3), np.float32)
    with pytest.raises(ValueError, match="at least 11 pixels"):
        pixel.ssim(small, small)


@IDENTITY_AND_JIT
def test_gradient_energy_ratio_is_a_ratio_of_means(compile_fn, pair):
    x, truth = pair

    def energy(image):
        y = image.astype(np.float64) @ [0.299, 0.587, 0.114]
        return np.mean(np.diff(y, axis=1) ** 2) + np.mean(np.diff(y, axis=2) ** 2)

    actual = compile_fn(pixel.gradient_energy_ratio)(x, truth)
    assert actual.shape == ()
    np.testing.assert_allclose(actual, energy(x) / energy(truth), rtol=1e-4)


def test_gradient_energy_ratio_tells_blur_from_checkerboard(pair):
    _, truth = pair
    blurred = (truth + np.roll(truth, 1, axis=1) + np.roll(truth, 1, axis=2)) / 3
    board = (np.indices(truth.shape[1:3]).sum(0) % 2)[None, :, :, None]
    checkered = (0.5 * truth + 0.5 * board).astype(np.float32)
    assert pixel.gradient_energy_ratio(blurred, truth) < 0.8
    assert pixel.gradient_energy_ratio(checkered, truth) > 1.25


def test_gradient_energy_ratio_of_flat_images(pair):
    flat = np.full_like(pair[0], 0.5)
    assert float(pixel.gradient_energy_ratio(flat, flat)) == 1
    assert float(pixel.gradient_energy_ratio(flat, pair[1])) == 0
    assert np.isposinf(float(pixel.gradient_energy_ratio(pair[0], flat)))


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.__name__)
def test_one_example_does_not_touch_another(metric, pair):
    x, y = pair
    changed = x.copy()
    changed[1] = 1 - changed[1]
    same = np.asarray(metric(x, y)) == np.asarray(metric(changed, y))
    np.testing.assert_array_equal(same, [True, False, True])


@PAIRED
def test_metrics_refuse_what_is_no_pair_of_batches(metric):
    image = np.zeros((1, 16, 16, 3), np.float32)
    with pytest.raises(ValueError, match="add a batch axis"):
        metric(image[0], image[0])
    with pytest.raises(ValueError, match="of one shape"):
        metric(image, image[:, :12])
    with pytest.raises(TypeError, match="to_float"):
        metric(image.astype(np.uint8), image.astype(np.uint8))


def test_bootstrap_interval_matches_the_normal_approximation(generator):
    values = generator.normal(5, 2, 400)
    low, high = pixel.bootstrap_interval(values)
    half = 1.96 * values.std() / np.sqrt(len(values))
    np.testing.assert_allclose([low, high], values.mean() + [-half, half], atol=0.03)


def test_bootstrap_interval_covers_as_often_as_it_says():
    """The true mean 0 lies in the 80 % interval of about 80 % of 300 samples."""
    covered = 0
    for seed in range(300):
        values = np.random.default_rng(seed).normal(size=60)
        low, high = pixel.bootstrap_interval(
            values, seed=seed, num_resamples=400, level=0.8
        )
        covered += low <= 0 <= high
    assert 0.72 < covered / 300 < 0.87


def test_bootstrap_interval_takes_other_statistics():
    values = np.float64([1, 2, 3, 4, 100])
    low, high = pixel.bootstrap_interval(values, statistic=np.median)
    assert 1 <= low <= 3 <= high <= 100
    assert set((low, high)) <= set(values)


def test_bootstrap_is_seeded_and_independent_of_its_blocks(monkeypatch, generator):
    values = generator.normal(size=50)
    whole = pixel.bootstrap_interval(values, num_resamples=1000, seed=3)
    assert whole == pixel.bootstrap_interval(values, num_resamples=1000, seed=3)
    assert whole != pixel.bootstrap_interval(values, num_resamples=1000, seed=4)
    monkeypatch.setattr(pixel, "_BLOCK", 7 * 50)
    assert whole == pixel.bootstrap_interval(values, num_resamples=1000, seed=3)


def test_a_higher_level_gives_a_wider_interval(generator):
    values = generator.normal(size=50)
    narrow = pixel.bootstrap_interval(values, level=0.5)
    wide = pixel.bootstrap_interval(values, level=0.99)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_bootstrap_ratio_interval_resamples_pairs(generator):
    """Numerator 0.9 x denominator has an exact ratio, however the values scatter."""
    below = generator.uniform(1, 100, 30)
    low, high = pixel.bootstrap_ratio_interval(0.9 * below, below)
    np.testing.assert_allclose([low, high], [0.9, 0.9])
    shuffled = pixel.bootstrap_ratio_interval(0.9 * below[::-1], below)
    assert shuffled.high - shuffled.low > 0.1


def test_bootstrap_ratio_interval_is_of_the_ratio_of_means():
    """One pair (1, 1) and one pair (0, 3): the mean of the ratios would be 1/2."""
    low, high = pixel.bootstrap_ratio_interval([1.0, 0.0], [1.0, 3.0], level=0.1)
    assert low == high == 0.25


def test_bootstrap_refuses_what_has_no_interval():
    with pytest.raises(ValueError, match="one finite number per example"):
        pixel.bootstrap_interval([])
    with pytest.raises(ValueError, match="1 values that are not finite"):
        pixel.bootstrap_interval([1.0, np.nan])
    with pytest.raises(ValueError, match=r"shape \(1, 2\)"):
        pixel.bootstrap_interval([[1.0, 2.0]])
    with pytest.raises(ValueError, match="level: expected"):
        pixel.bootstrap_interval([1.0], level=95)
    with pytest.raises(ValueError, match="num_resamples"):
        pixel.bootstrap_interval([1.0], num_resamples=0)
    with pytest.raises(ValueError, match="numerator and denominator"):
        pixel.bootstrap_ratio_interval([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="means above 0"):
        pixel.bootstrap_ratio_interval([1.0], [0.0])
