"""Added and removed discs, on pictures that are recoloured beyond recognition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.explain.structure_change import structure_change, structure_maps
from tests.explain.hidden_channels import draw_pictures

measure = jax.jit(structure_maps)
NUM, SIZE = 40, 24
ROW, COLUMN = 13, 9


@jax.jit
def recolored(images):
    """Channels mixed, then a tone curve that goes down again."""
    mix = jnp.array([[0.2, 0.7, 0.1], [-0.5, 0.3, 0.4], [0.3, -0.2, 0.8]])
    return 0.5 + 0.45 * jnp.sin(3 * (images - 0.5) @ mix + 0.3)


def disc(radius):
    y, x = np.mgrid[:SIZE, :SIZE]
    distance = np.hypot(y - ROW, x - COLUMN)
    return (1 / (1 + np.exp(2 * (distance - radius))))[None, :, :, None]


def planted(images, color=(0.95, 0.1, 0.9)):
    return images * (1 - disc(3)) + disc(3) * np.array(color)[None, None, None]


@pytest.fixture(scope="module")
def pictures():
    """(first, second) halves of (inputs, outputs), with a flat place for the disc."""
    images = np.asarray(
        draw_pictures(jax.random.key(0), 2 * NUM, size=SIZE, texture=0.0)
    )
    mean = images.mean(axis=(1, 2), keepdims=True)
    images = images * (1 - disc(7)) + disc(7) * mean
    outputs = np.asarray(recolored(images))
    return (images[:NUM], outputs[:NUM]), (images[NUM:], outputs[NUM:])


def noisy(images, seed):
    noise = np.random.default_rng(seed).normal(0, 0.02, images.shape)
    return np.clip(images + noise, 0, 1).astype(np.float32)


@pytest.fixture(scope="module")
def flagged(pictures):
    """A function from (inputs, outputs) to their report, against the first half."""
    inputs, outputs = pictures[0]
    null = {"null_inputs": noisy(inputs, 1), "null_outputs": noisy(outputs, 2)}

    def report(inputs, outputs):
        return structure_change(noisy(inputs, 3), noisy(outputs, 4), **null)

    return report


def test_pictures_without_a_change_are_flagged_as_often_as_promised(flagged, pictures):
    report = flagged(*pictures[1])
    for rate, interval in (report.added_rate, report.removed_rate):
        assert rate <= 0.15
        assert interval.low <= 0.05
    assert "removed in" in report.summary()
    assert "40 pictures" in report.summary()


def test_what_was_painted_in_is_added_and_not_removed(flagged, pictures):
    inputs, outputs = pictures[1]
    report = flagged(inputs, planted(outputs))
    assert report.added_rate[0] >= 0.95
    assert report.removed_rate[0] <= 0.15
    peaks = [
        np.unravel_index(m.argmax(), m.shape) for m in np.asarray(report.maps.added)
    ]
    distance = np.hypot(*(np.array(peaks) - (ROW, COLUMN)).T)
    assert np.quantile(distance, 0.9) < 5


def test_what_was_taken_out_is_removed_and_not_added(flagged, pictures):
    inputs, outputs = pictures[1]
    report = flagged(planted(inputs), outputs)
    assert report.removed_rate[0] >= 0.75
    assert report.added_rate[0] <= 0.25


def test_what_is_there_before_and_after_is_no_change(flagged, pictures):
    inputs, _ = pictures[1]
    report = flagged(planted(inputs), np.asarray(recolored(planted(inputs))))
    assert report.added_rate[0] <= 0.2
    assert report.removed_rate[0] <= 0.2


def test_a_plain_difference_would_see_the_recolouring_alone(pictures):
    """The test of the tests above: it is larger without the disc than the disc is."""
    inputs, outputs = pictures[1]
    without = np.abs(outputs - inputs).max(axis=(1, 2, 3))
    with_disc = np.abs(planted(outputs) - inputs).max(axis=(1, 2, 3))
    assert np.mean(with_disc > np.quantile(without, 0.95)) < 0.5


def test_affine_recolourings_are_no_structure_at_all(pictures):
    """Nor is one channel for all three, but then two are lost, and that is seen."""
    inputs = pictures[0][0][:1]
    mix = np.array([[0.1, 0.5, -0.3], [0.4, -0.3, 0.3], [-0.2, 0.3, 0.6]])
    grey = np.repeat(inputs[..., :1], 3, axis=-1)
    outputs = np.concatenate([0.3 + inputs @ mix, grey]).astype(np.float32)
    maps = measure(np.repeat(inputs, 2, axis=0), outputs)
    assert float(maps.added.max()) < 0.02
    assert float(maps.removed[1].max()) > 0.1


def test_the_maps_are_the_residuals_of_local_least_squares(generator):
    """Weighted regressions in NumPy, at the centre of the picture."""
    x, y = generator.uniform(size=(2, 1, 17, 17, 3))
    found = measure(x.astype(np.float32), y.astype(np.float32))
    offset = np.arange(17) - 8
    window = np.exp(-(offset[:, None] ** 2 + offset[None] ** 2) / (2 * 1.5**2)).ravel()
    window /= window.sum()
    a, b = ((z - z.mean(axis=(1, 2))).reshape(-1, 3) for z in (x, y))
    step = (1 / 255) ** 2
    a_w, b_w = (z - window @ z for z in (a, b))
    within = (window[:, None] * a_w).T @ a_w
    within += (0.01 * ((a**2).mean() + step) + step) * np.eye(3)
    across, own = (window[:, None] * a_w).T @ b_w, (window[:, None] * b_w).T @ b_w
    left = np.trace(own - across.T @ np.linalg.solve(within, across)) / 3
    expected = left / ((b**2).mean() + step)
    assert float(found.added[0, 8, 8]) == pytest.approx(expected, rel=1e-3)


def test_chances_count_the_known_pictures_that_are_as_high(flagged, pictures):
    report = flagged(*pictures[1])
    inputs, outputs = pictures[0]
    known = noisy(inputs, 1), noisy(outputs, 2)
    null = structure_change(*known, null_inputs=known[0], null_outputs=known[1])
    expected = [(1 + np.sum(null.added >= peak)) / 41 for peak in report.added]
    np.testing.assert_array_equal(report.p_added, expected)
    assert sorted(null.p_removed) == pytest.approx(np.arange(2, 42) / 41)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"level": 0.02}, "at least 49 pictures for level 0.02, got 20"),
        ({"level": 2}, "level: expected a number between 0 and 1"),
        ({"null_inputs": np.ones((20, 8, 8, 3))}, "one of inputs and one of null_inp"),
        ({"outputs": np.ones((2, 8, 8, 3), np.float32)}, "inputs and outputs of one"),
        ({"sigma": 0}, "sigma: expected a number above 0"),
    ],
)
def test_mistakes_end_in_one_clear_line(change, match):
    ones = {
        name: np.ones((count, 16, 16, 3), np.float32)
        for name, count in (
            ("inputs", 2),
            ("outputs", 2),
            ("null_inputs", 20),
            ("null_outputs", 20),
        )
    }
    given = ones | change
    with pytest.raises(ValueError, match=match) as e:
        structure_change(given.pop("inputs"), given.pop("outputs"), **given)
    assert "\n" not in str(e.value)


def test_flat_pictures_have_no_structure_and_a_dot_has():
    flat = np.full((2, 17, 17, 3), 0.3, np.float32)
    dotted = flat.copy()
    dotted[1, 7:10, 7:10] = 0.9
    maps = measure(flat, dotted)
    assert float(maps.added[0].max()) == float(maps.removed.max()) == 0
    assert float(maps.added[1].max()) > 1


@pytest.mark.parametrize("name", ["inputs", "outputs", "null_inputs", "null_outputs"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_pictures_that_are_not_finite_are_named(name, value, pictures):
    """NaN compares as false: a broken picture would be flagged as added to."""
    given = dict(
        zip(
            ("inputs", "outputs", "null_inputs", "null_outputs"),
            (*pictures[1], *pictures[0]),
            strict=True,
        )
    )
    given[name] = np.array(given[name])
    given[name][[3, 17], 5, 5, 0] = value
    match = f"^{name}: expected finite numbers, got NaN or infinity in pictures 3, 17$"
    with pytest.raises(ValueError, match=match):
        structure_change(given.pop("inputs"), given.pop("outputs"), **given)
