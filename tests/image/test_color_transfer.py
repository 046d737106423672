"""Colour transfer by its effect: moments, histograms and chroma come out right."""

import jax
import numpy as np
import pytest

from stylejax.image import color, color_transfer, lab


@pytest.fixture
def pair(generator):
    """Two pictures of smooth colours well inside the range, of different sizes."""

    def draw(size, low, high):
        mix = generator.normal(0, 1, (3, 3))
        values = generator.normal(0, 1, (*size, 3)) @ mix
        values = (values - values.min()) / (values.max() - values.min())
        return (low + (high - low) * values)[None].astype(np.float32)

    return draw((14, 9), 0.4, 0.7), draw((11, 16), 0.25, 0.6)


def moments(image):
    pixels = np.asarray(image, np.float64).reshape(-1, 3)
    return pixels.mean(axis=0), np.cov(pixels.T, bias=True)


@pytest.mark.parametrize("how", ["coral", "optimal_transport"])
def test_linear_maps_match_mean_and_covariance(how, pair):
    image, reference = pair
    found = moments(color_transfer.recolor(image, reference, how=how))
    expected = moments(reference)
    np.testing.assert_allclose(found[0], expected[0], atol=2e-3)
    np.testing.assert_allclose(found[1], expected[1], atol=2e-4)


def test_optimal_transport_moves_colours_least(pair):
    image, reference = pair
    moved = {
        how: np.square(
            np.asarray(color_transfer.recolor(image, reference, how=how)) - image
        ).mean()
        for how in ("coral", "optimal_transport")
    }
    assert moved["optimal_transport"] < moved["coral"]


@pytest.mark.parametrize("how", sorted(color_transfer.MATCHES))
def test_its_own_colours_change_nothing(how, pair):
    image = pair[0]
    found = color_transfer.recolor(image, image, how=how)
    np.testing.assert_allclose(found, image, atol=2e-3)


def test_histograms_become_those_of_the_reference(generator):
    image = generator.permutation(np.linspace(0, 0.5, 60)).reshape(1, 4, 5, 3)
    reference = generator.random((1, 4, 5, 3))
    found = color_transfer.match_histogram(image, reference)
    got = np.sort(np.asarray(found).reshape(-1, 3), axis=0)
    expected = np.sort(reference.reshape(-1, 3), axis=0)
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_flat_areas_stay_flat(generator):
    image = np.repeat(generator.random((1, 3, 1, 3)), 6, axis=2)
    found = color_transfer.match_histogram(image, generator.random((1, 8, 8, 3)))
    assert np.ptp(np.asarray(found), axis=2).max() == 0


def test_several_pictures_each_meet_their_reference(pair):
    image, reference = pair
    both = np.concatenate([image, image[:, ::-1] * 0.8])
    found = color_transfer.match_coral(both, reference)
    for i in range(2):
        alone = color_transfer.match_coral(both[i : i + 1], reference)
        np.testing.assert_allclose(found[i], alone[0], atol=1e-5)


def test_luminance_is_grey_with_the_references_moments(pair):
    image, reference = pair
    found = np.asarray(color_transfer.match_luminance(image, reference))
    assert np.ptp(found, axis=-1).max() == 0
    expected = color.luminance(reference)
    np.testing.assert_allclose(found.mean(), expected.mean(), atol=1e-3)
    np.testing.assert_allclose(found[..., 0].std(), expected.std(), atol=1e-3)


def test_kept_chroma_is_kept_even_where_lightness_cannot_follow(generator):
    reference = generator.random((1, 16, 16, 3), np.float32)
    image = np.where(generator.random((1, 16, 16, 1)) < 0.5, 0.0, 1.0)
    image = np.repeat(image, 3, axis=-1).astype(np.float32)
    found = jax.jit(color_transfer.keep_chroma)(image, reference)
    assert float(lab.chroma_error(found, reference)[0]) < 1.0
    # Lightness went towards the image's as far as the colour allows.
    wanted, before, after = (
        np.asarray(lab.to_lab(x))[..., 0] for x in (image, reference, found)
    )
    assert np.all(np.sign(wanted - before) * (after - before) >= -0.1)
    assert np.abs(after - before).mean() > 5


def test_kept_chroma_takes_all_lightness_where_it_can():
    reference = np.full((1, 4, 4, 3), 0.5, np.float32)
    image = np.linspace(0, 1, 16, dtype=np.float32).reshape(1, 4, 4, 1)
    image = np.repeat(image, 3, axis=-1)
    found = color_transfer.keep_chroma(image, reference)
    np.testing.assert_allclose(found, image, atol=1e-3)


def test_what_is_no_pair_is_refused(pair):
    image, reference = pair
    with pytest.raises(ValueError, match="how: expected one of histogram"):
        color_transfer.recolor(image, reference, how="magic")
    with pytest.raises(ValueError, match="one shape"):
        color_transfer.keep_chroma(image, reference)
    with pytest.raises(ValueError, match="reference: expected pictures"):
        color_transfer.match_coral(image, reference[0])
