"""All weights there are by name: what ships, and what is or can be fetched."""

import dataclasses
import os
from pathlib import Path

from stylejax.pretrained import cache, catalogue, registry, safetensors_io

VERIFIED, UNVERIFIED, PINNED, UNKNOWN = "verified", "unverified", "pinned", "unknown"
"""What is known of a hash: all of it; its beginning at most; all of it since the first
download here; nothing."""


@dataclasses.dataclass(frozen=True)
class Item:
    """One row of the inventory.

    Attributes:
        name: what commands and `load` functions take.
        network: the architecture, or the method of a translator.
        source: "ships" or the address.
        megabytes: size in 2**20 bytes.
        sha256: the digits that are known.
        hash_state: VERIFIED, UNVERIFIED, PINNED or UNKNOWN.
        licence: as its source or its card states it.
        path: where the file lies, or will lie.
        is_here: whether it lies there.
    """

    name: str
    network: str
    source: str
    megabytes: float
    sha256: str
    hash_state: str
    licence: str
    path: str
    is_here: bool


def items() -> list[Item]:
    """What ships, then what can be fetched.

    Returns:
        One `Item` for each.

    Raises:
        ValueError: a shipped file or pins.json is broken.
    """
    shipped = [
        registry.find(name, folder=folder)
        for folder in (registry.ASSETS, registry.FEATURES)
        for name in registry.names(folder=folder)
    ]
    found = [_shipped(path) for path in shipped]
    return found + [_fetchable(entry) for entry in catalogue.ENTRIES]


def locate(name_or_path: str | os.PathLike) -> tuple[Path, catalogue.Entry | None]:
    """The file of a name, and its entry where it is one of the catalogue.

    Args:
        name_or_path: a name of `items()`, or a file.

    Returns:
        (path, entry or None). The file of a name exists; a path is returned as it is,
        with the entry its file name belongs to. Nothing is read.

    Raises:
        FileNotFoundError: a name that was not fetched.
    """
    text = os.fspath(name_or_path)
    for folder in (registry.ASSETS, registry.FEATURES):
        if text in registry.names(folder=folder):
            return registry.find(text, folder=folder), None
    if text in catalogue.names():
        entry = catalogue.find(text)
        return cache.present(entry), entry
    path = Path(text).expanduser()
    return path, catalogue.by_file_name(path.name)


def hash_state(entry: catalogue.Entry) -> str:
    """What is known of an entry's hash.

    Args:
        entry: from the catalogue.

    Returns:
        VERIFIED, PINNED or UNVERIFIED.
    """
    if entry.is_verified:
        return VERIFIED
    return PINNED if cache.pinned(entry) else UNVERIFIED


def _shipped(path: Path) -> Item:
    metadata = safetensors_io.read_metadata(path)
    stated = registry.card_row(path, "SHA-256")
    return Item(
        name=path.stem,
        network=str(metadata.get("arch") or metadata.get("method") or ""),
        source="ships",
        megabytes=path.stat().st_size / 2**20,
        sha256=stated,
        hash_state=VERIFIED if stated else UNKNOWN,
        licence=registry.card_row(path, "licence"),
        path=str(path),
        is_here=True,
    )


def _fetchable(entry: catalogue.Entry) -> Item:
    path = cache.place(entry)
    return Item(
        name=entry.name,
        network=entry.arch + ("_bn" if entry.batch_norm else ""),
        source=entry.address,
        megabytes=entry.megabytes,
        sha256=cache.pinned(entry) or entry.sha256,
        hash_state=hash_state(entry),
        licence=entry.licence,
        path=str(path),
        is_here=path.is_file(),
    )
