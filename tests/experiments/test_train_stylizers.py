"""The scripts that train stylising networks: recipes are understood, mistakes named."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
CONFIGS = ROOT / "experiments" / "configs"
SCRIPTS = ["adain", "feedforward", "slim", "style_attention"]
CHECK = """
import sys
from absl import flags
import experiments.train_{name}
from stylejax.cli import style_training as script
from stylejax.cli.flags import config_from_flags
flags.FLAGS(["train", "--workdir=w", "--flagfile={path}"])
for kind in (script.RunConfig, script.StylePictures, script.PipelineConfig):
    print(config_from_flags(kind))
"""


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("kind", ["", "_gpu"])
def test_recipes_are_understood(name, kind):
    path = CONFIGS / f"{name}{kind}.cfg"
    assert path.read_text(encoding="utf-8").startswith("#")
    done = subprocess.run(
        [sys.executable, "-c", CHECK.format(name=name, path=path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "preprocess='random_scale'" in done.stdout


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_missing_folder_ends_in_one_line(name):
    done = subprocess.run(
        [sys.executable, "-m", f"experiments.train_{name}", "--workdir=w"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "--content" in done.stderr


def test_resume_does_not_swallow_the_flag_that_follows_it():
    done = subprocess.run(
        [sys.executable, "-m", "experiments.train_slim", "--workdir=w"]
        + ["--resume", "--max_minutes=60"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "--resume" in done.stderr
    assert "auto|no|must" in done.stderr


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_say_how_they_are_called(name):
    module = importlib.util.find_spec(f"experiments.train_{name}")
    text = Path(module.origin).read_text(encoding="utf-8")
    assert f"python -m experiments.train_{name}" in text
    assert text.count("\n") < 80
