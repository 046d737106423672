"""Resampling against Pillow, padding against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image as PILImage

from stylejax.image import resize

FILTERS = {
    "nearest": PILImage.Resampling.NEAREST,
    "bilinear": PILImage.Resampling.BILINEAR,
    "bicubic": PILImage.Resampling.BICUBIC,
    "lanczos": PILImage.Resampling.LANCZOS,
}


def resize_in_pillow(image, size_hw, method):
    """Each channel of one picture as a float plane."""
    height, width = size_hw
    planes = [
        PILImage.fromarray(plane).resize((width, height), FILTERS[method])
        for plane in np.moveaxis(image, -1, 0)
    ]
    return np.stack([np.asarray(plane) for plane in planes], axis=-1)


@pytest.mark.parametrize("method", FILTERS)
@pytest.mark.parametrize("size_hw", [(7, 5), (20, 48), (12, 16)])
def test_resize_equals_pillow(method, size_hw, generator):
    image = generator.uniform(size=(2, 12, 16, 3)).astype(np.float32)
    actual = resize.resize(image, size_hw, method=method)
    expected = [resize_in_pillow(picture, size_hw, method) for picture in image]
    assert actual.shape == (2, *size_hw, 3)
    np.testing.assert_allclose(actual, expected, atol=2e-5)


def test_resize_is_bicubic_and_antialiased_by_default(generator):
    image = generator.uniform(size=(1, 16, 16, 3)).astype(np.float32)
    default = resize.resize(image, (6, 6))
    np.testing.assert_array_equal(
        default, resize.resize(image, (6, 6), method="bicubic", antialias=True)
    )
    assert not np.allclose(default, resize.resize(image, (6, 6), antialias=False))


def test_resize_keeps_constants_and_takes_single_pictures():
    image = jnp.full((9, 7, 3), 0.25)
    resized = jax.jit(lambda x: resize.resize(x, (4, 11)))(image)
    np.testing.assert_allclose(resized, np.full((4, 11, 3), 0.25), rtol=1e-5)


def test_resize_refuses_bad_options():
    image = jnp.zeros((1, 4, 4, 3))
    with pytest.raises(ValueError, match="method: expected one of nearest"):
        resize.resize(image, (2, 2), method="box")
    with pytest.raises(ValueError, match="width: expected"):
        resize.resize(image, (2, 0))
    with pytest.raises(ValueError, match="expected a size of at most"):
        resize.resize(image, (10**11, 10**11))


@pytest.mark.parametrize("size_hw", [(5, 7), (8, 8), (3, 8), (2, 9), (1, 1)])
@pytest.mark.parametrize("multiple", [1, 4])
@pytest.mark.parametrize("compile_fn", [lambda f: f, jax.jit])
def test_pad_and_crop_back(size_hw, multiple, compile_fn, generator):
    image = generator.uniform(size=(2, *size_hw, 3)).astype(np.float32)
    padded = compile_fn(lambda x: resize.pad_to_multiple(x, multiple)[0])(image)
    _, size = resize.pad_to_multiple(image, multiple)
    assert size == size_hw
    for old, new in zip(size_hw, padded.shape[1:3], strict=True):
        assert new % multiple == 0 and 0 <= new - old < multiple
    np.testing.assert_array_equal(resize.crop_to(padded, size), image)


def test_padding_reflects_without_repeating_the_border():
    row = jnp.arange(5.0)[None, None, :, None]
    padded, _ = resize.pad_to_multiple(jnp.tile(row, (1, 4, 1, 1)), 4)
    assert padded[0, 0, :, 0].tolist() == [0, 1, 2, 3, 4, 3, 2, 1]


def test_padding_repeats_the_border_of_a_short_side():
    column = jnp.float32([1.0, 2.0])[None, :, None, None]
    padded, _ = resize.pad_to_multiple(jnp.tile(column, (1, 1, 8, 1)), 8)
    assert padded.shape == (1, 8, 8, 1)
    assert padded[0, :, 0, 0].tolist() == [1, 2, 2, 2, 2, 2, 2, 2]


def test_padding_and_cropping_refuse_the_impossible():
    image = jnp.zeros((1, 4, 4, 3))
    with pytest.raises(ValueError, match="multiple: expected"):
        resize.pad_to_multiple(image, 0)
    with pytest.raises(ValueError, match="at least 5x4, got 4x4"):
        resize.crop_to(image, (5, 4))


@pytest.mark.parametrize(("size", "shape"), [(14, (10, 14)), (56, (40, 56))])
def test_the_longer_side_fits_and_the_aspect_is_kept(size, shape, generator):
    images = generator.random((2, 20, 28, 3), np.float32)
    found = resize.fit_longer_side(images, size)
    assert found.shape == (2, *shape, 3)
    assert 0 <= float(found.min()) <= float(found.max()) <= 1
    np.testing.assert_allclose(found.mean(), images.mean(), atol=0.01)


def test_a_picture_of_that_size_is_left_alone(generator):
    images = generator.random((1, 20, 28, 3), np.float32)
    np.testing.assert_array_equal(resize.fit_longer_side(images, 28), images)
