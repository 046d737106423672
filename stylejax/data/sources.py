"""Where pictures come from: `load(name)` gives two domains as indexable sources.

A source has `__len__`, `__getitem__(i)` (float32 `h w 3` in [0, 1], decoded only then)
and, where they are known, `names`. A picture that cannot be read raises `ImageFileError`
at its index; whether that ends the run or is skipped and counted is the report's mode.
"""

import collections
import dataclasses
import importlib
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stylejax.image import files

KNOWN = ("emoji", "folder:PATH", "tfds:NAME_OR_DIR", "shapes", "shapes:key=value,…")
FOLDERS = ("trainA", "trainB", "testA", "testB")
MODES = ("error", "skip")


class BadImageReport:
    """The pictures that could not be used, by name: counted once each, from any thread."""

    def __init__(self, mode: str = "error"):
        if mode not in MODES:
            raise ValueError(
                f"expected on_bad_image to be one of {MODES}, got {mode!r}; pass one of them"
            )
        self.mode = mode
        self.messages: dict[str, str] = {}
        self._lock = threading.Lock()

    def add(self, name: str, message: str) -> None:
        """Notes a bad picture, once however often it is met."""
        with self._lock:
            self.messages.setdefault(name, message)

    @property
    def count(self) -> int:
        """How many different pictures were skipped."""
        return len(self.messages)

    def summary(self, *, limit: int = 5) -> str:
        """One line for people: how many were skipped, and the first of them."""
        if not self.messages:
            return "no bad images"
        shown = list(self.messages.values())[:limit]
        more = f" … and {self.count - limit} more" if self.count > limit else ""
        return f"skipped {self.count} bad image(s): " + "; ".join(shown) + more


class ArraySource:
    """Pictures held in memory, uint8 or float in [0, 1], possibly of different sizes."""

    def __init__(self, images: Sequence, *, names: Sequence[str] | None = None):
        self._images = images
        self.names = (
            list(names) if names is not None else list(map(str, range(len(images))))
        )
        if len(self.names) != len(images):
            raise ValueError(
                f"expected {len(images)} names, got {len(self.names)}; pass one a picture"
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
            pixels = files.read_compact(self.files[index])
            self._cache.put(index, pixels)
        return files.as_float(pixels)

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) of a picture, from its header alone."""
        return files.size(self.files[index])


class Subset:
    """Some pictures of another source, in a given order."""

    def __init__(self, source, indices: Sequence[int]):
        self._source = source
        self.indices = list(indices)
        self.names = [name_of(source, index) for index in self.indices]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> np.ndarray:
        """The picture at the subset's index."""
        return self._source[self.indices[index]]


class ByteLimitedCache:
    """Arrays by key up to a number of bytes; the least recently used go. Thread-safe."""

    def __init__(self, max_bytes: int):
        self._max_bytes = max_bytes
        self._bytes = 0
        self._items: collections.OrderedDict = collections.OrderedDict()
        self._lock = threading.Lock()

    def get(self, key):
        """The array under `key`, or None."""
        with self._lock:
            if key not in self._items:
                return None
            self._items.move_to_end(key)
            return self._items[key]

    def put(self, key, array: np.ndarray) -> None:
        """Keeps `array`, read-only from now on, if it fits at all."""
        if array.nbytes > self._max_bytes:
            return
        array.flags.writeable = False
        with self._lock:
            if key in self._items:
                return
            self._items[key] = array
            self._bytes += array.nbytes
            while self._bytes > self._max_bytes:
                self._bytes -= self._items.popitem(last=False)[1].nbytes


@dataclasses.dataclass
class TwoDomainDataset:
    """Two picture domains: unpaired for training, for scoring paired where `paired`.

    Where `paired`, `test_a[i]` and `test_b[i]` show the same thing. `labels` maps a
    field (`train_a`, …) to a dictionary of per-picture arrays, or is None.
    """

    name: str
    train_a: Sequence
    train_b: Sequence
    test_a: Sequence
    test_b: Sequence
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
    """The dataset field of a folder name: `trainA` is `train_a`."""
    return f"{split[:-1]}_{split[-1].lower()}"


def name_of(source, index: int) -> str:
    """What to call a picture of a source in a message."""
    names = getattr(source, "names", None)
    return str(names[index]) if names else f"picture {index}"


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
      on_bad_image: "error" stops at the first unusable picture, "skip" leaves it out and
        counts it in `report`. With "skip" all test pictures are decoded once here,
        so that pairs stay pairs.
      data_dir: Where prepared `tfds:` sets lie; by default tfds' own folder.
      min_size: Pictures whose shorter side has fewer pixels are bad. None: any size.

    Returns:
      A `TwoDomainDataset`.

    Raises:
      ValueError: The name or an option is unknown, or a picture is bad.
      FileNotFoundError: A folder is missing or empty.
    """
    if direction not in ("AtoB", "BtoA"):
        raise ValueError(
            f"expected direction AtoB or BtoA, got {direction!r}; pass one"
        )
    report = BadImageReport(on_bad_image)
    kind, _, rest = name.partition(":")
    if name == "emoji":
        from stylejax.data import emoji

        dataset = emoji.load_emoji()
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
        raise ValueError(f"unknown data set {name!r}; there are: {', '.join(KNOWN)}")
    if dataset.report.mode != report.mode:
        dataset = dataclasses.replace(dataset, report=report)
    dataset = _without_bad(dataset, min_size)
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
            raise FileNotFoundError(
                f"expected folders trainA and trainB in {str(path)!r}, {split} is missing;"
                " put each domain's pictures into one"
            )
    opened = {
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
                f"expected key=value after 'shapes:', got {part!r}; write e.g. shapes:size=64"
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


def _without_bad(dataset: TwoDomainDataset, min_size: int | None) -> TwoDomainDataset:
    """The data set less its pictures that are too small, and its broken test pictures.

    Training pictures are not decoded here: broken ones are met, and replaced or
    raised, by the pipeline.
    """
    report = dataset.report
    fields = {}
    for field in ("train_a", "train_b"):
        source = getattr(dataset, field)
        if min_size:
            good = [
                i for i in range(len(source)) if _usable(source, i, min_size, report)
            ]
            fields[field] = _subset(source, good, f"{dataset.name} {field}", report)
    tests = (dataset.test_a, dataset.test_b)
    if min_size or report.mode == "skip":
        good = [
            [
                _usable(source, i, min_size, report, decode=report.mode == "skip")
                for i in range(len(source))
            ]
            for source in tests
        ]
        if dataset.paired:
            good = [[a and b for a, b in zip(*good, strict=True)]] * 2
        for field, source, kept in zip(("test_a", "test_b"), tests, good, strict=True):
            fields[field] = _subset(
                source, np.flatnonzero(kept).tolist(), f"{dataset.name} {field}", report
            )
    labels = dataset.labels
    if labels is not None and fields:
        labels = {
            field: _select_labels(value, fields.get(field))
            for field, value in labels.items()
        }
    return dataclasses.replace(dataset, labels=labels, **fields)


def _usable(source, index, min_size, report, *, decode=False) -> bool:
    name = name_of(source, index)
    try:
        if decode or not hasattr(source, "size"):
            height, width = source[index].shape[:2]
        else:
            height, width = source.size(index)
        if min_size and min(height, width) < min_size:
            raise files.ImageFileError(
                f"picture too small: {name!r} is {width} x {height}, at least {min_size}"
                " is needed; remove it or lower min_size"
            )
    except files.ImageFileError as error:
        if report.mode == "error":
            raise
        report.add(name, str(error))
        return False
    return True


def _subset(source, indices: list[int], where: str, report: BadImageReport):
    if len(indices) == len(source):
        return source
    if not indices:
        raise ValueError(
            f"no usable picture left in {where}: {report.summary(limit=2)}"
        )
    return Subset(source, indices)


def _select_labels(value, source):
    if not isinstance(source, Subset) or not isinstance(value, dict):
        return value
    return {key: np.asarray(array)[source.indices] for key, array in value.items()}
