"""Baselines: names, shapes, and what counts as constant."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.explain.baselines import (
    BASELINES,
    blur_baseline,
    constant_baseline,
    is_constant,
    make_baseline,
    noise_baseline,
)
from stylejax.image.filters import gaussian_blur


@pytest.mark.parametrize("name", BASELINES)
def test_every_name_makes_a_picture_of_the_same_kind(name, picture):
    made = make_baseline(name, image=picture)
    assert made.shape == picture.shape
    assert made.dtype == picture.dtype
    assert float(made.min()) >= 0
    assert float(made.max()) <= 1


@pytest.mark.parametrize(
    ("name", "value"), [("zero", 0.0), ("black", 0.0), ("grey", 0.5), ("white", 1.0)]
)
def test_constants_have_their_value_everywhere(name, value, picture):
    np.testing.assert_array_equal(make_baseline(name, image=picture), value)


def test_constant_baseline_fills_any_number_of_channels():
    made = constant_baseline(jnp.zeros((2, 3, 5)), value=0.25)
    np.testing.assert_array_equal(made, np.full((2, 3, 5), 0.25))


def test_blur_is_the_filter_of_the_image_room(picture):
    np.testing.assert_array_equal(
        blur_baseline(picture, sigma=3.0), gaussian_blur(picture[None], 3.0)[0]
    )


def test_blur_by_default_grows_with_the_picture(picture):
    np.testing.assert_array_equal(
        blur_baseline(picture), blur_baseline(picture, sigma=2.0)
    )
    large = jnp.tile(picture, (3, 2, 1))
    np.testing.assert_array_equal(blur_baseline(large), blur_baseline(large, sigma=4.0))


def test_blur_of_a_tiny_picture_has_a_sigma_of_one_pixel():
    tiny = jax.random.uniform(jax.random.key(0), (8, 8, 3))
    np.testing.assert_array_equal(blur_baseline(tiny), blur_baseline(tiny, sigma=1.0))


def test_blur_keeps_the_mean_colour_and_removes_detail(picture):
    blurred = blur_baseline(picture)

    def detail(image):
        return float((jnp.diff(image, axis=0) ** 2).mean())

    np.testing.assert_allclose(
        blurred.mean(axis=(0, 1)), picture.mean(axis=(0, 1)), atol=0.05
    )
    assert detail(blurred) < 0.2 * detail(picture)
    assert not is_constant(blurred)


def test_noise_is_uniform_and_never_flat():
    noise = noise_baseline(jax.random.key(1), jnp.zeros((64, 64, 3)))
    assert float(noise.mean()) == pytest.approx(0.5, abs=0.02)
    assert float(noise.var()) == pytest.approx(1 / 12, abs=0.005)
    assert not is_constant(noise)


def test_noise_depends_on_its_key_alone(picture):
    first, again, other = (
        noise_baseline(jax.random.key(seed), picture) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert float(jnp.abs(first - other).mean()) > 0.2
    np.testing.assert_array_equal(make_baseline("noise", image=picture), first)


def test_an_array_passes_through_with_or_without_a_batch_axis(picture):
    for array in (picture, picture[None], np.asarray(picture)):
        made = make_baseline(array, image=picture)
        assert made.shape == picture.shape
        np.testing.assert_array_equal(made, picture)


def test_an_array_takes_the_dtype_of_the_picture(picture):
    made = make_baseline(np.zeros(picture.shape, np.float64), image=picture)
    assert made.dtype == picture.dtype


@pytest.mark.parametrize("shape", [(3,), (32, 32), (16, 32, 3), (2, 32, 32, 3), ()])
def test_a_wrong_shape_is_one_clear_line(shape, picture):
    with pytest.raises(ValueError, match="baseline: expected the picture's sh") as e:
        make_baseline(np.zeros(shape), image=picture)
    message = str(e.value)
    assert str(picture.shape) in message
    assert str(shape) in message
    assert "\n" not in message


def test_an_unknown_name_lists_what_exists(picture):
    with pytest.raises(ValueError, match="got 'blurr'") as e:
        make_baseline("blurr", image=picture)
    assert all(name in str(e.value) for name in BASELINES)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(value, picture):
    broken = np.asarray(picture).copy()
    broken[3, 4, 1] = value
    with pytest.raises(ValueError, match="baseline: expected finite values"):
        make_baseline(broken, image=picture)


def test_is_constant_looks_at_each_channel_alone():
    colour = jnp.broadcast_to(jnp.array([0.1, 0.5, 0.9])[None, None], (8, 8, 3))
    assert is_constant(colour)
    assert not is_constant(colour.at[0, 0, 2].set(0.8))


def test_is_constant_spares_one_eight_bit_step_and_no_more():
    """A black JPEG is black."""
    flat = jnp.full((8, 8, 3), 0.5)
    assert is_constant(flat.at[2, 2].add(0.9 / 255))
    assert not is_constant(flat.at[2, 2].add(1.5 / 255))
