"""The classifier finds a difference where there is one and none where there is none."""

import jax
import numpy as np
import pytest

from stylejax.data.sources import ArraySource, TwoDomainDataset
from stylejax.train import two_sample
from stylejax.train.evaluate import Evaluator
from stylejax.train.two_sample import classifier_accuracy

QUICK = {"num_steps": 40, "batch_size": 8, "width": 4}


def pictures(seed, count=16, brightness=0.0):
    chance = np.random.default_rng(seed)
    images = chance.uniform(0.2, 0.6, (count, 32, 32, 3)) + brightness
    return images.astype(np.float32)


def stripes(seed):
    images = pictures(seed)
    images[:, ::2] += 0.3
    return images


def test_it_tells_stripes_from_noise():
    train, test = (pictures(0), stripes(1)), (pictures(2), stripes(3))
    assert classifier_accuracy(jax.random.key(0), train, test, **QUICK) == 1.0


def test_swapped_test_sets_are_all_wrong():
    train, test = (pictures(0), stripes(1)), (stripes(3), pictures(2))
    assert classifier_accuracy(jax.random.key(0), train, test, **QUICK) == 0.0


def test_it_cannot_tell_two_draws_of_one_world():
    train = (pictures(0, 64), pictures(1, 64))
    test = (pictures(2, 64), pictures(3, 64))
    accuracy = classifier_accuracy(jax.random.key(0), train, test, **QUICK)
    assert accuracy == pytest.approx(0.5, abs=0.2)


def test_the_same_key_gives_the_same_answer():
    sets = ((pictures(0), pictures(1)), (pictures(2), pictures(3)))
    first, second = (
        classifier_accuracy(jax.random.key(5), *sets, **QUICK) for _ in range(2)
    )
    assert first == second


def test_empty_sets_are_refused():
    some, none = pictures(0), pictures(0)[:0]
    with pytest.raises(ValueError, match="expected pictures in all four sets"):
        classifier_accuracy(jax.random.key(0), (some, some), (some, none))


def test_the_training_pictures_stand_in_for_tests():
    sets = [ArraySource(list(pictures(i, 3 + i))) for i in range(4)]
    data = TwoDomainDataset("toy", *sets, paired=True)
    found = two_sample.training_pictures(data, image_size=32)
    np.testing.assert_array_equal(found.test_a, pictures(0, 3))
    np.testing.assert_array_equal(found.test_b, pictures(1, 4))
    assert not found.paired


def test_translations_are_told_from_the_true_pictures_of_their_own_domain(monkeypatch):
    asked = []

    def note(key, train, test):
        asked.append([round(float(x.mean()), 1) for x in (*train, *test)])
        return 0.25 * len(asked)

    monkeypatch.setattr(two_sample, "classifier_accuracy", note)
    flat = [np.full((2, 32, 32, 3), x, np.float32) for x in (0.1, 0.2, 0.3, 0.4)]
    train, test = Evaluator(*flat[:2], paired=False), Evaluator(*flat[2:], paired=True)

    def translate(x, direction):
        return x + (0.5 if direction == "AtoB" else 0.6)

    found = two_sample.translation_accuracy(jax.random.key(0), train, test, translate)
    # Real and translated of the training pictures, then of the test pictures.
    assert asked == [
        [0.2, 0.6, 0.4, 0.8],
        [0.2, 0.1, 0.4, 0.3],
        [0.1, 0.8, 0.3, 1.0],
        [0.1, 0.2, 0.3, 0.4],
    ]
    assert found["BtoA"] == {
        "classifier_accuracy": 0.75,
        "classifier_accuracy_unchanged": 1.0,
    }
