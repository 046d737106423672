"""Receptive fields in closed form against the gradients of real convolutions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.explain.receptive_field import (
    ReceptiveField,
    cell_box,
    output_size,
    theoretical_receptive_field,
)

PATCH = [(4, 2, 1)] * 3 + [(4, 1, 1)] * 2
PIXEL = [(1, 1, 0)] * 3
STACKS = {
    "patch": PATCH,
    "small": [(4, 2, 1), (4, 1, 1)],
    "odd": [(7, 1, 3), (3, 2, 1), (3, 2, 1), (5, 1, 0)],
    "gappy": [(2, 3, 0), (3, 1, 1)],
    "pixel": PIXEL,
}


def stack(layers, x):
    """Convolutions of ones, without bias or activation: every pixel in reach counts."""
    for kernel, stride, padding in layers:
        x = jax.lax.conv_general_dilated(
            x,
            jnp.ones((kernel, kernel, 1, 1)),
            (stride, stride),
            [(padding, padding)] * 2,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
    return x


def seen_by_gradient(layers, cell, size_hw):
    """The box of pixels with a gradient, and the mask itself."""
    gradient = jax.grad(lambda x: stack(layers, x)[0, cell[0], cell[1], 0])
    mask = np.asarray(gradient(jnp.zeros((1, *size_hw, 1))))[0, :, :, 0] != 0
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    y, x = rows[0], columns[0]
    return (x, y, columns[-1] - x + 1, rows[-1] - y + 1), mask


@pytest.mark.parametrize("depth_and_size", [(1, 16), (2, 34), (3, 70), (4, 142)])
def test_the_published_patch_sizes(depth_and_size):
    """Isola et al. 2017 name their discriminators by these numbers."""
    depth, size = depth_and_size
    layers = [(4, 2, 1)] * depth + [(4, 1, 1)] * 2
    field = theoretical_receptive_field(layers)
    assert (field.size, field.stride) == (size, 2**depth)


def test_the_pixel_discriminator_sees_one_pixel():
    assert theoretical_receptive_field(PIXEL) == ReceptiveField(1, 1, 0)


def test_no_layers_are_the_identity():
    assert theoretical_receptive_field([]) == ReceptiveField(1, 1, 0)
    assert output_size([], input_size=17) == 17


def test_by_hand():
    """3 wide; then 2 apart: 3 + 2 x 2 = 7; starts at -1 and then -1 - 2 = -3."""
    field = theoretical_receptive_field([(3, 2, 1), (3, 1, 1)])
    assert field == ReceptiveField(size=7, stride=2, start=-3)


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize("side", [32, 45, 96])
def test_output_size_is_that_of_real_convolutions(name, side):
    layers = STACKS[name]
    shape = jax.eval_shape(
        lambda x: stack(layers, x), jax.ShapeDtypeStruct((1, side, side, 1), "float32")
    ).shape
    assert output_size(layers, input_size=side) == shape[1] == shape[2]


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize("where", ["first", "middle", "last"])
def test_cell_box_is_where_the_gradient_lives(name, where):
    layers, size_hw = STACKS[name], (80, 96)
    rows, columns = (output_size(layers, input_size=side) for side in size_hw)
    cell = {
        "first": (0, 0),
        "middle": (rows // 2, columns // 3),
        "last": (rows - 1, columns - 1),
    }[where]
    box, mask = seen_by_gradient(layers, cell, size_hw)
    assert cell_box(layers, cell=cell, size_hw=size_hw) == box
    x, y, w, h = box
    if name != "gappy":
        assert mask[y : y + h, x : x + w].all()
    assert mask.sum() <= w * h


def test_an_inner_cell_has_the_full_field():
    box, _ = seen_by_gradient(PATCH, (15, 15), (256, 256))
    assert box[2:] == (70, 70)
    assert cell_box(PATCH, cell=(15, 15), size_hw=(256, 256)) == box


def test_a_live_instance_norm_makes_the_dependence_global():
    """What the docstring warns of: the closed form holds for frozen statistics only."""

    def logit(x, statistics_of):
        hidden = stack([(4, 2, 1)], x)
        source = stack([(4, 2, 1)], statistics_of)
        hidden = (hidden - source.mean()) / jnp.sqrt(source.var() + 1e-5)
        return stack([(4, 1, 1)], jax.nn.silu(hidden))[0, 0, 0, 0]

    x = jax.random.uniform(jax.random.key(0), (1, 32, 32, 1))
    live = jax.grad(lambda x: logit(x, x))(x)[0, :, :, 0]
    frozen = jax.grad(lambda v: logit(v, x))(x)[0, :, :, 0]
    _, _, w, h = cell_box([(4, 2, 1), (4, 1, 1)], cell=(0, 0), size_hw=(32, 32))
    assert float(jnp.abs(live[h:, w:]).min()) > 0
    assert float(jnp.abs(frozen[h:]).max()) == float(jnp.abs(frozen[:, w:]).max()) == 0


@pytest.mark.parametrize(
    "layer",
    [(0, 1, 0), (3, 0, 1), (3, 0, 1), (3, 1, -1), (3, 1), (3, 1.5, 1), (3, 1, 3)],
)
def test_a_wrong_layer_is_one_clear_line(layer):
    with pytest.raises(ValueError, match="layer 1: expected") as e:
        theoretical_receptive_field([(3, 1, 1), layer])
    assert str(layer) in str(e.value)
    assert "\n" not in str(e.value)


def test_a_picture_that_is_too_small_is_one_clear_line():
    with pytest.raises(ValueError, match="got 8 pixels"):
        output_size(PATCH, input_size=8)


@pytest.mark.parametrize("cell", [(30, 0), (0, 30), (-1, 0)])
def test_a_cell_outside_the_output_is_one_clear_line(cell):
    with pytest.raises(ValueError, match="inside the 30 x 30 output of a 256 x 256"):
        cell_box(PATCH, cell=cell, size_hw=(256, 256))
