"""Fingerprints: equal for equal pixels, close for copies, far for other pictures."""

import hashlib

import numpy as np
import pytest
from scipy import fft

from stylejax.data.inspection import fingerprint, perceptual_hash, shrink, too_small
from stylejax.data.shapes import ShapesWorld
from stylejax.image import files


@pytest.fixture(scope="module")
def pictures():
    world = ShapesWorld(seed=5, size=48)
    return [world.picture(i, domain="ab"[i % 2]) for i in range(30)]


def distance(one, two):
    return (perceptual_hash(one) ^ perceptual_hash(two)).bit_count()


def test_shrink_averages_areas_also_where_they_cut_pixels(generator):
    image = generator.random((7, 12, 3)).astype(np.float32)
    # Equal areas of a picture are pixels of the one enlarged by repetition.
    large = image.repeat(5, axis=0).repeat(5, axis=1)
    expected = large.reshape(5, 7, 5, 12, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(shrink(image, side=5), expected, atol=1e-6)
    grey = shrink(image[..., 0], side=5)
    np.testing.assert_allclose(grey, expected[..., 0], atol=1e-6)


def test_shrink_enlarges_by_repetition():
    image = np.arange(4, dtype=np.float32).reshape(2, 2)
    np.testing.assert_allclose(shrink(image, side=4), np.kron(image, np.ones((2, 2))))


def test_hash_is_the_sign_of_the_lowest_cosines(generator):
    image = generator.random((32, 32, 3)).astype(np.float32)
    luma = np.array([0.299, 0.587, 0.114])
    coefficients = fft.dctn(image.astype(np.float64) @ luma, norm="ortho")[:8, :8]
    above = coefficients.ravel() > np.median(coefficients.ravel()[1:])
    expected = int("".join("01"[bit] for bit in above.astype(int)), 2)
    assert (perceptual_hash(image) ^ expected).bit_count() <= 1  # a tie may round


def test_hash_of_copies_is_close_and_of_others_far(pictures, generator):
    for image in pictures[:10]:
        noisy = np.clip(image + generator.normal(0, 0.02, image.shape), 0, 1)
        assert distance(image, noisy) <= 6
        assert distance(image, image.repeat(3, axis=0).repeat(2, axis=1)) <= 2
        assert distance(image, 0.1 + 0.8 * image) <= 2
    hashes = [perceptual_hash(image) for image in pictures]
    others = [(a ^ b).bit_count() for i, a in enumerate(hashes) for b in hashes[:i]]
    assert np.median(others) > 16


def test_flat_pictures_hash_alike():
    values = {perceptual_hash(np.full((9, 17, 3), g, np.float32)) for g in (0.1, 0.7)}
    assert len(values) == 1


def test_digest_sees_8_bit_pixels_and_shape_only(pictures, tmp_path):
    image = pictures[0]
    path = files.write(tmp_path / "x.png", image)
    again = fingerprint(files.read(path))
    assert fingerprint(image).digest == again.digest
    pixels = np.rint(image * 255).astype(np.uint8)
    expected = hashlib.sha256(b"(48, 48, 3)" + pixels.tobytes()).hexdigest()
    assert again.digest == expected
    pixels[3, 4, 1] ^= 1
    assert fingerprint(pixels.astype(np.float32) / 255).digest != expected
    wide = np.zeros((2, 8, 3), np.float32)
    assert fingerprint(wide).digest != fingerprint(wide.reshape(4, 4, 3)).digest


def test_fingerprint_keeps_size_and_thumbnail():
    image = np.zeros((20, 31, 3), np.float32)
    image[:, :, 2] = 1
    print_ = fingerprint(image)
    assert print_.size_hw == (20, 31)
    assert print_.thumbnail.shape == (16, 16, 3)
    np.testing.assert_allclose(print_.thumbnail[..., 2], 1, atol=1e-6)


def test_what_is_no_picture_is_refused():
    with pytest.raises(ValueError, match="channels"):
        fingerprint(np.zeros((4, 4, 4), np.float32))


def test_size_limit_counts_the_shorter_side():
    assert too_small((64, 63), min_size=64)
    assert not too_small((64, 65), min_size=64)
    assert not too_small((1, 1), min_size=0)
