"""How the processes of one run find each other, and how one ends without the others.

`parallel` uses and re-exports what a training script needs of it.
"""

import atexit
import ctypes
import dataclasses
import os
import signal
import socket
import sys
import time
from typing import Any, NamedTuple

import jax

RESTART = "start all processes again: --resume=auto goes on from the last checkpoint"
# How launchers say that there are several processes; consulted only where it is too
# late to join them.
_LAUNCHERS = ("SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE", "JAX_NUM_PROCESSES")


class Peers(NamedTuple):
    """Which process this is, and of how many."""

    process_id: int
    num_processes: int


@dataclasses.dataclass(frozen=True)
class PeersConfig:
    """How the processes of one run find each other; on a pod nothing need be said.

    Attributes:
        coordinator: host:port of process 0, the same for all; empty to detect it.
        num_processes: how many processes there are; 0 to detect, 1 to run alone.
        process_id: which one this is, from 0; -1 to detect it.
        initialization_timeout: seconds to wait for the others at the start.
        heartbeat_timeout: seconds of silence after which a process counts as lost.
    """

    coordinator: str = ""
    num_processes: int = 0
    process_id: int = -1
    initialization_timeout: int = 300
    heartbeat_timeout: int = 100


def initialize_distributed(
    *,
    coordinator: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    initialization_timeout: int = 300,
    heartbeat_timeout: int = 100,
) -> Peers:
    """Returns this process's place among its peers, after joining them.

    On a TPU pod, under SLURM, Open MPI or an indexed Kubernetes job jax finds the
    peers by itself; elsewhere the three arguments name them, and a machine with none
    of both trains alone. Call it before anything else uses jax. From then on a lost
    peer ends this process too, with a line that says so and exit status 1; jax's own
    report of it stands above that line.

    Args:
        coordinator: host:port of process 0; None or "" to detect it.
        num_processes: how many there are; None or 0 to detect, 1 to run alone.
        process_id: which one this is; None or -1 to detect it.
        initialization_timeout: seconds to wait for the others now.
        heartbeat_timeout: seconds of silence after which a process counts as lost.

    Returns:
        `Peers`; (0, 1) when alone.

    Raises:
        ValueError: the arguments contradict each other or do not suffice.
        ConnectionError: the coordinator or the cluster cannot be reached.
        RuntimeError: jax has been used before, so it is too late to join.
    """
    if jax.distributed.is_initialized():
        return Peers(jax.process_index(), jax.process_count())
    config = PeersConfig(
        coordinator or "",
        num_processes or 0,
        -1 if process_id is None else process_id,
        initialization_timeout,
        heartbeat_timeout,
    )
    _check_peers(config)
    if config.num_processes == 1:
        return Peers(0, 1)
    LAST_WORDS.prepare(_who(config), _not_joined(config))
    try:
        joined = _join(config)
    except BaseException:
        LAST_WORDS.withdraw()
        raise
    peers = Peers(jax.process_index(), jax.process_count()) if joined else Peers(0, 1)
    if peers.num_processes == 1:
        LAST_WORDS.withdraw()
        return peers
    LAST_WORDS.prepare(
        f"process {peers.process_id} of {peers.num_processes}",
        f"ended because a peer or the coordinator was lost; {RESTART}",
    )
    return peers


def _join(config: PeersConfig) -> bool:
    """Returns whether this process has joined others; False where there are none."""
    is_named = bool(
        config.coordinator or config.num_processes or config.process_id >= 0
    )
    if config.coordinator and config.process_id > 0:
        _wait_for_coordinator(config.coordinator, config.initialization_timeout)
    elif config.coordinator and config.process_id == 0:
        _check_port_is_free(config.coordinator)
    try:
        jax.distributed.initialize(
            config.coordinator or None,
            config.num_processes or None,
            config.process_id if config.process_id >= 0 else None,
            initialization_timeout=config.initialization_timeout,
            heartbeat_timeout_seconds=config.heartbeat_timeout,
        )
    except ValueError as error:
        if not is_named and "coordinator_address" in str(error):
            return False
        raise ValueError(
            "expected a cluster that says how the processes find each other, or all of"
            f" --coordinator, --num_processes and --process_id; jax says:"
            f" {short(error)}"
        ) from error
    except Exception as error:
        if "must be called before" in str(error):
            if not is_named and not _is_launched():
                return False
            raise RuntimeError(
                "expected initialize_distributed before anything else uses jax; call it"
                " first"
            ) from error
        raise ConnectionError(
            f"{_who(config)} cannot join its peers: {short(error)}; name them with"
            " --coordinator, --num_processes and --process_id, or train on this machine"
            " alone with --num_processes=1"
        ) from error
    return True


def _is_launched() -> bool:
    """Whether a launcher's environment speaks of several processes."""
    return any(os.environ.get(name, "1") not in ("", "0", "1") for name in _LAUNCHERS)


def _check_peers(config: PeersConfig) -> None:
    host, _, port = config.coordinator.rpartition(":")
    if config.coordinator and not (host and port.isdigit()):
        raise ValueError(
            "coordinator: expected host:port of process 0, such as 10.0.0.1:8476, got"
            f" {config.coordinator!r}"
        )
    if config.num_processes < 0:
        raise ValueError(
            f"num_processes: expected at least 1, got {config.num_processes}"
        )
    if config.num_processes and config.process_id >= config.num_processes:
        raise ValueError(
            f"process_id: expected 0 to {config.num_processes - 1} with"
            f" {config.num_processes} processes, got {config.process_id}"
        )


def _check_port_is_free(address: str) -> None:
    """Refuses a taken port: jax crashes there (segmentation fault, jaxlib 0.10.2)."""
    family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    try:
        socket.create_server(
            ("", int(address.rpartition(":")[2])),
            family=family,
            dualstack_ipv6=family == socket.AF_INET6,
        ).close()
    except OSError as error:
        raise ConnectionError(
            f"process 0 cannot listen at {address} ({error}); choose another port in"
            " --coordinator"
        ) from error


def _wait_for_coordinator(address: str, timeout: float) -> None:
    """Waits for the port to open: jax aborts where it never does (jaxlib 0.10.2)."""
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + timeout
    while True:
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=2).close()
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise ConnectionError(
                    f"no coordinator at {address} within {timeout} s ({error}); start"
                    " process 0 there, or correct --coordinator"
                ) from error
        time.sleep(0.2)


def _who(config: PeersConfig) -> str:
    name = f"process {config.process_id}" if config.process_id >= 0 else "this process"
    return f"{name} of {config.num_processes}" if config.num_processes else name


def _not_joined(config: PeersConfig) -> str:
    return (
        f"could not join its peers within {config.initialization_timeout} s; start"
        " every process with the same --coordinator and --num_processes, ids from 0,"
        " and see that the port is open"
    )


def short(error: BaseException) -> str:
    """The message of an error on one line of at most 160 characters.

    Args:
        error: any exception.

    Returns:
        Its text, or the class's name where it has none.
    """
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 160 else text[:157] + "..."


class LastWords:
    """One line on stderr and exit status 1, where jax would end in SIGABRT alone.

    jax leaves no other way in: a lost peer is found by a thread of its runtime, which
    logs and aborts, and the callback it offers cannot be called from Python
    (std::bad_cast; jax 0.10.2, 2026-11). The handler runs in that thread, so it only
    writes a line made before and leaves.
    """

    def __init__(self):
        self.is_active = False
        self._is_leaving = False
        self._line = b""
        self._handler: Any = None
        self._former: Any = None

    def prepare(self, who: str, what: str) -> None:
        """Says what is to be said if the process is aborted from now on."""
        self.is_active = True
        self._line = f"stylejax: {who} {what}\n".encode()
        if self._handler is None and os.name == "posix":
            kind = ctypes.CFUNCTYPE(None, ctypes.c_int)
            self._handler = kind(self._speak)
            self._former = _signal_fn()(signal.SIGABRT, self._address())

    def withdraw(self) -> None:
        """Gives SIGABRT back."""
        self.is_active = False
        if self._handler is not None:
            _signal_fn()(signal.SIGABRT, self._former)
            self._handler = None

    def leave_at_exit(self, who: str, what: str) -> None:
        """Lets the interpreter end without jax's farewell, which waits for peers.

        Args:
            who: the process, should it be aborted before it comes to its end.
            what: the reason, for the same case.
        """
        self.prepare(who, what)
        if not self._is_leaving:
            self._is_leaving = True
            atexit.register(_leave)

    def _address(self) -> Any:
        return ctypes.cast(self._handler, ctypes.c_void_p)

    def _speak(self, _: int) -> None:
        os.write(2, self._line)
        os._exit(1)


LAST_WORDS = LastWords()


def _signal_fn() -> Any:
    function = ctypes.CDLL(None).signal
    function.restype, function.argtypes = (
        ctypes.c_void_p,
        (ctypes.c_int, ctypes.c_void_p),
    )
    return function


def _leave() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)
