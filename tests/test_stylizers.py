"""Trained stylisers from files and trainings, and what is refused."""

import dataclasses

import jax
import numpy as np
import pytest

import stylejax
from stylejax import stylizers
from stylejax.data.pipeline import PipelineConfig
from stylejax.data.sources import ArraySource, TwoDomainDataset
from stylejax.methods import LEARNED
from stylejax.train.loop import LoopConfig
from stylejax.train.writers import Writer
from stylejax.training import fit
from tests.methods.tiny_networks import CONFIGS, save_vgg


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    weights = save_vgg(tmp_path_factory.mktemp("vgg"))
    return dataclasses.replace(CONFIGS["slim"], features=weights)


@pytest.fixture(scope="module")
def trained(config, tmp_path_factory):
    """The folder of a training of three steps."""
    generator = np.random.default_rng(0)
    train, tests = (generator.random((n, 24, 20, 3), np.float32) for n in (6, 2))
    data = TwoDomainDataset(
        "noise",
        ArraySource(train),
        ArraySource(1 - train),
        ArraySource(tests),
        ArraySource(1 - tests),
    )
    folder = tmp_path_factory.mktemp("run")
    result = fit(
        data,
        config,
        workdir=folder,
        pipeline=PipelineConfig(
            batch_size=4, image_size=16, num_threads=0, preprocess="random_scale"
        ),
        loop_config=LoopConfig(
            num_steps=3, log_every=1, sample_every=3, evaluate_every=3
        ),
        method="slim",
        writer=Writer(),
    )
    assert result.step == 3
    assert {"evaluation/style", "evaluation/content", "evaluation/score"} <= set(
        result.last_metrics
    )
    return folder


def test_a_training_paints_and_its_file_paints_the_same(trained, tmp_path, generator):
    model = stylizers.load(trained)
    content, style = generator.random((2, 20, 28, 3), np.float32)
    painted = model.stylize(content[None], [style[None]])
    path = model.save(tmp_path / "slim.safetensors", dtype="float32")
    found = stylejax.stylize(content, style, method="slim", checkpoint=path)
    np.testing.assert_allclose(found, painted[0], atol=1e-5)
    again = stylejax.stylize(content, style, method="slim", checkpoint=trained)
    np.testing.assert_allclose(again, painted[0], atol=1e-5)


def test_another_run_begins_with_it(trained, config):
    from stylejax.warm_start import warm_start

    state = LEARNED["slim"].init(jax.random.key(9), config)
    begun = warm_start(state, trained, method="slim")
    expected = stylizers.load(trained).params["encoder"]["conv1_1"]["kernel"]
    np.testing.assert_array_equal(
        begun.params["encoder"]["conv1_1"]["kernel"], expected
    )


def test_what_is_no_styliser_is_refused(trained, tmp_path, small_model, generator):
    content, style = generator.random((2, 20, 28, 3), np.float32)
    with pytest.raises(ValueError, match="format stylejax-stylizer-1"):
        stylizers.load(small_model[0])
    with pytest.raises(ValueError, match="paints and does not translate"):
        stylejax.load(stylizers.load(trained).save(tmp_path / "paints.safetensors"))
    with pytest.raises(ValueError, match="no shipped checkpoint is called 'oil'"):
        stylizers.load("oil")
    with pytest.raises(FileNotFoundError):
        stylizers.load(tmp_path / "missing.safetensors")
    with pytest.raises(ValueError, match="expected one of method 'adain', got .*slim"):
        stylejax.stylize(content, style, method="adain", checkpoint=trained)
    with pytest.raises(ValueError, match="gatys has none, it optimises"):
        stylejax.stylize(content, style, method="gatys", checkpoint=trained)
    model = stylizers.load(trained)
    other = dataclasses.replace(
        model, config=dataclasses.replace(model.config, width=8)
    )
    path = other.save(tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="do not fit"):
        stylizers.load(path)


def test_a_network_of_fixed_styles_is_trained_loaded_and_extended(tmp_path, generator):
    from stylejax.methods.feedforward import FeedforwardConfig

    weights = save_vgg(tmp_path, arch="vgg16")
    options = {"width": 4, "num_blocks": 1, "image_size": 16, "style_size": 24}
    train = generator.random((4, 24, 20, 3), np.float32)

    def run(styles, **more):
        config = FeedforwardConfig(styles=styles, features=weights, **options)
        data = TwoDomainDataset(
            "noise",
            ArraySource(train),
            ArraySource(train[: len(styles)]),
            ArraySource([]),
            ArraySource([]),
        )
        folder = tmp_path / "-".join(styles)
        fit(
            data,
            config,
            workdir=folder,
            pipeline=PipelineConfig(batch_size=4, image_size=16, num_threads=0),
            loop_config=LoopConfig(num_steps=1, sample_every=1),
            method="feedforward",
            writer=Writer(),
            **more,
        )
        return folder

    first = run(("a", "b"))
    model = stylizers.load(first)
    path = model.save(tmp_path / "two.safetensors", dtype="float32")
    content = generator.random((1, 18, 22, 3), np.float32)
    painted = stylizers.load(path).stylize(content, ["b"])
    assert painted.shape == content.shape
    np.testing.assert_array_equal(painted, model.stylize(content, [1]))
    more = stylizers.load(run(("a", "b", "c"), init_from=path))
    assert more.config.styles == ("a", "b", "c")
    assert more.stylize(content, ["c"]).shape == content.shape
