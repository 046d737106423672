"""`stylejax.stylize`: pictures in, pictures out, whatever their rank and size."""

import dataclasses
import functools
from pathlib import Path

import jax
import numpy as np
import pytest

import stylejax
from stylejax import stylizers
from stylejax.methods import FIXED, STYLIZERS, feedforward
from stylejax.pretrained import registry
from tests.methods.tiny_networks import save_vgg


@pytest.fixture
def config(tiny_gatys):
    return dataclasses.replace(tiny_gatys, num_iterations=2, min_side=99)


@pytest.fixture
def pictures(generator):
    return generator.random((2, 20, 28, 3), np.float32)


def test_one_picture_gives_one_and_several_give_several(pictures, config):
    content, style = pictures
    one = stylejax.stylize(content, style, config=config)
    assert one.shape == (20, 28, 3)
    several = stylejax.stylize(pictures, style, config=config)
    assert several.shape == (2, 20, 28, 3)
    np.testing.assert_allclose(several[0], one, atol=2e-3)


def test_styles_come_alone_in_lists_and_in_batches(pictures, config):
    content, style = pictures
    control = stylejax.StyleControl(style_weights=(1.0, 3.0))
    options = {"config": config, "control": control}
    listed = stylejax.stylize(content, [style, content], **options)
    batched = stylejax.stylize(content, pictures[::-1], **options)
    np.testing.assert_allclose(listed, batched, atol=1e-6)


def test_the_size_is_that_of_the_longer_side(pictures, config):
    content, style = pictures
    found = stylejax.stylize(content, style, config=config, size=14)
    assert found.shape == (10, 14, 3)


def test_bad_input_ends_in_one_line(pictures, config):
    content, style = pictures
    with pytest.raises(ValueError, match="method: expected one of gatys"):
        stylejax.stylize(content, style, method="magic")
    with pytest.raises(ValueError, match="content: expected pictures"):
        stylejax.stylize(content[0], style, config=config)
    with pytest.raises(ValueError, match="style 1: expected pictures"):
        stylejax.stylize(content, [style, style[0]], config=config)
    with pytest.raises(ValueError, match="got a batch"):
        stylejax.stylize(content, [pictures], config=config)
    with pytest.raises(ValueError, match="size"):
        stylejax.stylize(content, style, config=config, size=0)
    for size in (2.5, float("inf")):
        with pytest.raises(ValueError, match="size: expected a whole number"):
            stylejax.stylize(content, style, config=config, size=size)
    with pytest.raises(ValueError, match=r"content: .*got .* to 25\d; scale"):
        stylejax.stylize(content * 255, style, config=config)
    with pytest.raises(ValueError, match=r"style 0: .*got -1 to 1"):
        stylejax.stylize(content, np.clip(4 * style - 2, -1, 1), config=config)
    with pytest.raises(ValueError, match="content: .*nan"):
        stylejax.stylize(content * np.nan, style, config=config)
    with pytest.raises(TypeError, match=r"the path 'a.png'; read it with"):
        stylejax.stylize("a.png", style, config=config)
    with pytest.raises(TypeError, match=r"style 1: .*the path 'b.png'"):
        stylejax.stylize(content, [style, Path("b.png")], config=config)
    with pytest.raises(ValueError, match="seed"):
        stylejax.stylize(content, style, config=config, seed=2**70)
    with pytest.raises(TypeError, match="expected floats"):
        stylejax.stylize((content * 255).astype(np.uint8), style, config=config)


SHIPPED = [m for m in STYLIZERS if m not in stylizers.PAINTERS or m in registry.names()]


@pytest.mark.parametrize("method", SHIPPED)
def test_every_stylizer_returns_the_content_at_strength_zero(method, pictures):
    control = stylejax.StyleControl(strength=0.0)
    style = 0 if method in FIXED else pictures[1]
    found = stylejax.stylize(pictures[0], style, method=method, control=control)
    np.testing.assert_array_equal(found, pictures[0])


def test_styles_of_a_network_that_knows_them_are_names(pictures, tmp_path):
    config = feedforward.FeedforwardConfig(
        styles=("waves", "dots"),
        width=4,
        num_blocks=1,
        features=save_vgg(tmp_path, arch="vgg16"),
    )
    params = {"generator": feedforward.init(jax.random.key(0), config).params}
    model = stylizers.Stylizer("feedforward", config, params)
    paint = functools.partial(
        stylejax.stylize, pictures[0], method="feedforward", checkpoint=model
    )
    np.testing.assert_array_equal(paint("dots"), paint(["dots"]))
    np.testing.assert_array_equal(paint("dots"), paint(1))
    with pytest.raises(ValueError, match="knows waves, dots; got 'oil'"):
        paint("oil")
    with pytest.raises(ValueError, match="knows waves, dots; got a picture"):
        paint(pictures[1])
