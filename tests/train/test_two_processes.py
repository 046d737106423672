"""Two processes on this machine: the same run as one, and an end when one is lost."""

import contextlib
import json
import os
import pathlib
import runpy
import signal
import socket
import subprocess
import sys
import time
import types

import jax
import numpy as np
import pytest

from stylejax.train import parallel

WORKER = pathlib.Path(__file__).with_name("two_process_worker.py")
ROOT = WORKER.parents[2]
LIMIT = 240  # seconds; generous, for two cores that do other things as well
RESTARTS = "start all processes again: --resume=auto goes on from the last checkpoint"


def free_port(*, below=0):
    """A port nobody listens on; at or above `below`, if given."""
    for candidate in range(below, 65536) if below else [0]:
        with contextlib.suppress(OSError), socket.socket() as s:
            s.bind(("127.0.0.1", candidate))
            return s.getsockname()[1]
    raise RuntimeError("no free port")


@pytest.fixture
def start(tmp_path):
    """start(mode, *flags) -> Popen, its stderr in a file; all are killed at the end."""
    started = []

    def start_one(mode, *flags, env=None):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **(env or {})}
        error = (tmp_path / f"stderr{len(started)}").open("w+b")
        process = subprocess.Popen(
            [sys.executable, "-u", str(WORKER), mode, str(tmp_path), *flags],
            stdout=subprocess.PIPE,
            stderr=error,
            env=environment,
            start_new_session=True,
        )
        process.error = error
        started.append(process)
        return process

    yield start_one
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=30)
        process.stdout.close()
        process.error.close()


@pytest.fixture
def fast_compilation():
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


def start_two(start, mode, *flags):
    address = f"--coordinator=127.0.0.1:{free_port()}"
    flags = [address, "--num_processes=2", "--initialization_timeout=90", *flags]
    return [start(mode, *flags, f"--process_id={i}") for i in range(2)]


def ended(process):
    """(exit status, lines of stderr) once the process is gone; it must go in time."""
    status = process.wait(timeout=LIMIT)
    process.error.seek(0)
    return status, process.error.read().decode(errors="replace").splitlines()


def wait_for(path, processes):
    deadline = time.monotonic() + LIMIT
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} never came"
        assert all(p.poll() is None for p in processes), [ended(p) for p in processes]
        time.sleep(0.1)


def test_two_processes_train_as_one(start, tmp_path, fast_compilation):
    processes = start_two(start, "train")
    worker = types.SimpleNamespace(**runpy.run_path(str(WORKER)))
    expected = worker.train(parallel.data_mesh(), worker.batches())
    for process in processes:
        status, errors = ended(process)
        assert status == 0, "\n".join(errors)
    saved = [np.load(tmp_path / f"{i}.npz") for i in range(2)]

    alone = worker.batches()
    for number in range(worker.NUM_STEPS):
        whole = next(alone)
        for domain in "ab":
            shares = [s[f"{domain}{number}"] for s in saved]
            assert shares[0].shape[0] == worker.BATCH_SIZE // 2
            np.testing.assert_array_equal(np.concatenate(shares), whole[domain])

    histories = [json.loads((tmp_path / f"{i}.json").read_text()) for i in range(2)]
    assert histories[0] == histories[1]
    leaves, structure = jax.tree.flatten([state for state, _ in expected])
    for i in range(len(leaves)):
        np.testing.assert_array_equal(saved[0][f"leaf{i}"], saved[1][f"leaf{i}"])
    ours = structure.unflatten([saved[0][f"leaf{i}"] for i in range(len(leaves))])
    runs = zip(zip(ours, histories[0], strict=True), expected, strict=True)
    worker.check_distances([worker.distances(*pair) for pair in runs])

    # The toy of both modes started at process 0's values, not at process 1's.
    for name in ("jit", "pmap"):
        np.testing.assert_array_equal(saved[0][name], saved[1][name])
        assert saved[0][name] == pytest.approx(saved[0]["jit"], abs=1e-6)
    lines = (tmp_path / "log" / "log.jsonl").read_text().splitlines()
    assert len(lines) == worker.NUM_STEPS, "process 0 alone logs"


def test_a_cluster_is_joined_without_flags(start):
    """SLURM's variables, as `srun --ntasks=2` sets them; jax derives the port."""
    port = free_port(below=65535 - 4096 + 1 + os.getpid() % 2048)
    cluster = {
        "SLURM_JOB_ID": str(port - (65535 - 4096 + 1)),
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_NTASKS": "2",
    }
    processes = [
        start("join", env={**cluster, "SLURM_PROCID": str(i), "SLURM_LOCALID": str(i)})
        for i in range(2)
    ]
    for i, process in enumerate(processes):
        status, errors = ended(process)
        assert status == 0, errors
        lines = process.stdout.read().decode().splitlines()
        assert [i, 2, 4] in [json.loads(x) for x in lines if x.startswith("[")]


@pytest.mark.parametrize(
    ("victim", "blow"), [(0, "SIGKILL"), (1, "SIGKILL"), (1, "SIGSTOP")]
)
def test_a_lost_peer_ends_the_run_with_one_line(start, tmp_path, victim, blow):
    processes = start_two(start, "toy", "--heartbeat_timeout=8")
    wait_for(tmp_path / "ready0", processes)
    wait_for(tmp_path / "ready1", processes)
    os.kill(processes[victim].pid, getattr(signal, blow))
    began = time.monotonic()
    status, errors = ended(processes[1 - victim])
    assert status == 1, errors
    assert time.monotonic() - began < 60
    assert f"process {1 - victim} of 2 " in errors[-1]
    assert "lost" in errors[-1] and errors[-1].endswith(RESTARTS)
    assert "Traceback" not in "".join(errors)


def test_a_failing_process_ends_at_once_and_the_other_soon(start, tmp_path):
    survivor, failing = start_two(start, "raise", "--heartbeat_timeout=8")
    wait_for(tmp_path / "ready1", [survivor])
    began = time.monotonic()
    status, errors = ended(failing)
    assert status == 1
    # jax's farewell would wait five minutes for the survivor.
    assert time.monotonic() - began < 60
    assert errors[-1] == "ZeroDivisionError: a bug of process 1"
    status, errors = ended(survivor)
    assert status == 1 and time.monotonic() - began < 100
    assert "process 0 of 2 " in errors[-1] and errors[-1].endswith(RESTARTS)


def test_a_peer_that_never_comes_ends_the_wait_with_one_line(start):
    flags = [f"--coordinator=127.0.0.1:{free_port()}", "--num_processes=2"]
    alone = start("join", *flags, "--process_id=0", "--initialization_timeout=2")
    status, errors = ended(alone)
    assert status == 1
    assert errors[-1].startswith("stylejax: process 0 of 2 could not join its peers")
