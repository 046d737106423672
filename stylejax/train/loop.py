"""The training loop: when to step, log, sample, evaluate, save and stop.

It knows no method: a state, a step function and an iterator come in. The metrics of
a step are read while the next one runs, so the device never waits for the log.
"""

import contextlib
import dataclasses
import json
import math
import os
import pathlib
import signal
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from stylejax import checks
from stylejax.train import manifest
from stylejax.train.checkpoint import Checkpointer
from stylejax.train.writers import Progress, Writer

RESUME_CHOICES = ("auto", "no", "must")
COUNTERS = ("learning_rate", "skipped_in_a_row", "skipped_total")


class TrainingStopped(RuntimeError):
    """The training cannot go on; the message is one line."""


@dataclasses.dataclass(frozen=True)
class LoopConfig:
    """When the loop does what; every cadence is in steps and 0 switches it off.

    Attributes:
        num_steps: the step after which training is finished.
        max_minutes: stop and save after this time of this invocation; 0 for never.
        log_every: steps between two log lines; each holds the means since the last.
        sample_every: steps between two sample pictures.
        evaluate_every: steps between two evaluations.
        checkpoint_every: steps between two checkpoints.
        max_to_keep: how many of the newest checkpoints stay, the best one aside.
        max_skipped_in_a_row: stop after so many steps without finite gradients.
        resume: "auto" goes on if it can, "no" starts anew, "must" refuses to.
    """

    num_steps: int = 0
    max_minutes: float = 0.0
    log_every: int = 50
    sample_every: int = 1000
    evaluate_every: int = 1000
    checkpoint_every: int = 1000
    max_to_keep: int = 3
    max_skipped_in_a_row: int = 20
    resume: str = "auto"


@dataclasses.dataclass(frozen=True)
class RunResult:
    """How a run ended.

    Attributes:
        state: the last state; it is saved.
        step: the last step.
        reason: "finished", "max_minutes", "sigterm" or "sigint".
        last_metrics: the newest log line's numbers and the newest evaluation's.
        best_metric: the lowest score of an evaluation, None without one.
        seconds: how long this invocation trained.
    """

    state: Any
    step: int
    reason: str
    last_metrics: dict[str, float]
    best_metric: float | None
    seconds: float


def run(
    state: Any,
    step_fn: Callable[[Any, Any], tuple[Any, Mapping[str, jax.Array]]],
    iterator: Any,
    *,
    config: LoopConfig,
    config_dict: Mapping[str, Any],
    workdir: str | os.PathLike,
    checkpointer: Checkpointer,
    writer: Writer,
    evaluate_fn: Callable[[Any], Mapping[str, float]] | None = None,
    sample_fn: Callable[[Any], Mapping[str, np.ndarray]] | None = None,
    place_batch: Callable[[Any], Any] = lambda batch: batch,
) -> RunResult:
    """Returns how the training ended, after resuming, training and saving it.

    Args:
        state: the initial state, also the template to restore into; has `step`.
        step_fn: state and placed batch to new state and scalar metrics; may donate
            the state.
        iterator: `next` gives a batch, `get_state` and `set_state` its position.
        config: when to do what.
        config_dict: everything that shapes the training, JSON-able, saved with every
            checkpoint; a resumed run must bring the same, fields of `LoopConfig` and
            `workdir` aside.
        workdir: gets `summary.json`.
        checkpointer: where the run is saved; the caller closes it.
        writer: where it reports; the caller closes it.
        evaluate_fn: state to numbers; `score` (lower is better) decides the best.
        sample_fn: state to pictures by name, float `h w c` in [0, 1].
        place_batch: puts this process's rows of a batch on its devices.

    Returns:
        How it ended; the state is saved and `summary.json` written by then.

    Raises:
        TrainingStopped: too many steps in a row had no finite gradients.
        ValueError: the run cannot be resumed, or must not be started here.
        FileNotFoundError: nothing to resume where it must be.
    """
    checks.check_choice(config.resume, choices=RESUME_CHOICES, name="resume")
    state = resume(
        state,
        iterator,
        config=config,
        config_dict=config_dict,
        workdir=workdir,
        checkpointer=checkpointer,
        writer=writer,
    )
    session = _Session(config, config_dict, workdir, checkpointer, writer)
    session.evaluate_fn, session.sample_fn = evaluate_fn, sample_fn
    with catch_signals() as caught:
        state, step, reason = session.train(
            state, step_fn, iterator, place_batch, caught
        )
        return session.finish(state, step, reason)


def resume(
    state: Any,
    iterator: Any,
    *,
    config: LoopConfig,
    config_dict: Mapping[str, Any],
    workdir: str | os.PathLike,
    checkpointer: Checkpointer,
    writer: Writer,
) -> Any:
    """Returns the state to go on from: the newest whole checkpoint's, or the given.

    The iterator is set to the position saved with it and the log is cut to its step.

    Args:
        state: the initial state, also the template.
        iterator: its `set_state` is called if a checkpoint is found.
        config: its `resume` says what is wanted.
        config_dict: must agree with the saved one, see `config_differences`.
        workdir: must hold no run if `resume` is "no".
        checkpointer: where to look.
        writer: told to forget later steps.

    Returns:
        A state like the one given.

    Raises:
        ValueError: `resume` is "no" and a run is there, or the configs differ.
        FileNotFoundError: `resume` is "must" and no checkpoint is there.
    """
    if config.resume == "no":
        refuse_run(workdir)
        return state
    restored = checkpointer.restore(
        state, check_config=lambda saved: _check_config(saved, config_dict, writer)
    )
    if restored is None and config.resume == "must":
        raise FileNotFoundError(
            f"expected a finished checkpoint in {checkpointer.directory} to resume "
            "from, found none; start the run with --resume=auto"
        )
    writer.truncate(restored.step if restored else 0)
    if restored is None:
        return state
    iterator.set_state(restored.data_state)
    writer.write_message(
        f"resumed at step {restored.step} from {checkpointer.directory}"
    )
    return restored.state


def refuse_run(workdir: str | os.PathLike) -> None:
    """Raises if a directory already holds a run that a new one would mix with.

    Args:
        workdir: the directory meant for a new run; it may not exist.

    Raises:
        ValueError: it holds checkpoints, a log, events, samples or a summary.
    """
    workdir = pathlib.Path(workdir)
    traces = [f"checkpoints/{step}" for step in _saved_steps(workdir)]
    for name in ("log.jsonl", "events", "samples", "summary.json"):
        path = workdir / name
        if path.is_file() or (path.is_dir() and any(path.iterdir())):
            traces.append(name)
    if traces:
        raise ValueError(
            f"{workdir} already holds a run ({', '.join(traces[:4])}); continue it "
            "with --resume=auto or choose another --workdir"
        )


def config_differences(
    saved: Mapping[str, Any], current: Mapping[str, Any]
) -> tuple[list[str], list[str]]:
    """Returns how two configs differ: changed fields, and fields only one of them has.

    Fields of `LoopConfig` and `workdir` are left out wherever they stand, for they
    do not change what is trained.

    Args:
        saved: the config in a checkpoint; nested dictionaries are compared by path.
        current: the config of this run.

    Returns:
        Phrases like `ngf 64 -> 32`, and names.
    """
    saved, current = (_flatten(json.loads(json.dumps(c))) for c in (saved, current))
    both = [name for name in saved if name in current]
    changed = [
        f"{n} {saved[n]} -> {current[n]}" for n in both if saved[n] != current[n]
    ]
    return changed, sorted(saved.keys() ^ current.keys())


@contextlib.contextmanager
def catch_signals():
    """Yields a list that receives the name of SIGTERM or SIGINT instead of its blow.

    A second signal acts as usual. With several processes, and outside the main
    thread, nothing is caught: there `jax.distributed` watches for preemption.
    """
    caught: list[str] = []
    alone = threading.current_thread() is threading.main_thread()
    if jax.process_count() > 1 or not alone:
        yield caught
        return
    watched = (signal.SIGTERM, signal.SIGINT)
    former = {number: signal.getsignal(number) for number in watched}

    def note(number, _):
        caught.append(signal.Signals(number).name.lower())
        for each, handler in former.items():
            signal.signal(each, handler)

    for number in watched:
        signal.signal(number, note)
    try:
        yield caught
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


class _Session:
    """One invocation of the loop: what it has seen so far and when it began."""

    def __init__(self, config, config_dict, workdir, checkpointer, writer):
        self.config = config
        self.config_dict = dict(config_dict)
        self.workdir = pathlib.Path(workdir)
        self.checkpointer = checkpointer
        self.writer = writer
        self.evaluate_fn = self.sample_fn = None
        self.data_state: dict = {}
        self.last_metrics: dict[str, float] = {}
        best = checkpointer.best()
        self.best_metric = best[1] if best else None
        self.began = time.monotonic()
        self.num_trained = 0
        self.num_images = 0
        self.scores: dict[int, float | None] = {}
        self.window = _Window()

    def train(self, state, step_fn, iterator, place_batch, caught):
        """Returns the last state, its step and why the loop ended."""
        step = int(jax.device_get(state.step))
        self.data_state = iterator.get_state()
        pending = None
        reason = "finished"
        while not self.config.num_steps or step < self.config.num_steps:
            batch = place_batch(next(iterator))
            self.data_state = iterator.get_state()
            self.num_images = jax.tree.leaves(batch)[0].shape[0]
            state, metrics = step_fn(state, batch)
            step += 1
            self.num_trained += 1
            self._read(step - 1, pending)
            pending = metrics
            stop = self._stop_reason(step, caught)
            if stop or self._is_due(step):
                self._read(step, pending)
                pending = None
                self._act(step, state)
            if stop:
                reason = stop
                break
        self._read(step, pending)
        return state, step, reason

    def finish(self, state, step, reason) -> RunResult:
        """Returns the result after a last evaluation, a last save and the summary."""
        if reason in ("finished", "max_minutes") and self.num_trained:
            self._evaluate(step, state)
        self._save(step, state)
        self.checkpointer.wait()
        seconds = time.monotonic() - self.began
        result = RunResult(
            state, step, reason, dict(self.last_metrics), self.best_metric, seconds
        )
        self._summarise(result)
        return result

    def _due(self, step: int, name: str) -> bool:
        every = getattr(self.config, name)
        return every > 0 and step % every == 0

    def _is_due(self, step: int) -> bool:
        names = ("sample_every", "evaluate_every", "checkpoint_every")
        return any(self._due(step, name) for name in names)

    def _act(self, step: int, state: Any) -> None:
        """Samples, evaluates and saves, as far as this step is the time for it."""
        began = time.monotonic()
        if self.sample_fn is not None and self._due(step, "sample_every"):
            for name, image in self.sample_fn(state).items():
                self.writer.write_image(step, name, image)
        former = self.best_metric
        if self._due(step, "evaluate_every"):
            self._evaluate(step, state)
        improved = self.best_metric != former
        healthy = not self.last_metrics.get("skipped_in_a_row")
        if healthy and (improved or self._due(step, "checkpoint_every")):
            self._save(step, state)
        self.window.paused += time.monotonic() - began

    def _save(self, step: int, state: Any) -> None:
        """Saves with the score of this very step, where it was evaluated."""
        self.checkpointer.save(
            step,
            state,
            data_state=self.data_state,
            config=self.config_dict,
            metric=self.scores.get(step),
        )

    def _evaluate(self, step: int, state: Any) -> None:
        """Evaluates once a step and keeps the best score."""
        if self.evaluate_fn is None or step in self.scores:
            return
        values = {n: float(v) for n, v in self.evaluate_fn(state).items()}
        self.writer.write_scalars(step, values, kind="evaluation")
        self.last_metrics |= {f"evaluation/{n}": v for n, v in values.items()}
        score = values.get("score")
        self.scores = {step: score}
        if score is not None and math.isfinite(score):
            if self.best_metric is None or score < self.best_metric:
                self.best_metric = score

    def _read(self, step: int, metrics: Mapping[str, jax.Array] | None) -> None:
        """Fetches the metrics of a step, logs the window, stops on endless skips."""
        if metrics is None:
            return
        values = {n: float(v) for n, v in jax.device_get(dict(metrics)).items()}
        self.window.add(values)
        self.last_metrics |= values
        skipped = int(values.get("skipped_in_a_row", 0))
        if 0 < self.config.max_skipped_in_a_row <= skipped:
            self._give_up(step, skipped)
        if self._due(step, "log_every") or step == self.config.num_steps:
            self._log(step)

    def _log(self, step: int) -> None:
        """Writes the means of the window, shows the progress, opens a new window."""
        speed = self.window.num_steps / max(self.window.seconds(), 1e-9)
        means = self.window.means()
        self.last_metrics |= means
        speeds = {
            "steps_per_second": speed,
            "images_per_second": speed * self.num_images,
        }
        self.writer.write_scalars(step, means | speeds)
        progress = Progress(
            step, num_steps=self.config.num_steps, values=means, **speeds
        )
        self.writer.show_progress(progress)
        self.window = _Window()

    def _give_up(self, step: int, skipped: int) -> None:
        """Ends the run for want of finite gradients; nothing is saved any more."""
        self.checkpointer.wait()
        steps = self.checkpointer.steps()
        last = f"checkpoint {steps[-1]}" if steps else "no checkpoint yet"
        raise TrainingStopped(
            f"stopped at step {step}: {skipped} steps in a row had losses or gradients "
            f"that are not finite; last good state: {last} in "
            f"{self.checkpointer.directory}; lower the learning rate or the weights"
        )

    def _stop_reason(self, step: int, caught: list[str]) -> str | None:
        """Returns why to stop after this step, the same on every process, or None."""
        late = 0 < self.config.max_minutes * 60 <= time.monotonic() - self.began
        if jax.process_count() == 1:
            return caught[0] if caught else ("max_minutes" if late else None)
        if multihost_utils.reached_preemption_sync_point(step):
            return "sigterm"
        if self.config.max_minutes and step % max(self.config.log_every, 1) == 0:
            if multihost_utils.broadcast_one_to_all(np.bool_(late)):
                return "max_minutes"
        return None

    def _summarise(self, result: RunResult) -> None:
        """Writes `summary.json` and says the final line."""
        if jax.process_index() != 0:
            return
        speed = self.num_trained / max(result.seconds, 1e-9)
        best = self.checkpointer.best()
        summary = {
            "reason": result.reason,
            "step": result.step,
            "num_trained": self.num_trained,
            "seconds": round(result.seconds, 3),
            "steps_per_second": round(speed, 4),
            "images_per_second": round(speed * self.num_images, 4),
            "best_step": best[0] if best else None,
            "best_metric": result.best_metric,
            "checkpoints": self.checkpointer.steps(),
            "last_metrics": {
                n: v if math.isfinite(v) else None
                for n, v in result.last_metrics.items()
            },
        }
        self.workdir.mkdir(parents=True, exist_ok=True)
        text = json.dumps(summary, indent=1) + "\n"
        manifest.write_atomically(self.workdir / "summary.json", text)
        scored = f", best score {best[1]:.4g} at step {best[0]}" if best else ""
        self.writer.write_message(
            f"{result.reason} at step {result.step}: {self.num_trained} steps in "
            f"{result.seconds:.1f} s, {speed:.2f} steps/s{scored}; saved in "
            f"{self.checkpointer.directory}"
        )


class _Window:
    """The metrics since the last log line and the time they took."""

    def __init__(self):
        self.began = time.monotonic()
        self.paused = 0.0
        self.num_steps = 0
        self._values: dict[str, list[float]] = {}

    def add(self, values: Mapping[str, float]) -> None:
        """Takes in the metrics of one step."""
        self.num_steps += 1
        for name, value in values.items():
            self._values.setdefault(name, []).append(value)

    def seconds(self) -> float:
        """Returns the time spent training, without samples, evaluations and saves."""
        return time.monotonic() - self.began - self.paused

    def means(self) -> dict[str, float]:
        """Returns the mean of the finite values by name; of counters the last one."""
        means = {}
        for name, values in self._values.items():
            finite = [v for v in values if math.isfinite(v)]
            if name in COUNTERS:
                means[name] = values[-1]
            else:
                means[name] = sum(finite) / len(finite) if finite else math.nan
        return means


def _check_config(saved: dict, current: Mapping[str, Any], writer: Writer) -> None:
    """Refuses a config that differs; fields of another version are only mentioned."""
    changed, unknown = config_differences(saved, current)
    if changed:
        raise ValueError(
            f"the checkpoint was saved with another config: {', '.join(changed)}; "
            "use the saved values or choose another --workdir"
        )
    if unknown:
        writer.write_message(
            "note: only one of the saved and the present config has "
            f"{', '.join(unknown)}"
        )


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns the values of nested dictionaries by slash path, loop fields left out."""
    loop_fields = {field.name for field in dataclasses.fields(LoopConfig)}
    flat = {}
    for name, value in tree.items():
        if name in loop_fields | {"workdir"}:
            continue
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{name}/")
        else:
            flat[prefix + name] = value
    return flat


def _saved_steps(workdir: pathlib.Path) -> list[int]:
    return manifest.step_directories(workdir / "checkpoints")
