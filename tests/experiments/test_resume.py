"""A training that is killed at random moments ends bit for bit like another.

The long version with 20 kills is `python -m benchmarks.resume`.
"""

import json
import time
from concurrent import futures

import numpy as np
import pytest

from benchmarks import resume


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """A training nobody disturbed; all compile the same quick, slow-running program."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
        workdir = tmp_path_factory.mktemp("resume") / "undisturbed"
        resume.finish(workdir)
        yield workdir


@pytest.mark.slow
def test_three_killed_trainings_end_like_the_undisturbed_one(reference, tmp_path):
    def run(number):
        aim = resume.AIMS[number]
        return resume.run_trial(reference, tmp_path / aim, aim=aim, seed=number)

    with futures.ThreadPoolExecutor(2) as pool:
        trials = list(pool.map(run, range(3)))
    assert [trial.differences for trial in trials] == [[], [], []]
    assert all(0 < trial.resumed < resume.NUM_STEPS for trial in trials)


@pytest.mark.slow
def test_sigterm_saves_and_exits_with_0(reference, tmp_path):
    workdir = tmp_path / "run"
    child = resume.start(workdir)
    try:
        deadline = time.monotonic() + resume.PATIENCE
        while not (workdir / "log.jsonl").exists():
            assert child.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        child.terminate()
        assert child.wait(120) == 0
    finally:
        child.kill()
    summary = json.loads((workdir / "summary.json").read_text())
    assert summary["reason"] == "sigterm"
    assert summary["checkpoints"][-1] == summary["step"] < resume.NUM_STEPS


def test_comparison_sees_a_flipped_bit_and_a_shifted_position(tmp_path, monkeypatch):
    ends = {
        "a": ({"w": np.float32([1.0, 2.0])}, {"next_batch": 5}),
        "b": ({"w": np.float32([1.0, 2.0000002])}, {"next_batch": 6}),
        "c": ({"v": np.float32([1.0])}, {"next_batch": 5}),
    }
    monkeypatch.setattr(resume, "_end", lambda workdir: ends[workdir.name])
    assert resume.compare(tmp_path / "a", tmp_path / "a") == []
    found = resume.compare(tmp_path / "a", tmp_path / "b")
    assert found[0] == "w differs" and found[1].startswith("data position")
    assert len(resume.compare(tmp_path / "a", tmp_path / "c")) == 2
