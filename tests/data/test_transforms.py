"""Resize, crop and flip do what they say, at the odds they say."""

import numpy as np
import pytest

from stylejax.data import transforms


def test_load_size_keeps_the_proportion():
    assert transforms.load_size_for(256) == 286
    assert [transforms.load_size_for(size) for size in (64, 128, 512)] == [72, 143, 572]


def test_resize_is_clipped():
    edge = np.zeros((16, 16, 3), np.float32)
    edge[:, 8:] = 1.0
    larger = transforms.resize_clipped(edge, (16, 37))
    assert larger.shape == (16, 37, 3)
    assert larger.min() == 0.0 and larger.max() == 1.0


@pytest.mark.parametrize(
    ("preprocess", "expected"),
    [
        ("resize_and_crop", (36, 36)),
        ("scale_and_crop", (36, 72)),
        ("crop", (50, 100)),
        ("resize", (32, 32)),
    ],
)
def test_preparation_sizes(generator, preprocess, expected):
    image = generator.random((50, 100, 3), np.float32)
    done = transforms.prepare(image, preprocess=preprocess, image_size=32, load_size=36)
    assert done.shape == (*expected, 3) and done.dtype == np.float32


def crops(image, *, flip, count=400, size=4):
    return [
        transforms.random_crop_flip(
            np.random.default_rng(seed), image, image_size=size, flip=flip
        )
        for seed in range(count)
    ]


def corners(images):
    """(y, x) of each crop of a picture that holds its own coordinates."""
    return [tuple(image[0, 0, :2].astype(int)) for image in images]


@pytest.fixture
def coordinates():
    y, x = np.mgrid[:6, :9].astype(np.float32)
    return np.stack([y, x, 0 * x], -1)


def test_every_crop_is_a_piece_of_the_picture_and_every_piece_comes(coordinates):
    found = crops(coordinates, flip=False)
    assert set(corners(found)) == {(y, x) for y in range(3) for x in range(6)}
    for crop, (y, x) in zip(found, corners(found), strict=True):
        np.testing.assert_array_equal(crop, coordinates[y : y + 4, x : x + 4])
        assert crop.flags.c_contiguous


def test_crops_are_even(coordinates):
    columns = [x for _, x in corners(crops(coordinates, flip=False, count=3000))]
    counts = np.bincount(columns, minlength=6)
    assert counts.min() > 420 and counts.max() < 580  # 500 each, 4 deviations


def test_half_is_mirrored_and_nothing_else_changes(coordinates):
    plain, mirrored = (crops(coordinates, flip=flip) for flip in (False, True))
    flipped = 0
    for a, b in zip(plain, mirrored, strict=True):
        if not np.array_equal(a, b):
            np.testing.assert_array_equal(a[:, ::-1], b)
            flipped += 1
    assert 150 < flipped < 250


def test_the_whole_picture_may_be_the_crop(coordinates):
    square = coordinates[:, :6]
    found = crops(square, flip=False, size=6, count=5)
    assert all(np.array_equal(crop, square) for crop in found)


def test_a_cached_picture_is_not_changed(coordinates):
    before = coordinates.copy()
    for crop in crops(coordinates, flip=True, count=20):
        crop[:] = -1
    np.testing.assert_array_equal(coordinates, before)


def test_mirroring_does_not_depend_on_the_place(coordinates):
    plain, mirrored = (crops(coordinates, flip=flip) for flip in (False, True))
    places = [
        place
        for place, a, b in zip(corners(plain), plain, mirrored, strict=True)
        if not np.array_equal(a, b)
    ]
    assert set(places) == {(y, x) for y in range(3) for x in range(6)}


def test_random_scales_lie_between_the_whole_and_the_crop(generator):
    image = generator.random((60, 90, 3)).astype(np.float32)
    sides = []
    for seed in range(200):
        found = transforms.random_scaled(
            np.random.default_rng(seed), image, image_size=15
        )
        assert min(found.shape[:2]) >= 15
        assert found.shape[1] / found.shape[0] == pytest.approx(1.5, abs=0.1)
        sides.append(found.shape[0])
    assert min(sides) <= 16
    assert max(sides) >= 58
    # Small and large squares alike on a logarithmic scale: half show over 30 px.
    assert 0.4 < np.mean(np.array(sides) < 30) < 0.6


def test_random_scale_keeps_small_pictures_and_shrinks_large_ones(generator):
    image = generator.random((60, 90, 3)).astype(np.float32)
    for load_size, height in ((100, 60), (40, 40)):
        found = transforms.prepare(
            image, preprocess="random_scale", image_size=16, load_size=load_size
        )
        assert found.shape[0] == height
