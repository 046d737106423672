"""The drawing of where patches of a painted picture come from."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax import stylizers
from stylejax.cli import attention_figures
from stylejax.image import files
from stylejax.methods import style_attention
from stylejax.methods.control import StyleControl
from stylejax.methods.style_attention import AttentionRows
from tests.methods.tiny_networks import CONFIGS, save_vgg


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    config = dataclasses.replace(
        CONFIGS["style_attention"], features=save_vgg(tmp_path_factory.mktemp("vgg"))
    )
    state = style_attention.init(jax.random.key(0), config)
    params = style_attention.painting_params(state)
    return stylizers.Stylizer("style_attention", config, params)


def test_the_query_nearest_to_a_place_and_its_keys():
    rows = jnp.array([[[0.25, 0.25, 0.25, 0.25], [0.0, 0.5, 0.5, 0.0]]])
    keys = jnp.array([[0.0, 0.0], [0.0, 8.0], [8.0, 0.0], [8.0, 8.0]])
    found = AttentionRows(rows, jnp.array([[3.5, 3.5], [3.5, 11.5]]), keys)
    entry = attention_figures.nearest(found, (4.0, 10.0))
    assert entry["query"] == 1
    assert entry["at"] == [11.5, 3.5]
    assert entry["effective_keys"] == pytest.approx(2.0)
    assert entry["top"][:2] == [[8.0, 0.0, 0.5], [0.0, 8.0, 0.5]]
    assert entry["num_keys"] == 4
    flat = attention_figures.nearest(found, (0.0, 0.0))
    assert flat["effective_keys"] == pytest.approx(4.0)


def test_every_style_and_depth_is_reported_and_drawn(model, generator, tmp_path):
    content = generator.random((40, 56, 3)).astype(np.float32)
    styles = [generator.random((32, 24, 3)).astype(np.float32) for _ in range(2)]
    painted = np.asarray(
        model.stylize(content[None], [jnp.asarray(x)[None] for x in styles])
    )[0]
    found = attention_figures.explain(
        painted,
        content,
        styles,
        StyleControl(),
        model,
        tmp_path / "a.png",
        names=["one", "two"],
    )
    assert found["row_sum_error"] < 1e-5
    # Two styles, four patches, two depths.
    assert len(found["attention"]) == 16
    assert {e["style"] for e in found["attention"]} == {"one", "two"}
    assert {e["tap"] for e in found["attention"]} == {"relu3_1", "relu4_1"}
    assert files.read(found["account"]).std() > 0.05
    for entry in found["attention"]:
        assert 1 <= entry["effective_keys"] <= entry["num_keys"] + 1e-3


def test_what_is_drawn_red_is_where_the_patch_looks(generator):
    rows = np.zeros((1, 1, 16), np.float32)
    rows[0, 0, 3] = 1.0  # the last of the first row
    places = np.arange(4) * 8 + 3.5
    keys = np.stack([places.repeat(4), np.tile(places, 4)], axis=1)
    found = AttentionRows(rows, np.array([[3.5, 3.5]]), keys)
    style = np.full((32, 32, 3), 0.5, np.float32)
    drawn = attention_figures._drawn(style, found, 0, "relu4_1")
    redness = drawn[..., 0] - drawn[..., 2]
    side = min(drawn.shape[1], 192)
    top = redness[: side // 4, -side // 4 :]
    assert top.mean() > 0.2
    assert redness[side // 4 : side].max() < 1e-3


def test_a_box_is_seen_in_a_picture_of_its_own_colour():
    color = attention_figures._COLORS[0]
    same = np.full((64, 64, 3), color, np.float32)
    marked = attention_figures._marked(same, (32.0, 32.0), color)
    assert np.abs(marked - np.float32(color)).max() > 0.5
