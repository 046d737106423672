"""The training script: its flags reach `fit`, its mistakes end in one line."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
from absl import flags
from absl.testing import flagsaver

from stylejax.cli.flags import run_app

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted((ROOT / "experiments" / "configs").glob("cyclegan*.cfg"))


@pytest.fixture(scope="module")
def script():
    return importlib.import_module("experiments.train_cyclegan")


@pytest.fixture
def fitted(script, monkeypatch):
    """arguments -> what the script called `fit` with."""
    calls = []
    monkeypatch.setattr(script, "fit", lambda *a, **k: calls.append((a, k)))
    monkeypatch.setattr(script, "initialize_distributed", lambda **k: None)

    def call(*arguments):
        with flagsaver.flagsaver(), pytest.raises(SystemExit) as ended:
            run_app(script.main, argv=["train_cyclegan", *arguments])
        assert ended.value.code == 0
        return calls.pop()

    return call


def test_defaults_are_the_papers(fitted, script):
    (dataset, config), settings = fitted("--workdir=w")
    assert (dataset, settings["workdir"]) == ("emoji", "w")
    assert config == script.CycleGANConfig()
    assert settings["pipeline"] == script.PipelineConfig()
    assert settings["loop_config"] == script.LoopConfig()
    assert settings["direction"] == "AtoB" and settings["data_dir"] is None


def test_one_flag_sets_every_config_that_shares_it(fitted):
    arguments = ["--workdir=w", "--image_size=64", "--seed=5", "--direction=BtoA"]
    (_, config), settings = fitted(*arguments)
    assert config.image_size == settings["pipeline"].image_size == 64
    assert config.seed == settings["pipeline"].seed == 5
    assert settings["direction"] == "BtoA"


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_recipe_is_understood(fitted, path):
    _, settings = fitted("--workdir=w", f"--flagfile={path}")
    assert path.read_text().startswith("#")
    assert settings["pipeline"].image_size


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "--workdir="),
        (["--workdir=w", "--ngf=many"], "many"),
        (["--workdir=w", "--dataset=nothing"], "folder:PATH"),
        (["--workdir=w", "emoji"], "'emoji'"),
    ],
)
def test_mistakes_end_in_one_line(tmp_path, arguments, text):
    done = subprocess.run(
        [sys.executable, "-m", "experiments.train_cyclegan", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and text in done.stderr
    assert done.stdout == ""


def test_the_flags_are_all_ours(script):
    # A flag of another library of the same name would have been refused at import.
    assert flags.FLAGS["ngf"].default == script.CycleGANConfig().ngf
