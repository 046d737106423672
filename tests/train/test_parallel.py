"""One device, four devices and pmap give the same numbers; buffers are our own."""

import functools
import pathlib
import runpy

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec

from stylejax.methods import cyclegan
from stylejax.train import parallel

# One config, so that one compilation serves this file and test_two_processes.py.
WORKER = runpy.run_path(str(pathlib.Path(__file__).with_name("two_process_worker.py")))
CONFIG, STARTS = WORKER["CONFIG"], WORKER["STARTS"]
NUM_STEPS, BATCH_SIZE = 3, 8


@pytest.fixture(scope="module", autouse=True)
def fast_compilation():
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture(scope="module")
def mesh():
    return parallel.data_mesh()


def least_squares(*, axis_name=None):
    """State (w, rows seen last); loss mean((x @ w - 1)^2), known by heart."""

    def step(state, batch):
        def loss_of(w):
            return ((batch["x"] @ w - 1) ** 2).mean()

        loss, grad = jax.value_and_grad(loss_of)(state["w"])
        seen = batch["x"]
        if axis_name:
            loss, grad = jax.lax.pmean((loss, grad), axis_name)
            seen = jax.lax.all_gather(seen, axis_name, tiled=True)
        return {"w": state["w"] - 0.1 * grad, "seen": seen}, {"loss": loss}

    return step


def toy(generator):
    x = generator.random((8, 3), np.float32)
    state = {"w": np.ones(3, np.float32), "seen": np.zeros_like(x)}
    return state, [{"x": x + i} for i in range(NUM_STEPS)]


def toy_in_numpy(state, batches):
    w, losses = state["w"].astype(np.float64), []
    for batch in batches:
        residual = batch["x"] @ w - 1
        losses.append((residual**2).mean())
        w = w - 0.1 * 2 * batch["x"].T @ residual / len(residual)
    return w, losses


def steps_of(name, make_step):
    """(step, mesh, what is done to a batch) of one way to run a step."""
    mesh = parallel.data_mesh(devices=jax.devices()[: 1 if name == "alone" else 4])
    if name == "pmap":
        return parallel.pmap_step(make_step, mesh), mesh, lambda batch: batch
    place = functools.partial(parallel.place_batch, mesh=mesh)
    return parallel.jit_step(make_step(), mesh), mesh, place


def run(name, make_step, state, batches):
    return follow(steps_of(name, make_step), state, batches)


def follow(way, state, batches):
    """(state, metrics of each step) on the host, after all batches."""
    step, mesh, place = way
    state, history = parallel.replicate(state, mesh), []
    for batch in batches:
        state, metrics = step(state, place(batch))
        history.append(jax.device_get(metrics))
    return jax.device_get(state), history


@pytest.mark.parametrize("name", ["alone", "four", "pmap"])
def test_every_way_agrees_with_numpy(name, generator):
    state, batches = toy(generator)
    ours, history = run(name, least_squares, state, batches)
    w, losses = toy_in_numpy(state, batches)
    np.testing.assert_allclose(ours["w"], w, rtol=1e-4)
    np.testing.assert_allclose([m["loss"] for m in history], losses, rtol=1e-4)
    np.testing.assert_array_equal(ours["seen"], batches[-1]["x"])


@functools.cache
def trained(name):
    """[(state before, state after, metrics of each step)] of a small CycleGAN."""
    generator = np.random.default_rng(0)
    shape = (BATCH_SIZE, CONFIG.image_size, CONFIG.image_size, 3)
    batches = [
        {d: generator.random(shape, np.float32) for d in "ab"} for _ in range(NUM_STEPS)
    ]
    way = steps_of(name, functools.partial(cyclegan.make_train_step, CONFIG))
    runs = []
    for start in STARTS:
        before = jax.device_get(cyclegan.init(jax.random.key(start), CONFIG))
        runs.append((before, *follow(way, before, batches)))
    return runs


@pytest.mark.parametrize("name", ["four", "pmap"])
def test_cyclegan_on_four_devices_is_cyclegan_on_one(name):
    apart = []
    for ours, theirs in zip(trained(name), trained("alone"), strict=True):
        before, state, history = ours
        assert jax.tree.structure(state) == jax.tree.structure(theirs[1])
        apart.append(WORKER["distances"](ours[1:], theirs[1:]))
        # It could have failed: parameters moved, pools were filled and drawn from.
        for field in ("generator_params", "discriminator_params", "ema_params"):
            pair = getattr(before, field), getattr(state, field)
            assert WORKER["largest_difference"](*pair) > 1e-3, field
        assert state.pool_a.count == CONFIG.pool_size
        assert state.step == NUM_STEPS and state.skipped_total == 0
    WORKER["check_distances"](apart)


def test_without_the_mean_over_devices_pmap_differs(generator, monkeypatch):
    """A step that forgets its collectives is caught by the comparison above."""
    monkeypatch.setattr(jax.lax, "pmean", lambda tree, axis_name: tree)
    state, batches = toy(generator)
    ours, _ = run("pmap", least_squares, state, batches)
    assert np.abs(ours["w"] - toy_in_numpy(state, batches)[0]).max() > 1e-3


def test_mesh_has_auto_axes_and_devices_by_process(mesh):
    assert mesh.axis_names == ("data",) and mesh.size == 4
    assert mesh.axis_types == (AxisType.Auto,)
    shuffled = parallel.data_mesh(devices=jax.devices()[::-1])
    assert list(shuffled.devices.flat) == jax.devices()
    assert parallel.data_mesh(devices=jax.devices()[:2]).size == 2


@pytest.mark.parametrize("batch_size", [4, 8, 400])
def test_batches_that_divide_are_accepted(batch_size, mesh):
    parallel.check_batch(batch_size, mesh)


@pytest.mark.parametrize(
    ("batch_size", "better"), [(1, 4), (6, 8), (9, 12), (0, 4), (-4, 4)]
)
def test_batches_that_do_not_divide_are_one_line(batch_size, better, mesh):
    message = f"multiple of the 4 devices, got {batch_size}; choose {better},"
    with pytest.raises(ValueError, match=message) as info:
        parallel.check_batch(batch_size, mesh)
    assert "\n" not in str(info.value)


def test_place_batch_and_pmap_refuse_what_does_not_divide(mesh):
    batch = {"x": np.zeros((6, 3), np.float32)}
    with pytest.raises(ValueError, match="multiple of the 4 devices, got 6"):
        parallel.place_batch(batch, mesh)
    step = parallel.pmap_step(least_squares, mesh)
    with pytest.raises(ValueError, match="multiple of the 4 devices, got 6"):
        step({"w": np.ones(3, np.float32), "seen": batch["x"]}, batch)


def test_place_batch_keeps_the_order_of_the_rows(mesh):
    rows = np.arange(16, dtype=np.float32).reshape(8, 2)
    placed = parallel.place_batch({"a": rows}, mesh)["a"]
    assert placed.sharding.spec == PartitionSpec("data")
    np.testing.assert_array_equal(placed, rows)
    for i, shard in enumerate(placed.addressable_shards):
        assert shard.device == mesh.devices[i]
        np.testing.assert_array_equal(shard.data, rows[2 * i : 2 * i + 2])


@pytest.mark.parametrize("num_devices", [1, 4])
def test_a_replicated_state_may_be_donated(num_devices):
    """Its buffers are no one else's: not the caller's, not another leaf's."""
    mesh = parallel.data_mesh(devices=jax.devices()[:num_devices])
    shared = jnp.ones((64, 64))
    host = np.full((64, 64), 2.0, np.float32)
    tree = {"x": shared, "same": shared, "host": host, "empty": jnp.zeros((0, 3))}
    state = parallel.replicate(tree, mesh)
    assert all(leaf.sharding.is_fully_replicated for leaf in state.values())
    assert all(leaf.sharding.num_devices == num_devices for leaf in state.values())
    step = parallel.jit_step(
        lambda s, b: (jax.tree.map(lambda x: x + b.sum(), s), b.mean()), mesh
    )
    batch = parallel.place_batch(np.ones(4, np.float32), mesh)
    moved, mean = step(state, batch)
    moved, mean = step(moved, batch)
    assert state["x"].is_deleted() and not batch.is_deleted()
    np.testing.assert_array_equal(moved["same"], np.full((64, 64), 9.0))
    np.testing.assert_array_equal(moved["host"], np.full((64, 64), 10.0))
    np.testing.assert_array_equal(shared, np.ones((64, 64)))
    np.testing.assert_array_equal(host, np.full((64, 64), 2.0))
    assert mean == 1.0


def test_replicate_keeps_dtypes_and_bits(mesh):
    tree = {
        "zero": np.float32(-0.0),
        "nan": np.array([np.nan, np.inf], np.float32),
        "count": np.int32(7),
        "flag": np.array([True, False]),
        "half": jnp.ones(3, jnp.bfloat16),
    }
    copy = parallel.replicate(tree, mesh)
    for name, leaf in tree.items():
        assert copy[name].dtype == leaf.dtype
        assert np.asarray(copy[name]).tobytes() == np.asarray(leaf).tobytes()


def test_a_state_moves_between_meshes(mesh):
    """A state trained on one device goes on on four."""
    alone = parallel.data_mesh(devices=jax.devices()[:1])
    tree = parallel.replicate({"w": jnp.arange(3.0)}, alone)
    np.testing.assert_array_equal(parallel.replicate(tree, mesh)["w"], [0.0, 1.0, 2.0])


def test_the_step_is_compiled_once(mesh, generator):
    state, batches = toy(generator)
    step = parallel.jit_step(least_squares(), mesh)
    state = parallel.replicate(state, mesh)
    for batch in batches:
        state, _ = step(state, parallel.place_batch(batch, mesh))
    assert step._cache_size() == 1


def test_alone_an_error_passes_unchanged():
    error = ValueError("Gloo all-reduce failed: Connection closed by peer")
    with pytest.raises(ValueError) as info, parallel.fail_fast():
        raise error
    assert info.value is error


@pytest.fixture
def in_company(monkeypatch):
    """As if there were peers; what would end the process is recorded."""
    said = []
    words = parallel.peers.LAST_WORDS
    monkeypatch.setattr(words, "is_active", True)
    monkeypatch.setattr(words, "leave_at_exit", lambda *words: said.append(words))
    return said


def test_in_company_a_lost_peer_is_one_line(in_company):
    with pytest.raises(parallel.LostPeer) as info, parallel.fail_fast():
        raise RuntimeError("UNKNOWN: Gloo all-reduce\n failed: read error")
    message = str(info.value)
    assert message.startswith("process 0 of 1 lost a peer (UNKNOWN: Gloo all-reduce f")
    assert "--resume=auto" in message and "\n" not in message
    assert " ".join(in_company[0]) == message


@pytest.mark.parametrize("error", [ZeroDivisionError("a bug"), KeyboardInterrupt()])
def test_in_company_other_errors_leave_in_a_hurry(in_company, error):
    with pytest.raises(type(error)) as info, parallel.fail_fast():
        raise error
    assert info.value is error
    assert "failed: " in in_company[0][1]


@pytest.mark.parametrize("code", [None, 0])
def test_in_company_a_regular_end_is_left_alone(in_company, code):
    with pytest.raises(SystemExit), parallel.fail_fast():
        raise SystemExit(code)
    assert in_company == []
