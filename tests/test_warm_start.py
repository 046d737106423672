"""A run that begins with another's networks, from a file and from a folder."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from stylejax import api
from stylejax.methods import cyclegan
from stylejax.methods.cyclegan import CycleGANConfig
from stylejax.train.checkpoint import Checkpointer
from stylejax.warm_start import warm_start

CONFIG = CycleGANConfig(
    ngf=2,
    ndf=2,
    num_blocks=1,
    num_layers=1,
    image_size=8,
    pool_size=1,
    ema_decay=0.5,
)


def fresh(seed, **more):
    return cyclegan.init(jax.random.key(seed), dataclasses.replace(CONFIG, **more))


def assert_equal(x, y, atol=0.0):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=atol), x, y)


def test_from_a_file_come_the_generators_alone(tmp_path):
    source, state = fresh(1), fresh(0)
    model = api.Translator("cyclegan", CONFIG, source.generator_params)
    started = warm_start(state, model.save(tmp_path / "m.safetensors", dtype="float32"))
    assert_equal(started.generator_params, source.generator_params)
    assert_equal(started.ema_params, source.generator_params)
    assert_equal(started.discriminator_params, state.discriminator_params)
    assert int(started.step) == 0


def test_from_a_folder_come_the_discriminators_too(tmp_path):
    source = fresh(1)
    source = source.replace(
        ema_params=jax.tree.map(lambda x: x + 1.0, source.generator_params),
        step=source.step + 7,
    )
    described = {"method": "cyclegan", "config": dataclasses.asdict(CONFIG)}
    with Checkpointer(tmp_path / "checkpoints") as saver:
        config = json.loads(json.dumps(described))
        saver.save(7, source, data_state={}, config=config, wait=True)
    started = warm_start(fresh(0), tmp_path)
    # The average is what translates, so it is what the new run begins with.
    assert_equal(started.generator_params, source.ema_params)
    assert_equal(started.discriminator_params, source.discriminator_params)
    assert int(started.step) == 0


def test_other_networks_are_refused_by_name(tmp_path):
    model = api.Translator("cyclegan", CONFIG, fresh(1).generator_params)
    path = model.save(tmp_path / "m.safetensors")
    with pytest.raises(ValueError, match=r"init_from: .*block_1.*use the settings"):
        warm_start(fresh(0, num_blocks=2), path)


def test_skips_that_the_source_lacks_begin_closed(tmp_path):
    source, state = fresh(1), fresh(0, skips=True)
    model = api.Translator("cyclegan", CONFIG, source.generator_params)
    started = warm_start(state, model.save(tmp_path / "m.safetensors", dtype="float32"))
    for direction, params in started.generator_params.items():
        own = {
            k: v for k, v in params.items() if k in source.generator_params[direction]
        }
        assert_equal(own, source.generator_params[direction])
        for name in ("gate_0", "gate_1", "gate_head"):
            assert float(abs(params[name]).max()) == 0.0


def test_skips_that_only_the_source_has_are_not_dropped(tmp_path):
    config = dataclasses.replace(CONFIG, skips=True)
    model = api.Translator("cyclegan", config, fresh(1, skips=True).generator_params)
    path = model.save(tmp_path / "m.safetensors", dtype="float32")
    with pytest.raises(ValueError, match="unexpected AtoB/gate_0"):
        warm_start(fresh(0), path)
