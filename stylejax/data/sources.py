"""Where pictures come from: `load(name)` gives two domains as indexable sources.

A source has `__len__`, `__getitem__(i)` (float32 `h w 3` in [0, 1], decoded only then)
and, where they are known, `names`. A picture that cannot be read raises
`ImageFileError` at its index; the report's mode says whether that ends the run.
"""

import dataclasses
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from stylejax.data.bad_images import BadImageReport, without_bad
from stylejax.data.cache import ByteLimitedCache
from stylejax.image import files

KNOWN = ("emoji", "folder:PATH", "tfds:NAME_OR_DIR", "shapes", "shapes:key=value,…")
FOLDERS = ("trainA", "trainB", "testA", "testB")


class ArraySource:
    """Pictures held in memory, uint8 or float in [0, 1], of any sizes."""

    def __init__(self, images: Sequence, *, names: Sequence[str] | None = None):
        self._images = images
        self.names = list(map(str, range(len(images))) if names is None else names)
        if len(self.names) != len(images):
            raise ValueError(
                f"names: expected {len(images)}, one a picture; got {len(self.names)}"
            )

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> np.ndarray:
        """The picture: float32 `h w 3` in [0, 1]."""
        image = np.asarray(self._images[index])
        if image.ndim != 3 or image.shape[-1] != 3:
            raise ValueError(
                f"expected pictures of shape (h, w, 3), got {image.shape} at {index};"
                " convert them to RGB"
            )
        return files.as_float(image)


class FolderSource:
    """The images below a folder, sorted, decoded when asked for; a few stay decoded.

    `names` are paths relative to the folder. `cache_bytes` bounds the decoded pictures
    kept in memory, the least recently used going first.
    """

    def __init__(self, path, *, cache_bytes: int = 64 << 20):
        self.path = Path(path).expanduser()
        if not self.path.is_dir():
            raise FileNotFoundError(
                f"no such folder: {str(path)!r}; check the path or create it"
            )
        self.files = files.list_images(self.path)
        self.names = [str(file.relative_to(self.path)) for file in self.files]
        self._cache = ByteLimitedCache(cache_bytes)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> np.ndarray:
        """The picture: float32 `h w 3` in [0, 1]; raises `ImageFileError` if broken."""
        pixels = self._cache.get(index)
        if pixels is None:
            pixels = files.read(self.files[index], compact=True)
            self._cache.put(index, pixels)
        return files.as_float(pixels)

    def size_of(self, index: int) -> tuple[int, int]:
        """(height, width) of a picture, from its header alone."""
        return files.size(self.files[index])

    def place(self, index: int) -> str:
        """The picture's path."""
        return str(self.files[index])


class Pictures(Protocol):
    """Anything with a length whose items are pictures, float32 `h w 3` in [0, 1]."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> np.ndarray: ...


@dataclasses.dataclass
class TwoDomainDataset:
    """Two picture domains: unpaired for training, for scoring paired where `paired`.

    Where `paired`, `test_a[i]` and `test_b[i]` show the same thing. `labels` maps a
    field (`train_a`, …) to a dictionary of per-picture arrays, or is None.
    """

    name: str
    train_a: Pictures
    train_b: Pictures
    test_a: Pictures
    test_b: Pictures
    paired: bool = False
    labels: dict | None = None
    report: BadImageReport = dataclasses.field(default_factory=BadImageReport)

    def swapped(self) -> "TwoDomainDataset":
        """The same data with the two domains exchanged (direction BtoA)."""
        labels = self.labels
        if labels is not None:
            labels = {
                _SWAPPED.get(field, field): value for field, value in labels.items()
            }
        return dataclasses.replace(
            self,
            train_a=self.train_b,
            train_b=self.train_a,
            test_a=self.test_b,
            test_b=self.test_a,
            labels=labels,
        )


_SWAPPED = dict(train_a="train_b", train_b="train_a", test_a="test_b", test_b="test_a")


def field_of_split(split: str) -> str:
    """The field of `TwoDomainDataset` that belongs to a folder name.

    Args:
      split: One of `FOLDERS`.

    Returns:
      For example "train_a" for "trainA".
    """
    return f"{split[:-1]}_{split[-1].lower()}"


def load(
    name: str,
    *,
    direction: str = "AtoB",
    on_bad_image: str = "error",
    data_dir=None,
    min_size: int | None = None,
) -> TwoDomainDataset:
    """The data set of a name.

    Args:
      name: `emoji`, `folder:PATH` (holding trainA and trainB, and testA and testB if
        there are any), `tfds:NAME_OR_DIR`, `shapes` or `shapes:key=value,…`.
      direction: "AtoB", or "BtoA" to exchange the domains.
      on_bad_image: "error" stops at the first unusable picture, "skip" leaves it out
        and counts it in `report`. With "skip" all test pictures are decoded once
        here, so that pairs stay pairs.
      data_dir: Where prepared `tfds:` sets lie; by default tfds' own folder.
      min_size: Pictures whose shorter side has fewer pixels are bad. None: any size.

    Returns:
      A `TwoDomainDataset`.

    Raises:
      ValueError: The name or an option is unknown, or a picture is bad.
      FileNotFoundError: A folder is missing or empty.
    """
    if direction not in ("AtoB", "BtoA"):
        raise ValueError(f"direction: expected one of AtoB, BtoA; got {direction!r}")
    report = BadImageReport(on_bad_image)
    kind, _, rest = name.partition(":")
    if name == "emoji":
        dataset = importlib.import_module("stylejax.data.emoji").load_emoji()
    elif kind == "folder" and rest:
        dataset = load_folder(rest)
    elif kind == "tfds" and rest:
        tfds_source = importlib.import_module("stylejax.data.tfds_source")
        dataset = tfds_source.load_tfds(
            rest, data_dir=data_dir, on_bad_image=on_bad_image
        )
    elif kind == "shapes":
        shapes = importlib.import_module("stylejax.data.shapes")
        dataset = shapes.load_shapes(**_options(rest))
    else:
        folder = f"; for a folder write folder:{name}" if Path(name).is_dir() else ""
        raise ValueError(
            f"unknown data set {name!r}; there are: {', '.join(KNOWN)}{folder}"
        )
    if dataset.report.mode != on_bad_image:
        dataset = dataclasses.replace(dataset, report=report)
    dataset = without_bad(dataset, min_size=min_size)
    return dataset if direction == "AtoB" else dataset.swapped()


def load_folder(path, *, paired: bool | None = None) -> TwoDomainDataset:
    """The data set in a folder with trainA and trainB, and perhaps testA and testB.

    Args:
      path: The folder; its sub-folders are searched in depth for anything Pillow reads.
      paired: Whether testA[i] and testB[i] show the same thing. None: they do if the
        two folders hold the same names (suffixes aside).

    Returns:
      A `TwoDomainDataset`; test sources are empty where the folders are missing.

    Raises:
      FileNotFoundError: The folder, trainA or trainB is missing or without images.
      ValueError: `paired` is True and the counts differ.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f"no such folder: {str(path)!r}; check the path")
    for split in FOLDERS[:2]:
        if not (root / split).is_dir():
            found = sorted(child.name for child in root.iterdir() if child.is_dir())
            raise FileNotFoundError(
                f"no folder {split} in {str(path)!r} (it holds:"
                f" {', '.join(found[:6]) or 'no folder'}); put each domain's pictures"
                " into trainA and trainB"
            )
    opened: dict[str, Any] = {
        field_of_split(split): FolderSource(root / split)
        if (root / split).is_dir()
        else ArraySource([])
        for split in FOLDERS
    }
    stems = [
        [str(Path(name).with_suffix("")) for name in opened[field].names]
        for field in ("test_a", "test_b")
    ]
    if paired and len(stems[0]) != len(stems[1]):
        raise ValueError(
            f"expected as many pictures in testA as in testB, got {len(stems[0])} and"
            f" {len(stems[1])}; drop the ones without partner"
        )
    if paired is None:
        paired = bool(stems[0]) and stems[0] == stems[1]
    return TwoDomainDataset(name=f"folder:{path}", paired=paired, **opened)


def _options(text: str) -> dict:
    """`a=1,b=x` as a dictionary, numbers where they are numbers."""
    options = {}
    for part in filter(None, text.split(",")):
        key, found, value = part.partition("=")
        if not found or not key.strip().isidentifier():
            raise ValueError(
                f"expected key=value after 'shapes:', got {part!r};"
                " write for example shapes:size=64"
            )
        options[key.strip()] = _number(value.strip())
    return options


def _number(text: str):
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return {"true": True, "false": False}.get(text.lower(), text)
