"""Why a training ends before its last step, and how its processes agree on that."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

import jax
import numpy as np
from jax.experimental import multihost_utils


class TrainingStopped(RuntimeError):
    """The training cannot go on; the message is one line."""


@contextlib.contextmanager
def catch_signals() -> Iterator[list[str]]:
    """Yields a list that receives the name of SIGTERM or SIGINT instead of its blow.

    A second signal acts as usual. With several processes, and outside the main
    thread, nothing is caught: there `jax.distributed` watches for preemption.

    Returns:
        A context manager around the list, which stays empty until a signal comes.
    """
    caught: list[str] = []
    in_main_thread = threading.current_thread() is threading.main_thread()
    if jax.process_count() > 1 or not in_main_thread:
        yield caught
        return
    watched = (signal.SIGTERM, signal.SIGINT)
    former = {number: signal.getsignal(number) for number in watched}

    def restore():
        for number, handler in former.items():
            signal.signal(number, handler or signal.SIG_DFL)

    def note(number, _):
        caught.append(signal.Signals(number).name.lower())
        restore()

    for number in watched:
        signal.signal(number, note)
    try:
        yield caught
    finally:
        restore()


def stop_reason(
    step: int, *, caught: list[str], is_late: bool, is_time_to_ask: bool
) -> str | None:
    """Returns why to stop after this step, the same on every process, or None.

    Args:
        step: the step just begun; every process must ask at the same ones.
        caught: what `catch_signals` yielded.
        is_late: whether this process's clock says that the time is up.
        is_time_to_ask: whether several processes should compare clocks now.

    Returns:
        "sigterm", "sigint", "max_minutes" or None.
    """
    if jax.process_count() == 1:
        return caught[0] if caught else ("max_minutes" if is_late else None)
    if multihost_utils.reached_preemption_sync_point(step):
        return "sigterm"
    if is_time_to_ask and multihost_utils.broadcast_one_to_all(np.bool_(is_late)):
        return "max_minutes"
    return None


def agree(choose: Callable[[], int | None]) -> int | None:
    """Returns what process 0 chooses, on every process; its mistakes end all of them.

    Args:
        choose: called on process 0 alone; returns a number that is not negative.

    Returns:
        That number, or None.

    Raises:
        ValueError: `choose` raised it on process 0.
    """
    if jax.process_count() == 1:
        return choose()
    chosen, error = None, None
    if jax.process_index() == 0:
        try:
            chosen = choose()
        except ValueError as problem:
            error = problem
    code = -2 if error is not None else -1 if chosen is None else chosen
    code = int(multihost_utils.broadcast_one_to_all(np.int32(code)))
    if error is not None:
        raise error
    if code == -2:
        raise ValueError("process 0 refused to go on; its message says why")
    return None if code == -1 else code
