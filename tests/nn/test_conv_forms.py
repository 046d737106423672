"""Each form of the convolution against XLA's own, gradients by the kernel likewise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.nn import conv_forms

NONE = ((0, 0), (0, 0))


def drawn(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


def assert_near(found, expected, *, tolerance=1e-5):
    assert found.shape == expected.shape
    scale = float(jnp.abs(expected).max())
    np.testing.assert_allclose(found, expected, atol=tolerance * scale)


@pytest.fixture
def every_size(monkeypatch):
    """Small cases take the forms of large ones."""
    monkeypatch.setattr(conv_forms, "_LEAST_WORK", 0)
    monkeypatch.setattr(conv_forms, "_LEAST_CHANNELS", 2)
    monkeypatch.delenv(conv_forms.SWITCH, raising=False)


@pytest.mark.parametrize("side", [2, 4])
@pytest.mark.parametrize("size_hw", [(3, 3), (6, 6), (7, 12), (19, 10)])
def test_winograd(side, size_hw):
    x, kernel = drawn(0, 2, *size_hw, 3), drawn(1, 3, 3, 3, 5)
    options = {"stride": 1, "padding": NONE, "dilation": 1}
    expected = conv_forms.plain(x, kernel, **options)
    assert_near(conv_forms.winograd(x, kernel, side=side), expected)
    output = drawn(2, *expected.shape)
    found = conv_forms.winograd_kernel_gradient(x, output, side=side)
    expected = conv_forms.plain_kernel_gradient(x, output, size=(3, 3), **options)
    assert_near(found, expected)


# Size, channels in and out, kernel, stride, padding, dilation: those of the networks
# here (7 x 7, 3 x 3, strided, 4 x 4 patches, transposed), their gradients', odd ones.
CASES = [
    ((12, 9), 3, 4, 7, 1, ((3, 3), (3, 3)), 1),
    ((12, 9), 20, 3, 7, 1, NONE, 1),
    ((12, 9), 4, 5, 3, 1, ((1, 1), (1, 1)), 1),
    ((13, 10), 40, 5, 3, 2, ((1, 1), (1, 1)), 1),
    ((12, 12), 4, 5, 4, 2, ((1, 1), (1, 1)), 1),
    ((11, 12), 20, 5, 4, 1, ((1, 1), (1, 1)), 1),
    ((5, 6), 4, 3, 3, 1, ((1, 2), (1, 2)), 2),
    ((5, 6), 4, 3, 4, 1, ((2, 2), (2, 2)), 2),
    ((5, 6), 4, 3, 3, 1, ((2, 1), (3, 0)), 3),
    ((6, 6), 4, 3, 1, 1, ((0, 1), (0, 1)), 2),
    ((8, 8), 4, 3, 1, 1, NONE, 1),
    ((8, 8), 4, 3, 1, 2, NONE, 1),
    ((9, 9), 4, 3, 3, 1, ((-1, -2), (0, -1)), 1),
    ((9, 8), 4, 3, 3, 2, ((0, 1), (1, 0)), 2),
    ((9, 9), 1, 1, 3, 3, NONE, 1),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_form_is_the_plain_convolution(case, every_size):
    size_hw, c, o, k, stride, padding, dilation = case
    x, kernel = drawn(0, 2, *size_hw, c), drawn(1, k, k, c, o)
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    expected = conv_forms.plain(x, kernel, **options)
    assert_near(conv_forms.on_cpu(x, kernel, **options), expected)
    output = drawn(2, *expected.shape)
    options |= {"size": (k, k)}
    expected = conv_forms.plain_kernel_gradient(x, output, **options)
    assert_near(conv_forms.kernel_gradient_on_cpu(x, output, **options), expected)


def test_the_plain_kernel_gradient_is_the_gradient():
    x, kernel = drawn(0, 2, 9, 8, 3), drawn(1, 4, 4, 3, 5)
    options = {"stride": 2, "padding": ((1, 0), (2, 1)), "dilation": 1}
    y, pull = jax.vjp(lambda k: conv_forms.plain(x, k, **options), kernel)
    output = drawn(2, *y.shape)
    found = conv_forms.plain_kernel_gradient(x, output, size=(4, 4), **options)
    assert_near(found, pull(output)[0])


def uses_xla(x, kernel):
    fn = lambda x, k: conv_forms.on_cpu(x, k, stride=1, padding=NONE, dilation=1)  # noqa: E731
    return "conv_general_dilated" in str(jax.make_jaxpr(fn)(x, kernel))


def test_small_half_precision_and_switched_off_ones_are_left_to_xla(monkeypatch):
    monkeypatch.delenv(conv_forms.SWITCH, raising=False)
    x, kernel = jnp.zeros((1, 64, 64, 64)), jnp.zeros((3, 3, 64, 64))
    assert not uses_xla(x, kernel)
    assert uses_xla(x[:, :6, :6], kernel)
    assert uses_xla(x.astype(jnp.bfloat16), kernel.astype(jnp.bfloat16))
    monkeypatch.setenv(conv_forms.SWITCH, "xla")
    assert uses_xla(x, kernel)


@pytest.mark.parametrize(
    ("shape", "size_hw", "stride", "side"),
    [
        ((3, 3, 64, 64), (64, 64), 1, 4),
        ((3, 3, 64, 64), (4, 64), 1, 2),
        ((3, 3, 64, 64), (64, 64), 2, 0),
        ((3, 3, 3, 64), (64, 64), 1, 0),
        ((7, 7, 64, 64), (64, 64), 1, 0),
    ],
)
def test_tiles_fit_the_case(shape, size_hw, stride, side):
    assert conv_forms.tile_side(shape, size_hw, stride) == side
