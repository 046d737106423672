"""The command from a checkpoint to drawings and numbers, and its mistakes."""

import json

import numpy as np
import pytest

from stylejax import explain
from stylejax.cli import main
from stylejax.cli.explain import parse_grid
from stylejax.cli.messages import UsageError
from stylejax.image import files

FAST = ("--num_steps=2", "--tolerance=0")


def status(*arguments):
    try:
        return main.main(["explain", *map(str, arguments)])
    except SystemExit as ended:
        return ended.code


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "in" / "a.png"
    files.write(path, np.random.default_rng(0).random((12, 16, 3), np.float32))
    return path


def test_numbers_and_drawings_of_two_targets_and_a_grid(source, small_model, tmp_path):
    path, model = small_model
    out = tmp_path / "out"
    targets = ("--target=mean:red@2,3,6,5", "--target=energy")
    assert status(path, source, f"--out={out}", *targets, "--regions=2x3", *FAST) == 0
    assert sorted(p.name for p in out.iterdir()) == ["a-regions.png", "a.json", "a.png"]
    entry = json.loads((out / "a.json").read_text())
    names = [found["target"] for found in entry["targets"]]
    assert names == ["mean:red@2,3,6,5", "energy:luminance"]
    image = files.read(source)
    target = explain.parse_target(names[0])
    answer = explain.integrated_gradients(
        target.of(model.translate), image, num_steps=2
    )
    assert entry["targets"][0]["sum"] == pytest.approx(answer.sum, rel=1e-3)
    assert entry["targets"][0]["value"] == pytest.approx(answer.target, rel=1e-5)
    cells = entry["targets"][0]["strongest_cells"]
    assert len(cells) == 5
    x, y, w, h = cells[0]["box"]
    part = np.asarray(answer.map)[y : y + h, x : x + w].sum()
    assert cells[0]["contribution"] == pytest.approx(part, rel=1e-2, abs=1e-6)
    assert entry["regions"]["grid"] == [2, 3]
    assert files.read(out / "a.png").shape[1] > 3 * 16 * 16


METHODS = (
    "blur_path",
    "statistics_path",
    "guided_path",
    "gradient",
    "input_x_gradient",
)


@pytest.mark.parametrize("method", [*METHODS, "smooth_gradient", "occlusion"])
def test_every_method_draws(method, source, small_model, tmp_path, capsys):
    path, _ = small_model
    out = tmp_path / "out"
    assert status(path, source, f"--out={out}", f"--method={method}", *FAST) == 0
    written = json.loads((out / "a.json").read_text())
    assert written["method"] == method
    entry = written["targets"][0]
    assert np.isfinite(entry["absolute_error"])
    assert (out / "a.png").is_file()
    assert "relative error" in capsys.readouterr().out


def test_the_change_and_a_picture_as_baseline(source, small_model, tmp_path, capsys):
    path, model = small_model
    other = tmp_path / "other.png"
    files.write(other, np.random.default_rng(1).random((24, 32, 3), np.float32))
    flags = ("--change", "--target=mean:red", f"--baseline={other}", "--json")
    assert status(path, source, f"--out={tmp_path}/out", *flags, *FAST) == 0
    found = json.loads(capsys.readouterr().out)
    image = files.read(source)[None]
    change = np.asarray(model.translate(image))[..., 0].mean() - image[..., 0].mean()
    entry = found["explained"][0]["targets"][0]
    assert entry["value"] == pytest.approx(change, abs=1e-5)
    assert entry["target"] == "change of mean:red"
    written = json.loads((tmp_path / "out" / "a.json").read_text())
    assert written == found["explained"][0]
    asked = {"input": str(source), "checkpoint": str(path), "baseline": str(other)}
    asked |= {"change": True, "direction": "AtoB", "num_steps": 2, "seed": 0}
    assert written.items() >= asked.items()


def test_large_pictures_are_made_smaller(source, small_model, tmp_path):
    path, _ = small_model
    out = tmp_path / "out"
    assert status(path, source, f"--out={out}", "--size=8", *FAST) == 0
    assert json.loads((out / "a.json").read_text())["size"] == [8, 6]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--target=mean:pink"], "red, green, blue, luminance"),
        (["--target=mean:red@0,0,99,9"], "inside the picture"),
        (["--regions=3"], "rows x columns"),
        (["--regions=99x1"], "1 to 12 rows"),
        (["--baseline=nothing"], "or a file, got 'nothing'"),
        (["--method=magic"], "magic"),
        (["--step=x"], "expected a number, best or nothing"),
        (["--size=-1"], "size: expected pixels"),
        (["--out="], "got an empty name"),
        (["--method=blur_path", "--baseline=noise"], "drop --baseline"),
    ],
)
def test_mistakes_end_in_one_line(
    flags, message, source, small_model, tmp_path, capsys
):
    path, _ = small_model
    assert status(path, source, f"--out={tmp_path}/out", *flags, *FAST) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_nothing_is_replaced_without_force(source, small_model, tmp_path, capsys):
    path, _ = small_model
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.json").write_text("mine")
    assert status(path, source, f"--out={out}", *FAST) == 2
    assert (out / "a.json").read_text() == "mine"
    assert "add --force" in capsys.readouterr().err
    assert status(path, source, f"--out={out}", "--force", *FAST) == 0
    assert (out / "a.json").read_text() != "mine"


def test_too_few_arguments(small_model):
    assert status(small_model[0]) == 2


@pytest.mark.parametrize("text", ["3", "0x2", "axb", "1x2x3"])
def test_grids_that_are_none(text):
    with pytest.raises(UsageError, match="rows x columns"):
        parse_grid(text)
