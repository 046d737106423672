"""Whether and how a run goes on: the newest whole checkpoint, the same config, the log.

A run is resumed with everything that decides its future: state, position in the data
and the config, which must be the one it was started with.
"""

import dataclasses
import json
import os
import pathlib
from collections.abc import Collection, Mapping
from typing import Any, Literal, get_args

from stylejax import checks
from stylejax.train import checkpoint_files
from stylejax.train.checkpoint import Checkpointer
from stylejax.train.progress import Writer

ResumeChoice = Literal["auto", "no", "must"]


@dataclasses.dataclass(frozen=True)
class Run:
    """What the pieces of a run are, for those who start it, resume it and end it.

    Attributes:
        config_dict: everything that shapes the training, JSON-able.
        workdir: its directory.
        checkpointer: where it is saved.
        writer: where it reports.
    """

    config_dict: Mapping[str, Any]
    workdir: pathlib.Path
    checkpointer: Checkpointer
    writer: Writer


def resume(
    state: Any, iterator: Any, run: Run, *, choice: str, ignore: Collection[str] = ()
) -> Any:
    """Returns the state to go on from: the newest whole checkpoint's, or the given.

    The iterator is set to the position saved with it and the log is cut to its step.

    Args:
        state: the initial state, also the template.
        iterator: its `set_state` is called if a checkpoint is found.
        run: the pieces of the run.
        choice: "auto" goes on if it can, "no" starts anew, "must" refuses to.
        ignore: fields of the config that may differ.

    Returns:
        A state like the one given.

    Raises:
        ValueError: "no" where a run is already, no whole checkpoint left, or the
            configs differ.
        FileNotFoundError: "must" where no checkpoint is.
    """
    checks.check_choice(choice, choices=get_args(ResumeChoice), name="resume")
    if choice == "no":
        refuse_run(run.workdir)
        run.checkpointer.open()
        return state
    restored = run.checkpointer.restore(
        state, check_config=lambda saved: _check_config(saved, run, ignore)
    )
    if restored is None and choice == "must":
        raise FileNotFoundError(
            f"expected a finished checkpoint in {run.checkpointer.directory} to resume "
            "from, found none; start the run with --resume=auto"
        )
    if restored is None:
        run.writer.truncate(0)
        return state
    run.writer.truncate(restored.step)
    iterator.set_state(restored.data_state)
    run.writer.write_message(
        f"resumed at step {restored.step} from {run.checkpointer.directory}"
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
    steps = checkpoint_files.step_directories(workdir / "checkpoints")
    traces = [f"checkpoints/{steps[-1]}"] if steps else []
    for name in ("log.jsonl", "events", "samples", "summary.json"):
        path = workdir / name
        if path.is_file() or (path.is_dir() and any(path.iterdir())):
            traces.append(name)
    if traces:
        raise ValueError(
            f"{workdir} already holds a run ({', '.join(traces)}); continue it with "
            "--resume=auto or choose another --workdir"
        )


def config_differences(
    saved: Mapping[str, Any],
    current: Mapping[str, Any],
    *,
    ignore: Collection[str] = (),
) -> tuple[list[str], list[str]]:
    """Returns how two configs differ: changed fields, and fields only one of them has.

    Args:
        saved: the config in a checkpoint; nested dictionaries are compared by path.
        current: the config of this run.
        ignore: names of fields that may differ, at whatever depth they stand.

    Returns:
        Phrases like `ngf 64 -> 32`, and names.

    Example:
        >>> config_differences({"ngf": 64, "seed": 0}, {"ngf": 32, "seed": 0})
        (['ngf 64 -> 32'], [])
    """
    before, after = (
        _flatten(json.loads(json.dumps(config)), ignore) for config in (saved, current)
    )
    changed = [
        f"{name} {before[name]} -> {after[name]}"
        for name in before
        if name in after and before[name] != after[name]
    ]
    return changed, sorted(before.keys() ^ after.keys())


def _check_config(saved: dict, run: Run, ignore: Collection[str]) -> None:
    """Refuses a config that differs; fields of another version are only mentioned."""
    changed, unknown = config_differences(saved, run.config_dict, ignore=ignore)
    if changed:
        raise ValueError(
            f"{run.workdir} was trained with another config (saved -> given): "
            f"{', '.join(changed)}; give the saved values or another --workdir"
        )
    if unknown:
        run.writer.write_message(
            f"note: only one of the saved and the given config has {', '.join(unknown)}"
        )


def _flatten(
    tree: Mapping[str, Any], ignore: Collection[str], prefix: str = ""
) -> dict[str, Any]:
    """Returns the values of nested dictionaries by slash path."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if name in ignore:
            continue
        if isinstance(value, Mapping):
            flat |= _flatten(value, ignore, f"{prefix}{name}/")
        else:
            flat[prefix + name] = value
    return flat
