"""Without TensorFlow the script says what to install; nothing is downloaded here."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is not None,
    reason="TensorFlow is installed: the script would download the set",
)
def test_missing_tensorflow_ends_in_one_line(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "experiments.prepare_cycle_gan_tfds"]
        + ["--name=horse2zebra", f"--data_dir={tmp_path}"],
        cwd=ROOT,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2
    [line] = done.stderr.strip().splitlines()
    assert "needs TensorFlow this once: pip install '.[prepare]'" in line
    assert list(tmp_path.iterdir()) == []
