"""Files of `stylejax stylize`: where pictures and masks come from, where they go."""

import dataclasses
import glob
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from stylejax.cli import account, jobs
from stylejax.cli.messages import UsageError
from stylejax.image import files
from stylejax.losses import terms
from stylejax.methods import control as controls

PIPE = "-"
"""Standard input or output in place of a file."""


def plan(
    arguments: Sequence[str],
    *,
    out: str,
    pictures: Sequence[str] = (),
    has_account: bool = False,
    force: bool = False,
) -> list[jobs.Job]:
    """Where each painted picture goes.

    Args:
        arguments: files, folders, globs, or - alone.
        out: a folder, with one picture also a file, or - for standard output.
        pictures: the other files that are read: styles and masks.
        has_account: whether a drawing is written beside each.
        force: whether files that are there may be replaced.

    Returns:
        One job per picture.

    Raises:
        UsageError: results that exist, would replace an input or have no place.
    """
    folder = jobs.folder(out)
    suffix = folder.suffix.lower()
    is_file = suffix in jobs.KEPT_SUFFIXES and not folder.is_dir()
    if suffix in files.IMAGE_SUFFIXES - jobs.KEPT_SUFFIXES and not folder.is_dir():
        written = ", ".join(sorted(jobs.KEPT_SUFFIXES))
        raise UsageError(f"--out={out}: expected a folder or one of {written}")
    if PIPE in arguments and len(arguments) > 1:
        raise UsageError("expected - alone, for one picture on standard input")
    if list(arguments) == [PIPE]:
        planned = [jobs.Job(Path(PIPE), folder if is_file else folder / "stdin.png")]
    elif is_file or out == PIPE:
        planned = jobs.plan(arguments, Path(".stylejax-nowhere"))
        if len(planned) > 1:
            raise UsageError(
                f"expected one picture for --out={out}, got {len(planned)};"
                " name a folder"
            )
        planned = [dataclasses.replace(planned[0], target=folder)]
    else:
        planned = jobs.plan(arguments, folder)
    if out == PIPE:
        return [dataclasses.replace(job, target=Path(PIPE)) for job in planned]
    outputs = [job.target for job in planned]
    if has_account:
        outputs += [account.drawing_path(job.target) for job in planned]
    inputs = [job.source for job in planned] + [Path(name) for name in pictures]
    jobs.check(outputs, inputs, force=force)
    return planned


def snapshot_stems(
    planned: Sequence[jobs.Job], folder: Path, *, force: bool
) -> dict[Path, Path]:
    """What the names of each picture's snapshots begin with.

    Args:
        planned: from `plan`.
        folder: of the snapshots; is made.
        force: whether snapshots that are there may be replaced.

    Returns:
        The beginning of a path by `Job.source`; pictures of one name get a number.

    Raises:
        UsageError: the folder cannot be written to, or snapshots are there already.
    """
    jobs.make_folders([folder / "snapshot.png"])
    stems: dict[Path, Path] = {}
    taken: set[str] = set()
    for job in planned:
        name = "stdin" if job.target == Path(PIPE) else job.target.stem
        stem = folder / jobs.free(Path(f"{name}.png"), taken).stem
        there = sorted(folder.glob(f"{glob.escape(stem.name)}-[0-9]*-[0-9]*.png"))
        if there and not force:
            raise UsageError(
                f"{there[0]} exists; choose another --snapshots or add --force"
            )
        stems[job.source] = stem
    return stems


def read(source: Path) -> tuple[np.ndarray, bytes | None]:
    """A picture and its colour profile.

    The painted pixels are in the content's colour space, whatever that is; so its
    profile goes with them. The EXIF orientation has been applied and is left behind.

    Args:
        source: a file, or - for standard input.

    Returns:
        (h, w, 3) in [0, 1], and the bytes of its profile or None.

    Raises:
        ImageFileError: what cannot be read.
        FileNotFoundError: a file that is not there.
    """
    if source == Path(PIPE):
        data = sys.stdin.buffer.read()
        return files.from_bytes(data, name="standard input"), files.icc_profile(data)
    return files.read(source), files.icc_profile(source)


def read_mask(path: str) -> np.ndarray:
    """Where a picture is white, as numbers.

    Args:
        path: the picture.

    Returns:
        (h, w) in [0, 1]: the mean of its channels; what is clear is 0.

    Raises:
        UsageError: it is black all over.
        ImageFileError: it cannot be read.
    """
    mask = files.read(path, background=0.0).mean(axis=-1)
    if not mask.any():
        raise UsageError(f"{path} is black all over: a mask is white where it holds")
    return mask


def stretched(
    shapes: Mapping[str, tuple[int, ...]], content_hw: tuple[int, ...]
) -> list[str]:
    """Which masks have other proportions than the picture they are laid over.

    Args:
        shapes: (height, width) of each mask by its file.
        content_hw: of the picture.

    Returns:
        The files of those whose aspect differs by more than 5 %.
    """

    def aspect(size_hw: tuple[int, ...]) -> float:
        return size_hw[1] / size_hw[0]

    ratios = {
        path: aspect(shape) / aspect(content_hw) for path, shape in shapes.items()
    }
    return [path for path, ratio in ratios.items() if not 1 / 1.05 < ratio < 1.05]


def stacked(found: list[np.ndarray]) -> np.ndarray | None:
    """Masks of any sizes as one array, each stretched over the largest size.

    Args:
        found: (h, w) each.

    Returns:
        (k, h, w), or None where there are none.
    """
    if not found:
        return None
    size_hw = tuple(max(mask.shape[i] for mask in found) for i in (0, 1))
    return np.concatenate(
        [
            np.asarray(controls.resize_map(jnp.asarray(mask)[None], size_hw))
            for mask in found
        ]
    )


def style_names(paths: Sequence[str]) -> list[str]:
    """Names of the style files, told apart by a number where they are taken.

    Args:
        paths: of the style pictures.

    Returns:
        A name for each; none is what an account calls a term of its own.
    """
    # The first are what an account calls the content's own style and other terms.
    names = [terms.CONTENT_STYLE, "range", "total_variation"]
    reserved = len(names)
    for stem in (Path(path).stem for path in paths):
        name, number = stem, 2
        while name in names:
            name, number = f"{stem}-{number}", number + 1
        names.append(name)
    return names[reserved:]


def write(job: jobs.Job, painted: np.ndarray, profile: bytes | None) -> dict[str, Any]:
    """Writes a painted picture and says what was written.

    Args:
        job: where to.
        painted: (h, w, 3) in [0, 1].
        profile: colour profile that goes with it.

    Returns:
        Dictionary with `input`, `output` and `size` (width, height).
    """
    if job.target == Path(PIPE):
        data = files.to_bytes(painted, suffix=".png", icc_profile=profile)
        sys.stdout.buffer.write(data)
    else:
        files.write(job.target, painted, icc_profile=profile)
    height, width = painted.shape[:2]
    return {
        "input": str(job.source),
        "output": str(job.target),
        "size": [width, height],
    }
