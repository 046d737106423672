"""The sheet of pictures that one trained network paints."""

import subprocess
import sys

import numpy as np

from stylejax.image import files


def test_contents_by_styles(tmp_path, generator):
    for name in ("a", "b"):
        files.write(tmp_path / f"{name}.png", generator.random((24, 32, 3)))
    command = [
        *(sys.executable, "-m", "experiments.painted_sheet", "--size=32", "--cell=32"),
        *(f"--content={tmp_path / name}.png" for name in ("a", "b")),
        *("--style=great_wave", "--style=auvers", f"--out={tmp_path / 'sheet.png'}"),
    ]
    subprocess.run(command, check=True, capture_output=True)
    sheet = files.read(tmp_path / "sheet.png")
    # Three columns and two rows with 4 pixels between, under a line of titles.
    assert sheet.shape[1] >= 3 * 32 + 4 * 4
    assert sheet.shape[0] > 2 * 24 + 3 * 4
    content = files.read(tmp_path / "b.png")
    bottom = sheet[-28:-4]
    places = range(bottom.shape[1] - 32)
    missed = [np.abs(bottom[:, x : x + 32] - content).mean() for x in places]
    assert min(missed) < 1 / 255
