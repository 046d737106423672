"""One line for a user's mistake, a traceback for a bug."""

import pytest

from stylejax.cli import messages
from stylejax.train import loop, parallel


class TrainingStopped(RuntimeError):
    """A namesake of the loop's error, in another package."""


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("x"), 2),
        (FileNotFoundError("x"), 2),
        (TypeError("x"), 2),
        (messages.UsageError("x"), 2),
        (loop.TrainingStopped("x"), 1),
        (parallel.LostPeer("x"), 1),
        (TrainingStopped("x"), None),
        (MemoryError(), 1),
        (FloatingPointError("x"), 1),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory"), 1),
        (RuntimeError("INTERNAL: Error: Out of memory allocating 9 bytes."), 1),
        (KeyboardInterrupt(), 130),
        (RuntimeError("x"), None),
        (KeyError("x"), None),
    ],
)
def test_exit_status(error, status):
    assert messages.exit_status(error) == status


def test_an_os_error_names_its_file():
    try:
        open("/no/such/file")
    except OSError as error:
        assert messages.one_line(error) == "No such file or directory: /no/such/file"


def test_an_error_without_text_is_named():
    assert messages.one_line(ValueError()) == "ValueError"


def test_bugs_keep_their_traceback():
    with pytest.raises(KeyError), messages.one_line_errors("tool"):
        raise KeyError("a bug")


def test_memory_is_explained(capsys):
    with pytest.raises(SystemExit) as ended, messages.one_line_errors("tool"):
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes")
    assert ended.value.code == 1
    assert "smaller batch" in capsys.readouterr().err
