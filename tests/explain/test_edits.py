"""Edits of one activation against what they say, and what does not fit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.explain.edits import Add, Mask, Replace, Scale, apply_edit

X = jnp.arange(1.0, 13.0).reshape(1, 2, 2, 3)
LEFT = jnp.array([True, False])[None, None, :, None]


def changed(edit, x=X):
    return np.asarray(apply_edit(x, edit, name="conv"))


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (jnp.full(X.shape, 7.0), np.full(X.shape, 7.0)),
        (Replace(7.0), np.full(X.shape, 7.0)),
        (Add(2.0), np.asarray(X) + 2),
        (Add(jnp.array([1.0, 0.0, -1.0])), np.asarray(X) + [1, 0, -1]),
        (Scale(-3.0), np.asarray(X) * -3),
        (Scale(jnp.array([1.0, 0.0, 1.0])), np.asarray(X) * [1, 0, 1]),
        (lambda x: x**2, np.asarray(X) ** 2),
        (Mask(0.25, 8.0), 0.25 * 8 + 0.75 * np.asarray(X)),
    ],
)
def test_an_edit_does_what_it_says(edit, expected):
    np.testing.assert_allclose(changed(edit), expected, rtol=1e-6)


@pytest.mark.parametrize("mask", [LEFT, LEFT.astype(jnp.float32)])
@pytest.mark.parametrize("make", [Mask, lambda mask, value: (mask, value)])
def test_a_mask_replaces_inside_and_keeps_outside_exactly(mask, make):
    got = changed(make(mask, 0.1))
    np.testing.assert_array_equal(got[:, :, 0], np.float32(0.1))
    np.testing.assert_array_equal(got[:, :, 1], X[:, :, 1])


def test_a_boolean_mask_lets_no_nan_of_the_other_side_through():
    value = jnp.where(LEFT, 1.0, jnp.nan) * jnp.ones_like(X)
    assert np.isfinite(changed(Mask(LEFT, value))).all()
    broken = X.at[:, :, 0].set(jnp.nan)
    assert np.isfinite(changed(Mask(LEFT, 0.0), broken)).all()


def test_two_arrays_in_a_list_are_no_mask():
    """Only a pair is: a list is an array of its numbers."""
    row = jnp.zeros((2,))
    assert apply_edit(row, [5.0, 6.0], name="row").tolist() == [5.0, 6.0]


def test_values_are_cast_to_the_activation():
    half = X.astype(jnp.bfloat16)
    for edit in (Add(np.float32(1)), Mask(LEFT, np.ones(3)), np.ones(X.shape)):
        assert apply_edit(half, edit, name="conv").dtype == jnp.bfloat16


@pytest.mark.parametrize(
    "edit",
    [
        jnp.zeros((2, 2, 2, 3)),  # would grow the batch
        Add(jnp.zeros(4)),
        Scale(jnp.zeros((3, 1))),
        Mask(jnp.ones((5,), bool), 0.0),
        lambda x: x[..., :2],
        "off",
        None,
        {"mask": 1},
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(edit):
    with pytest.raises(ValueError, match=r"edit of 'conv': .*\(1, 2, 2, 3\)") as error:
        changed(edit)
    assert "\n" not in str(error.value)


def test_edits_are_arguments_of_compiled_functions():
    compiled = jax.jit(lambda edit: apply_edit(X, edit, name="conv"))
    for edit in (Add(1.0), Scale(2.0), Mask(LEFT, 0.0), Replace(X * 2)):
        np.testing.assert_allclose(compiled(edit), changed(edit))
