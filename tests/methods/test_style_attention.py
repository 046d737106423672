"""Attention that is returned is the attention that painted."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.methods import control as controls
from stylejax.methods import style_attention
from stylejax.methods.control import StyleControl
from stylejax.nn.norm import instance_norm
from tests.methods import by_hand
from tests.methods.tiny_networks import CONFIGS, save_vgg


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    weights = save_vgg(tmp_path_factory.mktemp("vgg"))
    return dataclasses.replace(
        CONFIGS["style_attention"], features=weights, max_keys=4096, ema_decay=0.0
    )


@pytest.fixture(scope="module")
def params(config):
    return style_attention.painting_params(
        style_attention.init(jax.random.key(0), config)
    )


def pictures():
    generator = np.random.default_rng(3)
    return [generator.random((1, *s, 3), np.float32) for s in ((20, 26), (33, 40))]


def test_rows_sum_to_one_and_make_the_fused_features(config, params):
    content, style = pictures()
    found = style_attention.attention_of(
        params, content, style, config=config, at_most=10_000
    )
    padded = np.pad(content, ((0, 0), (0, 4), (0, 6), (0, 0)), mode="reflect")
    prepared = controls.prepare_style(style, content, StyleControl())
    encode = style_attention._encode(params, config)
    maps, other = encode(jnp.asarray(padded)), encode(prepared)
    goals = style_attention.encode_style(params, prepared, config=config)
    for tap in style_attention.FUSED:
        rows = np.asarray(found[tap].rows, np.float64)
        np.testing.assert_allclose(rows.sum(-1), 1.0, atol=1e-5)
        values = np.asarray(other[tap], np.float64)
        values = values.reshape(1, -1, values.shape[-1])
        assert rows.shape[1:] == (np.prod(maps[tap].shape[1:3]), values.shape[1])
        mean = rows @ values
        spread = np.sqrt(np.maximum(rows @ np.square(values) - np.square(mean), 1e-6))
        normalized = np.asarray(instance_norm(maps[tap])).reshape(mean.shape)
        fused = style_attention.level(config, tap).apply(
            {"params": params[tap]},
            maps[tap],
            instance_norm(maps[tap]),
            goals[tap],
            method="fuse",
        )
        np.testing.assert_allclose(
            np.asarray(fused).reshape(mean.shape),
            spread * normalized + mean,
            rtol=5e-3,
            atol=5e-3,
        )


def test_positions_are_pixels_and_few_enough(config, params):
    content, style = pictures()
    found = style_attention.attention_of(
        params, content, style, config=config, at_most=4
    )
    for rows in found.values():
        assert rows.rows.shape[1] == len(rows.queries) <= 4
        assert rows.rows.shape[2] == len(rows.keys)
        assert float(rows.queries.min()) >= 0.0
        assert float(rows.queries[:, 0].max()) < 24
        assert float(rows.queries[:, 1].max()) < 32
    again = style_attention.attention_of(
        params, content, style, config=config, at_most=4
    )
    np.testing.assert_array_equal(again["relu4_1"].rows, found["relu4_1"].rows)


def test_a_style_of_two_halves_is_attended_by_likeness(config):
    """With queries and keys that are the features, like attends to like."""
    c = 24
    unit = {"kernel": 30.0 * jnp.eye(c)[None, None], "bias": jnp.zeros(c)}
    network = style_attention.level(config, "relu3_1")
    generator = np.random.default_rng(0)
    kinds = generator.normal(size=(2, c))
    content = np.broadcast_to(kinds[[0, 1, 0, 1], None], (4, 4, c))[None]
    style = np.broadcast_to(kinds[[1, 0, 0, 1], None], (4, 5, c))[None]
    variables = {"params": {"query": unit, "key": unit}}
    keys = network.apply(variables, jnp.float32(style), method="keys_of")
    rows = network.apply(
        variables, jnp.float32(content), keys, jnp.arange(16), method="rows"
    )
    to_first = np.asarray(rows)[0].reshape(4, 4, 4, 5)[:, :, [1, 2]].sum((2, 3))
    np.testing.assert_allclose(to_first[[0, 2]], 1.0, atol=1e-3)
    np.testing.assert_allclose(to_first[[1, 3]], 0.0, atol=1e-3)


def test_the_terms_are_those_of_the_paper(config):
    state = style_attention.init(jax.random.key(0), config)
    content, style = (
        jax.random.uniform(jax.random.key(i), (2, 16, 16, 3)) for i in (1, 2)
    )
    state = style_attention.calibrate(state, content, None, config=config)
    step = jax.jit(style_attention.make_train_step(config))
    _, metrics = step(state, {"a": content, "b": style})

    def maps(images):
        found = style_attention.judge(config)(images)
        return {t: x / state.fixed[t][None, None, None] for t, x in found.items()}

    def painted(content, style):
        fused = {
            t: style_attention.level(config, t).apply(
                {"params": state.params[t]}, content[t], style[t]
            )
            for t in style_attention.FUSED
        }
        return style_attention._decode(state.params, fused, config)

    def plain(content, style):
        """Attention without parameters, one whole matrix."""
        b, h, w, c = content.shape
        white = np.asarray(instance_norm(content), np.float64)
        queries = white.reshape(b, -1, c)
        keys = np.asarray(instance_norm(style), np.float64).reshape(b, -1, c)
        rows = np.exp(c**-0.5 * queries @ keys.transpose(0, 2, 1))
        rows /= rows.sum(-1, keepdims=True)
        values = np.asarray(style, np.float64).reshape(b, -1, c)
        mean = rows @ values
        spread = np.sqrt(np.maximum(rows @ values**2 - mean**2, 1e-6))
        return (spread * queries + mean).reshape(b, h, w, c)

    c, s = maps(content), maps(style)
    same = painted(c, c)
    found, own = maps(painted(c, s)), maps(same)
    expected = {
        "global": 10 * by_hand.style_distance(found, s),
        "local": 3
        * sum(
            by_hand.mean_square(found[t], plain(c[t], s[t]))
            for t in style_attention.FUSED
        ),
        "identity": 10 * by_hand.mean_difference(same, content),
        "identity_features": sum(by_hand.mean_square(own[t], c[t]) for t in c),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(metrics[f"loss/{name}"], value, rtol=5e-3)
