"""The scripts as a user starts them: what they write, print, and refuse."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stylejax.data import sources
from stylejax.data.shapes import ShapesWorld
from stylejax.image import files

ROOT = Path(__file__).resolve().parents[2]


def start(module, *arguments):
    return subprocess.run(
        [sys.executable, "-m", f"experiments.{module}", *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def folders(tmp_path):
    """Two folders of twelve shapes with equal names; one file is broken, one double."""
    world = ShapesWorld(size=32)
    for domain in "ab":
        for i in range(12):
            image = world.picture(i, domain=domain)
            files.write(tmp_path / domain / f"{i:02d}.png", image)
    (tmp_path / "a" / "03.png").write_bytes(b"\x89PNG\r\n")
    files.write(tmp_path / "b" / "99.png", world.picture(5, domain="b"))
    return tmp_path / "a", tmp_path / "b"


def test_two_folders_become_a_verified_data_set(folders, tmp_path):
    a, b = folders
    options = ["--drop=exact", "--test_fraction=0.25", "--name=shapes", "--license=CC0"]
    done = start(
        "prepare_dataset",
        f"--input_a={a}",
        f"--input_b={b}",
        f"--out={tmp_path}/out",
        *options,
    )
    assert done.returncode == 0, done.stderr
    assert str(a / "03.png") in done.stdout
    directory = tmp_path / "out" / "shapes" / "1.0.0"
    summary = json.loads((directory / "summary.json").read_text())
    [broken] = summary["broken"]
    assert broken.endswith("A/03.png")
    [group] = summary["exact_duplicates"]
    assert {Path(name).name for name in group["files"]} == {"05.png", "99.png"}
    assert len(summary["dropped"]) == 1
    assert summary["largest_difference_read_back"] == 0
    assert files.read(directory / "contact_sheet.png").shape[0] > 400
    data = sources.load(f"tfds:{tmp_path}/out")
    names = [*data.train_a.names, *data.test_a.names]
    assert sorted(names) == [f"{i:02d}.png" for i in range(12) if i != 3]
    np.testing.assert_array_equal(
        data.train_a[0], files.read(a / data.train_a.names[0])
    )
    assert f"--dataset=tfds:{directory}" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out=X"], "expected either --input, or --input_a and --input_b"),
        (["--input={a}", "--out=X"], "no folder trainA in"),
        (
            ["--input_a={a}", "--input_b={b}", "--out=X", "--on_bad_image=error"],
            "1 broken file(s), named above",
        ),
    ],
)
def test_mistakes_end_in_one_line(folders, tmp_path, arguments, message):
    known = {"a": folders[0], "b": folders[1]}
    done = start("prepare_dataset", *(text.format(**known) for text in arguments))
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("prepare_dataset: ") and message in last
    assert "Traceback" not in done.stderr
