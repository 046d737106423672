"""Averaging two translators averages their weights; strangers are refused."""

import dataclasses
import importlib

import numpy as np
import pytest
from absl.testing import flagsaver

from stylejax import api, trees
from stylejax.cli.flags import run_app
from stylejax.methods.cyclegan import CycleGANConfig

CONFIG = CycleGANConfig(ngf=2, num_blocks=1, image_size=16)


@pytest.fixture
def average():
    script = importlib.import_module("experiments.average_translators")

    def call(*arguments):
        with flagsaver.flagsaver(), pytest.raises(SystemExit) as ended:
            run_app(script.main, argv=["average_translators", *arguments])
        return ended.value.code

    return call


@pytest.fixture
def saved(random_state, tmp_path):
    """(name, seed, config) -> (its file, its parameters)"""

    def save(name, seed, config=CONFIG):
        params = random_state(config, seed=seed).generator_params
        model = api.Translator("cyclegan", config, params)
        return model.save(tmp_path / f"{name}.safetensors", dtype="float32"), params

    return save


def test_leaves_are_averaged(average, saved, tmp_path):
    (one, x), (two, y) = saved("one", 1), saved("two", 2)
    out = tmp_path / "out.safetensors"
    assert average(f"--model={one}", f"--model={two}", f"--out={out}") == 0
    model = api.load(out)
    assert model.config == CONFIG
    found, x, y = map(trees.named_leaves, (model.params, x, y))
    for name, leaf in found.items():
        np.testing.assert_allclose(leaf, (x[name] + y[name]) / 2, atol=2e-4)


def test_other_networks_and_a_single_one_are_refused(average, saved, tmp_path, capsys):
    one, _ = saved("one", 1)
    wide, _ = saved("wide", 1, dataclasses.replace(CONFIG, ngf=4))
    out = tmp_path / "out.safetensors"
    assert average(f"--model={one}", f"--model={wide}", f"--out={out}") == 2
    assert "expected networks like those of" in capsys.readouterr().err
    assert average(f"--model={one}", f"--out={out}") == 2
    assert "expected two models or more" in capsys.readouterr().err
    assert not out.exists()
