"""The loop: cadences, stops, and 2N steps equal to N, a kill, a resume and N."""

import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from stylejax.train.checkpoint import Checkpointer
from stylejax.train.loop import LoopConfig, TrainingStopped
from stylejax.train.progress import Writer
from tests.train import toy

ROOT = pathlib.Path(toy.__file__).parents[2]


class Recorder(Writer):
    """Keeps what the loop writes."""

    def __init__(self):
        self.scalars, self.images, self.progress, self.messages = [], [], [], []

    def write_scalars(self, step, values, *, kind="train"):
        self.scalars.append((step, kind, dict(values)))

    def write_image(self, step, name, image):
        self.images.append((step, name, image.shape))

    def show_progress(self, progress):
        self.progress.append(progress)

    def write_message(self, text):
        self.messages.append(text)


@pytest.fixture
def recorder():
    return Recorder()


def _steps(workdir):
    with Checkpointer(workdir / "checkpoints") as checkpointer:
        return checkpointer.steps()


def _saved_state(workdir):
    with Checkpointer(workdir / "checkpoints") as checkpointer:
        return checkpointer.restore(toy.init()).state


def test_it_trains_and_saves_what_it_returns(tmp_path):
    result = toy.train(tmp_path, 23)
    assert (result.step, result.reason, result.num_trained) == (23, "finished", 23)
    assert int(result.state.step) == 23
    assert toy.same_bits(_saved_state(tmp_path), result.state)
    first = toy.init().params["w"]
    assert np.abs(np.asarray(result.state.params["w"] - first)).max() > 0.01


def test_cadences(tmp_path, recorder):
    seen = []

    def evaluate(state):
        seen.append(int(state.step))
        return {"score": 1.0}

    def sample(state):
        return {"grid": np.zeros((2, 3, 3))}

    toy.train(
        tmp_path,
        13,
        writer=recorder,
        evaluate_fn=evaluate,
        sample_fn=sample,
        log_every=5,
        evaluate_every=6,
        sample_every=4,
        checkpoint_every=0,
        max_to_keep=9,
    )
    logged = [step for step, kind, _ in recorder.scalars if kind == "train"]
    assert logged == [5, 10, 13]
    assert seen == [6, 12, 13]
    assert recorder.images == [(s, "grid", (2, 3, 3)) for s in (4, 8, 12)]
    assert _steps(tmp_path) == [6, 13]  # the best, and the end


def test_a_log_line_is_the_mean_since_the_last_one(tmp_path, recorder):
    toy.train(tmp_path / "one", 6, writer=recorder, log_every=1)
    single = [values["generator/total"] for _, _, values in recorder.scalars]
    recorder.scalars.clear()
    toy.train(tmp_path / "three", 6, writer=recorder, log_every=3)
    means = [values["generator/total"] for _, _, values in recorder.scalars]
    np.testing.assert_allclose(means, np.mean(np.reshape(single, (2, 3)), axis=1))
    assert recorder.scalars[-1][2]["images_per_second"] > 0


def test_no_cadence_no_log(tmp_path, recorder):
    result = toy.train(tmp_path, 6, writer=recorder, log_every=0, checkpoint_every=0)
    assert recorder.scalars == [] and recorder.progress
    assert result.last_metrics["generator/total"] > 0
    assert _steps(tmp_path) == [6]


def test_metrics_are_read_one_step_late(tmp_path, monkeypatch):
    order = []
    get = jax.device_get

    def device_get(tree):
        if isinstance(tree, dict):
            order.append("read")
        return get(tree)

    monkeypatch.setattr(jax, "device_get", device_get)
    iterator = toy.Iterator(on_next=lambda i: order.append(f"batch {i}"))
    toy.train(tmp_path, 3, iterator=iterator, writer=Recorder())
    assert order == ["batch 1", "batch 2", "read", "batch 3", "read", "read"]


def test_progress_knows_speed_and_time_left(tmp_path, recorder):
    iterator = toy.Iterator(on_next=lambda _: time.sleep(0.01))
    toy.train(tmp_path, 40, writer=recorder, iterator=iterator)
    progress = recorder.progress[-2]
    assert progress.num_steps == 40 and progress.step == 35
    assert 0 < progress.steps_per_second < 100
    assert progress.images_per_second == 4 * progress.steps_per_second
    left = 5 / progress.steps_per_second
    assert progress.seconds_left == pytest.approx(left)
    assert "generator" in progress.losses()


def test_best_is_kept_and_known_after_a_resume(tmp_path):
    scores = {4: 3.0, 8: 1.0, 12: 2.0, 16: float("nan"), 20: 2.5, 24: 0.5}

    def evaluate(state):
        return {"score": scores[int(state.step)], "l1": 1.0}

    options = {"evaluate_fn": evaluate, "evaluate_every": 4, "checkpoint_every": 4}
    result = toy.train(tmp_path, 20, max_to_keep=1, **options)
    assert result.best_metric == 1.0 and _steps(tmp_path) == [8, 20]
    assert result.last_metrics["evaluation/score"] == 2.5
    result = toy.train(tmp_path, 24, max_to_keep=1, **options)
    assert result.best_metric == 0.5 and _steps(tmp_path) == [24]
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["best_step"], summary["best_metric"]) == (24, 0.5)


def test_resuming_at_the_end_trains_and_saves_nothing(tmp_path, recorder):
    toy.train(tmp_path, 10)
    before = sorted(p.stat().st_mtime_ns for p in (tmp_path / "checkpoints").rglob("*"))
    result = toy.train(tmp_path, 10, writer=recorder)
    assert result.num_trained == 0 and recorder.scalars == []
    files = [p for p in (tmp_path / "checkpoints").rglob("*") if p.name != ".lock"]
    assert max(p.stat().st_mtime_ns for p in files) <= before[-1]


def test_data_goes_on_after_the_batch_last_consumed(tmp_path):
    toy.train(tmp_path, 7)
    taken = []
    toy.train(tmp_path, 10, iterator=toy.Iterator(on_next=taken.append))
    assert taken == [8, 9, 10]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_signal_saves_and_ends_cleanly(tmp_path, name):
    expected = toy.train(tmp_path / "whole", 30).state

    def kill(position):
        if position == 13:
            os.kill(os.getpid(), signal.Signals[name])

    result = toy.train(tmp_path / "run", 30, iterator=toy.Iterator(on_next=kill))
    assert (result.step, result.reason) == (13, name.lower())
    assert _steps(tmp_path / "run") == [10, 13]
    assert toy.same_bits(toy.train(tmp_path / "run", 30).state, expected)


def test_time_limit_saves_and_evaluates(tmp_path):
    iterator = toy.Iterator(on_next=lambda _: time.sleep(0.02))
    result = toy.train(
        tmp_path,
        0,
        iterator=iterator,
        max_minutes=0.5 / 60,
        evaluate_fn=lambda _: {"score": 4.0},
    )
    assert result.reason == "max_minutes" and 0 < result.step < 26
    assert result.best_metric == 4.0 and _steps(tmp_path)[-1] == result.step


def test_endless_training_is_refused(tmp_path):
    with pytest.raises(ValueError, match="num_steps or max_minutes above 0"):
        toy.train(tmp_path, 0)


def test_too_many_skips_stop_and_keep_the_last_good_checkpoint(tmp_path):
    bad = range(12, 40)
    with pytest.raises(TrainingStopped, match="5 steps in a row .*checkpoint 12 ") as e:
        toy.train(
            tmp_path,
            40,
            iterator=toy.Iterator(bad=bad),
            max_skipped_in_a_row=5,
            checkpoint_every=2,
            max_to_keep=1,
        )
    assert "\n" not in str(e.value)
    assert _steps(tmp_path) == [12]
    assert np.isfinite(np.asarray(_saved_state(tmp_path).params["w"])).all()


def test_few_skips_go_by_and_a_save_waits_for_a_good_step(tmp_path, recorder):
    result = toy.train(
        tmp_path,
        20,
        iterator=toy.Iterator(bad=(8, 9, 10)),
        writer=recorder,
        max_skipped_in_a_row=4,
        max_to_keep=9,
    )
    assert result.reason == "finished"
    assert _steps(tmp_path) == [12, 20]  # 10 and 11 were skipped steps
    assert all(np.isfinite(v["generator/total"]) for _, _, v in recorder.scalars)


def test_defaults_are_those_of_the_flags():
    config = LoopConfig()
    assert (config.log_every, config.checkpoint_every, config.resume) == (
        50,
        1000,
        "auto",
    )


@pytest.mark.slow
def test_killed_at_random_moments_the_result_is_the_same(tmp_path):
    """Kills -9 twice while every third step is saved, then lets it finish."""
    expected = toy.train(tmp_path / "whole", 60, log_every=1, checkpoint_every=3)
    workdir = tmp_path / "killed"
    command = [sys.executable, "-m", "tests.train.toy", str(workdir), "60", "0.05"]
    generator = random.Random(0)
    for wanted in (7, 25):
        child = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
        log = workdir / "log.jsonl"
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and child.poll() is None:
            if log.exists() and log.read_text().count("\n") >= wanted:
                break
            time.sleep(0.01)
        time.sleep(generator.uniform(0, 0.3))
        assert child.poll() is None, "it ended before it was killed"
        child.kill()
        child.wait()
    result = toy.train(workdir, 60, log_every=1, checkpoint_every=3)
    assert 0 < result.num_trained < 60
    assert toy.same_bits(result.state, expected.state)
    lines = [json.loads(x) for x in (workdir / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 61))
    whole = (tmp_path / "whole" / "log.jsonl").read_text().splitlines()
    losses = [json.loads(line)["generator/total"] for line in whole]
    assert [line["generator/total"] for line in lines] == losses


def _run_two_processes(workdir, num_steps, killed_at):
    """The last line of both processes, which must end well."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    module = [sys.executable, "-m", "tests.train.two_process_loop"]
    rest = [str(port), str(workdir), str(num_steps), str(killed_at)]
    children = [
        subprocess.Popen(
            [*module, str(process), *rest], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        for process in (0, 1)
    ]
    try:
        outputs = [child.communicate(timeout=240)[0] for child in children]
    finally:
        for child in children:
            child.kill()
    assert [child.returncode for child in children] == [0, 0]
    return [output.splitlines()[-1] for output in outputs]


@pytest.mark.slow
def test_two_processes_stop_together_and_go_on(tmp_path):
    """SIGTERM reaches one of them; both save at one step, resume, and end as one."""
    expected = toy.train(tmp_path / "one", 24, log_every=1, checkpoint_every=4)
    first = _run_two_processes(tmp_path / "two", 24, killed_at=9)
    assert first[0] == first[1] and first[0].endswith(" sigterm")
    assert 9 <= int(first[0].split()[0]) < 24
    assert _run_two_processes(tmp_path / "two", 24, killed_at=0) == ["24 finished"] * 2
    found = _saved_state(tmp_path / "two")
    for x, y in zip(
        jax.tree.leaves(found), jax.tree.leaves(expected.state), strict=True
    ):
        np.testing.assert_allclose(np.float32(x), np.float32(y), rtol=1e-4, atol=1e-5)
    lines = (tmp_path / "two" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, 25))
