"""What every writer of a training can do, and the one that shows a progress bar."""

import dataclasses
import datetime
import math
import sys
import time
from collections.abc import Mapping

import numpy as np
import tqdm


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a training is.

    Attributes:
        step: steps done.
        num_steps: steps wanted, 0 if only a time is set.
        steps_per_second: recent speed, 0 where unknown.
        images_per_second: recent speed in examples of a batch.
        seconds_left: until the training ends, None where unknown.
        values: the newest metrics.
    """

    step: int
    _: dataclasses.KW_ONLY
    num_steps: int = 0
    steps_per_second: float = 0.0
    images_per_second: float = 0.0
    seconds_left: float | None = None
    values: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def eta(self) -> str:
        """Returns the time left as `h:mm:ss`, or `?` where it is unknown."""
        if self.seconds_left is None:
            return "?"
        return str(datetime.timedelta(seconds=round(self.seconds_left)))

    def losses(self) -> dict[str, str]:
        """Returns the main losses, formatted: those named `…/total`, else three."""
        names = [n for n in self.values if n.endswith("/total")]
        names = names or list(self.values)[:3]
        return {n.removesuffix("/total"): f"{self.values[n]:.4g}" for n in names}


class Writer:
    """Does nothing with everything; the others override what concerns them."""

    def write_scalars(
        self, step: int, values: Mapping[str, float], *, kind: str = "train"
    ) -> None:
        """Records numbers by name.

        Args:
            step: the training step they belong to.
            values: name to number.
            kind: "train" or "evaluation".
        """

    def write_image(self, step: int, name: str, image: np.ndarray) -> None:
        """Records a picture.

        Args:
            step: the training step it belongs to.
            name: what it shows, one word or a slash path.
            image: float `h w c` in [0, 1].
        """

    def show_progress(self, progress: Progress) -> None:
        """Shows how far the training is."""

    def write_message(self, text: str) -> None:
        """Tells the person in one line."""

    def truncate(self, step: int) -> None:
        """Forgets whatever was recorded for later steps; called before a run goes on.

        Args:
            step: the last step that counts; 0 forgets everything.
        """

    def close(self) -> None:
        """Completes and closes the files."""


class ProgressBar(Writer):
    """Shows a bar with speed, time left and main losses; plain lines without a tty.

    Args:
        stream: where to write; standard error unless told.
        every_seconds: least time between two plain lines.
    """

    def __init__(self, stream=None, *, every_seconds: float = 10.0):
        self._stream = stream
        self._every_seconds = every_seconds
        self._bar: tqdm.tqdm | None = None
        self._last = -math.inf

    def show_progress(self, progress):
        """Moves the bar, or prints a line if the last one is long enough ago."""
        stream = self._stream or sys.stderr
        if not stream.isatty():
            self._print_line(stream, progress)
            return
        if self._bar is None:
            self._bar = tqdm.tqdm(
                total=progress.num_steps or None,
                initial=progress.step,
                file=stream,
                bar_format="{percentage:3.0f}%|{bar:12}| {n_fmt}/{total_fmt}{postfix}",
                dynamic_ncols=True,
            )
        self._bar.n = progress.step
        speed = {
            "steps/s": f"{progress.steps_per_second:.2f}",
            "images/s": f"{progress.images_per_second:.2f}",
            "ETA": progress.eta(),
        }
        self._bar.set_postfix(speed | progress.losses(), refresh=True)

    def write_message(self, text):
        """Prints the line without disturbing the bar."""
        tqdm.tqdm.write(text, file=self._stream or sys.stderr)

    def close(self):
        """Leaves the bar where it stands."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _print_line(self, stream, progress: Progress) -> None:
        now = time.monotonic()
        last_step = progress.step == progress.num_steps
        if now - self._last < self._every_seconds and not last_step:
            return
        self._last = now
        losses = "  ".join(f"{n} {value}" for n, value in progress.losses().items())
        total = f"/{progress.num_steps}" if progress.num_steps else ""
        print(
            f"step {progress.step}{total}  {progress.steps_per_second:.2f} steps/s  "
            f"{progress.images_per_second:.2f} images/s  ETA {progress.eta()}  "
            f"{losses}",
            file=stream,
            flush=True,
        )
