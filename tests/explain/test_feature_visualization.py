"""Optimised pictures against what is known to be the optimum.

For a linear unit and small contrast the best picture is its own kernel (Cauchy and
Schwarz), and no picture of contrast `c` can exceed `c ||kernel|| sqrt(n)`.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.explain import feature_visualization
from stylejax.explain.feature_visualization import (
    MILD_TRANSFORMATIONS,
    NO_TRANSFORMATIONS,
    Transformations,
    feature_objective,
    visualize_feature,
)
from stylejax.explain.spectral_pictures import pink_noise

SIDE = 20
SHAPE = (SIDE, SIDE, 3)


def gabor():
    """A grey Gabor kernel without mean, `h w 3`: about 6 pixels a wave."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    wave = np.cos(2 * np.pi * (0.15 * x + 0.1 * y) + 0.5)
    kernel = wave * np.exp(-(x**2 + y**2) / 2 / 5**2)
    return np.repeat((kernel - kernel.mean())[..., None], 3, axis=-1).astype(np.float32)


KERNEL = gabor()


def linear_features(images):
    """Two units; `KERNEL` is their difference, a direction and not a unit."""
    halves = jnp.stack([0.5 * KERNEL + 0.1, 0.1 - 0.5 * KERNEL], axis=-1)
    return jnp.einsum("bhwc,hwcu->bu", images, halves)


# Jitted, so that tests share what is compiled for it.
linear = jax.jit(
    feature_objective(linear_features, direction=np.array([2.0, -2.0]) / 8)
)
# The direction is brought to length 1: half of sqrt(2) times the kernel is left.
GAIN = 2**-0.5


def correlation(x, y):
    return np.corrcoef(np.ravel(x), np.ravel(y))[0, 1]


def visualized(seed=0, **options):
    options = {"shape": SHAPE, "num_steps": 96, **options}
    return visualize_feature(jax.random.key(seed), linear, **options)


@pytest.fixture(scope="module")
def plain():
    """Without transformations, contrast 0.2, compared with waves too."""
    waves = 0.5 + 0.5 * np.sin(np.arange(6)[:, None, None, None] + np.zeros(SHAPE))
    samples = np.concatenate(
        [waves, np.random.default_rng(0).uniform(size=(6, *SHAPE))]
    )
    return visualized(
        transformations=NO_TRANSFORMATIONS, samples=samples.astype(np.float32)
    )


def test_the_optimum_of_a_linear_unit_is_its_kernel(plain):
    assert correlation(plain.picture, KERNEL) > 0.94
    faint = visualized(transformations=NO_TRANSFORMATIONS, contrast=0.05)
    assert correlation(faint.picture, KERNEL) > 0.99
    bound = 0.05 * GAIN * np.linalg.norm(KERNEL) * np.sqrt(KERNEL.size)
    assert 0.97 * bound < faint.value <= bound


def test_the_objective_ends_above_all_other_pictures(plain):
    assert plain.value > 2 * plain.best_other > 0
    assert plain.best_other == max(*plain.noise_values, *plain.sample_values)
    assert len(plain.noise_values) == 16 and len(plain.sample_values) == 12
    # The comparison is of like with like: the contrast is that of the noise.
    spread = float(plain.picture.std())
    noise = pink_noise(jax.random.key(5), number=16, shape=SHAPE)
    assert spread <= 1.1 * float(noise.std())
    assert "96 steps" in plain.summary() and "of 12 given" in plain.summary()


def test_the_curve_rises_to_the_value(plain):
    assert plain.curve.shape == (96,)
    assert plain.curve[0] < 0.2 * plain.value
    assert plain.curve[-1] == pytest.approx(plain.value, rel=0.01)
    assert (np.diff(plain.curve) > 0).mean() > 0.6
    assert plain.value == pytest.approx(float(linear(plain.picture[None])[0]), rel=1e-5)


def test_the_spectrum_peaks_at_the_kernel_s_frequency(plain):
    grey = np.asarray(plain.picture).mean(axis=-1)
    peak = np.abs(np.fft.rfft2(grey - grey.mean())).argmax()
    expected = np.abs(np.fft.rfft2(KERNEL[..., 0])).argmax()
    assert peak == expected


def test_the_picture_stays_in_range_and_grey_where_nothing_is_asked(plain):
    picture = np.asarray(plain.picture)
    assert 0 <= picture.min() and picture.max() <= 1
    # A grey unit: what differs between the channels is what the start left behind.
    assert np.ptp(picture, axis=-1).mean() < 0.1 * np.ptp(picture)


def test_transformations_find_the_pattern_too_and_a_broader_optimum():
    result = visualized()
    assert correlation(result.picture, KERNEL) > 0.85
    assert result.value > 1.5 * result.best_other
    untransformed = float(linear(result.picture[None])[0])
    assert result.value == pytest.approx(untransformed, rel=1e-5)
    # Each step sees another shift: the curve is not smooth.
    assert np.abs(np.diff(result.curve[-20:])).mean() > 1e-3 * result.value


def test_the_key_decides_everything():
    first, again = (visualized(3) for _ in range(2))
    other = visualized(4)
    np.testing.assert_array_equal(first.picture, again.picture)
    np.testing.assert_array_equal(first.curve, again.curve)
    np.testing.assert_array_equal(first.noise_values, again.noise_values)
    assert (first.picture != other.picture).any()


# --- objectives ---------------------------------------------------------------------


def features(images):
    """Four units: the three colours and their sum."""
    return jnp.concatenate([images, images.sum(axis=-1, keepdims=True)], axis=-1)


PICTURES = np.random.default_rng(1).uniform(size=(2, 4, 6, 3)).astype(np.float32)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"direction": 1}, PICTURES[..., 1].mean(axis=(1, 2))),
        ({"direction": 2, "position": (3, 0)}, PICTURES[:, 3, 0, 2]),
        ({"direction": 3, "position": "center"}, PICTURES[:, 2, 3].sum(axis=-1)),
        (
            {"direction": np.array([3.0, 0, -4.0, 0])},  # its length does not matter
            (0.6 * PICTURES[..., 0] - 0.8 * PICTURES[..., 2]).mean(axis=(1, 2)),
        ),
    ],
)
def test_objectives_are_what_they_are_called(options, expected):
    objective = feature_objective(features, **options)
    np.testing.assert_allclose(objective(PICTURES), expected, rtol=1e-5)


def test_a_vector_of_features_has_no_positions():
    objective = feature_objective(lambda x: x.mean(axis=(1, 2)), direction=0)
    expected = PICTURES[..., 0].mean(axis=(1, 2))
    np.testing.assert_allclose(objective(PICTURES), expected, rtol=1e-5)


# --- transformations ----------------------------------------------------------------


def test_no_transformation_returns_the_picture():
    picture = PICTURES[0]
    assert NO_TRANSFORMATIONS(jax.random.key(0), picture) is picture


@pytest.fixture(scope="module")
def resampled():
    """(rows, columns, channels) resampled; compiled once for 5 x 5 x 2."""

    def resample(picture, *, shift=(0.0, 0.0), zoom=1.0, angle=0.0):
        numbers = {"shift": shift, "zoom": zoom, "angle": angle}
        arrays = {k: jnp.asarray(v, jnp.float32) for k, v in numbers.items()}
        return np.asarray(compiled(jnp.asarray(picture, jnp.float32), **arrays))

    compiled = jax.jit(feature_visualization._resampled)
    return resample


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        # 180 degrees about the middle turns both axes round.
        ({"angle": np.pi}, lambda p: p[::-1, ::-1]),
        ({"angle": np.pi / 2}, lambda p: np.rot90(p, -1)),
        # A shift by (1, 0) takes each value from the row below; grey comes in.
        (
            {"shift": (1.0, 0.0)},
            lambda p: np.concatenate([p[1:], np.full_like(p[:1], 0.5)]),
        ),
    ],
)
def test_resampling_turns_and_shifts_as_whole_pixels_do(resampled, change, expected):
    square = np.random.default_rng(2).uniform(size=(5, 5, 2))
    np.testing.assert_allclose(resampled(square, **change), expected(square), atol=2e-6)


def test_zoom_enlarges_about_the_middle(resampled):
    ramp = np.moveaxis(np.mgrid[:5, :5] - 2.0, 0, -1)
    np.testing.assert_allclose(resampled(ramp, zoom=2.0), ramp / 2, atol=1e-6)


def test_transformations_stay_within_what_is_asked_and_differ_by_key():
    spot = jnp.full((17, 17, 1), 0.5).at[8, 8].set(1.0)
    move = Transformations(shift=0.2, scale=(1.0, 1.0), degrees=0.0)
    moved = [jax.jit(move)(jax.random.key(seed), spot) for seed in range(24)]
    weights = np.asarray(moved)[..., 0] - 0.5
    centres = [
        (weights * g).sum(axis=(1, 2)) / weights.sum(axis=(1, 2))
        for g in np.mgrid[:17, :17]
    ]
    offsets = np.abs(np.stack(centres) - 8)
    assert 2.5 < offsets.max() <= 0.2 * 17 + 1e-3
    assert hash(move) != hash(MILD_TRANSFORMATIONS)


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        (lambda: visualized(num_steps=0), "num_steps: expected"),
        (lambda: visualized(contrast=0.0), "contrast: expected"),
        (lambda: visualized(num_noise=0), "num_noise: expected"),
        (
            lambda: visualized(samples=np.zeros((1, 8, 8, 3), np.float32)),
            r"samples: expected pictures of shape \(20, 20, 3\), got \(8, 8, 3\)",
        ),
        (
            lambda: visualize_feature(jax.random.key(0), features, shape=SHAPE),
            r"objective: expected one number .* got \(1, 20, 20, 4\)",
        ),
        (
            lambda: feature_objective(features, direction=4)(PICTURES),
            "direction: expected a channel of 0 to 3, got 4",
        ),
        (
            lambda: feature_objective(features, direction=np.ones(3))(PICTURES),
            r"direction: expected .* shape \(4,\), got shape \(3,\)",
        ),
        (
            lambda: feature_objective(features, direction=0, position=(4, 0))(PICTURES),
            r"position: expected a place in a map of \(4, 6\)",
        ),
        (
            lambda: feature_objective(features, direction=0, position="top")(PICTURES),
            "position: expected .* got 'top'",
        ),
    ],
)
def test_what_cannot_be_visualised_is_refused(refused, message):
    with pytest.raises(ValueError, match=message):
        refused()
