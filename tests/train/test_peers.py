"""Finding peers without any, and the last words of a process jax aborts."""

import pathlib
import socket
import subprocess
import sys

import jax
import pytest

from stylejax.train import peers

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def port():
    """A port nobody listens on."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture
def answer(monkeypatch):
    """answer(error): what jax.distributed.initialize does; returns the calls it got."""

    def give(error):
        calls = []

        def initialize(*names, **options):
            calls.append((names, options))
            if error is not None:
                raise error

        monkeypatch.setattr(jax.distributed, "initialize", initialize)
        return calls

    return give


def one_line(info):
    assert "\n" not in str(info.value)
    return str(info.value)


def test_one_process_named_runs_alone_and_asks_nobody(answer):
    calls = answer(RuntimeError("not to be called"))
    assert peers.initialize_distributed(num_processes=1) == (0, 1)
    assert calls == []


def test_without_cluster_and_flags_it_runs_alone(answer):
    calls = answer(ValueError("coordinator_address should be defined."))
    assert peers.initialize_distributed() == (0, 1)
    assert [names for names, _ in calls] == [(None, None, None)]
    assert not peers.LAST_WORDS.is_active


def test_defaults_of_the_config_mean_detection(answer):
    calls = answer(None)
    defaults = vars(peers.PeersConfig(initialization_timeout=7, heartbeat_timeout=9))
    assert peers.initialize_distributed(**defaults) == (0, 1)
    expected = {"initialization_timeout": 7, "heartbeat_timeout_seconds": 9}
    assert calls == [((None, None, None), expected)]
    # A cluster of one is no reason to end in a hurry.
    assert not peers.LAST_WORDS.is_active


def test_process_zero_is_a_name_of_its_own(answer, port):
    calls = answer(None)
    peers.initialize_distributed(
        coordinator=f"127.0.0.1:{port}", num_processes=2, process_id=0
    )
    assert calls[0][0] == (f"127.0.0.1:{port}", 2, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"coordinator": "somewhere"}, "expected host:port"),
        ({"coordinator": ":80"}, "expected host:port"),
        ({"coordinator": "host:"}, "expected host:port"),
        ({"num_processes": -2}, "expected at least 1, got -2"),
        ({"num_processes": 2, "process_id": 2}, "expected 0 to 1 with 2 processes"),
    ],
)
def test_contradictions_are_one_line(options, message, answer):
    calls = answer(None)
    with pytest.raises(ValueError, match=message) as info:
        peers.initialize_distributed(**options)
    assert one_line(info) and calls == []


@pytest.mark.parametrize(
    ("options", "error", "expected", "message"),
    [
        (
            {"num_processes": 2},
            ValueError("coordinator_address should be defined."),
            ValueError,
            "all of --coordinator, --num_processes and --process_id",
        ),
        (
            {},
            ValueError("Number of processes must be defined."),
            ValueError,
            "all of --coordinator",
        ),
        (
            {},
            OSError("metadata.internal:\n no such host"),
            ConnectionError,
            "alone with --num_processes=1",
        ),
        (
            {"num_processes": 2},
            RuntimeError("must be called before any JAX calls"),
            RuntimeError,
            "before anything else uses jax",
        ),
    ],
)
def test_what_jax_refuses_is_one_line(options, error, expected, message, answer):
    answer(error)
    with pytest.raises(expected, match=message) as info:
        peers.initialize_distributed(**options)
    assert one_line(info)
    assert not peers.LAST_WORDS.is_active


def test_too_late_matters_only_where_there_are_peers(monkeypatch):
    jax.devices()  # jax has been used: the real initialize refuses
    for name in ("SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE", "JAX_NUM_PROCESSES"):
        monkeypatch.delenv(name, raising=False)
    assert peers.initialize_distributed() == (0, 1)
    monkeypatch.setenv("SLURM_NTASKS", "1")
    assert peers.initialize_distributed() == (0, 1)
    monkeypatch.setenv("SLURM_NTASKS", "16")
    with pytest.raises(RuntimeError, match="before anything else uses jax"):
        peers.initialize_distributed()


def test_an_absent_coordinator_is_one_line(port, answer):
    calls = answer(None)
    with pytest.raises(
        ConnectionError, match=f"no coordinator at 127.0.0.1:{port}"
    ) as i:
        peers.initialize_distributed(
            coordinator=f"127.0.0.1:{port}",
            num_processes=2,
            process_id=1,
            initialization_timeout=0,
        )
    assert one_line(i) and calls == []


def test_a_taken_port_is_one_line(answer):
    calls = answer(None)
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConnectionError, match="choose another port") as info:
            peers.initialize_distributed(
                coordinator=address, num_processes=2, process_id=0
            )
    assert one_line(info) and calls == []


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("a\n  b"), "a b"),
        (ValueError(), "ValueError"),
        (ValueError("x" * 500), "x" * 157 + "..."),
    ],
)
def test_short(error, text):
    assert peers.short(error) == text


ABORTS = {
    "main thread": "os.abort()",
    "thread of the runtime": (
        "t = threading.Thread(target=ctypes.CDLL(None).abort); t.start(); t.join()"
    ),
}


@pytest.mark.parametrize("abort", ABORTS)
@pytest.mark.parametrize("withdrawn", [False, True])
def test_last_words_replace_an_abort(abort, withdrawn):
    lines = [
        "import ctypes, os, threading",
        "from stylejax.train.peers import LAST_WORDS",
        "LAST_WORDS.prepare('process 1 of 2', 'ended')",
        "LAST_WORDS.withdraw()" if withdrawn else "",
        ABORTS[abort],
    ]
    result = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=ROOT,
    )
    if withdrawn:
        assert result.returncode == -6
        assert "process 1 of 2" not in result.stderr
    else:
        assert result.returncode == 1, result.stderr
        assert result.stderr == "stylejax: process 1 of 2 ended\n"


def test_last_words_survive_changes_of_mind():
    words = peers.LastWords()
    for _ in range(2):
        words.prepare("this process", "waits")
        assert words.is_active
        words.withdraw()
        assert not words.is_active
