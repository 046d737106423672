"""The demo end to end with the smallest of everything, and what it refuses."""

import json

import numpy as np
import pytest

from stylejax.cli import demo, main
from stylejax.cli.messages import UsageError
from stylejax.image import files

KEYS = {
    "train_steps",
    "train_seconds",
    "l1_AtoB",
    "l1_BtoA",
    "l1_unchanged",
    "l1_wrong_partner",
    "completeness_relative_error",
    "seconds_total",
}


@pytest.mark.slow
def test_the_demo_does_all_it_says(tmp_path, small_model, capsys):
    out = tmp_path / "demo"
    arguments = [
        *("demo", f"--out={out}", f"--model={small_model[0]}", "--json"),
        *("--steps=2", "--size=16", "--ngf=2", "--num_pairs=3"),
    ]
    assert main.main(arguments) == 0
    captured = capsys.readouterr()
    numbers = json.loads(captured.out)
    assert numbers == json.loads((out / "metrics.json").read_text())
    assert KEYS <= set(numbers)
    assert numbers["train_steps"] == 2
    assert numbers["completeness_relative_error"] < 0.05
    for name in demo.CONTENTS:
        assert (out / name).exists() and str(out / name) in captured.err
    assert min(files.read(out / "grid.png").shape[:2]) > 100
    lines = (out / "training" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2]
    text = (out / "log.txt").read_text()
    assert "Stopped at step 1" in text and "Finished at step 2" in text
    # The same folder serves again.
    assert demo.prepare_folder(out) == out
    assert [p.name for p in out.iterdir()] == [demo.MARK]


def test_a_foreign_folder_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="something else"):
        demo.prepare_folder(tmp_path)
    with pytest.raises(UsageError, match="is a file"):
        demo.prepare_folder(tmp_path / "thesis.txt")
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["more"], "'more'"),
        (["--steps=1"], "at least 2"),
        (["--model=no-such-model"], "no-such-model"),
    ],
)
def test_mistakes_end_in_one_line_and_leave_nothing(tmp_path, capsys, arguments, text):
    with pytest.raises(SystemExit) as ended:
        main.main(["demo", f"--out={tmp_path / 'demo'}", *arguments])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and text in error
    assert not (tmp_path / "demo").exists()


def test_wrong_partners_are_all_but_the_own():
    truths = np.stack([np.full((2, 2, 3), v, np.float32) for v in (0, 0.2, 0.6)])
    # Distances to the others: 0.2, 0.6, 0.2, 0.4, 0.6, 0.4.
    expected = 255 * np.mean([0.2, 0.6, 0.2, 0.4, 0.6, 0.4])
    got = demo.wrong_partner_error(truths, truths)
    np.testing.assert_allclose(got, expected, rtol=1e-5)
