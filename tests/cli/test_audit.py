"""The command from a checkpoint to numbers and a drawing, and its mistakes."""

import json

import pytest

from stylejax.cli import audits, main
from stylejax.image import files


def status(*arguments):
    try:
        return main.main(["audit", *map(str, arguments)])
    except SystemExit as ended:
        return ended.code


SMALL = ("--num_images=24", "--size=16", "--draws=1")


def test_everything_is_answered_and_drawn(small_model, tmp_path, capsys, monkeypatch):
    path, _ = small_model
    every = audits._factors
    # Each factor compiles probes of its own: one is enough here.
    monkeypatch.setattr(
        audits, "_factors", lambda *given: {"domain": every(*given)["domain"]}
    )
    out = tmp_path / "out"
    assert status(path, f"--out={out}", "--json", *SMALL) == 0
    found = json.loads((out / "audit.json").read_text())
    assert json.loads(capsys.readouterr().out) == found
    for name in ("steganography", "structure", "randomization"):
        assert set(found[name]) == {"AtoB", "BtoA"}
        assert all("\n" not in row["summary"] for row in found[name].values())
    assert 0 <= found["structure"]["AtoB"]["added"] <= 1
    assert {"AtoB domain", "BtoA domain"} <= set(found["probes"])
    probe = found["probes"]["AtoB domain"]
    assert probe["majority"] == pytest.approx(0.5)
    assert (found["pictures"], found["size"]) == (24, 16)
    assert files.read(out / "structure.png").shape[2] == 3


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--num_images=3"], "num_images: expected at least 8"),
        (["--dataset=nowhere"], "nowhere"),
        (["--step=x"], "expected a number, best or nothing"),
    ],
)
def test_mistakes_end_in_one_line(flags, message, small_model, tmp_path, capsys):
    path, _ = small_model
    assert status(path, f"--out={tmp_path}/out", *flags) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_one_checkpoint_is_asked_for(capsys):
    assert status() == 2
    assert "expected one checkpoint" in capsys.readouterr().err


def test_nothing_is_replaced_without_force(small_model, tmp_path):
    path, _ = small_model
    (tmp_path / "audit.json").write_text("mine")
    assert status(path, f"--out={tmp_path}", *SMALL) == 2
    assert (tmp_path / "audit.json").read_text() == "mine"


def test_an_audit_that_cannot_be_done_costs_no_other(
    small_model, tmp_path, monkeypatch
):
    def impossible(case):
        raise ValueError("expected translations that differ, got one")

    monkeypatch.setitem(audits.AUDITS, "steganography", impossible)
    for name in ("randomization", "probes"):
        monkeypatch.setitem(audits.AUDITS, name, lambda case: {})
    out = tmp_path / "out"
    assert status(small_model[0], f"--out={out}", *SMALL) == 0
    found = json.loads((out / "audit.json").read_text())
    summary = found["steganography"]["AtoB"]["summary"]
    assert summary == "not done: expected translations that differ, got one"
    assert "added" in found["structure"]["AtoB"]
