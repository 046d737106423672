"""The training loop: when to step, log, sample, evaluate, save and stop.

It knows no method: a state, a step function and an iterator come in. The metrics of
a step are read while the next one runs, so the device never waits for the log.
"""

import dataclasses
import math
import os
import pathlib
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from stylejax.train import stopping
from stylejax.train.checkpoint import Checkpointer
from stylejax.train.progress import Progress, Writer
from stylejax.train.result import RunResult, write_summary
from stylejax.train.resume import ResumeChoice, Run, resume
from stylejax.train.stopping import TrainingStopped
from stylejax.train.stopwatch import Stopwatch

COUNTERS = ("learning_rate", "skipped_in_a_row", "skipped_total")
SHOW_SECONDS = 0.5


@dataclasses.dataclass(frozen=True)
class LoopConfig:
    """When the loop does what; every cadence is in steps and 0 switches it off.

    Attributes:
        num_steps: the step after which training is finished.
        max_minutes: stop and save after this time of this invocation; 0 for never.
        log_every: steps between two log lines; each holds the means since the last.
        sample_every: steps between two sample pictures.
        evaluate_every: steps between two evaluations.
        evaluate_features: VGG that judges evaluations beside the pixels, a name or a
            file; empty for none.
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
    evaluate_features: str = "vgg16"
    checkpoint_every: int = 1000
    max_to_keep: int = 3
    max_skipped_in_a_row: int = 20
    resume: ResumeChoice = "auto"


MAY_DIFFER = {field.name for field in dataclasses.fields(LoopConfig)} | {"workdir"}


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
            checkpoint; a resumed run must bring the same, `MAY_DIFFER` aside.
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
    if config.num_steps <= 0 and config.max_minutes <= 0:
        raise ValueError(
            "expected num_steps or max_minutes above 0 so that training ends, got "
            f"{config.num_steps} and {config.max_minutes}; set one of them"
        )
    pieces = Run(config_dict, pathlib.Path(workdir), checkpointer, writer)
    with stopping.catch_signals() as caught:
        state = resume(state, iterator, pieces, choice=config.resume, ignore=MAY_DIFFER)
        session = _Session(config, pieces, evaluate_fn, sample_fn)
        state, step, reason = session.train(
            state, step_fn, iterator, place_batch, caught
        )
        return session.finish(state, step, reason)


class _Session:
    """One invocation of the loop: what it has seen so far and when it began."""

    def __init__(
        self,
        config: LoopConfig,
        pieces: Run,
        evaluate_fn: Callable[[Any], Mapping[str, float]] | None,
        sample_fn: Callable[[Any], Mapping[str, np.ndarray]] | None,
    ):
        self.config = config
        self.pieces = pieces
        self.evaluate_fn = evaluate_fn
        self.sample_fn = sample_fn
        self.data_state: dict = {}
        self.last_metrics: dict[str, float] = {}
        self.scores: dict[int, float | None] = {}
        best = pieces.checkpointer.best()
        self.best_metric = best[1] if best else None
        self.save_owed = False
        self.began = time.monotonic()
        self.shown = -math.inf
        self.num_trained = 0
        self.num_images = 0
        self.clock = Stopwatch()
        self.window: dict[str, list[float]] = {}

    def train(self, state, step_fn, iterator, place_batch, caught):
        """Returns the last state, its step and why the loop ended."""
        step = int(jax.device_get(state.step))
        self.data_state = iterator.get_state()
        unread = None
        reason = "finished"
        while not self.config.num_steps or step < self.config.num_steps:
            batch = place_batch(next(iterator))
            self.data_state = iterator.get_state()
            self.num_images = jax.tree.leaves(batch)[0].shape[0]
            state, metrics = step_fn(state, batch)
            step += 1
            self.num_trained += 1
            self._read(step - 1, unread)
            unread = metrics
            stop = self._stop_reason(step, caught)
            if stop or self._is_due(step):
                self._read(step, unread)
                unread = None
                with self.clock.pause():
                    self._act(step, state)
            if stop:
                reason = stop
                break
        self._read(step, unread)
        if self.window:
            self._log(step)
        return state, step, reason

    def finish(self, state, step, reason) -> RunResult:
        """Returns the result after a last evaluation, a last save and the summary."""
        if reason in ("finished", "max_minutes") and self.num_trained:
            self._evaluate(step, state)
        self._save(step, state)
        self.pieces.checkpointer.wait()
        speed = self.clock.overall_speed()
        result = RunResult(
            state=state,
            step=step,
            reason=reason,
            last_metrics=dict(self.last_metrics),
            best_metric=self.best_metric,
            seconds=time.monotonic() - self.began,
            num_trained=self.num_trained,
            steps_per_second=speed,
            images_per_second=speed * self.num_images,
        )
        if jax.process_index() == 0:
            write_summary(result, self.pieces)
        return result

    def _due(self, step: int, name: str) -> bool:
        every = getattr(self.config, name)
        return every > 0 and step % every == 0

    def _is_due(self, step: int) -> bool:
        names = ("sample_every", "evaluate_every", "checkpoint_every")
        return self.save_owed or any(self._due(step, name) for name in names)

    def _act(self, step: int, state: Any) -> None:
        """Samples, evaluates and saves, as far as this step is the time for it.

        A save that falls on a skipped step waits for the next good one.
        """
        if self.sample_fn is not None and self._due(step, "sample_every"):
            for name, image in self.sample_fn(state).items():
                self.pieces.writer.write_image(step, name, image)
        former = self.best_metric
        if self._due(step, "evaluate_every"):
            self._evaluate(step, state)
        if self.best_metric != former or self._due(step, "checkpoint_every"):
            self.save_owed = True
        if self.save_owed and not self.last_metrics.get("skipped_in_a_row"):
            self._save(step, state)
            self.save_owed = False

    def _save(self, step: int, state: Any) -> None:
        """Saves with the score of this very step, where it was evaluated."""
        self.pieces.checkpointer.save(
            step,
            state,
            data_state=self.data_state,
            config=self.pieces.config_dict,
            metric=self.scores.get(step),
        )

    def _evaluate(self, step: int, state: Any) -> None:
        """Evaluates once a step and keeps the best score."""
        if self.evaluate_fn is None or step in self.scores:
            return
        values = {n: float(v) for n, v in self.evaluate_fn(state).items()}
        self.pieces.writer.write_scalars(step, values, kind="evaluation")
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
        self.clock.lap()
        self.last_metrics |= values
        for name, value in values.items() if self.config.log_every > 0 else ():
            self.window.setdefault(name, []).append(value)
        skipped = int(values.get("skipped_in_a_row", 0))
        if 0 < self.config.max_skipped_in_a_row <= skipped:
            self._give_up(step, skipped)
        if self._due(step, "log_every"):
            self._log(step)
        elif time.monotonic() - self.shown > SHOW_SECONDS:
            self._show(step)

    def _log(self, step: int) -> None:
        """Writes the means since the last line and opens a new window."""
        means = {name: _mean(name, values) for name, values in self.window.items()}
        self.window = {}
        self.last_metrics |= means
        speed = self.clock.speed()
        speeds = {
            "steps_per_second": speed,
            "images_per_second": speed * self.num_images,
        }
        self.pieces.writer.write_scalars(step, means | speeds)
        self._show(step)

    def _show(self, step: int) -> None:
        """Shows how far the run is and how long it still takes."""
        speed = self.clock.speed()
        left = []
        if self.config.num_steps and speed:
            left.append((self.config.num_steps - step) / speed)
        if self.config.max_minutes:
            left.append(self.config.max_minutes * 60 + self.began - time.monotonic())
        progress = Progress(
            step,
            num_steps=self.config.num_steps,
            steps_per_second=speed,
            images_per_second=speed * self.num_images,
            seconds_left=max(min(left), 0.0) if left else None,
            values=self.last_metrics,
        )
        self.pieces.writer.show_progress(progress)
        self.shown = time.monotonic()

    def _give_up(self, step: int, skipped: int) -> None:
        """Ends the run for want of finite gradients; nothing is saved any more."""
        checkpointer = self.pieces.checkpointer
        checkpointer.wait()
        steps = checkpointer.steps()
        last = f"checkpoint {steps[-1]}" if steps else "no checkpoint yet"
        raise TrainingStopped(
            f"stopped at step {step}: {skipped} steps in a row had losses or gradients "
            f"that are not finite; last good state: {last} in "
            f"{checkpointer.directory}; try a lower learning rate in another --workdir"
        )

    def _stop_reason(self, step: int, caught: list[str]) -> str | None:
        """Returns why to stop after this step, the same on every process, or None."""
        seconds = self.config.max_minutes * 60
        return stopping.stop_reason(
            step,
            caught=caught,
            is_late=0 < seconds <= time.monotonic() - self.began,
            is_time_to_ask=seconds > 0 and step % max(self.config.log_every, 1) == 0,
        )


def _mean(name: str, values: list[float]) -> float:
    """Returns the mean of the finite values; of a counter the last value."""
    finite = [value for value in values if math.isfinite(value)]
    if name in COUNTERS:
        return values[-1]
    return sum(finite) / len(finite) if finite else math.nan
