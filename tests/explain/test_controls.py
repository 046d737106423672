"""Maps that know no network, and that a right map beats each of them."""

import jax
import numpy as np
import pytest
import scipy.ndimage

from stylejax.explain.controls import CONTROLS, center_map, edge_map, sobel_explainer
from stylejax.metrics.deletion import deletion_curves

KEY = jax.random.key(3)
IMAGE = np.random.default_rng(0).uniform(size=(9, 12, 3)).astype(np.float32)


@pytest.mark.parametrize("name", CONTROLS)
def test_controls_have_the_picture_s_shape_and_are_pure(name):
    found = jax.jit(CONTROLS[name])(KEY, IMAGE)
    assert found.shape == IMAGE.shape
    assert np.isfinite(found).all()


def test_the_four_of_them():
    assert list(CONTROLS) == ["random", "edges", "center", "constant"]


def test_edges_are_scipy_s_and_not_the_key_s():
    found = np.asarray(edge_map(KEY, IMAGE))
    for c in range(3):
        slopes = [
            scipy.ndimage.sobel(IMAGE[..., c], axis=a, mode="mirror") for a in (0, 1)
        ]
        np.testing.assert_allclose(found[..., c], np.hypot(*slopes) / 8, atol=1e-6)
    np.testing.assert_array_equal(found, edge_map(jax.random.key(4), IMAGE))
    np.testing.assert_array_equal(found, sobel_explainer({"a": 1}, IMAGE))


def test_random_numbers_are_the_key_s_and_not_the_picture_s():
    large = np.zeros((40, 40, 3), np.float32)
    found = np.asarray(CONTROLS["random"](KEY, large))
    assert abs(found.mean()) < 0.06
    assert found.std() == pytest.approx(1, rel=0.05)
    other = CONTROLS["random"](jax.random.key(4), large)
    assert abs(np.corrcoef(found.ravel(), np.ravel(other))[0, 1]) < 0.06


def test_the_center_is_highest_and_each_side_counts_by_its_length():
    found = np.asarray(center_map(KEY, IMAGE))
    np.testing.assert_allclose(found, found[::-1, ::-1], rtol=1e-5)
    assert found[4, 5, 0] == found[4, 6, 2] == found.max()
    # A quarter of 12 columns is 3 pixels: one deviation from 5.5 to 8.5.
    ratio = found[4, 8, 0] / found[4, 5, 0]
    assert ratio == pytest.approx(np.exp((0.25 - 6.25) / 18), rel=1e-5)
    assert found[0, 5, 1] / found[4, 5, 1] == pytest.approx(np.exp(-8 / 2.25**2))


def test_the_right_map_beats_every_control_on_every_picture():
    """Deletion of a function that adds up, picture by picture."""
    weights = np.random.default_rng(1).normal(size=IMAGE.shape).astype(np.float32)
    total = jax.jit(lambda x: (x * weights[None]).sum(axis=(1, 2, 3)))

    def area(image, attribution):
        found = deletion_curves(
            KEY, total, image, attribution, baseline=0 * image, num_orders=1
        )
        return float(found.deletion_area)

    for image in (IMAGE, 1 - IMAGE):
        right = area(image, image * weights)
        for control in CONTROLS.values():
            assert right < area(image, control(KEY, image))


def test_a_picture_without_neighbours_has_no_edges():
    with pytest.raises(ValueError, match="sides of at least 2 pixels"):
        edge_map(KEY, IMAGE[:1])
