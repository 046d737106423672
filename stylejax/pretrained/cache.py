"""The folder of fetched weights: what lies there, that it is what it should be.

The folder is `$STYLEJAX_CACHE/weights`, else `$XDG_CACHE_HOME/stylejax/weights`, else
`~/.cache/stylejax/weights`. A file appears in it only once it is whole and its hash is
right. `pins.json` beside the files keeps the hash of each file as it first came: what
differs from it later is refused.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import filelock

from stylejax.pretrained import download
from stylejax.pretrained.catalogue import Entry

PINS = "pins.json"


class Fetched(NamedTuple):
    """Where weights lie after `fetch`.

    Attributes:
        path: the file.
        sha256: its hash.
        is_new: False where it had been there before.
    """

    path: Path
    sha256: str
    is_new: bool


def folder() -> Path:
    """Where fetched weights lie; it need not exist yet.

    Returns:
        The path.
    """
    own = os.environ.get("STYLEJAX_CACHE")
    shared = os.environ.get("XDG_CACHE_HOME", "")
    if own:
        base = Path(own).expanduser()
    elif os.path.isabs(shared):  # a relative one is to be ignored, says XDG
        base = Path(shared) / "stylejax"
    else:
        base = Path.home() / ".cache" / "stylejax"
    return base / "weights"


def place(entry: Entry) -> Path:
    """Where the file of an entry lies, or will lie.

    Args:
        entry: from `stylejax.pretrained.catalogue`.

    Returns:
        The path, in `folder()`.
    """
    return folder() / entry.file_name


def digest(path: str | os.PathLike) -> str:
    """The SHA-256 of a file.

    Args:
        path: the file to read.

    Returns:
        64 hexadecimal digits.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pinned(entry: Entry) -> str:
    """The hash that an entry's file had when it first came.

    Args:
        entry: from `stylejax.pretrained.catalogue`.

    Returns:
        64 hexadecimal digits; "" before the first `fetch`.

    Raises:
        ValueError: pins.json is broken.
    """
    return _read_pins().get(entry.file_name, "")


def check(entry: Entry, path: str | os.PathLike) -> str:
    """The SHA-256 of a file, which is that of the entry as far as it is known.

    Args:
        entry: what the file should be.
        path: the file.

    Returns:
        64 hexadecimal digits.

    Raises:
        ValueError: it is another, by the catalogue or by what was pinned.
    """
    found, pin = digest(path), pinned(entry)
    if not found.startswith(entry.sha256):
        known = entry.sha256 + ("" if entry.is_verified else "…")
        raise ValueError(
            f"{str(path)!r} is not the {entry.name} of {entry.address}: expected"
            f" SHA-256 {known}, got {found}; delete it and get it again"
        )
    if pin and found != pin:
        raise ValueError(
            f"{str(path)!r} is not the {entry.name} that came first: expected SHA-256"
            f" {pin}, got {found}; delete it and get it again, or, where the new one is"
            f" wanted, delete {entry.file_name!r} from {str(folder() / PINS)!r}"
        )
    return found


def present(entry: Entry) -> Path:
    """The file of an entry that was fetched, not looked into.

    Args:
        entry: from `stylejax.pretrained.catalogue`.

    Returns:
        The path.

    Raises:
        FileNotFoundError: it was not fetched.
    """
    path = place(entry)
    if not path.is_file():
        raise FileNotFoundError(
            f"the weights {entry.name!r} are not here (no file {str(path)!r}); get them"
            f" with: stylejax weights fetch {entry.name}"
        )
    return path


def find(entry: Entry) -> Path:
    """The file of an entry that was fetched, its hash checked.

    Args:
        entry: from `stylejax.pretrained.catalogue`.

    Returns:
        The path.

    Raises:
        FileNotFoundError: it was not fetched.
        ValueError: it is not what was fetched.
    """
    path = present(entry)
    check(entry, path)
    return path


def fetch(
    entry: Entry, *, progress: bool = True, say: Callable[[str], None] | None = None
) -> Fetched:
    """The file of an entry, downloaded unless it is there; its hash is then pinned.

    Of several processes one downloads, the others wait for it.

    Args:
        entry: from `stylejax.pretrained.catalogue`.
        progress: whether to draw a bar, where standard error is a terminal.
        say: is told in a line when there is another process to wait for.

    Returns:
        `Fetched`.

    Raises:
        DownloadError: it cannot be had; the message names the address and the place
            where a file that came another way is looked for.
        ValueError: what came or lies there is another file.
        OSError: the folder cannot be written.
    """
    path = place(entry)
    if path.is_dir():
        raise IsADirectoryError(f"{str(path)!r} is a folder; move it away")
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path, say):
        is_new = not path.is_file()
        found = _download(entry, path, progress) if is_new else check(entry, path)
        _pin(entry, found)
    return Fetched(path, found, is_new)


def _download(entry: Entry, path: Path, progress: bool) -> str:
    part = path.with_name(path.name + ".part")
    try:
        download.download(
            entry.address,
            part,
            max_bytes=entry.max_bytes,
            label=entry.name,
            progress=progress,
        )
    except download.DownloadError as error:
        raise download.DownloadError(
            f"{error}; or get that file another way, put it at {str(path)!r} and run:"
            f" stylejax weights fetch {entry.name}"
        ) from None
    try:
        if not entry.has_size(part.stat().st_size):
            raise ValueError(
                f"{entry.address} sent {part.stat().st_size} bytes, expected about"
                f" {entry.megabytes * 2**20:.0f}: another file"
            )
        found = check(entry, part)
    except ValueError:
        download.discard(part)  # or the next attempt would begin with it
        raise
    os.replace(part, path)
    download.discard(part)
    return found


@contextlib.contextmanager
def _locked(path: Path, say: Callable[[str], None] | None) -> Iterator[None]:
    lock = filelock.FileLock(path.with_name(path.name + ".lock"))
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        if say:
            say(f"another process works on {path.name}; waiting for it")
        lock.acquire()
    except NotImplementedError:  # a file system without locks
        pass
    try:
        yield
    finally:
        lock.release()


def _read_pins() -> dict[str, str]:
    path = folder() / PINS
    try:
        pins = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError):
        pins = None
    if not isinstance(pins, dict) or not all(isinstance(x, str) for x in pins.values()):
        raise ValueError(
            f"{str(path)!r} is broken: expected file names and their SHA-256; delete it"
            " to pin anew what lies there"
        )
    return pins


def _pin(entry: Entry, found: str) -> None:
    if pinned(entry) == found:
        return
    path = folder() / PINS
    with _locked(path, None):
        pins = {**_read_pins(), entry.file_name: found}
        partial = path.with_name(f".{PINS}.{os.getpid()}.partial")
        partial.write_text(json.dumps(pins, indent=1) + "\n", encoding="utf-8")
        os.replace(partial, path)
