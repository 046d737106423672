"""Automatic masks: they sum to one, follow lightness or colour, and are repeatable."""

import numpy as np
import pytest

from stylejax.image import masks


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("softness", [0.0, 8.0, 80.0])
def test_bands_of_lightness_sum_to_one(count, softness, generator):
    image = generator.random((12, 17, 3), np.float32)
    found = masks.from_luminance(image, count=count, softness=softness)
    assert found.shape == (count, 12, 17)
    np.testing.assert_allclose(found.sum(axis=0), np.ones((12, 17)), atol=1e-6)
    assert found.min() >= 0


def test_bands_are_equally_large_and_begin_with_the_darkest():
    ramp = np.repeat(np.linspace(0, 1, 90)[None, :, None], 3, axis=2)
    found = masks.from_luminance(np.tile(ramp, (4, 1, 1)), count=3, softness=0.0)
    np.testing.assert_allclose(found.mean(axis=(1, 2)), [1 / 3] * 3, atol=0.02)
    assert found[0, 0, :28].min() == 1
    assert found[2, 0, -28:].min() == 1


def test_clusters_find_the_colours_there_are():
    image = np.zeros((10, 12, 3), np.float32)
    image[:, :6] = [0.9, 0.1, 0.1]
    image[:, 6:10] = [0.1, 0.2, 0.9]
    image[:, 10:] = [0.9, 0.9, 0.2]
    found = masks.from_colors(image, count=3)
    expected = [(0, 6), (6, 10), (10, 12)]
    for mask, (left, right) in zip(found, expected, strict=True):
        assert mask[:, left:right].min() == 1
        assert mask.sum() == 10 * (right - left)


def test_clusters_are_a_partition_and_repeatable(generator):
    image = generator.random((40, 30, 3), np.float32)
    found = masks.from_colors(image, count=4, seed=1)
    assert set(np.unique(found)) == {0.0, 1.0}
    np.testing.assert_array_equal(found.sum(axis=0), np.ones((40, 30)))
    sizes = found.sum(axis=(1, 2))
    assert (np.diff(sizes) <= 0).all()
    np.testing.assert_array_equal(found, masks.from_colors(image, count=4, seed=1))


def test_a_picture_of_one_colour_gives_empty_masks():
    found = masks.from_colors(np.full((6, 5, 3), 0.3, np.float32), count=3)
    np.testing.assert_array_equal(found.sum(axis=(1, 2)), [30, 0, 0])


@pytest.mark.parametrize("make", [masks.from_luminance, masks.from_colors])
def test_what_is_no_picture_is_refused(make):
    with pytest.raises(ValueError, match="expected one picture"):
        make(np.zeros((2, 4, 4, 3)))
    with pytest.raises(ValueError, match="count"):
        make(np.zeros((4, 4, 3)), count=0)
