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


@pytest.fixture(params=["xla", "places", "winograd"])
def form(request, monkeypatch):
    """Small cases take the forms of large ones."""
    chosen = request.param
    monkeypatch.setattr(conv_forms, "gradient_form", lambda *shapes, **options: chosen)
    monkeypatch.delenv(conv_forms.SWITCH, raising=False)
    return chosen


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
def test_every_form_is_the_plain_convolution(case, form):
    size_hw, c, o, k, stride, padding, dilation = case
    if form == "winograd" and (k, stride, dilation) != (3, 1, 1):
        return
    if form == "places" and stride > 1 and dilation > 1:
        return
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


def text_of(fn, *args, **options):
    options = {"stride": 1, "padding": NONE, "dilation": 1, **options}
    return str(jax.make_jaxpr(lambda *a: fn(*a, **options))(*args))


def test_bare_convolutions_get_a_row_of_zeros(monkeypatch):
    monkeypatch.delenv(conv_forms.SWITCH, raising=False)
    x, kernel = jnp.zeros((1, 9, 9, 4)), jnp.zeros((3, 3, 4, 4))
    assert "padding=((0, 1), (0, 0))" in text_of(conv_forms.on_cpu, x, kernel)
    for options in ({"stride": 2}, {"padding": ((1, 1), (1, 1))}, {"dilation": 2}):
        assert "(0, 1), (0, 0)" not in text_of(conv_forms.on_cpu, x, kernel, **options)
    assert "(0, 1), (0, 0)" not in text_of(conv_forms.on_cpu, x, kernel[:1, :1])
    monkeypatch.setenv(conv_forms.SWITCH, "xla")
    assert "(0, 1), (0, 0)" not in text_of(conv_forms.on_cpu, x, kernel)


def test_half_precision_and_switched_off_ones_are_left_to_xla(monkeypatch):
    monkeypatch.delenv(conv_forms.SWITCH, raising=False)
    x, output = jnp.zeros((1, 66, 66, 64)), jnp.zeros((1, 64, 64, 64))

    def uses_xla(x, output):
        fn = conv_forms.kernel_gradient_on_cpu
        return "conv_general_dilated" in text_of(fn, x, output, size=(3, 3))

    assert not uses_xla(x, output)
    assert uses_xla(x.astype(jnp.bfloat16), output.astype(jnp.bfloat16))
    monkeypatch.setenv(conv_forms.SWITCH, "xla")
    assert uses_xla(x, output)


@pytest.mark.parametrize(
    ("x", "output", "k", "stride", "dilation", "form"),
    [
        ((1, 66, 66, 256), (1, 64, 64, 256), 3, 1, 1, "winograd"),
        ((1, 34, 34, 256), (1, 32, 32, 256), 3, 1, 1, "xla"),
        ((4, 34, 34, 256), (4, 32, 32, 256), 3, 1, 1, "winograd"),
        ((1, 34, 34, 512), (1, 32, 32, 512), 3, 1, 1, "places"),
        ((1, 128, 128, 64), (1, 64, 64, 128), 3, 2, 1, "places"),
        ((1, 32, 32, 256), (1, 64, 64, 128), 3, 1, 2, "places"),
        ((1, 16, 16, 64), (1, 32, 32, 32), 3, 1, 2, "xla"),
        ((1, 262, 262, 64), (1, 256, 256, 3), 7, 1, 1, "xla"),
        ((1, 70, 70, 256), (1, 64, 64, 256), 7, 1, 1, "xla"),
        ((1, 64, 64, 256), (1, 64, 64, 256), 3, 2, 2, "xla"),
    ],
)
def test_the_form_of_a_gradient(x, output, k, stride, dilation, form):
    found = conv_forms.gradient_form(
        x, output, size=(k, k), stride=stride, dilation=dilation
    )
    assert found == form
