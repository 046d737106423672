"""One training step on any number of devices and processes, the same result on all.

The state is replicated and the global batch is sharded by rows over a mesh of one
axis, "data"; the compiler inserts the collectives, so a step is written as if there
were one device. `pmap_step` is the older way to the same numbers.

    peers = initialize_distributed()          # alone unless a cluster or flags say so
    mesh = data_mesh()
    check_batch(batch_size, mesh)
    state, step = replicate(state, mesh), jit_step(train_step, mesh)
    with fail_fast():                         # a lost peer ends the run, in one line
        state, metrics = step(state, place_batch(next(batches), mesh))

Process p reads rows p*b/n to (p+1)*b/n of each global batch of b pictures and process
0 alone logs. Meshes and shardings of training are built in this file only.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from stylejax.train import peers
from stylejax.train.peers import Peers, PeersConfig, initialize_distributed

__all__ = [
    "LostPeer",
    "Peers",
    "PeersConfig",
    "check_batch",
    "data_mesh",
    "fail_fast",
    "initialize_distributed",
    "is_lost_peer",
    "jit_step",
    "place_batch",
    "pmap_step",
    "replicate",
]

AXIS = "data"
# What collectives and the coordination service of jax say when the other end is gone
# (CPU: Gloo, GPU: NCCL; wordings of jax 0.10.2, 2026-11).
_SIGNS_OF_LOSS = (
    "gloo",
    "nccl",
    "connection closed by peer",
    "connection reset by peer",
    "socket closed",
    "coordination service",
    "coordinationservice",
    "heartbeat timeout",
    "barrier timed out",
)


class LostPeer(RuntimeError):
    """Another process of the run is gone; the message is one line."""


@contextlib.contextmanager
def fail_fast() -> Iterator[None]:
    """Lets an error end this process at once, and says so if a peer is the reason.

    With several processes an error would otherwise wait five minutes at jax's farewell
    for peers which wait in a collective for this process; now they see it gone within
    `heartbeat_timeout`. The exit status is then 1. Alone it does nothing.

    Yields:
        Nothing.

    Raises:
        LostPeer: in place of the errors of a collective whose other end is gone.
    """
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        if not peers.LAST_WORDS.is_active:
            raise
        who = f"process {jax.process_index()} of {jax.process_count()}"
        if not is_lost_peer(error):
            peers.LAST_WORDS.leave_at_exit(who, f"failed: {peers.short(error)}")
            raise
        what = f"lost a peer ({peers.short(error)}); {peers.RESTART}"
        peers.LAST_WORDS.leave_at_exit(who, what)
        raise LostPeer(f"{who} {what}") from error


def is_lost_peer(error: BaseException) -> bool:
    """Whether an error says that another process of the run is gone.

    Args:
        error: what a step or the reading of its results raised.

    Returns:
        True for what the collectives and the coordination service of jax say then.

    Example:
        >>> is_lost_peer(ValueError("Gloo all-reduce failed: Read error"))
        True
        >>> is_lost_peer(ValueError("expected 3 channels, got 4"))
        False
    """
    text = str(error).lower()
    return any(sign in text for sign in _SIGNS_OF_LOSS)


def data_mesh(*, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """Returns the mesh all of training runs on: one axis, "data", over the devices.

    With several processes, all of them call it, soon after `initialize_distributed`.

    Args:
        devices: which ones; None for all devices of all processes.

    Returns:
        Mesh with Auto axes; the devices of a process stand together, in the order of
        the processes, so that rows of a batch stay where they were read.
    """
    devices = sorted(devices or jax.devices(), key=lambda d: (d.process_index, d.id))
    mesh = Mesh(np.array(devices), (AXIS,), axis_types=(AxisType.Auto,))
    if jax.process_count() > 1:
        _open_connections(mesh)
    return mesh


def _open_connections(mesh: Mesh) -> None:
    """Lets the processes meet while they are still in step.

    On CPU the first collective of a group opens its connections and fails where a
    process comes 30 s late, as after a long compilation that the others find in their
    cache; later collectives wait (Gloo; jax 0.10.2, 2026-11).
    """
    multihost_utils.sync_global_devices("stylejax-mesh")
    ones = np.ones(mesh.local_mesh.size, np.float32)
    rows = jax.make_array_from_process_local_data(
        NamedSharding(mesh, PartitionSpec(AXIS)), ones
    )
    total = jax.jit(jnp.sum, out_shardings=NamedSharding(mesh, PartitionSpec()))(rows)
    total.block_until_ready()


def check_batch(batch_size: int, mesh: Mesh) -> None:
    """Returns nothing; refuses a global batch that the devices cannot share equally.

    Args:
        batch_size: pictures of each domain in a global batch.
        mesh: from `data_mesh`.

    Raises:
        ValueError: the number of devices does not divide it.
    """
    if batch_size < 1 or batch_size % mesh.size:
        above = (max(batch_size, 0) // mesh.size + 1) * mesh.size
        raise ValueError(
            f"batch_size: expected a multiple of the {mesh.size} devices, got"
            f" {batch_size}; choose {above}, or train on fewer devices"
        )


def replicate(tree: Any, mesh: Mesh) -> Any:
    """Returns a copy of a tree with every leaf on every device.

    The copy shares no buffer with `tree` nor between its own leaves, so that a step
    may donate it. With several processes all get the values of process 0, bit for bit.

    Args:
        tree: pytree of arrays, the same shapes on every process.
        mesh: from `data_mesh`.

    Returns:
        The tree of replicated arrays.
    """
    sharding = NamedSharding(mesh, PartitionSpec())
    if jax.process_count() == 1:
        placed = jax.device_put(tree, sharding)
    else:
        placed = jax.tree.map(functools.partial(_from_process_0, sharding), tree)
    # device_put(may_alias=False) still shares shards between leaves on several
    # devices, and donating a buffer twice ends in a crash (jax 0.10.2, 2026-11).
    return jax.jit(_copy, out_shardings=sharding)(placed)


def _copy(tree: Any) -> Any:
    return jax.tree.map(jnp.copy, tree)


def _from_process_0(sharding: NamedSharding, leaf: Any) -> jax.Array:
    """The leaf of process 0, sent as bytes: a sum of floats would lose -0."""
    leaf = np.asarray(leaf)
    sent = multihost_utils.broadcast_one_to_all(
        np.frombuffer(leaf.tobytes(), dtype=np.uint8)
    )
    value = np.asarray(sent).view(leaf.dtype).reshape(leaf.shape)
    return jax.make_array_from_process_local_data(sharding, value, leaf.shape)


def place_batch(batch: Any, mesh: Mesh) -> Any:
    """Returns the global batch, sharded by rows, of which each process brings a share.

    Args:
        batch: pytree of host arrays `b_local …`, this process's contiguous rows.
        mesh: from `data_mesh`.

    Returns:
        Pytree of global arrays `b …`, `b` = `b_local` times the number of processes.

    Raises:
        ValueError: the devices cannot share the rows equally.
    """
    sharding = NamedSharding(mesh, PartitionSpec(AXIS))

    def place(rows: Any) -> jax.Array:
        check_batch(rows.shape[0] * jax.process_count(), mesh)
        return jax.make_array_from_process_local_data(sharding, np.asarray(rows))

    return jax.tree.map(place, batch)


def jit_step(step_fn: Callable, mesh: Mesh) -> Callable:
    """Returns the compiled step: state replicated and donated, batch sharded by rows.

    Args:
        step_fn: pure (state, global batch) -> (state, metrics), written for one device.
        mesh: from `data_mesh`.

    Returns:
        step(state, batch) for a state from `replicate` and a batch from `place_batch`;
        the state given is used up. Metrics come back replicated.
    """
    replicated = NamedSharding(mesh, PartitionSpec())
    sharded = NamedSharding(mesh, PartitionSpec(AXIS))
    return jax.jit(
        step_fn,
        in_shardings=(replicated, sharded),
        out_shardings=replicated,
        donate_argnums=0,
    )


def pmap_step(make_step: Callable[..., Callable], mesh: Mesh) -> Callable:
    """Returns the step under `jax.pmap`, with the signature and numbers of `jit_step`.

    Prefer `jit_step`; this is for code that relies on a named axis. Before saving a
    state of several processes, pass it through `replicate`.

    Args:
        make_step: called with axis_name="data", gives (state, share of the batch of one
            device) -> (state, metrics). It must average gradients and metrics over the
            axis (`lax.pmean`) and gather whatever the state keeps of the batch
            (`lax.all_gather`), so that all devices return the same;
            `functools.partial(cyclegan.make_train_step, config)` does.
        mesh: from `data_mesh`; its devices are used.

    Returns:
        step(state, batch) for a state from `replicate`, which is used up, and this
        process's rows of the batch as host arrays.
    """
    mapped = jax.pmap(
        make_step(axis_name=AXIS),
        axis_name=AXIS,
        in_axes=(None, 0),
        out_axes=None,
        devices=list(mesh.devices.flat),
        donate_argnums=0,
    )
    num_local = mesh.local_mesh.size

    def share(rows: Any) -> np.ndarray:
        check_batch(rows.shape[0] * jax.process_count(), mesh)
        rows = np.asarray(rows)
        return rows.reshape(num_local, -1, *rows.shape[1:])

    replicated = NamedSharding(mesh.local_mesh, PartitionSpec())

    def local(leaf: Any) -> Any:
        """This process's copies of a replicated array: pmap takes no global ones."""
        if not isinstance(leaf, jax.Array) or leaf.is_fully_addressable:
            return leaf
        copies = [shard.data for shard in leaf.addressable_shards]
        return jax.make_array_from_single_device_arrays(leaf.shape, replicated, copies)

    def step(state: Any, batch: Any) -> tuple[Any, Any]:
        return mapped(jax.tree.map(local, state), jax.tree.map(share, batch))

    return step
