"""Checkpoints come back bit for bit, survive damage, and lose nothing to retention."""

import functools
import os
import resource
import signal
import threading

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from stylejax.train import checkpoint, manifest
from stylejax.train.checkpoint import Checkpointer, CheckpointError


@flax.struct.dataclass
class State:
    step: jax.Array
    params: dict
    opt_state: tuple
    pool: jax.Array
    ema_params: dict


def _state(seed=0, *, width=8):
    keys = iter(jax.random.split(jax.random.key(seed), 4))
    params = {
        "AtoB": {"conv_0": {"kernel": jax.random.normal(next(keys), (3, 3, 3, width))}},
        "BtoA": {"bias": jax.random.normal(next(keys), (width,)).astype(jnp.bfloat16)},
    }
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3))
    return State(
        step=jnp.int32(seed),
        params=params,
        opt_state=optimizer.init(params),
        pool=jnp.zeros((0, 4, 4, 3)),
        ema_params={},
    )


def _bits(tree):
    """Structure, and bytes of every leaf, so that NaN equals NaN and -0 is not 0."""
    leaves, structure = jax.tree.flatten(tree)
    return structure, [(x.dtype, x.shape, np.asarray(x).tobytes()) for x in leaves]


def _save(saver, step, *, metric=None, state=None, wait=True):
    state = _state(step) if state is None else state
    position = {"position": step}
    config = {"model": {"ngf": 8}, "sizes": [1, 2]}
    return saver.save(
        step, state, data_state=position, config=config, metric=metric, wait=wait
    )


@pytest.fixture
def reports():
    return []


@pytest.fixture
def saver(tmp_path, reports):
    with Checkpointer(
        tmp_path / "checkpoints", max_to_keep=2, on_report=reports.append
    ) as saver:
        yield saver


@pytest.fixture
def reopen(saver, reports):
    """Ends the saver as if the process had ended, and returns a fresh one."""
    fresh = []

    def reopen(**options):
        for each in [saver, *fresh]:
            each.close()
        options = {"max_to_keep": 2, "on_report": reports.append} | options
        fresh.append(Checkpointer(saver.directory, **options))
        return fresh[-1]

    yield reopen
    for each in fresh:
        each.close()


def test_everything_comes_back_bit_for_bit(saver, reopen):
    state = _state(7)
    kernel = state.params["AtoB"]["conv_0"]["kernel"]
    odd = kernel.at[0, 0, 0, 0].set(jnp.nan).at[0, 0, 0, 1].set(-0.0)
    state.params["AtoB"]["conv_0"]["kernel"] = odd
    assert _save(saver, 7, state=state) is True
    restored = reopen().restore(_state(0))
    assert _bits(restored.state) == _bits(state)
    assert (restored.step, restored.data_state) == (7, {"position": 7})
    assert restored.config == {"model": {"ngf": 8}, "sizes": [1, 2]}


def test_shapes_alone_are_template_enough(saver):
    _save(saver, 1)
    shapes = jax.eval_shape(lambda: _state(0))
    assert _bits(saver.restore(shapes).state) == _bits(_state(1))


def test_donating_the_state_right_after_an_asynchronous_save_harms_nothing(saver):
    update = jax.jit(lambda tree: jax.tree.map(lambda x: x + 1, tree), donate_argnums=0)
    state = update({"w": jnp.arange(2_000_000.0), "n": jnp.int32(0)})
    expected = jax.tree.map(lambda x: np.array(x, copy=True), state)
    saver.save(1, state, data_state={}, config={})
    for _ in range(20):
        state = update(state)
    found = saver.restore(jax.eval_shape(lambda: state)).state
    assert _bits(found) == _bits(expected)
    assert not np.array_equal(state["w"], expected["w"])


def test_leaves_take_the_placement_of_the_template(saver):
    _save(saver, 1, state={"w": jnp.arange(8.0), "b": jnp.arange(3.0)})
    mesh = jax.make_mesh((4,), ("data",), (jax.sharding.AxisType.Auto,))
    spec = jax.sharding.PartitionSpec
    placed = {
        "w": jax.sharding.NamedSharding(mesh, spec("data")),
        "b": jax.sharding.NamedSharding(mesh, spec()),
    }
    template = jax.device_put({"w": jnp.zeros(8), "b": jnp.zeros(3)}, placed)
    found = saver.restore(template).state
    assert jax.tree.map(lambda x: x.sharding, found) == placed
    np.testing.assert_array_equal(found["w"], np.arange(8.0))


def test_saving_goes_on_in_the_background(saver, monkeypatch):
    gate = threading.Event()
    write = manifest.write_manifest

    def slow(*args, **options):
        assert gate.wait(60)
        return write(*args, **options)

    monkeypatch.setattr(manifest, "write_manifest", slow)
    assert _save(saver, 1, wait=False) is True
    assert saver.steps() == []
    gate.set()
    saver.wait()
    assert saver.steps() == [1]


def test_the_same_step_is_saved_once(saver, reopen):
    _save(saver, 1)
    assert _save(saver, 1) is False
    again = reopen()
    again.restore(_state(0))
    assert _save(again, 1) is False
    assert _save(again, 2) is True


def test_last_and_best_are_kept(saver):
    for step, metric in ((1, 0.5), (2, 0.1), (3, 0.4), (4, None), (5, np.nan)):
        _save(saver, step, metric=metric)
    assert saver.steps() == [2, 4, 5]
    assert saver.best() == (2, 0.1)
    assert saver.restore(_state(0), step="best").step == 2
    assert saver.restore(_state(0), step=4).step == 4
    assert saver.restore(_state(0)).step == 5


def test_directory_holds_nothing_but_checkpoints_afterwards(saver):
    for step in (1, 2, 3):
        _save(saver, step)
    assert sorted(os.listdir(saver.directory)) == [".lock", "2", "3"]


def _flip_largest(directory):
    files = [path for path in directory.rglob("*") if path.is_file()]
    path = max(files, key=lambda path: path.stat().st_size)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


def _remove_largest(directory):
    files = [path for path in directory.rglob("*") if path.is_file()]
    max(files, key=lambda path: path.stat().st_size).unlink()


@pytest.mark.parametrize(
    "harm",
    [
        _flip_largest,
        _remove_largest,
        lambda d: os.truncate(d / "state" / "_METADATA", 10),
        lambda d: (d / manifest.MANIFEST_NAME).unlink(),
    ],
)
def test_damaged_newest_is_reported_and_replaced_later(saver, reopen, reports, harm):
    _save(saver, 1)
    _save(saver, 2, metric=0.0)
    harm(saver.directory / "2")
    again = reopen(max_to_keep=1)
    restored = again.restore(_state(0))
    assert restored.step == 1 and _bits(restored.state) == _bits(_state(1))
    assert len(reports) == 1 and "/2 passed over" in reports[0]
    assert "\n" not in reports[0]
    assert again.best() is None  # the damaged one's metric no longer counts
    _save(again, 2, state=_state(20))
    assert again.steps() == [2]
    assert _bits(again.restore(_state(0)).state) == _bits(_state(20))


def test_damaged_future_never_ousts_the_last_good_checkpoint(saver, reopen):
    _save(saver, 10)
    _save(saver, 20, metric=0.0)
    _flip_largest(saver.directory / "20")
    again = reopen(max_to_keep=1)
    assert again.restore(_state(0)).step == 10
    _save(again, 15)
    assert again.steps() == [15]
    assert reopen().restore(_state(0)).step == 15


def test_old_checkpoint_stays_until_the_new_one_is_finished(saver, monkeypatch):
    _save(saver, 1)
    saver._max_to_keep = 1
    write = manifest.write_manifest

    def check(path, **options):
        assert (saver.directory / "1").is_dir()
        return write(path, **options)

    monkeypatch.setattr(manifest, "write_manifest", check)
    _save(saver, 2)
    assert saver.steps() == [2]


def test_leftovers_of_killed_saves_are_in_nobodys_way(saver, reopen):
    _save(saver, 1)
    saver.close()
    for name in ("2", "2.orbax-checkpoint-tmp", "3.orbax-checkpoint-tmp-deleted"):
        (saver.directory / name / "state" / "d").mkdir(parents=True)
        (saver.directory / name / "state" / "d" / "part").write_bytes(b"half")
    again = reopen()
    assert again.restore(_state(0)).step == 1
    _save(again, 2)
    assert sorted(os.listdir(saver.directory)) == [".lock", "1", "2"]
    assert _bits(again.restore(_state(0)).state) == _bits(_state(2))


def test_failed_save_is_one_line_and_the_next_one_succeeds(saver, monkeypatch):
    _save(saver, 1)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(manifest, "write_manifest", full)
        with pytest.raises(CheckpointError, match="2 could not be .* No space left"):
            _save(saver, 2)
    assert saver.steps() == [1]
    assert _save(saver, 2) is True
    assert saver.steps() == [1, 2]


def test_full_disk_is_one_line_and_the_next_save_succeeds(saver):
    _save(saver, 1)
    state = {"w": jax.random.normal(jax.random.key(0), (200_000,))}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    former = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(CheckpointError, match="could not be written") as caught:
            _save(saver, 2, state=state)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, former)
    assert "\n" not in str(caught.value) and saver.steps() == [1]
    assert _save(saver, 2, state=state) is True
    assert sorted(os.listdir(saver.directory)) == [".lock", "1", "2"]


def test_other_structure_is_one_clear_line(saver):
    _save(saver, 1)
    for other in (_state(0, width=4), {"step": jnp.int32(0)}):
        with pytest.raises(CheckpointError, match="does not fit this state") as caught:
            saver.restore(other)
        assert "\n" not in str(caught.value)


def test_config_is_checked_before_the_state_is_read(saver):
    _save(saver, 1)

    def refuse(config):
        raise ValueError(f"ngf is {config['model']['ngf']}")

    with pytest.raises(ValueError, match="ngf is 8"):
        saver.restore({"nothing": "fits"}, check_config=refuse)


def test_nothing_to_restore(saver):
    assert saver.restore(_state(0)) is None
    assert saver.steps() == [] and saver.best() is None
    with pytest.raises(CheckpointError, match="does not exist"):
        saver.restore(_state(0), step=3)


def test_second_training_in_the_same_directory_is_refused(saver):
    _save(saver, 1)
    with Checkpointer(saver.directory) as second:
        with pytest.raises(CheckpointError, match="another training is writing"):
            second.restore(_state(0))


def test_options_out_of_range_are_refused(tmp_path):
    with pytest.raises(ValueError, match="max_to_keep of at least 1, got 0"):
        Checkpointer(tmp_path, max_to_keep=0)
    with pytest.raises(ValueError, match="best_mode"):
        Checkpointer(tmp_path, best_mode="least")


def test_config_and_params_are_read_without_template_or_trace(saver):
    _save(saver, 1, metric=0.5)
    _save(saver, 2, metric=1.0)
    before = sorted(saver.directory.rglob("*"))
    read = functools.partial(
        checkpoint.restore_params, saver.directory, names=("params", "ema_params", "x")
    )
    for step, expected in ((None, 2), ("best", 1), (1, 1)):
        found = read(step=step)
        assert set(found) == {"params", "ema_params"}
        assert _bits(found["params"]) == _bits(_state(expected).params)
    assert checkpoint.read_config(saver.directory)["model"] == {"ngf": 8}
    assert sorted(saver.directory.rglob("*")) == before


def test_reading_where_nothing_is_says_what_to_give(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected a finished checkpoint"):
        checkpoint.restore_params(tmp_path)
    with pytest.raises(FileNotFoundError, match="expected a finished checkpoint"):
        checkpoint.read_config(tmp_path)
