"""The sheet and the picture of four: drawn, and gone on with where they were cut."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stylejax.image import files

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def pictures(tmp_path, generator):
    for name in ("a.png", "b.png", "style.png"):
        files.write(tmp_path / name, generator.random((16, 20, 3)))
    return tmp_path


def test_a_sheet_keeps_what_is_painted(pictures, tiny_gatys):
    command = [
        *(sys.executable, "-m", "experiments.style_sheet"),
        *(f"--content={pictures}/a.png", f"--content={pictures}/b.png"),
        *(f"--style={pictures}/style.png", "--size=16", "--cell=20"),
        *(f"--features={tiny_gatys.features}", "--content_layers=relu2_1"),
        *("--style_layers=relu1_1", "--num_iterations=2", "--check_every=1"),
        *(f"--workdir={pictures}/work", f"--out={pictures}/sheet.png"),
    ]
    painted = pictures / "work" / "a--style.png"
    record = painted.with_suffix(".json")
    painted.parent.mkdir()
    files.write(painted, np.zeros((13, 16, 3)))
    record.write_text('{"losses": []}', encoding="utf-8")
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stderr
    assert files.read(painted).max() == 0
    card = json.loads((pictures / "sheet.json").read_text(encoding="utf-8"))
    assert card["runs"][0] == {"losses": []}
    assert [step[:2] for step in card["runs"][1]["losses"]] == [[0, 1], [0, 2]]
    # A column of styles and two of contents, of cells 20 pixels wide, 4 apart.
    assert files.read(pictures / "sheet.png").shape[1] == 4 + 3 * 24
