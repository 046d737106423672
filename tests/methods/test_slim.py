"""The slim network: what is trained and what is left behind."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.methods import slim
from stylejax.models.slim_style import STRIDES
from tests.methods import by_hand
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


def test_the_terms_are_those_of_the_text(config):
    state = slim.init(jax.random.key(0), config)
    content, style = (
        jax.random.uniform(jax.random.key(i), (2, 16, 16, 3)) for i in (1, 2)
    )
    state = slim.calibrate(state, content, None, config=config)
    _, metrics = jax.jit(slim.make_train_step(config))(
        state, {"a": content, "b": style}
    )

    def raw(images):
        return {t: np.asarray(x) for t, x in slim.judge(config)(images).items()}

    def wide(images):
        return {t: x / np.asarray(state.fixed[t]) for t, x in raw(images).items()}

    def apply(name, network, x):
        return network.apply({"params": state.params[name]}, x)

    encoder, decoder = slim.encoder(config), slim.decoder(config)
    small = [apply("encoder", encoder, x) for x in (content, style)]
    fused = {
        t: jnp.float32(by_hand.adain(small[0][t], small[1][t])) for t in slim.FUSED
    }
    picture = apply("decoder", decoder, fused)
    painted, seen, asked = wide(picture), raw(picture), raw(style)
    same = apply("decoder", decoder, small[0])
    own, goal = wide(content), wide(style)
    wanted = by_hand.adain(own["relu4_1"], goal["relu4_1"])
    read = [apply("heads", slim._heads(config), maps) for maps in small]
    expected = {
        "content": by_hand.mean_square(painted["relu4_1"], wanted),
        "style": 5
        * np.mean(
            [
                sum(by_hand.relative_gram(seen[t][i], asked[t][i]) for t in asked)
                for i in range(2)
            ]
        ),
        "reconstruction": 10 * by_hand.mean_difference(same, content),
        "distillation": np.mean(
            [
                slim._distillation(r, jax.tree.map(jnp.float32, w))
                for r, w in zip(read, (own, goal), strict=True)
            ]
        ),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(metrics[f"loss/{name}"], value, rtol=2e-3)
