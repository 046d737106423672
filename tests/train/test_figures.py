"""The figures of translators whose answers are known."""

import json

import numpy as np
import pytest

from stylejax.train import figures as module
from stylejax.train.evaluate import Evaluator
from stylejax.train.features import FeatureSource
from stylejax.train.figures import figures
from stylejax.train.scorecard import paired_scorecard

SOURCE = FeatureSource(lambda x: {"pixels": x}, "pixels", ("pixels",))


@pytest.fixture
def images(generator):
    a = generator.uniform(0.2, 0.6, (6, 16, 16, 3)).astype(np.float32)
    return a, (a + 0.2).astype(np.float32)


def half_way(x, direction):
    return x + (0.1 if direction == "AtoB" else -0.1)


def test_pairs_have_the_card_and_what_features_say(images):
    evaluator = Evaluator(*images, paired=True, features=SOURCE)
    found = figures(evaluator, half_way, seed=3)
    card = paired_scorecard(evaluator, half_way, seed=3)["BtoA"]
    got = found["BtoA"]
    assert set(got) == set(module.BETTER) - {"cycle_l1", "identity_l1"}
    assert got["l1"]["value"] == card["l1"]
    assert got["l1"]["unchanged"] == card["l1_unchanged"]
    assert got["l1_ratio"]["interval"] == card["l1_ratio_interval"]
    numbers = evaluator(half_way)
    for name in ("content", "style", "perceptual", "structure", "kernel_distance"):
        assert got[name]["value"] == pytest.approx(numbers[f"BtoA/{name}"], rel=1e-6)
    for name in ("content", "style", "perceptual", "kernel_distance"):
        low, high = got[name]["interval"]
        assert low <= got[name]["value"] <= high
    assert got["perceptual"]["unchanged"] > got["perceptual"]["value"]
    assert got["style"]["unchanged"] > got["style"]["true"]
    assert got["kernel_distance"]["unchanged"] > got["kernel_distance"]["value"]
    assert got["frechet_distance"]["unchanged"] > got["frechet_distance"]["value"]
    assert got["frechet_distance"]["rank_deficient"] is False


def test_unpaired_sets_have_cycles_and_what_features_say(images):
    evaluator = Evaluator(images[0], images[1][:5], paired=False, features=SOURCE)
    found = figures(evaluator, half_way)
    numbers = evaluator(half_way)
    assert found["BtoA"]["identity_l1"]["value"] == numbers["B/identity_l1"]
    assert found["AtoB"]["cycle_l1"]["value"] == numbers["A/cycle_l1"]
    assert "perceptual" not in found["AtoB"] and "l1" not in found["AtoB"]
    assert found["AtoB"]["content"]["value"] > 0


def test_without_features_there_are_the_pixels(images):
    found = figures(Evaluator(*images, paired=True), half_way)
    assert "psnr" in found["AtoB"] and "content" not in found["AtoB"]


@pytest.mark.parametrize("paired", [True, False])
def test_figures_are_strict_json_even_where_they_are_not_finite(images, paired):
    evaluator = Evaluator(*images, paired=paired, features=SOURCE)
    for translate in (
        lambda x, d: x + (0.2 if d == "AtoB" else -0.2),
        lambda x, d: x,
        lambda x, d: 0 * x,
    ):
        found = figures(evaluator, translate)
        text = json.dumps(found, allow_nan=False)
        assert json.loads(text) == found


def test_fewer_pictures_than_dimensions_are_marked(images):
    def corner(x):
        return {"x": x[:, :2, :2].reshape(-1, 1, 1, 12)}

    wide = FeatureSource(corner, "wide", ("x",))
    found = figures(Evaluator(*images, paired=True, features=wide), half_way)
    assert found["AtoB"]["frechet_distance"]["rank_deficient"] is True
