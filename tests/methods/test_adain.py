"""AdaIN's loss by hand, its calibration, and a converted decoder."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.losses.channel_scale import scaled
from stylejax.losses.style import relative_gram_loss
from stylejax.methods import adain
from stylejax.nn import fusion
from tests.methods import by_hand
from tests.methods.tiny_networks import CONFIGS, save_vgg


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    weights = save_vgg(tmp_path_factory.mktemp("vgg"))
    return dataclasses.replace(CONFIGS["adain"], features=weights, ema_decay=0.0)


def pictures(seed, count=2):
    return jax.random.uniform(jax.random.key(seed), (count, 16, 16, 3))


def test_the_terms_are_those_of_the_paper(config):
    config = dataclasses.replace(config, reconstruction_weight=2.0)
    state = adain.init(jax.random.key(0), config)
    content, style = pictures(1), pictures(2)
    state = adain.calibrate(state, content, None, config=config)
    step = jax.jit(adain.make_train_step(config))
    _, metrics = step(state, {"a": content, "b": style})

    def maps(images):
        found = adain.encoder(config)(images)
        return {
            tap: np.asarray(x, np.float64) / np.asarray(state.fixed[tap])
            for tap, x in found.items()
        }

    network, c, s = adain.decoder(config), maps(content), maps(style)
    fused = by_hand.adain(c["relu4_1"], s["relu4_1"])
    variables = {"params": state.params}
    painted = maps(network.apply(variables, jnp.float32(fused)))
    same = network.apply(variables, jnp.float32(c["relu4_1"]))
    expected = {
        "content": by_hand.mean_square(painted["relu4_1"], fused),
        "style": 10 * by_hand.style_distance(painted, s),
        "reconstruction": 2 * by_hand.mean_difference(same, content),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(metrics[f"loss/{name}"], value, rtol=2e-3)


def test_the_style_may_be_compared_by_gram_matrices_as_they_are(config):
    config = dataclasses.replace(config, style_loss="relative_gram")
    content, style = pictures(1), pictures(2)
    state = adain.init(jax.random.key(0), config)
    state = adain.calibrate(state, content, None, config=config)
    step = jax.jit(adain.make_train_step(config))
    _, metrics = step(state, {"a": content, "b": style})

    encode = adain.encoder(config)
    maps = [scaled(encode(x), state.fixed)["relu4_1"] for x in (content, style)]
    fused = fusion.adaptive_instance_norm(maps[0], *map(fusion.moments, maps))
    painted = adain.decoder(config).apply({"params": state.params}, fused)
    expected = 10 * relative_gram_loss(encode(painted), encode(style)).mean()
    np.testing.assert_allclose(metrics["loss/style"], expected, rtol=2e-3)


def test_calibration_makes_means_one(config):
    state = adain.init(jax.random.key(0), config)
    images = pictures(3, 4)
    state = adain.calibrate(state, images, None, config=config)
    found = adain.encoder(config)(images)
    for tap, x in found.items():
        active = np.asarray(x.mean((0, 1, 2))) > 0.2 * float(x.mean())
        mean = np.asarray(x.mean((0, 1, 2))) / np.asarray(state.fixed[tap])
        np.testing.assert_allclose(mean[active], 1.0, rtol=1e-3)


def test_the_fusion_of_painting_is_that_of_training(config):
    state = adain.init(jax.random.key(0), config)
    params = adain.painting_params(state)
    goals = adain.encode_style(params, pictures(2)[:1], config=config)
    maps = adain.encoder(config)(pictures(2)[:1])["relu4_1"]
    expected = fusion.moments(maps)
    np.testing.assert_allclose(goals["relu4_1"].mean, expected.mean, rtol=1e-5)


def test_a_run_may_begin_with_another_ones_decoder(config):
    first = adain.init(jax.random.key(1), config)
    first = adain.calibrate(first, pictures(1), None, config=config)
    second = adain.init(jax.random.key(2), config)
    begun = adain.with_painting_params(second, adain.painting_params(first))
    same = jax.tree.map(lambda x, y: bool((x == y).all()), begun.params, first.params)
    assert all(jax.tree.leaves(same))
    np.testing.assert_array_equal(begun.fixed["relu1_1"], first.fixed["relu1_1"])
