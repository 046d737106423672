"""The summary of a run, as a file and as one line."""

import json

import numpy as np
import pytest

from stylejax.train.checkpoint import Checkpointer
from stylejax.train.progress import Writer
from stylejax.train.result import RunResult, write_summary
from stylejax.train.resume import Run


@pytest.fixture
def run(tmp_path):
    """The pieces of a run with one checkpoint of score 0.25, and what it said."""
    messages = []
    writer = Writer()
    writer.write_message = messages.append
    with Checkpointer(tmp_path / "checkpoints") as checkpointer:
        checkpointer.save(
            7, {"w": np.ones(2)}, data_state={}, config={}, metric=0.25, wait=True
        )
        yield Run({}, tmp_path, checkpointer, writer), messages


def _result(**options):
    return RunResult(
        state=None,
        step=9,
        reason="max_minutes",
        last_metrics={"generator/total": 1.5, "bad": float("nan")},
        best_metric=0.25,
        seconds=12.34,
        num_trained=9,
        steps_per_second=2.0,
        images_per_second=8.0,
        **options,
    )


def test_summary_file_is_valid_json_with_the_figures(run):
    pieces, _ = run
    write_summary(_result(), pieces)
    summary = json.loads((pieces.workdir / "summary.json").read_text())
    assert summary["reason"] == "max_minutes" and summary["step"] == 9
    assert (summary["best_step"], summary["best_metric"]) == (7, 0.25)
    assert summary["checkpoints"] == [7]
    assert summary["last_metrics"] == {"generator/total": 1.5, "bad": None}
    assert (summary["steps_per_second"], summary["images_per_second"]) == (2.0, 8.0)


def test_final_line_says_why_how_far_how_fast_and_where(run):
    pieces, messages = run
    write_summary(_result(), pieces)
    (line,) = messages
    for part in ("max_minutes at step 9", "12.3 s", "2.00 steps/s", "0.25 at step 7"):
        assert part in line
    assert line.endswith(str(pieces.checkpointer.directory)) and "\n" not in line
