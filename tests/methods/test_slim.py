"""The slim network: what is trained and what is left behind."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.methods import slim
from stylejax.models.slim_style import STRIDES
from tests.methods.tiny_networks import CONFIGS, save_vgg


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    weights = save_vgg(tmp_path_factory.mktemp("vgg"))
    return dataclasses.replace(CONFIGS["slim"], features=weights)


def test_heads_are_trained_and_do_not_paint(config):
    state = slim.init(jax.random.key(0), config)
    assert set(state.params) == {"encoder", "decoder", "heads"}
    params = slim.painting_params(state)
    assert set(params) == {"encoder", "decoder"}
    begun = slim.with_painting_params(slim.init(jax.random.key(1), config), params)
    np.testing.assert_array_equal(
        begun.params["encoder"]["conv1_1"]["kernel"],
        state.params["encoder"]["conv1_1"]["kernel"],
    )
    assert set(begun.ema_params) == {"encoder", "decoder", "heads"}


def test_distillation_is_zero_for_the_judges_own_maps(generator):
    wide, read = {}, {}
    for tap, stride in STRIDES.items():
        side = 32 // {"relu1_1": 1, "relu2_1": 2, "relu3_1": 4, "relu4_1": 8}[tap]
        x = generator.normal(size=(2, side, side, 3))
        wide[tap] = jnp.float32(x)
        shrink = side // (32 // stride)
        y = x.reshape(2, side // shrink, shrink, side // shrink, shrink, 3)
        read[tap] = jnp.float32(y.mean((2, 4)))
    assert float(slim._distillation(read, wide)) < 1e-9
    nothing = {tap: jnp.zeros_like(x) for tap, x in read.items()}
    # Maps of variance v and mean near 0 are missed by their whole variance.
    assert 0.8 < float(slim._distillation(nothing, wide)) < 1.2
    one = {tap: x[:1] for tap, x in nothing.items()}
    parts = [
        float(slim._distillation(one, {t: x[i : i + 1] for t, x in wide.items()}))
        for i in range(2)
    ]
    np.testing.assert_allclose(
        np.mean(parts), slim._distillation(nothing, wide), rtol=1e-5
    )


def test_every_term_has_its_weight(config):
    state = slim.init(jax.random.key(0), config)
    keys = jax.random.split(jax.random.key(1))
    batch = {
        n: jax.random.uniform(k, (2, 16, 16, 3))
        for n, k in zip("ab", keys, strict=True)
    }
    _, first = slim.make_train_step(config)(state, batch)
    doubled = {
        f"{name}_weight": 2 * getattr(config, f"{name}_weight")
        for name in ("content", "style", "distillation", "reconstruction")
    }
    config = dataclasses.replace(config, **doubled)
    _, second = slim.make_train_step(config)(state, batch)
    for name in ("content", "style", "distillation", "reconstruction", "total"):
        np.testing.assert_allclose(
            second[f"loss/{name}"], 2 * first[f"loss/{name}"], rtol=1e-4
        )
