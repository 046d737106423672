"""Which picture goes where: files, folders and globs in, names kept, inputs safe."""

import dataclasses
import glob
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from stylejax.cli.messages import UsageError
from stylejax.image import files

# Formats that are written as they came; all others become PNG.
KEPT_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}


@dataclasses.dataclass(frozen=True)
class Job:
    """One picture to translate: where it is and where it goes."""

    source: Path
    target: Path


def folder(out: str) -> Path:
    """Where results go.

    Args:
        out: what the user named.

    Returns:
        The path, with the home folder in the place of ~.

    Raises:
        UsageError: an empty name.

    Example:
        >>> folder("solid").name
        'solid'
    """
    if not out:
        raise UsageError("--out: expected a folder or a file, got an empty name")
    return Path(out).expanduser()


def plan(inputs: Sequence[str], out: Path) -> list[Job]:
    """Where each picture goes: its name and its folders below the input are kept.

    Args:
        inputs: files, folders (searched in depth) and globs.
        out: the folder of the outputs; pictures already in it are no inputs of a
            folder that contains it.

    Returns:
        One job per picture, in the order of the inputs; equal names are told apart by
        a number.

    Raises:
        FileNotFoundError: an input does not exist or holds no picture.
        UsageError: an output would replace an input, or an input has no name.
    """
    jobs: list[Job] = []
    seen: set[Path] = set()
    taken: set[str] = set()
    for entry in inputs:
        if not entry:
            raise UsageError("expected files, folders or globs, got an empty name")
        for source, name in _named(entry, out):
            real = source.resolve()
            if real not in seen:
                seen.add(real)
                jobs.append(Job(source, out / free(name, taken)))
    if not jobs:
        raise UsageError(f"expected pictures outside {str(out)!r}, got none")
    for job in jobs:
        if job.target.resolve() in seen:
            raise UsageError(
                f"the output {str(job.target)!r} would replace an input; choose another"
                " --out"
            )
    return jobs


def check(outputs: Sequence[Path], inputs: Sequence[Path], *, force: bool) -> None:
    """Returns nothing; refuses outputs that would cost a file.

    Args:
        outputs: all files that are going to be written.
        inputs: all files that are read.
        force: whether files that are there may be replaced.

    Raises:
        UsageError: an output is an input, a folder, another output or exists.
    """
    kept = {path.expanduser().resolve() for path in inputs}
    taken: set[str] = set()
    for output in outputs:
        if output.resolve() in kept:
            raise UsageError(f"{output} would replace an input; choose another --out")
        if output.is_dir():
            raise UsageError(f"{output} is a folder; choose another --out")
        if output.exists() and not force:
            raise UsageError(f"{output} exists; choose another --out or add --force")
        if os.fspath(output).lower() in taken:
            raise UsageError(f"{output} would be written twice; rename an input")
        taken.add(os.fspath(output).lower())


def make_folders(outputs: Sequence[Path]) -> None:
    """Returns nothing; makes the folders of files, before any work is done for them.

    Args:
        outputs: all files that are going to be written.

    Raises:
        UsageError: a folder that cannot be made or written to.
    """
    for folder in dict.fromkeys(output.parent for output in outputs):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            raise UsageError(
                f"cannot write into {str(folder)!r} ({error.strerror}); choose another"
                " --out"
            ) from None


def _named(entry: str, out: Path) -> Iterator[tuple[Path, Path]]:
    """Pictures of one input with their names relative to its folder."""
    base = _base(entry)
    inner = out.resolve()
    for path in files.list_images(entry):
        real = path.resolve()
        is_output = inner in real.parents and base.resolve() in inner.parents
        if is_output and path != Path(entry).expanduser():
            continue
        name = path.relative_to(base)
        keeps = name.suffix.lower() in KEPT_SUFFIXES
        yield path, name if keeps else name.with_suffix(".png")


def _base(entry: str) -> Path:
    """The folder that names are relative to: for a glob the part before the first *."""
    path = Path(entry).expanduser()
    if path.is_dir():
        return path
    if path.is_file():
        return path.parent
    while glob.has_magic(str(path)):
        path = path.parent
    return path


def free(name: Path, taken: set[str]) -> Path:
    """The name, with a number if it is taken (file systems may ignore case).

    Args:
        name: wanted.
        taken: names in small letters; the one that is found is added.

    Returns:
        A name that was not taken.
    """
    candidate, number = name, 2
    while os.fspath(candidate).lower() in taken:
        candidate = name.with_stem(f"{name.stem}-{number}")
        number += 1
    taken.add(os.fspath(candidate).lower())
    return candidate


def pictures(count: int) -> str:
    """The number of pictures in words that agree.

    Args:
        count: how many.

    Returns:
        "1 picture", "2 pictures", …
    """
    return f"{count} picture" + ("" if count == 1 else "s")
