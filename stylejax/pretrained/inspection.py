"""Whether a file of weights is in order: hash, size, names, shapes and numbers."""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from stylejax import trees
from stylejax.pretrained import cache, catalogue, inventory, registry, vgg


@dataclasses.dataclass(frozen=True)
class Report:
    """What was found in a file that is in order.

    Attributes:
        path: the file.
        num_bytes: its size.
        sha256: its hash.
        hash_state: against what the hash was held, see `stylejax.pretrained.inventory`.
        network: the architecture, or the method of a translator.
        holds: what can be done with it, in words.
        num_tensors: how many tensors the network takes from it.
        num_parameters: numbers in them.
    """

    path: str
    num_bytes: int
    sha256: str
    hash_state: str
    network: str
    holds: str
    num_tensors: int
    num_parameters: int


def verify_bytes(name_or_path: str | os.PathLike) -> tuple[Path, str, str]:
    """The file of a name, its SHA-256, and what that was held against.

    Args:
        name_or_path: a name of `stylejax.pretrained.inventory`, or a file.

    Returns:
        (path, 64 hexadecimal digits, state as in `stylejax.pretrained.inventory`).

    Raises:
        FileNotFoundError: there is no such file, or it was not fetched.
        ValueError: it has another hash or size than it should have.
    """
    path, entry = inventory.locate(name_or_path)
    if not path.is_file():
        names = ", ".join(item.name for item in inventory.items())
        raise FileNotFoundError(
            f"expected a file or one of {names}; got {os.fspath(name_or_path)!r}"
        )
    if entry is not None:
        return path, _check_entry(entry, path), inventory.hash_state(entry)
    found, stated = cache.digest(path), registry.card_row(path, "SHA-256")
    if stated and stated != found:
        raise ValueError(
            f"{str(path)!r} is not what its card says: expected SHA-256 {stated},"
            f" got {found}; get it again"
        )
    return path, found, inventory.VERIFIED if stated else inventory.UNKNOWN


def verify_vgg(
    name_or_path: str | os.PathLike,
    *,
    arch: str | None = None,
    naming: str | None = None,
    preprocessing: str | None = None,
) -> Report:
    """What a file with the weights of a VGG holds, after all of it was checked.

    Args:
        name_or_path: a name, or a file, as `stylejax.pretrained.vgg.load` takes it.
        arch: as there.
        naming: as there.
        preprocessing: as there.

    Returns:
        `Report`.

    Raises:
        FileNotFoundError: there is no such file, or it was not fetched.
        ValueError: a wrong hash or size, names or shapes that are not those of a VGG
            (the message holds the difference), or values that are not finite.
        ImportError: the extra that reads it is not installed.
    """
    path, digest, state = verify_bytes(name_or_path)
    weights = vgg.load(path, arch=arch, naming=naming, preprocessing=preprocessing)
    return report(
        path,
        weights.variables,
        sha256=digest,
        hash_state=state,
        network=weights.arch + ("_bn" if weights.batch_norm else ""),
        holds=f"taps up to {weights.taps()[-1]}, preprocessing {weights.preprocessing}",
    )


def report(
    path: Path,
    params: Mapping[str, Any],
    *,
    sha256: str,
    hash_state: str,
    network: str,
    holds: str,
) -> Report:
    """The report of a file whose names and shapes are right.

    Args:
        path: the file.
        params: what was read from it.
        sha256: its hash.
        hash_state: what that was held against.
        network: the architecture or method.
        holds: what can be done with it, in words.

    Returns:
        `Report`.

    Raises:
        ValueError: a value that is not finite.
    """
    leaves = {k: np.asarray(x) for k, x in trees.named_leaves(params).items()}
    for name, leaf in leaves.items():
        if not np.isfinite(leaf).all():
            count = int((~np.isfinite(leaf)).sum())
            raise ValueError(
                f"{str(path)!r} holds values that are not finite: {count} of"
                f" {leaf.size} in {name}; get it again"
            )
    return Report(
        path=str(path),
        num_bytes=path.stat().st_size,
        sha256=sha256,
        hash_state=hash_state,
        network=network,
        holds=holds,
        num_tensors=len(leaves),
        num_parameters=sum(leaf.size for leaf in leaves.values()),
    )


def _check_entry(entry: catalogue.Entry, path: Path) -> str:
    num_bytes = path.stat().st_size
    if not entry.has_size(num_bytes):
        raise ValueError(
            f"{str(path)!r} has {num_bytes} bytes, expected about"
            f" {entry.megabytes * 2**20:.0f}; get it again"
        )
    return cache.check(entry, path)
