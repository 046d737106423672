"""How the command line ends when something is wrong: one line, never a traceback.

A user's mistake (a bad flag, a missing file, a refused value) ends with exit status
2; a run that stopped for a reason of its own (training diverged, a peer was lost, no
memory) with 1; an interrupt with 130. `--debug` shows the traceback instead. Errors
that are none of these are bugs, and keep their traceback.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from absl import flags

MISTAKES = (ValueError, TypeError, OSError, flags.Error)
# Errors of ours that are no mistake of the user; known by name, so that the modules
# that define them (and jax) are not imported for a message.
STOPS = {"TrainingStopped", "LostPeer"}


class UsageError(ValueError):
    """A command line that cannot be carried out."""


def one_line(error: BaseException) -> str:
    r"""The message of an error on one line.

    Args:
        error: any exception.

    Returns:
        Its text with line breaks folded; the class's name where it has no text.
        An OSError reads "what: file".

    Example:
        >>> one_line(ValueError("expected 3 channels,\n  got 4"))
        'expected 3 channels, got 4'
    """
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.strerror}: {error.filename}"
    return " ".join(str(error).split()) or type(error).__name__


def exit_status(error: BaseException) -> int | None:
    """The exit status an error ends the program with.

    Args:
        error: any exception.

    Returns:
        2 for a user's mistake, 1 for a stop with a reason, 130 for an interrupt,
        None for a bug (which keeps its traceback).
    """
    if isinstance(error, KeyboardInterrupt):
        return 130
    is_ours = type(error).__module__.startswith("stylejax.")
    if is_out_of_memory(error) or is_ours and type(error).__name__ in STOPS:
        return 1
    if isinstance(error, FloatingPointError):  # an optimisation that diverged
        return 1
    return 2 if isinstance(error, MISTAKES) else None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on the host or on a device.

    Args:
        error: any exception.

    Returns:
        True for MemoryError and for the runtime's RESOURCE_EXHAUSTED.
    """
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)[:200]:
        return True
    # From within a computation on a CPU it is INTERNAL, with this (jax 0.10, 2026-11).
    is_runtime = isinstance(error, RuntimeError)
    return is_runtime and "Out of memory allocating" in str(error)[:2000]


@contextmanager
def one_line_errors(program: str, *, debug: bool = False) -> Iterator[None]:
    """Ends the program with one line on stderr when its body raises.

    Args:
        program: the name the line starts with.
        debug: let every error through, with its traceback.

    Yields:
        Nothing.

    Raises:
        SystemExit: in place of the errors `exit_status` knows.
    """
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        status = exit_status(error)
        if debug or status is None:
            raise
        text = "interrupted" if status == 130 else one_line(error)
        if is_out_of_memory(error):
            text = "out of memory: use smaller images or a smaller batch"
        print(f"{program}: {text}", file=sys.stderr, flush=True)
        raise SystemExit(status) from None
