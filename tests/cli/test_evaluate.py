"""Figures through the command: the table, the file, and what is refused beside what."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from stylejax.cli import evaluate, main
from stylejax.image import files
from stylejax.train import protocol
from stylejax.train.manifest import write_manifest
from tests.train.tiny_vgg import save_tiny_vgg


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    return save_tiny_vgg(tmp_path_factory.mktemp("vgg"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A data set of pairs: five test pictures of each domain."""
    root = tmp_path_factory.mktemp("data") / "set"
    generator = np.random.default_rng(3)
    for i in range(5):
        picture = generator.random((20, 20, 3), np.float32)
        for split, image in {"A": picture, "B": 1 - picture}.items():
            files.write(root / f"test{split}" / f"{i}.png", image)
            if i < 2:
                files.write(root / f"train{split}" / f"{i}.png", image)
    return root


@pytest.fixture
def flags(folder, features):
    return [f"--dataset=folder:{folder}", f"--features={features}"]


@pytest.fixture(scope="module")
def earlier(folder, features, small_model, tmp_path_factory):
    """The file of an evaluation of the small model."""
    path = tmp_path_factory.mktemp("earlier") / "figures.json"
    options = evaluate.Options(
        dataset=f"folder:{folder}", features=str(features), out=str(path), json=True
    )
    evaluate.run(options, [str(small_model[0])])
    return path


def status(*arguments):
    try:
        return main.main(["evaluate", *map(str, arguments)])
    except SystemExit as ended:
        return ended.code


def test_the_table_has_both_directions_and_the_file_the_protocol(
    small_model, flags, features, tmp_path, capsys
):
    path, model = small_model
    assert status(path, *flags, f"--out={tmp_path / 'deep' / 'x'}") == 0
    text = capsys.readouterr().out
    for word in ("AtoB", "BtoA", "l1_ratio", "kernel_distance", "structure", "5 and 5"):
        assert word in text
    (found,) = protocol.read(tmp_path / "deep" / "x.json")
    assert (found.model, found.step, found.protocol.checkpoint) == (
        str(path),
        None,
        "given",
    )
    assert found.protocol.features["name"] == "vgg11"
    assert found.protocol.image_size == model.config.image_size == 16
    l1 = found.figures["AtoB"]["l1"]
    assert f"{l1['value']:.4g}" in text
    assert {"date", "device", "jax", "stylejax", "seconds"} == set(found.environment)


def test_json_is_what_the_file_holds(small_model, flags, tmp_path, capsys):
    out = tmp_path / "x.json"
    assert status(small_model[0], *flags, f"--out={out}", "--json", "--seed=5") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == json.loads(out.read_text())
    assert json.loads(captured.out)["evaluations"][0]["protocol"]["seed"] == 5
    assert "l1_ratio" in captured.err


def test_figures_are_those_of_the_pictures(small_model, flags, folder, earlier):
    (found,) = protocol.read(earlier)
    pictures = [
        np.stack([files.read(p) for p in sorted((folder / f"test{d}").iterdir())])
        for d in "AB"
    ]
    a, b = (
        np.stack([files.resize_bicubic(x, (16, 16)).clip(0, 1) for x in images])
        for images in pictures
    )
    out = np.asarray(small_model[1].translate(a))
    expected = 255 * np.abs(out - b).mean()
    l1 = found.figures["AtoB"]["l1"]
    assert l1["value"] == pytest.approx(expected, rel=1e-3)
    assert l1["unchanged"] == pytest.approx(255 * np.abs(a - b).mean(), rel=1e-3)


def test_earlier_figures_stand_beside_these(small_model, flags, earlier, capsys):
    other = shutil.copy(earlier, earlier.with_name("other.json"))
    text = earlier.read_text().replace(small_model[0].name, "renamed.safetensors")
    other.write_text(text)
    compare = [f"--compare={earlier}", f"--compare={other}"]
    assert status(small_model[0], *flags, *compare) == 0
    header = capsys.readouterr().out.splitlines()[2]
    assert header.count(".safetensors") == 3 and "renamed" in header


@pytest.mark.parametrize(
    ("extra", "text"),
    [
        ("--seed=1", "seed 1 against 0"),
        ("--size=20", "image_size 20 against 16"),
        ("--num_images=4", "num_a 4 against 5; num_b 4 against 5; pictures_sha256"),
        ("--features=", 'features.name null against "vgg11"'),
    ],
)
def test_other_protocols_are_refused_before_anything_is_translated(
    small_model, flags, earlier, capsys, monkeypatch, extra, text
):
    def never(*unused, **options):
        raise AssertionError

    monkeypatch.setattr(evaluate, "figures", never)
    assert status(small_model[0], *flags, f"--compare={earlier}", extra) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert "cannot stand side by side" in captured.err and text in captured.err


def test_a_training_has_its_last_and_its_best(tmp_path):
    steps = {10: 0.5, 20: 0.25, 30: 0.75}
    for step, metric in steps.items():
        path = tmp_path / "run" / "checkpoints" / str(step)
        path.mkdir(parents=True)
        (path / "x").write_text("x")
        write_manifest(path, step=step, metric=metric)
    run = str(tmp_path / "run")
    both = [("last", 30), ("best", 20)]
    assert evaluate.choices(run, "") == both
    assert evaluate.choices(run, "last") == both[:1]
    assert evaluate.choices(run, "best") == both[1:]
    assert evaluate.choices(run, "10") == [("given", 10)]
    assert evaluate.choices(f"{run}/checkpoints/10", "") == [("given", 10)]
    assert evaluate.choices("model.safetensors", "") == [("given", None)]


def test_last_and_best_are_printed_apart_and_equal_steps_measured_once(
    small_model, flags, tmp_path, capsys, monkeypatch
):
    model, calls = small_model[1], []
    monkeypatch.setattr(evaluate.api, "load", lambda path, step: model)
    real = evaluate.figures
    monkeypatch.setattr(
        evaluate, "figures", lambda *a, **k: calls.append(1) or real(*a, **k)
    )
    for steps in ((30, 20), (30, 30)):
        chosen = [
            evaluate.Choice(*x) for x in zip(("last", "best"), steps, strict=True)
        ]
        monkeypatch.setattr(evaluate, "choices", lambda *a, c=chosen: c)
        assert status("run", *flags, f"--out={tmp_path / 'x'}", "--features=") == 0
        text = capsys.readouterr().out
        assert "last checkpoint on" in text and "best checkpoint on" in text
        found = protocol.read(tmp_path / "x.json")
        assert [e.protocol.checkpoint for e in found] == ["last", "best"]
        assert tuple(e.step for e in found) == steps
    assert len(calls) == 3
    # Earlier ones stand by their like: last beside last, best beside best.
    compare = [f"--compare={tmp_path / 'x.json'}", "--features="]
    assert status("run", *flags, *compare) == 0
    text = capsys.readouterr().out
    headers = [x for x in text.splitlines() if x.startswith(("AtoB", "BtoA"))]
    assert [x.count("run@30") for x in headers] == [2] * 4


def test_unpaired_sets_are_evaluated_too(small_model, folder, features, tmp_path):
    other = tmp_path / "set"
    shutil.copytree(folder, other)
    (other / "testB" / "4.png").unlink()
    flags = [f"--dataset=folder:{other}", f"--features={features}"]
    assert status(small_model[0], *flags, f"--out={tmp_path / 'x.json'}") == 0
    (found,) = protocol.read(tmp_path / "x.json")
    assert (found.protocol.num_a, found.protocol.num_b) == (5, 4)
    assert {"cycle_l1", "kernel_distance", "style"} <= set(found.figures["BtoA"])
    assert "l1" not in found.figures["AtoB"]


def test_classifiers_are_trained_where_asked(small_model, flags, tmp_path, monkeypatch):
    monkeypatch.setattr(
        evaluate.two_sample,
        "classifier_accuracy",
        lambda key, train, test: len(train[0]),
    )
    out = tmp_path / "x.json"
    arguments = ["--features=", "--classify", f"--out={out}"]
    assert status(small_model[0], flags[0], *arguments) == 0
    figure = protocol.read(out)[0].figures["BtoA"]["classifier_accuracy"]
    assert figure == {"value": 2, "unchanged": 2}


def test_a_set_without_tests_is_refused(small_model, folder, tmp_path, capsys):
    for split in ("trainA", "trainB"):
        shutil.copytree(folder / split, tmp_path / split)
    assert status(small_model[0], f"--dataset=folder:{tmp_path}") == 2
    assert "add testA and testB\n" in capsys.readouterr().err


def test_figures_that_are_not_there_leave_an_empty_cell(earlier):
    (found,) = protocol.read(earlier)
    figures = {"AtoB": {"l1": {"value": None}, "new": {"value": 0.12345}}}
    other = dataclasses.replace(found, figures=figures)
    text = evaluate.table([found, other])
    assert "not finite" in text and "0.1235" in text and "  new" in text
    assert "biased" in evaluate.table([found])


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "expected one checkpoint, got 0"),
        (["MODEL", "MODEL"], "expected one checkpoint, got 2"),
        (["no-model"], "no-model"),
        (["MODEL", "--step=best"], "no folder of a training"),
        (["MODEL", "--size=-1"], "size: expected 0 or more"),
        (["MODEL", "--dataset=nothing"], "unknown data set 'nothing'"),
        (["MODEL", "--features=nowhere.safetensors"], "nowhere"),
        (["MODEL", "--features=MODEL"], "VGG"),
        (["MODEL", "--compare=nowhere.json"], "nowhere.json"),
        (["MODEL", "--compare=MODEL"], "expected a file of format"),
        (["EMPTY"], "finished checkpoint"),
    ],
)
def test_mistakes_end_in_one_line(
    small_model, flags, tmp_path, capsys, arguments, text
):
    (tmp_path / "run").mkdir()
    full = [
        a.replace("MODEL", str(small_model[0])).replace("EMPTY", str(tmp_path / "run"))
        for a in arguments
    ]
    given = {a.split("=")[0] for a in full}
    assert status(*full, *(f for f in flags if f.split("=")[0] not in given)) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1 and text in captured.err
    assert captured.out == ""
