"""Checkpoints of a training: saved in the background, verified, kept and restored.

The only door to orbax. A checkpoint is one directory per step holding the whole
training state, the position in the data and the config. Orbax writes and commits it
asynchronously; a thread then adds a SHA-256 manifest (see `manifest.py`), and only a
checkpoint with a manifest counts. Whatever a killed process left half-done is removed
before the same step is written again.

With several processes all of them must call `save` and `restore` on one shared file
system; process 0 alone verifies, writes manifests and deletes.
"""

import dataclasses
import math
import os
import pathlib
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import filelock
import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils
from jax.sharding import SingleDeviceSharding

from stylejax.train import manifest

TEMPORARY_MARK = ".orbax-checkpoint-tmp"
DELETED_MARK = f"{TEMPORARY_MARK}-deleted"
LOCK_NAME = ".lock"


class CheckpointError(ValueError):
    """A checkpoint cannot be used or written; the message is one line."""


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
        on_report: Callable[[str], None] = print,
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
        self._manager: ocp.CheckpointManager | None = None
        self._lock: filelock.FileLock | None = None
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
        return sorted(manifest.finished_steps(self.directory))

    def best(self) -> tuple[int, float] | None:
        """Returns step and metric of the best finished checkpoint, or None."""
        return _best(manifest.finished_steps(self.directory), self._best_mode)

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
        manager = self._open()
        self._discard(step)
        items = ocp.args.Composite(
            state=ocp.args.StandardSave(_without_empty(state)),
            data_state=ocp.args.JsonSave(dict(data_state)),
            config=ocp.args.JsonSave(dict(config)),
        )
        try:
            manager.save(step, args=items, force=True)
        except OSError as error:
            raise _save_error(self.directory, step, error) from error
        self._current = step
        self._thread = threading.Thread(
            target=self._finish, args=(step, metric), name=f"finish-checkpoint-{step}"
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
        chosen = _agree(lambda: self._choose(step))
        if chosen is None:
            return None
        path = self.directory / str(chosen)
        config = _read_json(path / "config")
        if check_config is not None:
            check_config(config)
        manager = self._open()
        items = ocp.args.Composite(
            state=ocp.args.StandardRestore(_abstract(_without_empty(template))),
            data_state=ocp.args.JsonRestore(),
        )
        try:
            found = manager.restore(chosen, args=items)
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(
                f"checkpoint {path} does not fit this state: {_first_line(error)}"
            ) from error
        self._current = chosen
        state = _with_empty(found.state, template)
        return Restored(chosen, state, found.data_state, config)

    def wait(self) -> None:
        """Blocks until the checkpoint being saved, if any, is finished.

        Raises:
            CheckpointError: it could not be written.
        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def close(self) -> None:
        """Waits for the last save, then lets go of the directory."""
        try:
            self.wait()
        finally:
            if self._manager is not None:
                self._manager.close()
                self._manager = None
            if self._lock is not None:
                self._lock.release()
                self._lock = None

    def _open(self) -> ocp.CheckpointManager:
        """Returns the orbax manager; the first call locks and tidies the directory."""
        if self._manager is None:
            if jax.process_index() == 0:
                self.directory.mkdir(parents=True, exist_ok=True)
                self._lock = _lock(self.directory)
                for path in self.directory.glob(f"*{TEMPORARY_MARK}*"):
                    shutil.rmtree(path, ignore_errors=True)
            options = ocp.CheckpointManagerOptions(
                max_to_keep=None, enable_async_checkpointing=True
            )
            self._manager = ocp.CheckpointManager(self.directory, options=options)
        return self._manager

    def _discard(self, step: int) -> None:
        """Removes what an earlier process left of a step about to be written."""
        if jax.process_index() == 0:
            for path in self.directory.glob(f"{step}{TEMPORARY_MARK}*"):
                shutil.rmtree(path, ignore_errors=True)
            manifest.delete_step(self.directory, step, mark=DELETED_MARK)
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
                self._retain()
        except Exception as error:  # handed to the caller of the next `wait`
            self._current = None
            self._failure = _save_error(self.directory, step, error)

    def _retain(self) -> None:
        """Deletes every step directory but the last finished ones and the best."""
        keep = set(self.steps()[-self._max_to_keep :])
        best = self.best()
        if self._keep_best and best is not None:
            keep.add(best[0])
        for step in manifest.step_directories(self.directory):
            if step not in keep:
                manifest.delete_step(self.directory, step, mark=DELETED_MARK)

    def _choose(self, step: int | str | None) -> int | None:
        """Returns the step to restore, its files compared with its manifest."""
        if step == "best":
            best = self.best()
            step = best[0] if best is not None else "latest"
        if isinstance(step, int):
            return _whole_step(self.directory, step)
        return manifest.newest_whole_step(self.directory, on_report=self.on_report)


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
    folder, step = _locate(directory, step)
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
    folder, step = _locate(directory, step)
    path = folder / str(step) / "state"
    with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as reader:
        tree = reader.metadata(path).item_metadata.tree
        wanted = {name: tree[name] for name in names if name in tree}
        restore_args = jax.tree.map(
            lambda _: ocp.RestoreArgs(restore_type=np.ndarray), wanted
        )
        arguments = ocp.args.PyTreeRestore(
            item=wanted, restore_args=restore_args, partial_restore=True
        )
        return reader.restore(path, args=arguments)


def _locate(
    directory: str | os.PathLike, step: int | str | None
) -> tuple[pathlib.Path, int]:
    """Returns the folder of the checkpoints and a whole step in it."""
    folder = pathlib.Path(directory).absolute()
    if folder.name.isdigit() and (folder / manifest.MANIFEST_NAME).exists():
        folder, step = folder.parent, int(folder.name)
    elif (folder / "checkpoints").is_dir():
        folder = folder / "checkpoints"
    finished = manifest.finished_steps(folder)
    if step == "best":
        best = _best(finished, "min")
        step = best[0] if best is not None else None
    if step is None or step == "latest":
        step = manifest.newest_whole_step(folder)
        if step is None:
            raise FileNotFoundError(
                f"expected a finished checkpoint in {folder}, found none; give the "
                "working directory of a training that has saved at least once"
            )
        return folder, step
    return folder, _whole_step(folder, int(step))


def _whole_step(directory: pathlib.Path, step: int) -> int:
    """Returns `step` if that checkpoint is whole; refuses it otherwise."""
    present = manifest.step_directories(directory)
    damage = (
        manifest.find_damage(directory / str(step))
        if step in present
        else "there is no such step"
    )
    if damage:
        raise CheckpointError(
            f"checkpoint {directory / str(step)} cannot be used: {damage}; "
            f"steps here: {', '.join(map(str, present)) or 'none'}"
        )
    return step


def _best(finished: dict[int, float | None], mode: str) -> tuple[int, float] | None:
    """Returns step and metric of the best checkpoint, the earliest of equals."""
    sign = 1.0 if mode == "min" else -1.0
    scored = [(sign * m, step) for step, m in finished.items() if m is not None]
    if not scored:
        return None
    metric, step = min(scored)
    return step, sign * metric


def _agree(choose: Callable[[], int | None]) -> int | None:
    """Returns what process 0 chooses, on every process; its errors end all of them."""
    if jax.process_count() == 1:
        return choose()
    chosen, error = -1, None
    if jax.process_index() == 0:
        try:
            found = choose()
            chosen = -1 if found is None else found
        except ValueError as problem:
            chosen, error = -2, problem
    chosen = int(multihost_utils.broadcast_one_to_all(np.int32(chosen)))
    if error is not None:
        raise error
    if chosen == -2:
        raise CheckpointError("process 0 found no checkpoint that can be used")
    return None if chosen == -1 else chosen


def _lock(directory: pathlib.Path) -> filelock.FileLock | None:
    """Returns the lock that keeps a second training out of this directory."""
    lock = filelock.FileLock(directory / LOCK_NAME)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise CheckpointError(
            f"another training is writing to {directory}; wait for it to end or "
            "choose another working directory"
        ) from None
    except (OSError, NotImplementedError):
        return None  # a file system without locks
    return lock


def _read_json(path: pathlib.Path) -> dict:
    """Returns a dictionary that was saved as one JSON item."""
    with ocp.Checkpointer(ocp.JsonCheckpointHandler()) as reader:
        return reader.restore(path)


def _is_empty(leaf: Any) -> bool:
    return getattr(leaf, "size", 1) == 0


def _without_empty(tree: Any) -> Any:
    """Returns the tree with None for arrays of no elements, which orbax refuses."""
    return jax.tree.map(lambda leaf: None if _is_empty(leaf) else leaf, tree)


def _with_empty(restored: Any, template: Any) -> Any:
    """Returns the restored leaves in the structure of the template, empty ones too."""
    found = iter(jax.tree.leaves(restored))
    return jax.tree.map(
        lambda leaf: (
            jnp.zeros(leaf.shape, leaf.dtype) if _is_empty(leaf) else next(found)
        ),
        template,
    )


def _abstract(tree: Any) -> Any:
    """Returns shapes, types and shardings of a tree; its data stays untouched."""

    def describe(leaf):
        if not isinstance(leaf, jax.Array | jax.ShapeDtypeStruct):
            return leaf
        sharding = leaf.sharding or SingleDeviceSharding(jax.local_devices()[0])
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)

    return jax.tree.map(describe, tree)


def _save_error(directory: pathlib.Path, step: int, error: Exception) -> Exception:
    """Returns a one-line error for a save that went wrong."""
    return CheckpointError(
        f"checkpoint {directory / str(step)} could not be written: "
        f"{_first_line(error)}; free space or fix the directory, then run again with "
        "--resume=auto"
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
