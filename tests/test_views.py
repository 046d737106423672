"""What a training of a stylising network shows and scores."""

import dataclasses

import jax
import numpy as np
import pytest

from stylejax import views
from stylejax.data.pipeline import PipelineConfig, train_iterator
from stylejax.data.sources import ArraySource, TwoDomainDataset
from stylejax.methods import LEARNED
from stylejax.train.loop import LoopConfig
from tests.methods.tiny_networks import CONFIGS, save_vgg


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    weights = save_vgg(tmp_path_factory.mktemp("vgg"))
    return dataclasses.replace(CONFIGS["slim"], features=weights)


def viewer(config, *, num_tests, evaluate_every=1):
    generator = np.random.default_rng(1)
    train = generator.random((9, 20, 20, 3), np.float32)
    data = TwoDomainDataset(
        "noise",
        ArraySource(train),
        ArraySource(1 - train),
        ArraySource(train[:num_tests]),
        ArraySource(1 - train[:2] if num_tests else []),
    )
    pipeline = PipelineConfig(batch_size=2, image_size=16, num_threads=0)
    return views.make(
        "slim",
        LEARNED["slim"],
        config,
        data,
        train_iterator(data, pipeline),
        LoopConfig(evaluate_every=evaluate_every),
    )


def test_contents_are_painted_in_the_styles_round_and_round(config):
    shown = viewer(config, num_tests=3)
    assert shown.evaluates
    state = LEARNED["slim"].init(jax.random.key(0), config)
    painted = list(shown._painted(state))
    assert len(painted) == 3
    np.testing.assert_array_equal(painted[0][1], painted[2][1])
    values = shown.evaluate(state)
    assert set(values) == {"style", "content", "score"}
    assert values["score"] == pytest.approx(values["style"] + values["content"])
    grid = shown.draw(state)["samples"]
    assert grid.ndim == 3
    assert 0 <= grid.min() <= grid.max() <= 1


def test_without_tests_nothing_is_scored(config):
    shown = viewer(config, num_tests=0)
    assert not shown.evaluates
    state = LEARNED["slim"].init(jax.random.key(0), config)
    assert shown.draw(state)["samples"].shape[2] == 3
    assert not viewer(config, num_tests=2, evaluate_every=0).evaluates
