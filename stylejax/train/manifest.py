"""The SHA-256 manifest of a checkpoint: what marks it as finished and unharmed.

A checkpoint directory counts as saved once it holds a manifest, which lists every
other file with its size and digest. The manifest is written last and atomically, so
a save that was killed leaves none, and a file that is missing, truncated or altered
is found by comparing. It guards itself with a digest of its own content.
"""

import hashlib
import json
import math
import os
import pathlib
from typing import Any

MANIFEST_NAME = "manifest.sha256.json"


def file_digest(path: str | os.PathLike) -> str:
    """Returns the SHA-256 of a file's bytes, in hexadecimal.

    Args:
        path: the file to read.

    Returns:
        64 hexadecimal digits.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: str | os.PathLike, text: str) -> None:
    """Writes a text file so that a reader sees all of it or the former one.

    Args:
        path: the file to create or replace; its directory must exist.
        text: the whole content, written as UTF-8.
    """
    path = pathlib.Path(path)
    temporary = path.with_name(f".{path.name}.tmp")
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def write_manifest(
    directory: str | os.PathLike, *, step: int, metric: float | None = None
) -> dict[str, Any]:
    """Returns the manifest of a directory after writing it there, atomically.

    Args:
        directory: a checkpoint that nothing writes to any more.
        step: the training step it holds.
        metric: the score it reached; one that is not finite counts as none.

    Returns:
        The manifest: `step`, `metric`, `files` (path -> size and sha256), `digest`.
    """
    if metric is not None and not math.isfinite(metric):
        metric = None
    directory = pathlib.Path(directory)
    files = {
        name: {"size": path.stat().st_size, "sha256": file_digest(path)}
        for name, path in sorted(_files_below(directory).items())
    }
    manifest: dict[str, Any] = {"step": step, "metric": metric, "files": files}
    manifest["digest"] = _digest(manifest)
    text = json.dumps(manifest, indent=1)
    write_atomically(directory / MANIFEST_NAME, text)
    return manifest


def read_manifest(directory: str | os.PathLike) -> dict[str, Any]:
    """Returns the manifest of a directory, without comparing the files it lists.

    Args:
        directory: a checkpoint directory.

    Returns:
        What `write_manifest` returned.

    Raises:
        FileNotFoundError: the directory holds no manifest.
        ValueError: the manifest itself is damaged.
    """
    path = pathlib.Path(directory) / MANIFEST_NAME
    if not path.is_file():
        raise FileNotFoundError("no manifest (the save was interrupted or it was lost)")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        digest = manifest.pop("digest")
        intact = digest == _digest(manifest) and isinstance(manifest["files"], dict)
    except (ValueError, KeyError, AttributeError, TypeError):
        intact = False
    if not intact:
        raise ValueError(f"{MANIFEST_NAME} is damaged")
    return manifest | {"digest": digest}


def find_damage(directory: str | os.PathLike) -> str | None:
    """Returns what is wrong with a checkpoint in a few words, or None if it is whole.

    Every file the manifest lists is read and compared; further files are ignored.

    Args:
        directory: a checkpoint directory.

    Returns:
        A phrase such as `state/d/0f3a is missing`, or None.
    """
    directory = pathlib.Path(directory)
    try:
        manifest = read_manifest(directory)
    except (ValueError, OSError) as error:
        return str(error)
    for name, expected in manifest["files"].items():
        path = directory / name
        try:
            size = path.stat().st_size
            if size != expected["size"]:
                return f"{name} has {size} bytes, expected {expected['size']}"
            if file_digest(path) != expected["sha256"]:
                return f"{name} has other content than was saved"
        except FileNotFoundError:
            return f"{name} is missing"
        except OSError as error:
            return f"{name} cannot be read ({error.strerror})"
    return None


def _files_below(directory: pathlib.Path) -> dict[str, pathlib.Path]:
    """Returns every file below a directory by its slash path, manifests excepted."""
    found = {}
    for root, _, names in os.walk(directory):
        for name in names:
            path = pathlib.Path(root) / name
            relative = path.relative_to(directory).as_posix()
            if relative not in (MANIFEST_NAME, f".{MANIFEST_NAME}.tmp"):
                found[relative] = path
    return found


def _digest(manifest: dict[str, Any]) -> str:
    """Returns the SHA-256 of a manifest's content, its own digest left out."""
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
