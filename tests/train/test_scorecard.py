"""The card of translators whose answers are known, against NumPy."""

import json

import numpy as np
import pytest

from stylejax.train.evaluate import Evaluator
from stylejax.train.scorecard import paired_scorecard


@pytest.fixture
def evaluator(generator):
    a = generator.uniform(0.2, 0.6, (6, 16, 16, 3)).astype(np.float32)
    return Evaluator(a, (a + 0.2).astype(np.float32), paired=True, batch_size=4)


def half_way(x, direction):
    return x + (0.1 if direction == "AtoB" else -0.1)


def test_half_way_is_half_the_distance(evaluator):
    card = paired_scorecard(evaluator, half_way)
    for direction in ("AtoB", "BtoA"):
        numbers = card[direction]
        assert numbers["l1"] == pytest.approx(25.5, rel=1e-4)
        assert numbers["l1_unchanged"] == pytest.approx(51.0, rel=1e-4)
        assert numbers["l1_ratio"] == pytest.approx(0.5, rel=1e-4)
        # Every pair has the same ratio, so the interval is a point.
        assert numbers["l1_ratio_interval"] == pytest.approx([0.5, 0.5], rel=1e-3)
        assert numbers["gradient_energy_ratio"] == pytest.approx(1.0, rel=1e-3)
        assert numbers["wins"] == 1.0
        assert numbers["num_pairs"] == 6


def test_wrong_partners_are_all_other_pictures(evaluator):
    output, truth = evaluator.test_a + 0.1, evaluator.test_b
    distances = [
        np.abs(output[i] - truth[j]).mean() * 255
        for i in range(6)
        for j in range(6)
        if i != j
    ]
    card = paired_scorecard(evaluator, half_way)
    assert card["AtoB"]["l1_wrong_partner"] == pytest.approx(
        np.mean(distances), rel=1e-4
    )


def test_the_card_is_plain_json(evaluator):
    card = paired_scorecard(evaluator, half_way)
    assert json.loads(json.dumps(card)) == card


def test_blur_shows_in_the_gradient_energy(evaluator):
    card = paired_scorecard(evaluator, lambda x, d: 0.5 * x + 0.2)
    # Half the contrast is a quarter of the energy.
    assert card["AtoB"]["gradient_energy_ratio"] == pytest.approx(0.25, rel=1e-3)


def test_unpaired_sets_are_refused(evaluator):
    unpaired = Evaluator(evaluator.test_a, evaluator.test_b, paired=False)
    with pytest.raises(ValueError, match="expected a paired test set"):
        paired_scorecard(unpaired, half_way)
