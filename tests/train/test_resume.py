"""When a run goes on, when it starts anew, and when it must not start at all."""

import json

import pytest

from stylejax.train import manifest
from stylejax.train.resume import config_differences, refuse_run
from tests.train import toy

CONFIG = {"model": {"width": 16, "sizes": [1, 2]}, "lr": 1e-2}


@pytest.fixture
def workdir(tmp_path):
    """A run of 20 steps, saved at 10 and 20."""
    toy.train(tmp_path / "run", 20, config_dict=CONFIG)
    return tmp_path / "run"


def _log_steps(workdir):
    lines = (workdir / "log.jsonl").read_text().splitlines()
    return [json.loads(line)["step"] for line in lines]


def test_differences_name_path_and_both_values():
    saved = {"model": {"ngf": 64, "dtype": "float32"}, "lr": 1, "num_threads": 2}
    given = {"model": {"ngf": 32, "dtype": "float32"}, "lr": 1, "num_threads": 4}
    changed, unknown = config_differences(saved, given, ignore={"num_threads"})
    assert (changed, unknown) == (["model/ngf 64 -> 32"], [])


def test_tuples_and_lists_are_the_same_after_json():
    assert config_differences({"sizes": [1, 2]}, {"sizes": (1, 2)}) == ([], [])


def test_fields_of_one_config_only_are_told_apart_from_changes():
    assert config_differences({"a": 1, "b": 2}, {"a": 1, "c": 3}) == ([], ["b", "c"])


def test_auto_goes_on_and_says_where(workdir, capsys):
    result = toy.train(workdir, 30, config_dict=CONFIG)
    assert (result.step, result.num_trained) == (30, 10)
    assert "resumed at step 20 from" in capsys.readouterr().err
    assert _log_steps(workdir) == [5, 10, 15, 20, 25, 30]


def test_auto_begins_where_nothing_was_saved_yet(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"step": 5, "kind": "train"}\n')
    assert toy.train(tmp_path, 10).num_trained == 10
    assert _log_steps(tmp_path) == [5, 10]


def test_must_refuses_an_empty_directory(tmp_path):
    with pytest.raises(FileNotFoundError, match="found none; start the run with"):
        toy.train(tmp_path, 10, resume="must")


def test_must_goes_on(workdir):
    assert toy.train(workdir, 21, config_dict=CONFIG, resume="must").num_trained == 1


def test_no_refuses_a_directory_with_a_run(workdir):
    before = (workdir / "log.jsonl").read_bytes()
    with pytest.raises(ValueError, match="already holds a run .checkpoints/20, log"):
        toy.train(workdir, 30, config_dict=CONFIG, resume="no")
    assert (workdir / "log.jsonl").read_bytes() == before


@pytest.mark.parametrize("trace", ["log.jsonl", "summary.json", "samples/x.png"])
def test_any_trace_of_a_run_is_refused(tmp_path, trace):
    (tmp_path / trace).parent.mkdir(exist_ok=True)
    (tmp_path / trace).write_text("x")
    with pytest.raises(ValueError, match="choose another --workdir"):
        refuse_run(tmp_path)


def test_no_starts_in_a_new_or_harmless_directory(tmp_path):
    refuse_run(tmp_path / "new")
    (tmp_path / "out.txt").write_text("the shell's own redirection")
    (tmp_path / "checkpoints").mkdir()
    assert toy.train(tmp_path, 5, resume="no").step == 5


def test_unknown_choice_is_refused(tmp_path):
    with pytest.raises(ValueError, match="resume"):
        toy.train(tmp_path, 5, resume="maybe")


def test_other_config_is_refused_in_one_line(workdir):
    other = {"model": {"width": 8, "sizes": [1, 2]}, "lr": 0.5}
    with pytest.raises(ValueError, match="model/width 16 -> 8, lr 0.01 -> 0.5;") as e:
        toy.train(workdir, 30, config_dict=other)
    assert "\n" not in str(e.value)


def test_cadences_and_places_may_differ(workdir):
    moved = CONFIG | {"loop": {"num_steps": 5, "log_every": 1}, "workdir": "/else"}
    assert toy.train(workdir, 25, config_dict=moved, log_every=2).step == 25


def test_field_of_another_version_is_only_mentioned(workdir, capsys):
    assert toy.train(workdir, 21, config_dict=CONFIG | {"new": 1}).step == 21
    assert "only one of the saved and the given config has new" in (
        capsys.readouterr().err
    )


def test_damaged_newest_falls_back_and_repeats_its_steps(workdir, capsys):
    expected = toy.train(workdir.parent / "whole", 30, config_dict=CONFIG)
    (workdir / "checkpoints" / "20" / manifest.MANIFEST_NAME).unlink()
    result = toy.train(workdir, 30, config_dict=CONFIG)
    assert result.num_trained == 20
    assert toy.same_bits(result.state, expected.state)
    shown = capsys.readouterr().err
    assert "20 passed over for the one before it: no manifest" in shown
    assert "resumed at step 10" in shown
    assert _log_steps(workdir) == [5, 10, 15, 20, 25, 30]


def test_nothing_whole_left_is_refused(workdir):
    for step in (10, 20):
        (workdir / "checkpoints" / str(step) / "config" / "metadata").unlink()
    with pytest.raises(ValueError, match="no whole checkpoint is left"):
        toy.train(workdir, 30, config_dict=CONFIG)
