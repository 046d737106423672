"""The classifier finds a difference where there is one and none where there is none."""

import jax
import numpy as np
import pytest

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
