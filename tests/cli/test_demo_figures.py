"""What the demo draws: the region that changed, the map, the grid."""

import numpy as np
import pytest

from stylejax.cli import demo_figures
from stylejax.train.evaluate import Evaluator


def pictures(seed, count=3, side=16):
    return np.random.default_rng(seed).random((count, side, side, 3), np.float32)


@pytest.fixture
def evaluator():
    return Evaluator(pictures(0), pictures(1), paired=True)


def test_distances_are_per_pair_in_grey_levels():
    x = np.zeros((2, 4, 4, 3), np.float32)
    y = x + np.float32([0.5, 1.0])[:, None, None, None]
    np.testing.assert_allclose(demo_figures.distances(x, y), [127.5, 255.0])


def test_the_changed_region_is_found():
    source = np.full((16, 16, 3), 0.5, np.float32)
    output = source.copy()
    output[4:8, 10:14, 1] = 0.1
    assert demo_figures.changed_region(source, output) == "mean:green@10,4,4,4"


def test_one_translation_is_explained(evaluator, small_model):
    _, model = small_model
    outputs = np.asarray(model.translate(evaluator.test_a))
    figure, error, text = demo_figures.explain_one(
        model, evaluator, outputs, target_text="mean:red@2,3,4,5"
    )
    assert figure.shape[-1] == 3 and figure.shape[1] >= 3 * 256
    assert 0 <= error < 0.05
    assert text.startswith("mean:red@2,3,4,5 of the output: target")
    assert "\n" not in text


def test_the_grid_shows_both_directions_and_the_truth(evaluator, small_model):
    _, model = small_model
    outputs = {d: pictures(7 + i) for i, d in enumerate(("AtoB", "BtoA"))}
    grid = demo_figures.draw_grid(model, evaluator, outputs, num_steps=5)
    cell = 128
    assert grid.shape[0] >= 3 * cell and grid.shape[1] >= 6 * cell
    # The third column of the first row is the checkpoint's translation, enlarged.
    shown = grid.reshape(-1, 3)
    corner = outputs["AtoB"][0, 0, 0]
    assert np.isclose(shown, corner, atol=1e-6).all(axis=1).sum() == (cell // 16) ** 2
