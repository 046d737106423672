"""Averaging two translators averages their weights; strangers are refused."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stylejax import api, trees
from stylejax.methods.cyclegan import CycleGANConfig

ROOT = Path(__file__).resolve().parents[2]
CONFIG = CycleGANConfig(ngf=2, num_blocks=1, image_size=16)


@pytest.fixture
def average():
    """arguments -> the finished process; its flags stay out of the other tests'."""

    def call(*arguments):
        command = [sys.executable, "-m", "experiments.average_translators", *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

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
    done = average(f"--model={one}", f"--model={two}", f"--out={out}")
    assert (done.returncode, done.stderr) == (0, "")
    model = api.load(out)
    assert model.config == CONFIG
    found, x, y = map(trees.named_leaves, (model.params, x, y))
    for name, leaf in found.items():
        np.testing.assert_allclose(leaf, (x[name] + y[name]) / 2, atol=2e-4)


def test_other_networks_and_a_single_one_are_refused(average, saved, tmp_path):
    one, _ = saved("one", 1)
    wide, _ = saved("wide", 1, dataclasses.replace(CONFIG, ngf=4))
    out = tmp_path / "out.safetensors"
    strangers = average(f"--model={one}", f"--model={wide}", f"--out={out}")
    alone = average(f"--model={one}", f"--out={out}")
    for done, reason in (
        (strangers, "expected networks like those of"),
        (alone, "expected two models or more"),
    ):
        assert done.returncode == 2
        assert reason in done.stderr
        assert "Traceback" not in done.stderr
    assert not out.exists()
