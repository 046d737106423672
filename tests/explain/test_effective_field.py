"""Effective receptive fields against closed forms, and against the theoretical ones."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.explain.effective_field import (
    closed_form_shares,
    effective_field,
    project_cells,
)
from stylejax.explain.energy_maps import centroid, energy_radii
from stylejax.explain.receptive_field import cell_box

LAYERS = [(4, 2, 1), (3, 1, 1), (4, 1, 1)]
CELLS = [(0, 0), (3, 4), (6, 6)]


def uniform(seed, *shape):
    return jax.random.uniform(jax.random.key(seed), shape)


def zero_padded(x, kernel, stride, padding):
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        [(padding, padding)] * 2,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


# --- fields in closed form ----------------------------------------------------------


def blurred(images, *, count):
    for _ in range(count):
        images = zero_padded(images, jnp.full((3, 3, 1, 1), 1 / 9), 1, 1)
    return images


def stacked_box(count):
    """What one output of `count` stacked box filters weighs its pixels with."""
    line = functools.reduce(np.convolve, [np.ones(3) / 3] * count, np.ones(1))
    return np.outer(line, line)


@pytest.mark.parametrize(("count", "power"), [(1, 2), (2, 1), (4, 2)])
def test_stacked_box_filters_have_a_known_field(count, power):
    field = effective_field(
        functools.partial(blurred, count=count),
        uniform(0, 2, 17, 15, 1),
        box=(7, 8, 1, 1),
        power=power,
    )
    weights = stacked_box(count) ** power
    expected = np.pad(weights, ((8 - count, 8 - count), (7 - count, 7 - count)))
    np.testing.assert_allclose(field, expected, rtol=1e-5, atol=1e-9)
    assert centroid(field) == pytest.approx((8, 7))


def test_stacking_filters_widens_the_field_by_the_square_root_alone():
    """The theoretical radius grows fourfold from 1 to 4 filters, this one by two."""
    one, four = (
        energy_radii(stacked_box(count), shares=(0.6,))[0.6] for count in (1, 4)
    )
    assert four / one == pytest.approx(2, abs=0.5)


def test_the_identity_has_a_field_of_one_pixel():
    field = effective_field(lambda x: x, np.ones((2, 6, 7, 3)), box=(4, 2, 1, 1))
    assert float(field[2, 4]) == 3  # one for each of the three channels
    assert float(field.sum()) == 3


def test_the_field_of_a_shift_lies_where_it_looks():
    """Output (row, column) shows the input two rows up and one column to the right."""

    def shift(images):
        return jnp.roll(images, (2, -1), axis=(1, 2))

    field = effective_field(shift, uniform(0, 1, 8, 8, 1), box=(3, 5, 1, 1))
    assert centroid(field) == (3, 4)
    assert float(field.sum()) == 1


def test_a_box_of_outputs_sums_their_fields():
    field = effective_field(lambda x: 2 * x, uniform(0, 1, 6, 6, 1), box=(1, 2, 3, 2))
    expected = np.zeros((6, 6))
    expected[2:4, 1:4] = 4
    np.testing.assert_array_equal(field, expected)


def test_one_channel_of_the_output_alone():
    def scaled(images):
        return images * jnp.array([1.0, 2.0, 3.0])[None, None, None]

    image = uniform(0, 1, 4, 4, 3)
    fields = [
        effective_field(scaled, image, box=(1, 1, 1, 1), channel=c)[1, 1]
        for c in (0, 2, None)
    ]
    np.testing.assert_allclose(fields, [1, 9, 14])


def test_outputs_of_opposite_sign_do_not_cancel():
    def difference(images):
        return jnp.concatenate([images, -images], axis=-1)

    field = effective_field(difference, uniform(0, 1, 4, 4, 1), box=(1, 1, 2, 2))
    np.testing.assert_array_equal(field[1:3, 1:3], np.full((2, 2), 2))


def test_channels_of_the_input_of_opposite_sign_do_not_cancel():
    def difference(images):
        return images[..., 0] - images[..., 1]

    field = effective_field(difference, uniform(0, 1, 4, 4, 2), box=(1, 2, 1, 1))
    assert float(field[2, 1]) == float(field.sum()) == 2


def test_pictures_do_not_cancel_and_are_averaged():
    """The gradient of x^2 / 2 is x: of both signs over the pictures."""
    images = jax.random.normal(jax.random.key(0), (5, 4, 4, 1))
    field = effective_field(lambda x: x**2 / 2, images, box=(0, 0, 4, 4))
    np.testing.assert_allclose(field, (images[..., 0] ** 2).mean(axis=0), rtol=1e-5)


def test_pictures_are_seen_one_at_a_time():
    """A function that mixes its batch cannot mix the pictures of the mean."""
    images = uniform(3, 3, 4, 4, 1)

    def mixing(x):
        return x + x.mean(axis=0, keepdims=True)

    field = effective_field(mixing, images, box=(0, 0, 1, 1))
    assert float(field[0, 0]) == pytest.approx(4)


@pytest.mark.parametrize("chunk", [1, 5])
def test_the_chunk_changes_nothing(chunk):
    fn = functools.partial(blurred, count=2)
    images = uniform(0, 1, 8, 8, 1)
    field = effective_field(fn, images, box=(2, 2, 4, 3), chunk=chunk)
    whole = sum(
        np.pad(stacked_box(2) ** 2, ((y, 3 - y), (x, 3 - x)))
        for y in range(3)
        for x in range(4)
    )
    np.testing.assert_allclose(field, whole, rtol=1e-5)


# --- inside and outside of the closed form ------------------------------------------


def live(x):
    mean = x.mean(axis=(1, 2), keepdims=True)
    return (x - mean) * jax.lax.rsqrt(x.var(axis=(1, 2), keepdims=True) + 1e-5)


def frozen(x):
    return (x - 0.1) * 3


def discriminator(norm, *, squeeze=False):
    """Cells of a small patch discriminator with the norm after each inner layer."""
    keys = jax.random.split(jax.random.key(4), len(LAYERS))
    widths = [(3, 4), (4, 4), (4, 1)]
    kernels = [
        jax.random.normal(key, (layer[0], layer[0], *width)) / layer[0]
        for key, layer, width in zip(keys, LAYERS, widths, strict=True)
    ]

    def cells(x):
        for kernel, (_, stride, padding) in zip(kernels[:-1], LAYERS, strict=False):
            x = jax.nn.leaky_relu(norm(zero_padded(x, kernel, stride, padding)), 0.2)
        x = zero_padded(x, kernels[-1], *LAYERS[-1][1:])
        return x[..., 0] if squeeze else x

    return cells


@pytest.fixture(scope="module")
def shares():
    """Norm -> the share inside the closed form, of three cells."""
    images = uniform(1, 2, 16, 16, 3)
    return {
        norm.__name__: closed_form_shares(
            discriminator(norm, squeeze=norm is frozen),
            images,
            layers=LAYERS,
            cells=CELLS,
        )
        for norm in (live, frozen, jnp.asarray)
    }


@pytest.mark.parametrize("norm", ["frozen", "asarray"])
def test_without_live_norms_all_energy_is_inside_the_closed_form(norm, shares):
    np.testing.assert_array_equal(shares[norm], np.ones(3))


def test_with_live_norms_some_energy_is_outside(shares):
    assert (shares["live"] < 1).all()
    assert (shares["live"] > 0.2).all()


def test_the_field_of_a_cell_fills_its_closed_form_box():
    """A box too large would hold all energy as well; this one has no empty edge."""
    cell = (3, 4)
    field = np.asarray(
        effective_field(
            discriminator(jnp.asarray), uniform(1, 2, 16, 16, 3), box=(4, 3, 1, 1)
        )
    )
    rows, columns = np.flatnonzero(field.any(axis=1)), np.flatnonzero(field.any(axis=0))
    x, y, w, h = cell_box(LAYERS, cell=cell, size_hw=(16, 16))
    assert (rows[0], rows[-1]) == (y, y + h - 1)
    assert (columns[0], columns[-1]) == (x, x + w - 1)


# --- projections --------------------------------------------------------------------


@pytest.mark.parametrize("size_hw", [(16, 16), (20, 17)])
def test_a_pixel_gets_the_mean_of_the_cells_that_see_it(size_hw):
    """Cell by cell, with the boxes of the closed form."""
    shape = tuple((side - 4 + 2) // 2 + 1 - 1 for side in size_hw)
    values = np.random.default_rng(0).normal(size=shape)
    total, count = np.zeros(size_hw), np.zeros(size_hw)
    for cell in np.ndindex(*shape):
        x, y, w, h = cell_box(LAYERS, cell=cell, size_hw=size_hw)
        total[y : y + h, x : x + w] += values[cell]
        count[y : y + h, x : x + w] += 1
    projected = project_cells(values, LAYERS, size_hw)
    np.testing.assert_array_equal(projected.coverage, count)
    np.testing.assert_allclose(projected.map, total / count)


def test_equal_cells_give_a_flat_map():
    projected = project_cells(jnp.full((7, 7), -2.5), LAYERS, (16, 16))
    np.testing.assert_allclose(projected.map, -2.5)


def test_pixels_that_no_cell_sees_have_no_value():
    projected = project_cells(np.array([[1.0, 2.0]]), [(2, 3, 0)], (2, 6))
    np.testing.assert_array_equal(projected.map, [[1, 1, np.nan, 2, 2, np.nan]] * 2)
    np.testing.assert_array_equal(projected.coverage, [[1, 1, 0, 1, 1, 0]] * 2)


def test_the_summary_states_the_share_or_that_it_is_missing(shares):
    values = np.zeros((7, 7))
    plain = project_cells(values, LAYERS, (16, 16))
    assert plain.shares.shape == (0,)
    assert "was not measured" in plain.summary()
    measured = project_cells(values, LAYERS, (16, 16), shares=[0.5, 0.75])
    text = measured.summary()
    assert "62.5% of the gradient energy" in text
    assert "least 50.0%, measured for 2 cells" in text
    assert "\n" not in text + plain.summary()


# --- mistakes -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "box", [(-1, 0, 1, 1), (0, 0, 0, 1), (3, 0, 2, 1), (0, 4, 1, 1)]
)
def test_a_box_outside_of_the_output(box):
    with pytest.raises(ValueError, match="inside the output, 4 wide and 4 high, got"):
        effective_field(lambda x: x[:, ::2, ::2], uniform(0, 1, 8, 8, 1), box=box)


def test_options_that_do_not_exist():
    image = uniform(0, 1, 4, 4, 3)
    with pytest.raises(ValueError, match="channel: expected 0 to 2, got 3"):
        effective_field(lambda x: x, image, box=(0, 0, 1, 1), channel=3)
    with pytest.raises(ValueError, match="power: expected one of 1, 2; got 3"):
        effective_field(lambda x: x, image, box=(0, 0, 1, 1), power=3)


def test_functions_and_pictures_of_the_wrong_kind():
    with pytest.raises(ValueError, match=r"fn: expected pictures .* got shape \(1,\)"):
        effective_field(
            lambda x: x.mean((1, 2, 3)), jnp.ones((1, 4, 4, 1)), box=(0, 0, 1, 1)
        )
    with pytest.raises(ValueError, match=r"images: expected shape \(b, h, w, c\)"):
        effective_field(lambda x: x, jnp.ones((4, 4, 1)), box=(0, 0, 1, 1))


def test_layers_must_be_those_of_the_function():
    fn = discriminator(frozen)
    images = uniform(1, 1, 16, 16, 3)
    with pytest.raises(ValueError, match="with 7 x 7 outputs, got 8 x 8"):
        closed_form_shares(fn, images, layers=LAYERS[:2], cells=CELLS)
    with pytest.raises(ValueError, match="cells: expected at least one"):
        closed_form_shares(fn, images, layers=LAYERS, cells=[])
    with pytest.raises(ValueError, match="inside the 7 x 7 output"):
        closed_form_shares(fn, images, layers=LAYERS, cells=[(7, 0)])
    with pytest.raises(ValueError, match=r"cell_values: expected \(7, 7\)"):
        project_cells(np.zeros((8, 8)), LAYERS, (16, 16))
