"""Gradients by the kernel as matrix products, against XLA's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.nn import conv_forms
from stylejax.nn import kernel_gradients as forms

NONE = ((0, 0), (0, 0))


def drawn(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


def assert_near(found, expected):
    assert found.shape == expected.shape
    scale = float(jnp.abs(expected).max())
    np.testing.assert_allclose(found, expected, atol=1e-5 * scale)


def test_a_product_for_each_place():
    x, output = drawn(0, 2, 9, 8, 3), drawn(1, 2, 4, 3, 5)
    found = forms.placewise_kernel_gradient(x, output, size=(3, 4), stride=2)
    options = {"stride": 2, "padding": NONE, "dilation": 1}
    expected = conv_forms.plain_kernel_gradient(x, output, size=(3, 4), **options)
    assert_near(found, expected)


@pytest.mark.parametrize("channels", [(2, 7), (7, 2), (3, 3)])
def test_a_product_for_each_row(channels):
    c, o = channels
    x, output = drawn(0, 2, 9, 11, c), drawn(1, 2, 5, 8, o)
    found = forms.rowwise_kernel_gradient(x, output, size=(5, 4))
    options = {"stride": 1, "padding": NONE, "dilation": 1}
    expected = conv_forms.plain_kernel_gradient(x, output, size=(5, 4), **options)
    assert_near(found, expected)


@pytest.mark.parametrize("padding", [((1, 2), (1, 2)), ((2, 0), (0, 3)), NONE])
def test_of_a_dilated_input(padding):
    x, kernel = drawn(0, 2, 5, 4, 3), drawn(1, 3, 3, 3, 2)
    options = {"stride": 1, "padding": padding, "dilation": 2}
    output = drawn(2, *conv_forms.plain(x, kernel, **options).shape)
    expected = conv_forms.plain_kernel_gradient(x, output, size=(3, 3), **options)
    found = forms.dilated_kernel_gradient(
        x, output, size=(3, 3), padding=padding, dilation=2
    )
    assert_near(found, expected)


def test_padding_may_crop():
    x = drawn(0, 1, 5, 6, 2)
    found = forms.padded(x, ((-1, 2), (1, -2)))
    assert found.shape == (1, 6, 5, 2)
    np.testing.assert_array_equal(found[:, :4, 1:], x[:, 1:, :4])
    np.testing.assert_array_equal(found[:, 4:], 0)
    np.testing.assert_array_equal(found[:, :, :1], 0)
    assert forms.padded(x, NONE) is x
