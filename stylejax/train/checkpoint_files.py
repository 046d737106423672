"""Which checkpoints a directory holds, which of them are whole, and who writes there.

A checkpoint is a directory named by its step. It is finished once it holds a manifest
and whole if every file agrees with it. Nothing here knows what the files mean.
"""

import os
import pathlib
import shutil
import sys
from collections.abc import Callable

import filelock

from stylejax.train import manifest

LOCK_NAME = ".lock"
TEMPORARY_MARK = ".orbax-checkpoint-tmp"
DELETED_MARK = f"{TEMPORARY_MARK}-deleted"


class CheckpointError(ValueError):
    """A checkpoint cannot be used or written; the message is one line."""


def print_report(text: str) -> None:
    """Prints one line to standard error.

    Args:
        text: what to tell the person.
    """
    print(text, file=sys.stderr, flush=True)


def step_directories(directory: str | os.PathLike) -> list[int]:
    """Returns the steps that have a directory here, finished or not, ascending.

    Args:
        directory: where a run keeps its checkpoints; it may not exist.

    Returns:
        Step numbers.
    """
    directory = pathlib.Path(directory)
    if not directory.is_dir():
        return []
    names = [path.name for path in directory.iterdir() if path.is_dir()]
    return sorted(int(n) for n in names if n.isdecimal() and str(int(n)) == n)


def finished_steps(directory: str | os.PathLike) -> dict[int, float | None]:
    """Returns the metric of every finished checkpoint by its step, ascending.

    Finished means that a readable manifest is there; files are not compared.

    Args:
        directory: where a run keeps its checkpoints; it may not exist.

    Returns:
        Dictionary from step to metric (None where it was saved without one).
    """
    found = {}
    for step in step_directories(directory):
        try:
            content = manifest.read_manifest(pathlib.Path(directory) / str(step))
        except (ValueError, OSError):
            continue
        found[step] = content["metric"]
    return found


def best_step(
    finished: dict[int, float | None], *, mode: str = "min"
) -> tuple[int, float] | None:
    """Returns step and metric of the best checkpoint, the earliest of equals, or None.

    Args:
        finished: metric by step, see `finished_steps`.
        mode: "min" if a lower metric is better, "max" if a higher one is.

    Returns:
        The pair, or None where no checkpoint has a metric.

    Example:
        >>> best_step({10: 0.5, 20: 0.25, 30: None})
        (20, 0.25)
    """
    sign = 1.0 if mode == "min" else -1.0
    scored = [(sign * m, step) for step, m in finished.items() if m is not None]
    if not scored:
        return None
    metric, step = min(scored)
    return step, sign * metric


def whole_step(directory: str | os.PathLike, step: int) -> int:
    """Returns `step` if that checkpoint is whole; refuses it otherwise.

    Args:
        directory: where a run keeps its checkpoints.
        step: the one wanted.

    Returns:
        The same number.

    Raises:
        CheckpointError: it is missing, unfinished or damaged.
    """
    path = pathlib.Path(directory) / str(step)
    present = step_directories(directory)
    damage = manifest.find_damage(path) if step in present else "it does not exist"
    if damage is not None:
        raise CheckpointError(
            f"checkpoint {path} cannot be used: {damage}; "
            f"steps here: {', '.join(map(str, present)) or 'none'}"
        )
    return step


def newest_whole_step(
    directory: str | os.PathLike, *, on_report: Callable[[str], None] = print_report
) -> int | None:
    """Returns the newest step whose files all match its manifest, or None.

    Args:
        directory: where a run keeps its checkpoints; it may not exist.
        on_report: called with one line for every newer checkpoint passed over.

    Returns:
        The step, or None if no save was ever finished here.

    Raises:
        CheckpointError: saves were finished here, but none is whole any more.
    """
    directory = pathlib.Path(directory)
    damaged = []
    for step in reversed(step_directories(directory)):
        path = directory / str(step)
        damage = manifest.find_damage(path)
        if damage is None:
            return step
        on_report(f"checkpoint {path} passed over for the one before it: {damage}")
        if (path / manifest.MANIFEST_NAME).exists():
            damaged.append(step)
    if damaged:
        raise CheckpointError(
            f"no whole checkpoint is left in {directory} (damaged: "
            f"{', '.join(map(str, reversed(damaged)))}); bring back a copy of one, or "
            "start again in another working directory"
        )
    return None


def choose_step(
    directory: str | os.PathLike,
    *,
    step: int | str | None = "latest",
    best_mode: str = "min",
    on_report: Callable[[str], None] = print_report,
) -> int | None:
    """Returns the whole checkpoint that was asked for, or None if there is none.

    Args:
        directory: where a run keeps its checkpoints; it may not exist.
        step: a number, "best", or "latest" (or None) for the newest whole one.
        best_mode: whether "min" or "max" of the metric is best; where no checkpoint
            has one, the newest is taken.
        on_report: called with one line for every newer checkpoint passed over.

    Returns:
        The step, or None if no save was ever finished here.

    Raises:
        CheckpointError: the one asked for is missing or damaged, or all are.
    """
    if step == "best":
        best = best_step(finished_steps(directory), mode=best_mode)
        step = None if best is None else best[0]
    if step is None or step == "latest":
        return newest_whole_step(directory, on_report=on_report)
    return whole_step(directory, int(step))


def locate(
    directory: str | os.PathLike,
    *,
    step: int | str | None = None,
    on_report: Callable[[str], None] = print_report,
) -> tuple[pathlib.Path, int]:
    """Returns the folder of the checkpoints and a whole step in it.

    Args:
        directory: a working directory, its `checkpoints` folder, or one step in it.
        step: a number, "best" (lowest metric), or None for the newest.
        on_report: called with one line for every newer checkpoint passed over.

    Returns:
        The folder that holds the step directories, and the step.

    Raises:
        FileNotFoundError: no finished checkpoint is there.
        CheckpointError: the step asked for is missing or damaged.
    """
    folder = pathlib.Path(directory).absolute()
    if folder.name.isdigit() and (folder / manifest.MANIFEST_NAME).exists():
        folder, step = folder.parent, int(folder.name)
    elif (folder / "checkpoints").is_dir():
        folder = folder / "checkpoints"
    step = choose_step(folder, step=step, on_report=on_report)
    if step is None:
        raise FileNotFoundError(
            f"expected a finished checkpoint in {folder}, found none; give the "
            "working directory of a training that has saved at least once"
        )
    return folder, step


def delete_step(directory: str | os.PathLike, step: int) -> None:
    """Removes a step; a kill on the way never leaves half of it under its name.

    Args:
        directory: where a run keeps its checkpoints.
        step: the step to remove; nothing happens if it is not there.

    Raises:
        OSError: it could not be moved out of the way.
    """
    path = pathlib.Path(directory) / str(step)
    doomed = path.with_name(f"{step}{DELETED_MARK}")
    shutil.rmtree(doomed, ignore_errors=True)
    if path.is_dir():
        path.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)


def retain(
    directory: str | os.PathLike,
    *,
    newest: int,
    max_to_keep: int,
    best_mode: str | None = "min",
    on_report: Callable[[str], None] = print_report,
) -> None:
    """Deletes every checkpoint but the last finished ones and the best.

    Steps later than the newest go as well: when the run was resumed they were passed
    over as damaged, or they belong to a future that is being replaced.

    Args:
        directory: where a run keeps its checkpoints.
        newest: the step that has just been finished.
        max_to_keep: how many finished ones stay, the newest among them.
        best_mode: "min" or "max" to keep the one with that metric too, or None.
        on_report: called with one line where a checkpoint cannot be removed.
    """
    past = {s: m for s, m in finished_steps(directory).items() if s <= newest}
    keep = set(list(past)[-max_to_keep:])
    best = best_step(past, mode=best_mode) if best_mode else None
    if best is not None:
        keep.add(best[0])
    for step in step_directories(directory):
        if step not in keep:
            try:
                delete_step(directory, step)
            except OSError as error:
                on_report(f"checkpoint {step} could not be removed: {error}")


def delete_leftovers(directory: str | os.PathLike) -> None:
    """Removes what killed saves and deletions left; the caller must hold the lock.

    Args:
        directory: where a run keeps its checkpoints.
    """
    for path in pathlib.Path(directory).glob(f"*{TEMPORARY_MARK}*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def lock_directory(directory: str | os.PathLike) -> filelock.BaseFileLock | None:
    """Returns the lock that keeps a second training out; it ends with the process.

    Args:
        directory: where a run keeps its checkpoints; created if missing.

    Returns:
        The lock to release, or None on a file system without locks.

    Raises:
        CheckpointError: another process holds it, or the directory cannot be made.
    """
    directory = pathlib.Path(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(
            f"cannot create {directory}: {error.strerror}; choose another working "
            "directory"
        ) from error
    lock = filelock.FileLock(directory / LOCK_NAME)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise CheckpointError(
            f"another training is writing to {directory}; wait for it to end or "
            "choose another working directory"
        ) from None
    except (OSError, NotImplementedError):
        return None
    return lock
