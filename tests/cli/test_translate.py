"""Pictures through the command: names kept, clashes told apart, inputs safe."""

import json

import numpy as np
import pytest

from stylejax.cli import jobs, main
from stylejax.cli.messages import UsageError
from stylejax.image import files


def picture(seed, shape=(12, 16, 3)):
    return np.random.default_rng(seed).random(shape, np.float32)


@pytest.fixture
def folder(tmp_path):
    """in/a.png, in/deep/b.png and in/deep/c.gif, all of one size."""
    for i, name in enumerate(["a.png", "deep/b.png", "deep/c.gif"]):
        files.write(tmp_path / "in" / name, picture(i))
    return tmp_path


def names(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def status(*arguments):
    try:
        return main.main(["translate", *map(str, arguments)])
    except SystemExit as ended:
        return ended.code


def targets(inputs, out):
    return [str(job.target) for job in jobs.plan([str(i) for i in inputs], out)]


def test_a_folder_keeps_its_names_and_folders(folder, small_model):
    path, model = small_model
    assert status(path, folder / "in", f"--out={folder / 'out'}") == 0
    assert names(folder / "out") == ["a.png", "deep/b.png", "deep/c.png"]
    source = files.read(folder / "in" / "a.png")
    expected = np.asarray(model.translate(source[None]))[0]
    got = files.read(folder / "out" / "a.png")
    np.testing.assert_allclose(got, expected, atol=0.51 / 255)


def test_the_other_direction_gives_another_picture(folder, small_model):
    path, model = small_model
    source = folder / "in" / "a.png"
    assert status(path, source, f"--out={folder}/out", "--direction=BtoA") == 0
    expected = model.translate(files.read(source)[None], direction="BtoA")
    got = files.read(folder / "out" / "a.png")
    np.testing.assert_allclose(got, np.asarray(expected)[0], atol=0.51 / 255)


@pytest.mark.parametrize("shape", [(9, 21, 3), (64, 33, 3), (8, 8, 1)])
def test_any_size_is_kept(tmp_path, small_model, shape):
    files.write(tmp_path / "x.png", picture(0, shape))
    assert status(small_model[0], tmp_path / "x.png", f"--out={tmp_path}/out") == 0
    assert files.read(tmp_path / "out" / "x.png").shape[:2] == shape[:2]


def test_json_says_what_was_done_and_nothing_else(folder, small_model, capsys):
    arguments = [small_model[0], folder / "in", f"--out={folder}/out", "--json"]
    assert status(*arguments) == 0
    captured = capsys.readouterr()
    result = json.loads(captured.out)
    assert len(result["translated"]) == 3 and result["skipped"] == []
    assert result["direction"] == "AtoB" and result["seconds"] >= 0
    assert captured.err == ""


def test_globs_and_files(folder):
    out = folder / "out"
    assert targets([folder / "in" / "deep" / "*.png"], out) == [str(out / "b.png")]
    assert targets([folder / "in" / "*" / "b.png"], out) == [str(out / "deep/b.png")]
    assert targets([folder / "in" / "deep" / "c.gif"], out) == [str(out / "c.png")]


def test_a_picture_given_twice_is_translated_once(folder):
    source = folder / "in" / "a.png"
    assert len(targets([source, folder / "in", source], folder / "out")) == 3


def test_equal_names_are_told_apart(folder):
    files.write(folder / "other" / "a.png", picture(5))
    files.write(folder / "in" / "a.gif", picture(6))
    inputs = [folder / "in" / "a.png", folder / "other" / "a.png"]
    out = folder / "out"
    assert targets(inputs, out) == [str(out / "a.png"), str(out / "a-2.png")]
    # a.gif becomes a PNG too.
    inputs = [folder / "in" / "a.png", folder / "in" / "a.gif"]
    assert targets(inputs, out) == [str(out / "a.png"), str(out / "a-2.png")]


@pytest.mark.parametrize("out", ["in", "in/deep", "link"])
def test_an_input_is_never_overwritten(folder, small_model, out, capsys):
    (folder / "link").symlink_to(folder / "in")
    before = (folder / "in" / "deep" / "b.png").read_bytes()
    sources = [folder / "in" / "deep"] if out == "in/deep" else [folder / "in"]
    assert status(small_model[0], *sources, f"--out={folder / out}") == 2
    assert "would replace an input" in capsys.readouterr().err
    assert (folder / "in" / "deep" / "b.png").read_bytes() == before


def test_earlier_outputs_are_no_inputs(folder):
    out = folder / "in" / "out"
    first = targets([folder / "in"], out)
    files.write(out / "a.png", picture(9))
    assert targets([folder / "in"], out) == first


def test_a_bad_picture_stops_or_is_skipped(folder, small_model, capsys):
    (folder / "in" / "aa.png").write_bytes(b"no picture")
    arguments = [small_model[0], folder / "in", f"--out={folder}/out"]
    assert status(*arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("stylejax translate: ") and "aa.png" in error
    assert error.count("\n") == 1
    assert status(*arguments, "--on_bad_image=skip", "--force") == 0
    captured = capsys.readouterr()
    assert "aa.png" in captured.err and "3 pictures" in captured.out
    assert "1 skipped" in captured.out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "usage"),
        (["MODEL"], "usage"),
        (["MODEL", "nowhere"], "nowhere"),
        (["no-model", "IN"], "no-model"),
        (["MODEL", "IN", "--direction=up"], "AtoB|BtoA"),
        (["MODEL", "IN", "--size=3"], "size"),
        (["MODEL", "IN", "--step=last"], "'last'"),
    ],
)
def test_mistakes_end_in_one_line(folder, small_model, capsys, arguments, text):
    stands = {"MODEL": small_model[0], "IN": folder / "in"}
    full = [stands.get(a, a) for a in arguments]
    assert status(*full, f"--out={folder}/out") == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1 and text in captured.err
    assert captured.out == ""


def test_nothing_but_bad_pictures_is_a_mistake(tmp_path, small_model, capsys):
    (tmp_path / "x.png").write_bytes(b"")
    arguments = [small_model[0], tmp_path, f"--out={tmp_path}/out"]
    assert status(*arguments, "--on_bad_image=skip") == 2
    assert "none of 1 pictures" in capsys.readouterr().err


def test_a_folder_of_outputs_alone_is_refused(tmp_path):
    files.write(tmp_path / "out" / "x.png", picture(0))
    with pytest.raises(UsageError, match="outside"):
        jobs.plan([str(tmp_path)], tmp_path / "out")


def test_nothing_is_replaced_without_force(folder, small_model, capsys):
    path, _ = small_model
    files.write(folder / "out" / "a.png", picture(9, (3, 3, 3)))
    command = [path, folder / "in", f"--out={folder / 'out'}"]
    assert status(*command) == 2
    assert (
        "a.png exists; choose another --out or add --force" in capsys.readouterr().err
    )
    assert names(folder / "out") == ["a.png"]
    assert files.read(folder / "out" / "a.png").shape == (3, 3, 3)
    assert status(*command, "--force") == 0
    assert files.read(folder / "out" / "a.png").shape == (12, 16, 3)


def test_a_folder_without_a_name_is_refused(folder, small_model, capsys):
    assert status(small_model[0], folder / "in", "--out=") == 2
    assert "got an empty name" in capsys.readouterr().err
