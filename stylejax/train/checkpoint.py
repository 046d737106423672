"""Checkpoints of a training: saved in the background, verified, kept and restored.

The only door to orbax. A checkpoint is one directory per step holding the whole
training state, the position in the data and the config. Orbax writes and commits it
asynchronously; a thread then adds a SHA-256 manifest (see `manifest.py`), and only a
checkpoint with a manifest counts. Whatever a killed process left half-done is removed
before the same step is written again.

With several processes all of them must call `save` and `restore` on one shared file
system; process 0 alone verifies, writes manifests and deletes.
"""

import contextlib
import dataclasses
import math
import os
import pathlib
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from stylejax.train import checkpoint_files, empty_leaves, manifest
from stylejax.train.checkpoint_files import CheckpointError, print_report
from stylejax.train.stopping import agree


@dataclasses.dataclass(frozen=True)
class Restored:
    """What a checkpoint held.

    Attributes:
        step: the training step after which it was saved.
        state: the whole state, placed like the template it was restored into.
        data_state: the position of the batch last consumed.
        config: the config the run was started with.
    """

    step: int
    state: Any
    data_state: dict
    config: dict


class Checkpointer:
    """Saves and restores the checkpoints of one run, one directory per step.

    Args:
        directory: where the step directories live; created by the first save.
        max_to_keep: how many of the newest finished checkpoints stay.
        keep_best: whether the one with the best metric stays as well.
        best_mode: "min" if a lower metric is better, "max" if a higher one is.
        on_report: called with one line whenever something is amiss but survivable.

    Raises:
        ValueError: an option is out of range.
    """

    def __init__(
        self,
        directory: str | os.PathLike,
        *,
        max_to_keep: int = 3,
        keep_best: bool = True,
        best_mode: str = "min",
        on_report: Callable[[str], None] = print_report,
    ):
        if max_to_keep < 1:
            raise ValueError(f"expected max_to_keep of at least 1, got {max_to_keep}")
        if best_mode not in ("min", "max"):
            raise ValueError(f"expected best_mode min or max, got {best_mode!r}")
        self.directory = pathlib.Path(directory).absolute()
        self.on_report = on_report
        self._max_to_keep = max_to_keep
        self._keep_best = keep_best
        self._best_mode = best_mode
        self._manager: Any = None
        self._lock: Any = None
        self._thread: threading.Thread | None = None
        self._failure: Exception | None = None
        self._current: int | None = None

    def __enter__(self) -> "Checkpointer":
        return self

    def __exit__(self, *unused) -> None:
        self.close()

    def steps(self) -> list[int]:
        """Returns the steps of all finished checkpoints, in ascending order.

        Finished means that a readable manifest is there; its files are not compared.
        """
        return sorted(self._finished())

    def best(self) -> tuple[int, float] | None:
        """Returns step and metric of the best finished checkpoint, or None.

        Steps later than the one restored do not count.
        """
        present = self._finished()
        limit = max(present, default=0) if self._current is None else self._current
        past = {step: metric for step, metric in present.items() if step <= limit}
        return checkpoint_files.best_step(past, mode=self._best_mode)

    def save(
        self,
        step: int,
        state: Any,
        *,
        data_state: Mapping[str, Any],
        config: Mapping[str, Any],
        metric: float | None = None,
        wait: bool = False,
    ) -> bool:
        """Returns whether a save was started: False if this run holds the step already.

        The state may be donated or changed as soon as this returns; files, manifest
        and the removal of old checkpoints follow in the background.

        Args:
            step: the training step just done.
            state: a pytree of arrays.
            data_state: JSON-able, the same on every process.
            config: JSON-able.
            metric: the score of this state, for choosing the best one.
            wait: return only when the checkpoint is finished.

        Raises:
            CheckpointError: this save or the one before it could not be written.
        """
        self.wait()
        if step == self._current:
            return False
        self.open()
        self._discard(step)
        items = ocp.args.Composite(
            state=ocp.args.StandardSave(empty_leaves.without_empty(state)),
            data_state=ocp.args.JsonSave(dict(data_state)),
            config=ocp.args.JsonSave(dict(config)),
        )
        self._current = step
        try:
            self._manager.save(step, args=items, force=True)
        except OSError as error:
            self._failure = error
        else:
            self._thread = threading.Thread(
                target=self._finish, args=(step, metric), name=f"checkpoint-{step}"
            )
            self._thread.start()
        if wait:
            self.wait()
        return True

    def restore(
        self,
        template: Any,
        *,
        step: int | str | None = "latest",
        check_config: Callable[[dict], None] | None = None,
    ) -> Restored | None:
        """Returns the checkpoint asked for, or None if no finished one exists.

        Damaged checkpoints are reported in one line each; for "latest" the one
        before is used.

        Args:
            template: a pytree of arrays or `jax.ShapeDtypeStruct`s with the shapes,
                types and shardings wanted.
            step: a number, "latest" (or None) or "best".
            check_config: called with the saved config before the state is read; may
                raise to refuse it.

        Returns:
            The restored leaves bit for bit, with the shardings of the template.

        Raises:
            CheckpointError: checkpoints exist but none is whole, the step asked for
                is missing or damaged, or the state has another structure.
        """
        self.wait()
        self.open()
        chosen = agree(lambda: self._choose(step))
        if chosen is None:
            return None
        path = self.directory / str(chosen)
        config = _read_json(path / "config")
        if check_config is not None:
            check_config(config)
        items = ocp.args.Composite(
            state=ocp.args.StandardRestore(
                empty_leaves.abstract(empty_leaves.without_empty(template))
            ),
            data_state=ocp.args.JsonRestore(),
        )
        try:
            found = self._manager.restore(chosen, args=items)
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(
                f"checkpoint {path} does not fit this state: {_first_line(error)}"
            ) from error
        self._current = chosen
        state = empty_leaves.with_empty(found.state, template)
        return Restored(chosen, state, found.data_state, config)

    def wait(self) -> None:
        """Blocks until the checkpoint being saved, if any, is finished.

        Raises:
            CheckpointError: it could not be written.
        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        error, self._failure = self._failure, None
        if error is not None:
            step, self._current = self._current, None
            self._drop_manager()
            raise CheckpointError(
                f"checkpoint {self.directory / str(step)} could not be written: "
                f"{_first_line(error)}; free space or mend the directory, then go on "
                "with --resume=auto"
            ) from error

    def open(self) -> None:
        """Takes hold of the directory: creates, locks and tidies it. Once is enough.

        `save` and `restore` do so themselves.

        Raises:
            CheckpointError: another training is writing there.
        """
        if self._manager is not None:
            return
        if jax.process_index() == 0 and self._lock is None:
            self._lock = checkpoint_files.lock_directory(self.directory)
            checkpoint_files.delete_leftovers(self.directory)
        options = ocp.CheckpointManagerOptions(
            max_to_keep=None, enable_async_checkpointing=True
        )
        self._manager = ocp.CheckpointManager(self.directory, options=options)

    def close(self) -> None:
        """Waits for the last save, then lets go of the directory."""
        try:
            self.wait()
        finally:
            self._drop_manager()
            lock, self._lock = self._lock, None
            if lock is not None:
                lock.release()

    def _drop_manager(self) -> None:
        """Closes the manager; one whose save failed fails again, which is known."""
        manager, self._manager = self._manager, None
        if manager is not None:
            with contextlib.suppress(Exception):
                manager.close()

    def _discard(self, step: int) -> None:
        """Removes what an earlier process left of a step about to be written."""
        if jax.process_index() == 0:
            checkpoint_files.delete_step(self.directory, step)
        ocp.multihost.sync_global_processes(f"stylejax-discard-{step}")
        self._manager.reload()

    def _finish(self, step: int, metric: float | None) -> None:
        """Waits for orbax, then writes the manifest and removes old checkpoints."""
        try:
            self._manager.wait_until_finished()
            if jax.process_index() == 0:
                if metric is not None and not math.isfinite(metric):
                    metric = None
                path = self.directory / str(step)
                manifest.write_manifest(path, step=step, metric=metric)
                checkpoint_files.retain(
                    self.directory,
                    newest=step,
                    max_to_keep=self._max_to_keep,
                    best_mode=self._best_mode if self._keep_best else None,
                    on_report=self.on_report,
                )
        except Exception as error:  # handed to the caller of the next `wait`
            self._failure = error

    def _finished(self) -> dict[int, float | None]:
        return checkpoint_files.finished_steps(self.directory)

    def _choose(self, step: int | str | None) -> int | None:
        """Returns the step to restore, its files compared with its manifest."""
        if step == "best":
            best = self.best()
            step = best[0] if best is not None else "latest"
        if isinstance(step, int):
            return checkpoint_files.whole_step(self.directory, step)
        return checkpoint_files.newest_whole_step(
            self.directory, on_report=self.on_report
        )


def read_config(directory: str | os.PathLike, *, step: int | None = None) -> dict:
    """Returns the config a run was started with, from its newest whole checkpoint.

    Args:
        directory: a working directory, its `checkpoints` folder, or one step in it.
        step: another step than the newest.

    Returns:
        The dictionary that was given to `Checkpointer.save`.

    Raises:
        FileNotFoundError: no finished checkpoint is there.
        CheckpointError: the step asked for is missing or damaged.
    """
    folder, step = checkpoint_files.locate(directory, step)
    return _read_json(folder / str(step) / "config")


def restore_params(
    directory: str | os.PathLike,
    *,
    step: int | str | None = None,
    names: Sequence[str] = ("generator_params", "ema_params"),
) -> dict[str, Any]:
    """Returns parts of a saved state as nested dictionaries, without a template.

    Nothing in the directory is changed, so a running training may own it.

    Args:
        directory: a working directory, its `checkpoints` folder, or one step in it.
        step: a number, "best", or None for the newest whole one.
        names: the fields of the state to read; those it does not have are left out.

    Returns:
        Dictionary from field to nested dictionaries of NumPy arrays.

    Raises:
        FileNotFoundError: no finished checkpoint is there.
        CheckpointError: the step asked for is missing or damaged.
    """
    folder, step = checkpoint_files.locate(directory, step)
    path = folder / str(step) / "state"
    reader = ocp.PyTreeCheckpointHandler()
    try:
        tree = reader.metadata(path).tree
        wanted = {name: tree[name] for name in names if name in tree}
        as_numpy = jax.tree.map(
            lambda _: ocp.RestoreArgs(restore_type=np.ndarray), wanted
        )
        items = ocp.args.PyTreeRestore(
            item=wanted, restore_args=as_numpy, partial_restore=True
        )
        return reader.restore(path, args=items)
    finally:
        reader.close()


def _read_json(path: pathlib.Path) -> dict:
    """Returns a dictionary that was saved as one JSON item."""
    reader = ocp.JsonCheckpointHandler()
    try:
        return reader.restore(path)
    finally:
        reader.close()


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
