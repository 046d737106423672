"""The network of a list of styles: its rows, what is trained, and its controls."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax import trees
from stylejax.image.resize import fit_longer_side
from stylejax.methods import feedforward
from stylejax.methods.control import StyleControl
from tests.methods import by_hand
from tests.methods.tiny_networks import save_vgg


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return feedforward.FeedforwardConfig(
        styles=("waves", "dots"),
        width=4,
        num_blocks=1,
        features=save_vgg(tmp_path_factory.mktemp("vgg"), arch="vgg16"),
        image_size=16,
        style_size=24,
        ema_decay=0.5,
    )


@pytest.fixture(scope="module")
def styles():
    generator = np.random.default_rng(2)
    waves = 0.5 + 0.4 * np.sin(np.arange(30))[None, :, None] * np.ones((24, 30, 3))
    return [waves.astype(np.float32), generator.random((28, 28, 3), np.float32)]


@pytest.fixture(scope="module")
def state(config, styles):
    found = feedforward.init(jax.random.key(0), config)
    images = jax.random.uniform(jax.random.key(1), (2, 16, 16, 3))
    return feedforward.calibrate(found, images, styles, config=config)


def noisy(params, seed=0):
    generator = np.random.default_rng(seed)
    return jax.tree.map(
        lambda x: jnp.float32(x + generator.normal(0, 0.3, x.shape)), params
    )


def batch(count=4):
    a = jax.random.uniform(jax.random.key(5), (count, 16, 16, 3))
    return {"a": a, "b": a}


def test_goals_are_the_gram_matrices_of_the_styles(config, state, styles):
    goals = state.fixed["goals"]
    assert {g.shape[0] for g in goals.values()} == {2}
    assert float(jnp.abs(goals["relu2_2"][0] - goals["relu2_2"][1]).max()) > 1e-3
    with pytest.raises(ValueError, match="one picture for each of 2 names, got 1"):
        feedforward.calibrate(state, batch()["a"], styles[:1], config=config)


def test_the_terms_are_those_of_the_text(config, state, styles):
    """Each picture against the style it was given; the last row against itself."""
    params, images = noisy(state.params), batch(3)["a"]
    choice = jnp.array([1, 2, 0])  # dots, the content itself, waves
    terms, painted = feedforward._terms(
        params,
        {"content": images, "choice": choice},
        state.fixed,
        feature_fn=feedforward.judge(config),
        config=config,
    )
    for i, row in enumerate(choice):
        rows = jnp.eye(3)[row][None]
        alone = feedforward.generator(config).apply(
            {"params": params}, images[i : i + 1], rows
        )
        np.testing.assert_allclose(painted[i], alone[0], atol=1e-5)

    def maps(x):
        return {t: np.asarray(m) for t, m in feedforward.judge(config)(x).items()}

    goals = [maps(fit_longer_side(jnp.asarray(s)[None], 24)) for s in styles]
    found, own = maps(painted), maps(images)
    style = sum(
        by_hand.relative_gram(found[t][i], goals[k][t])
        for i, k in ((0, 1), (2, 0))
        for t in feedforward.STYLE_TAPS
    )
    tap = feedforward.CONTENT_TAP
    scale = np.asarray(state.fixed["scales"][tap])
    content = sum(
        by_hand.mean_square(found[tap][i] / scale, own[tap][i] / scale) for i in (0, 2)
    )
    expected = {
        "style": 5 * style / 3,
        "content": content / 3,
        "reconstruction": 10 * by_hand.mean_difference(painted[1], images[1]) / 3,
    }
    for name, value in expected.items():
        np.testing.assert_allclose(terms[name], value, rtol=5e-3)


def test_training_lowers_the_loss(config, state):
    step = jax.jit(feedforward.make_train_step(config))
    totals, now = [], state
    for _ in range(30):
        now, metrics = step(now, batch())
        totals.append(float(metrics["loss/total"]))
    assert np.mean(totals[-5:]) < 0.9 * np.mean(totals[:5])


def test_new_styles_train_their_rows_alone(config, state):
    config = dataclasses.replace(config, train_only_norms=True)
    step = jax.jit(feedforward.make_train_step(config))
    after, _ = step(state, batch())
    before, after = (trees.named_leaves(s.params) for s in (state, after))
    moved = {n for n in before if float(jnp.abs(before[n] - after[n]).max()) > 0}
    assert moved
    assert all(feedforward.is_norm(name) for name in moved)


def test_a_network_grows_by_new_styles(config, state):
    params = {"generator": noisy(state.params)}
    more = dataclasses.replace(config, styles=("waves", "dots", "cells"))
    begun = feedforward.with_painting_params(
        feedforward.init(jax.random.key(3), more), params
    )
    gain = begun.params["conv2_norm"]["gain"]
    known = params["generator"]["conv2_norm"]["gain"]
    np.testing.assert_array_equal(gain[:2], known[:2])
    np.testing.assert_array_equal(gain[3], known[2])
    np.testing.assert_allclose(gain[2], known[:2].mean(0), rtol=1e-6)


def test_controls_are_obeyed(config, state, generator):
    params = {"generator": noisy(state.params)}
    content = generator.random((1, 14, 18, 3), np.float32)

    def paint(*styles, **control):
        return np.asarray(
            feedforward.stylize(
                params, content, styles, config=config, control=StyleControl(**control)
            )
        )

    np.testing.assert_array_equal(paint("dots", strength=0.0), content)
    assert np.abs(paint("dots", strength=1e-4) - content).max() < 1e-2
    np.testing.assert_array_equal(paint("dots"), paint(1))
    ends = paint("waves"), paint("dots")
    assert np.abs(ends[0] - ends[1]).mean() > 1e-3
    mixed = paint("waves", "dots", style_weights=(1, 0))
    np.testing.assert_allclose(mixed, ends[0], atol=1e-5)
    mask = np.zeros((1, 14, 18), np.float32)
    mask[:, :, :9] = 1.0
    found = paint("dots", masks=mask)
    np.testing.assert_allclose(found[:, :, 9:], content[:, :, 9:], atol=1e-6)
    np.testing.assert_allclose(found[:, :, :9], ends[1][:, :, :9], atol=1e-5)


def test_unknown_styles_are_refused(config, state, generator):
    content = generator.random((1, 14, 18, 3), np.float32)
    params = feedforward.painting_params(state)
    with pytest.raises(ValueError, match="knows waves, dots; got 'oil'"):
        feedforward.stylize(params, content, ["oil"], config=config)
    with pytest.raises(ValueError, match="styles of this network are fixed"):
        feedforward.stylize(
            params,
            content,
            ["dots"],
            config=config,
            control=StyleControl(stroke_scale=2.0),
        )
    with pytest.raises(ValueError, match="each once, got a, a"):
        feedforward.init(
            jax.random.key(0), dataclasses.replace(config, styles=("a", "a"))
        )
