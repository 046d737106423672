"""Where a training reports to: a JSON-lines log, TensorBoard, pictures, a bar.

Every writer has the methods of `Writer` and does what it can with each; `MultiWriter`
hands everything to several. Files are created by the first thing written, so building
a writer leaves no trace. Only process 0 should have writers that write.
"""

import json
import math
import os
import pathlib
import sys
import time
from collections.abc import Sequence
from typing import Any, TextIO

import numpy as np

from stylejax.image import files
from stylejax.train import manifest
from stylejax.train.progress import ProgressBar, Writer


class JsonLinesWriter(Writer):
    """Appends one JSON object a line: step, kind, time and the numbers.

    A number that is not finite is written as null.

    Args:
        path: the log file; its directory is created by the first line.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = pathlib.Path(path)
        self._file: TextIO | None = None

    def write_scalars(self, step, values, *, kind="train"):
        """Appends one line and hands it to the operating system."""
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(self.path, "a", encoding="utf-8")
        numbers = {name: _json_number(value) for name, value in values.items()}
        line = {"step": step, "kind": kind, "time": round(time.time(), 3)} | numbers
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def truncate(self, step):
        """Drops the lines of later steps and a last line that was cut off."""
        self.close()
        if not self.path.exists():
            return
        text = self.path.read_text(encoding="utf-8", errors="replace")
        kept = [line for line in text.splitlines() if _step_of(line) <= step]
        if kept:
            manifest.write_atomically(self.path, "\n".join(kept) + "\n")
        else:
            self.path.unlink()

    def close(self):
        """Closes the log; a later line opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None


class TensorBoardWriter(Writer):
    """Writes scalars and pictures as TensorBoard events.

    Args:
        directory: where the event files go.
    """

    def __init__(self, directory: str | os.PathLike):
        self.directory = pathlib.Path(directory)
        self._writer = None
        self._purge_step = None

    def write_scalars(self, step, values, *, kind="train"):
        """Writes each finite number under its name, evaluation under its own head."""
        head = "" if kind == "train" else f"{kind}/"
        for name, value in values.items():
            if value is not None and math.isfinite(value):
                self._open().add_scalar(head + name, float(value), step)

    def write_image(self, step, name, image):
        """Writes the picture with 8 bits a channel."""
        pixels = np.clip(np.asarray(image) * 255.0 + 0.5, 0, 255).astype(np.uint8)
        self._open().add_image(name, pixels, step, dataformats="HWC")

    def truncate(self, step):
        """Makes the viewer hide events of later steps that a killed run wrote."""
        self.close()
        if self.directory.is_dir():
            self._purge_step = step + 1

    def close(self):
        """Writes what is pending and closes the event file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _open(self) -> Any:
        if self._writer is None:
            self._writer = _import_tensorboardx().SummaryWriter(
                str(self.directory), purge_step=self._purge_step, flush_secs=30
            )
        return self._writer


class ImageWriter(Writer):
    """Writes pictures as `NAME_STEP.png`.

    Args:
        directory: where the files go.
    """

    def __init__(self, directory: str | os.PathLike):
        self.directory = pathlib.Path(directory)

    def write_image(self, step, name, image):
        """Writes one PNG, slashes in the name becoming underscores."""
        stem = name.replace("/", "_")
        files.write(self.directory / f"{stem}_{step:08d}.png", np.asarray(image))

    def truncate(self, step):
        """Removes the pictures of later steps."""
        for path in self.directory.glob("*_*.png"):
            digits = path.stem.rpartition("_")[2]
            if digits.isdigit() and int(digits) > step:
                path.unlink()


class MultiWriter(Writer):
    """Hands everything to several writers, in order.

    Args:
        writers: any number; none at all makes a writer that stays silent.
    """

    def __init__(self, writers: Sequence[Writer]):
        self.writers = list(writers)

    def write_scalars(self, step, values, *, kind="train"):
        """Records numbers with every writer."""
        for writer in self.writers:
            writer.write_scalars(step, values, kind=kind)

    def write_image(self, step, name, image):
        """Records a picture with every writer."""
        for writer in self.writers:
            writer.write_image(step, name, image)

    def show_progress(self, progress):
        """Shows progress with every writer."""
        for writer in self.writers:
            writer.show_progress(progress)

    def write_message(self, text):
        """Tells the line through every writer."""
        for writer in self.writers:
            writer.write_message(text)

    def truncate(self, step):
        """Forgets later steps in every writer."""
        for writer in self.writers:
            writer.truncate(step)

    def close(self):
        """Closes every writer."""
        for writer in self.writers:
            writer.close()


def default_writer(
    workdir: str | os.PathLike, *, process_index: int = 0, stream=None
) -> MultiWriter:
    """Returns the usual writers of a run: log, events, pictures and a bar.

    Args:
        workdir: gets `log.jsonl`, `events/` and `samples/`.
        process_index: any but 0 makes a writer that stays silent.
        stream: where bar and messages go; standard error unless told.

    Returns:
        One writer for all.
    """
    if process_index != 0:
        return MultiWriter([])
    workdir = pathlib.Path(workdir)
    return MultiWriter(
        [
            JsonLinesWriter(workdir / "log.jsonl"),
            TensorBoardWriter(workdir / "events"),
            ImageWriter(workdir / "samples"),
            ProgressBar(stream),
        ]
    )


def _import_tensorboardx() -> Any:
    """Returns tensorboardX, kept from importing PyTorch along with it.

    Version 2.6.5 (2026-11) imports PyTorch wherever that is installed, for features
    not used here: seconds of start-up and several hundred MB of memory.
    """
    if "torch" in sys.modules:
        import tensorboardX
    else:
        sys.modules["torch"] = None  # type: ignore[assignment]
        try:
            import tensorboardX
        finally:
            del sys.modules["torch"]
    return tensorboardX


def _json_number(value: float | None) -> float | int | None:
    if value is None or isinstance(value, int):
        return value
    return float(value) if math.isfinite(value) else None


def _step_of(line: str) -> float:
    """Returns the step of a log line; infinity if it is no whole line."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf
