"""Differentiable augmentation: what each kind does, by hand, and its gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.train import augment


@pytest.fixture
def pictures(generator):
    return jnp.asarray(generator.uniform(-1, 1, (2, 16, 8, 3)), jnp.float32)


def draws(*values):
    rows = jnp.array([values, values])
    return dict.fromkeys(augment.KINDS, rows)


def test_parse_and_unknown_kind():
    assert augment.parse("") == ()
    assert augment.parse("color,cutout") == ("color", "cutout")
    with pytest.raises(ValueError, match="augment: expected one of translation"):
        augment.parse("rotation")


def test_nothing_asked_nothing_done(pictures):
    assert augment.apply(pictures, draws(0.1, 0.2, 0.3), kinds=()) is pictures


@pytest.mark.parametrize(("row", "column"), [(0, 0), (2, 1), (4, 2)])
def test_translation_shifts_and_reflects(pictures, row, column):
    # 1/8 of 16 x 8 reaches 2 and 1 px: 5 and 3 places, the middle one being none.
    chosen = draws((row + 0.5) / 5, (column + 0.5) / 3, 0.0)
    padded = np.pad(pictures, ((0, 0), (2, 2), (1, 1), (0, 0)), "reflect")
    expected = padded[:, row : row + 16, column : column + 8]
    out = augment.apply(pictures, chosen, kinds=("translation",))
    np.testing.assert_array_equal(out, expected)


def test_cutout_blanks_a_box_of_half_the_sides(pictures):
    out = augment.apply(pictures, draws(0.5, 0.5, 0.0), kinds=("cutout",))
    is_blank = np.asarray(out == 0).all(axis=(0, 3))
    assert is_blank.sum(axis=0).max() == 7  # |row - 8| < 4
    assert is_blank.sum(axis=1).max() == 3
    np.testing.assert_array_equal(out[:, :4], pictures[:, :4])


def test_color_keeps_the_picture_in_the_middle_of_its_ranges(pictures):
    out = augment.apply(pictures, draws(0.5, 0.5, 0.5), kinds=("color",))
    np.testing.assert_allclose(out, pictures, atol=1e-6)
    grey = augment.apply(pictures, draws(0.5, 0.0, 0.5), kinds=("color",))
    np.testing.assert_allclose(grey, grey.mean(-1, keepdims=True) + 0 * grey, atol=1e-6)
    bright = augment.apply(pictures, draws(0.75, 0.5, 0.5), kinds=("color",))
    np.testing.assert_allclose(bright, pictures + 0.25, atol=1e-6)


@pytest.mark.parametrize("kind", augment.KINDS)
def test_gradients_reach_the_generator(pictures, kind):
    chance = augment.draw(jax.random.key(3), 2)

    def energy(x):
        return jnp.sum(augment.apply(x, chance, kinds=(kind,)) ** 2)

    grads = jax.jit(jax.grad(energy))(pictures)
    assert bool(jnp.isfinite(grads).all())
    assert float(jnp.abs(grads).sum()) > 1.0


def test_pictures_are_changed_apart():
    same = jnp.tile(jnp.linspace(-1, 1, 16)[None, :, None, None], (4, 1, 16, 3))
    chance = augment.draw(jax.random.key(0), 4)
    out = augment.apply(same, chance, kinds=augment.KINDS)
    assert len(np.unique(np.asarray(out), axis=0)) == 4
