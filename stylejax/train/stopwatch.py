"""How fast a training is, pauses left out."""

import contextlib
import time
from collections.abc import Callable, Iterator


class Stopwatch:
    """Measures steps a second, without pauses and without the first step's compiling.

    Args:
        every_seconds: the least time over which the recent speed is taken.
        clock: returns seconds that only ever grow.
    """

    def __init__(
        self,
        *,
        every_seconds: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._every_seconds = every_seconds
        self._clock = clock
        self._began: float | None = None
        self._paused = 0.0
        self._last = (0.0, 0)  # seconds and laps when the newest lap ended
        self._mark = (0.0, 0)  # the same where the recent speed was taken
        self._recent = 0.0

    def lap(self) -> None:
        """Notes that a step is done; the first one only starts the clock."""
        now = self._clock()
        if self._began is None:
            self._began = now
            self._paused = 0.0
            return
        self._last = (now - self._began - self._paused, self._last[1] + 1)
        if self._last[0] - self._mark[0] >= self._every_seconds:
            self._recent = _rate(self._mark, self._last)
            self._mark = self._last

    @contextlib.contextmanager
    def pause(self) -> Iterator[None]:
        """Leaves out the time spent inside."""
        began = self._clock()
        try:
            yield
        finally:
            self._paused += self._clock() - began

    def speed(self) -> float:
        """Returns the recent steps a second, 0 as long as nothing is known."""
        return self._recent or self.overall_speed()

    def overall_speed(self) -> float:
        """Returns the steps a second from the first step to the last, 0 before two."""
        return _rate((0.0, 0), self._last)


def _rate(begin: tuple[float, int], end: tuple[float, int]) -> float:
    """Returns laps a second between two readings."""
    seconds, laps = end[0] - begin[0], end[1] - begin[1]
    return laps / max(seconds, 1e-9) if laps else 0.0
