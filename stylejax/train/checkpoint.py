"""Checkpoints of a training: saved in the background, verified, kept and restored.

A checkpoint is one directory per step with the whole training state, the position in
the data and the config. Orbax, imported here alone, writes it asynchronously; a thread
then adds a SHA-256 manifest, and only a checkpoint with a manifest counts. What a
killed process left half-done is removed before the same step is written again.

Of several processes, which share the directory, all must call `save` and `restore`;
process 0 alone verifies, writes manifests and deletes.
"""

import contextlib
import dataclasses
import os
import pathlib
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from stylejax import checks, trees
from stylejax.train import checkpoint_files, empty_leaves, manifest
from stylejax.train.checkpoint_files import CheckpointError, print_report
from stylejax.train.stopping import agree


@dataclasses.dataclass(frozen=True)
class Restored:
    """What a checkpoint held.

    Attributes:
        step: the training step after which it was saved.
        state: the whole state, placed like the template.
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
        checks.check_choice(best_mode, choices=("min", "max"), name="best_mode")
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
        """Returns the steps of all finished checkpoints, in ascending order."""
        return sorted(checkpoint_files.finished_steps(self.directory))

    def best(self) -> tuple[int, float] | None:
        """Returns step and metric of the best one up to the present step, or None."""
        present = checkpoint_files.finished_steps(self.directory)
        if self._current is not None:
            present = {s: m for s, m in present.items() if s <= self._current}
        return checkpoint_files.best_step(present, mode=self._best_mode)

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

        The state may be donated as soon as this returns; the rest of the work, with
        the manifest and the removal of old checkpoints, is done in the background.

        Args:
            step: the training step just done.
            state: a pytree of arrays.
            data_state: position in the data, JSON-able, the same on every process.
            config: what was trained, JSON-able.
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
        except (OSError, ValueError, RuntimeError) as error:
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

        For "latest" a damaged one is reported and the one before it used.

        Args:
            template: a pytree of arrays or `jax.ShapeDtypeStruct`s: what to restore.
            step: a number, "latest" (or None) or "best".
            check_config: may raise on seeing the saved config, before the state.

        Returns:
            The restored leaves bit for bit, with the shardings of the template.

        Raises:
            CheckpointError: what is there is damaged or has another structure.
        """
        self.wait()
        self.open()
        chosen = agree(
            lambda: checkpoint_files.choose_step(
                self.directory,
                step=step,
                best_mode=self._best_mode,
                on_report=self.on_report,
            )
        )
        if chosen is None:
            return None
        path = self.directory / str(chosen)
        config = _read_json(path / "config")
        if check_config is not None:
            check_config(config)
        wanted = empty_leaves.abstract(empty_leaves.without_empty(template))
        _check_structure(path, wanted)
        items = ocp.args.Composite(
            state=ocp.args.StandardRestore(wanted), data_state=ocp.args.JsonRestore()
        )
        found = self._manager.restore(chosen, args=items)
        self._current = chosen
        state = empty_leaves.with_empty(found.state, template)
        return Restored(chosen, state, found.data_state, config)

    def wait(self) -> None:
        """Blocks until the checkpoint being saved, if any, is finished.

        Raises:
            CheckpointError: it could not be written, and why.
        """
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()
        error, self._failure = self._failure, None
        if error is not None:
            step, self._current = self._current, None
            self._drop_manager()
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise CheckpointError(
                f"checkpoint {self.directory / str(step)} could not be written: "
                f"{reason}; free space or mend the directory, then use --resume=auto"
            ) from error

    def open(self) -> None:
        """Creates, locks and tidies the directory; `save` and `restore` do so too.

        Raises:
            CheckpointError: another training is writing there.
        """
        if self._manager is not None:
            return
        if jax.process_index() == 0 and self._lock is None:
            self._lock = checkpoint_files.lock_directory(self.directory)
            checkpoint_files.delete_leftovers(self.directory)
        options = ocp.CheckpointManagerOptions(enable_async_checkpointing=True)
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
            checkpoint_files.delete_leftovers(self.directory)
        ocp.multihost.sync_global_processes(f"stylejax-discard-{step}")
        self._manager.reload()

    def _finish(self, step: int, metric: float | None) -> None:
        """Waits for orbax, writes the manifest, removes old checkpoints."""
        try:
            self._manager.wait_until_finished()
            if jax.process_index() == 0:
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


def read_config(directory: str | os.PathLike, *, step: int | str | None = None) -> dict:
    """Returns the config a run was started with.

    Args:
        directory: as for `restore_params`.
        step: as for `restore_params`.

    Returns:
        The dictionary that was given to `Checkpointer.save`.

    Raises:
        FileNotFoundError: no finished checkpoint is there.
        CheckpointError: the step asked for is missing or damaged.
    """
    folder, step = checkpoint_files.locate(directory, step=step)
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
    folder, step = checkpoint_files.locate(directory, step=step)
    path = folder / str(step) / "state"
    with _tree_reader() as reader:
        tree = reader.metadata(path).tree
        wanted = {name: tree[name] for name in names if name in tree}
        as_numpy = jax.tree.map(
            lambda _: ocp.RestoreArgs(restore_type=np.ndarray), wanted
        )
        items = ocp.args.PyTreeRestore(
            item=wanted, restore_args=as_numpy, partial_restore=True
        )
        return reader.restore(path, args=items)


def _check_structure(path: pathlib.Path, wanted: Any) -> None:
    """Refuses a checkpoint whose leaves differ in name, shape or type."""
    with _tree_reader() as reader:
        saved = reader.metadata(path / "state").tree
    saved = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), saved)
    difference = trees.difference(wanted, saved, limit=3).splitlines()
    if difference:
        raise CheckpointError(
            f"checkpoint {path} does not fit this state: {'; '.join(difference)}"
        )


def _tree_reader() -> Any:
    """Returns, in a context, a reader of trees that needs no template."""
    return contextlib.closing(ocp.PyTreeCheckpointHandler())


def _read_json(path: pathlib.Path) -> dict:
    """Returns a dictionary that was saved as one JSON item."""
    with contextlib.closing(ocp.JsonCheckpointHandler()) as reader:
        return reader.restore(path)
