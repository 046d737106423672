"""Masks drawn by hand: what appeared and what vanished can be counted."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from stylejax.explain.hallucination import vanishing_check


def red(images):
    """A segmenter that gives the red channel as probabilities."""
    return images[..., 0]


def pictures(*drawings):
    """Rows of text to pictures: `#` is feature."""
    masks = [
        [[c == "#" for c in row] for row in drawing.split()] for drawing in drawings
    ]
    return np.repeat(np.array(masks, np.float32)[..., None], 3, axis=-1)


BEFORE = pictures(
    "##... ##... ..... ...#. .....",
    "..... ..... ..... ..... .....",
    "#.... ..... ..... ..... ....#",
)
AFTER = pictures(
    "..... .##.. ..... ..... #....",
    "..... .#... ..... ..... .....",
    "..... ..... ..... ..... .....",
)


def test_objects_and_areas_are_counted_picture_by_picture():
    """The square moved by one and is still itself; the dot is another one."""
    found = vanishing_check(red, BEFORE, AFTER)
    assert found.appeared.tolist() == [1, 1, 0]
    assert found.vanished.tolist() == [1, 0, 2]
    np.testing.assert_allclose(found.added_area, np.array([2, 1, 0]) / 25)
    np.testing.assert_allclose(found.removed_area, np.array([4, 0, 2]) / 25)
    assert (found.pictures_gained, found.pictures_lost) == (1, 1)
    assert found.presence_p == 1
    assert (found.objects.wins, found.objects.losses, found.objects.ties) == (1, 1, 1)
    assert found.areas.mean == pytest.approx(-1 / 25)


def test_corners_touch():
    diagonal = pictures("#.. .#. ..#")
    found = vanishing_check(red, diagonal, np.zeros_like(diagonal))
    assert found.vanished.tolist() == [1]


def test_specks_are_ignored_on_request():
    found = vanishing_check(red, BEFORE, AFTER, min_pixels=2)
    assert found.appeared.tolist() == [0, 0, 0]
    assert found.vanished.tolist() == [0, 0, 0]
    assert found.pictures_gained == found.pictures_lost == 0


@pytest.mark.parametrize(("reach", "vanished"), [(0, 1), (1, 1), (2, 0)])
def test_objects_may_move_within_reach(reach, vanished):
    before, after = pictures("#...."), pictures("..#..")
    found = vanishing_check(red, before, after, reach=reach)
    assert found.vanished.tolist() == found.appeared.tolist() == [vanished]


@pytest.mark.parametrize(("threshold", "area"), [(0.2, 1.0), (0.3, 0.5), (0.7, 0.0)])
def test_probabilities_are_cut_at_the_threshold(threshold, area):
    after = np.zeros((1, 2, 2, 3), np.float32)
    after[0, 0], after[0, 1] = 0.6, 0.25
    found = vanishing_check(red, np.zeros_like(after), after, threshold=threshold)
    assert found.added_area.tolist() == [area]


def test_masks_of_truth_values_need_no_threshold():
    found = vanishing_check(lambda x: x[..., 0] > 0.5, BEFORE, AFTER, threshold=2.0)
    assert found.appeared.tolist() == [1, 1, 0]


def test_a_translator_that_paints_is_found():
    """Of 20 pictures without the feature, 9 have it after, and one of 5 lost it."""
    before, after = (np.zeros((25, 6, 6, 3), np.float32) for _ in range(2))
    before[20:, 2:4, 2:4] = 1
    after[:9, 1:4, 1:4] = 1
    after[21:, 2:4, 2:4] = 1
    found = vanishing_check(red, before, after)
    assert (found.pictures_gained, found.pictures_lost) == (9, 1)
    expected = scipy.stats.binomtest(1, 10).pvalue
    assert found.presence_p == pytest.approx(expected)
    assert found.objects.sign_p == pytest.approx(expected)
    assert found.areas.interval.low > 0
    line = found.summary()
    assert "\n" not in line
    assert line.startswith("9 objects appeared and 1 vanished in 25 pictures")


def test_a_faithful_translator_is_not():
    found = vanishing_check(red, BEFORE, BEFORE)
    assert found.presence_p == found.areas.permutation_p == 1
    assert not found.appeared.any()
    assert not found.vanished.any()


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: vanishing_check(red, BEFORE, AFTER[:1]), "inputs and outputs of one"),
        (
            lambda: vanishing_check(lambda x: x, BEFORE, AFTER),
            r"expected masks of shape \(3, 5, 5\), got \(3, 5, 5, 3\)",
        ),
        (
            lambda: vanishing_check(red, BEFORE, AFTER, min_pixels=0),
            "min_pixels: expected a number above 0",
        ),
    ],
)
def test_mistakes_end_in_one_clear_line(call, match):
    with pytest.raises(ValueError, match=match) as e:
        call()
    assert "\n" not in str(e.value)


def test_detectors_are_given_arrays_of_jax():
    seen = []
    vanishing_check(lambda x: seen.append(x) or red(x), BEFORE, AFTER)
    assert all(isinstance(x, jnp.ndarray) for x in seen)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_detector_that_breaks_down_is_no_all_clear(value):
    """NaN is not above any threshold: nothing would have appeared or vanished."""
    broken = AFTER.copy()
    broken[1, 0, 0] = value
    match = "^detector: expected finite .* infinity in the masks of pictures 1$"
    with pytest.raises(ValueError, match=match):
        vanishing_check(red, BEFORE, broken)
    with pytest.raises(ValueError, match=match):
        vanishing_check(red, broken, BEFORE)
