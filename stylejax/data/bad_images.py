"""What to do about pictures that cannot be used: stop, or leave them out and count."""

import dataclasses
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from stylejax.image.files import ImageFileError

MODES = ("error", "skip")


class BadImageReport:
    """The pictures that could not be used: counted once each, from any thread.

    `mode` is what the user asked for: "error" or "skip". `messages` maps a picture's
    place to the line that says what is wrong with it.
    """

    def __init__(self, mode: str = "error"):
        if mode not in MODES:
            raise ValueError(
                f"on_bad_image: expected one of {', '.join(MODES)}; got {mode!r}"
            )
        self.mode = mode
        self.messages: dict[str, str] = {}
        self._lock = threading.Lock()

    def add(self, place: str, message: str) -> None:
        """Notes a bad picture, once however often it is met."""
        with self._lock:
            self.messages.setdefault(place, message)

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


class Subset:
    """Some pictures of another source, in a given order."""

    def __init__(self, source, indices: Sequence[int]):
        self._source = source
        self.indices = list(indices)
        names = getattr(source, "names", None) or list(map(str, range(len(source))))
        self.names = [names[index] for index in self.indices]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> np.ndarray:
        """The picture at the subset's index."""
        return self._source[self.indices[index]]

    def place(self, index: int) -> str:
        """Where the picture lies, as the other source says it."""
        return place_of(self._source, self.indices[index])


def place_of(source, index: int) -> str:
    """What to call a picture in a message: its path, its name or its number.

    Args:
      source: A source; `place(index)` and `names` are used where it has them.
      index: The picture's number in it.

    Returns:
      Text for people, the same each time.
    """
    if hasattr(source, "place"):
        return source.place(index)
    names = getattr(source, "names", None)
    return str(names[index]) if names else f"picture {index}"


def without_bad(dataset, *, min_size: int | None = None):
    """The data set without the pictures that are known to be of no use.

    Those are the too small ones of `min_size`, and in the report's mode "skip" the
    test pictures that cannot be decoded (each is tried once), so that pairs stay pairs.
    Broken training pictures are met later, and replaced or raised, by the pipeline.

    Args:
      dataset: A `TwoDomainDataset`.
      min_size: Least length of the shorter side, in pixels; None: any.

    Returns:
      A `TwoDomainDataset` whose `report` lists what was left out.

    Raises:
      ValueError: A picture is bad and the mode is "error", or none is left.
    """
    skip = dataset.report.mode == "skip"
    good: dict[str, Any] = {}
    for field in ("train_a", "train_b", "test_a", "test_b"):
        decode = skip and field.startswith("test")
        if min_size or decode:
            source = getattr(dataset, field)
            good[field] = [
                _usable(source, index, min_size, dataset.report, decode=decode)
                for index in range(len(source))
            ]
    if dataset.paired and "test_a" in good:
        both = np.logical_and(good["test_a"], good["test_b"])
        good["test_a"] = good["test_b"] = both
    kept = {field: _kept(dataset, field, flags) for field, flags in good.items()}
    labels = dataset.labels
    if labels is not None:
        labels = {
            field: _select_labels(value, kept.get(field))
            for field, value in labels.items()
        }
    return dataclasses.replace(dataset, labels=labels, **kept)


def _usable(source, index, min_size, report, *, decode) -> bool:
    try:
        if decode or not hasattr(source, "size_of"):
            height, width = source[index].shape[:2]
        else:
            height, width = source.size_of(index)
        if min_size and min(height, width) < min_size:
            raise ImageFileError(
                f"picture too small: {place_of(source, index)!r} is {width} x {height},"
                f" at least {min_size} is needed; remove it or lower min_size"
            )
    except ImageFileError as error:
        if report.mode == "error":
            raise
        report.add(place_of(source, index), str(error))
        return False
    return True


def _kept(dataset, field: str, good):
    source = getattr(dataset, field)
    if all(good):
        return source
    if not any(good):
        raise ValueError(
            f"no usable picture left in {field} of {dataset.name!r}:"
            f" {dataset.report.summary(limit=2)}"
        )
    return Subset(source, np.flatnonzero(good).tolist())


def _select_labels(value, source):
    if not isinstance(source, Subset) or not isinstance(value, dict):
        return value
    return {key: np.asarray(array)[source.indices] for key, array in value.items()}
