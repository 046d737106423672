"""Mirroring, cropping and boxes against slices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.image import geometry


@pytest.fixture
def image(generator):
    return generator.uniform(size=(2, 6, 8, 3)).astype(np.float32)


def test_flip_mirrors_columns_and_is_its_own_inverse(image):
    flipped = geometry.flip_horizontal(image)
    np.testing.assert_array_equal(flipped[:, :, 0], image[:, :, -1])
    np.testing.assert_array_equal(geometry.flip_horizontal(flipped), image)
    np.testing.assert_array_equal(
        jax.jit(geometry.flip_horizontal)(image[0]), flipped[0]
    )


@pytest.mark.parametrize("offset", [(0, 0), (1, 3), (2, 4)])
def test_crop_equals_a_slice(offset, image):
    y, x = offset
    expected = image[:, y : y + 4, x : x + 4]
    np.testing.assert_array_equal(geometry.crop(image, y, x, 4, 4), expected)
    traced = jax.jit(lambda i, y, x: geometry.crop(i, y, x, 4, 4))(image, y, x)
    np.testing.assert_array_equal(traced, expected)
    np.testing.assert_array_equal(
        geometry.crop(image[0], np.int64(y), np.int64(x), 4, 4), expected[0]
    )


def test_traced_offsets_stay_inside(image):
    last = geometry.crop(jnp.asarray(image), jnp.int32(99), jnp.int32(99), 2, 2)
    np.testing.assert_array_equal(last, image[:, -2:, -2:])


@pytest.mark.parametrize(
    "place", [(3, 0, 4, 4), (0, 5, 4, 4), (-1, 0, 4, 4), (0, 0, 0, 4), (0, 0, 7, 4)]
)
def test_crop_refuses_what_is_outside(place, image):
    with pytest.raises(ValueError, match="inside the 8x6"):
        geometry.crop(image, *place)


def test_crop_refuses_a_traced_part_that_never_fits(image):
    with pytest.raises(ValueError, match="inside the 8x6"):
        geometry.crop(image, jnp.int32(0), jnp.int32(0), 7, 4)


def test_box_mask_is_one_inside(image):
    mask = geometry.box_mask((6, 8), (1, 2, 5, 3))
    assert mask.shape == (6, 8) and mask.dtype == np.float32
    assert mask.sum() == 15 and mask[2:5, 1:6].min() == 1


@pytest.mark.parametrize(
    "box", [(-1, 0, 2, 2), (0, -1, 2, 2), (7, 0, 2, 2), (0, 5, 2, 2), (0, 0, 0, 1)]
)
def test_boxes_outside_are_refused_with_both_sizes(box):
    message = "8x6 .width x height. image, got " + ",".join(map(str, box))
    with pytest.raises(ValueError, match=message):
        geometry.box_mask((6, 8), box)


def test_a_box_may_fill_the_image():
    assert geometry.box_mask((6, 8), (0, 0, 8, 6)).min() == 1
