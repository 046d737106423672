"""Each form of the convolution against XLA's own, gradients by the kernel likewise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.nn import conv_choice, conv_forms

NONE = ((0, 0), (0, 0))


def drawn(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


def assert_near(found, expected, *, tolerance=1e-5):
    assert found.shape == expected.shape
    scale = float(jnp.abs(expected).max())
    np.testing.assert_allclose(found, expected, atol=tolerance * scale)


FORWARD = ["padding", "row", "winograd2", "winograd4"]
GRADIENT = ["xla", "places", "rows", "winograd2", "winograd4"]


def force(monkeypatch, *, forward="row", gradient="xla"):
    """Small cases take the forms of large ones."""
    monkeypatch.setattr(conv_forms, "forward_form", lambda *a, **options: forward)
    monkeypatch.setattr(conv_forms, "gradient_form", lambda *a, **options: gradient)
    monkeypatch.delenv(conv_choice.SWITCH, raising=False)


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
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("form", FORWARD)
def test_every_form_is_the_plain_convolution(case, turned, form, monkeypatch):
    size_hw, c, o, k, stride, padding, dilation = case
    if form.startswith("winograd") and (k, stride, dilation) != (3, 1, 1):
        return
    force(monkeypatch, forward=form)
    x, kernel = (
        drawn(0, 2, *size_hw, c),
        drawn(1, k, k, *((o, c) if turned else (c, o))),
    )
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    options["turned"] = turned
    expected = conv_forms.plain(x, kernel, **options)
    assert_near(conv_forms.on_cpu(x, kernel, **options), expected)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("form", GRADIENT)
def test_every_form_is_the_plain_kernel_gradient(case, form, monkeypatch):
    size_hw, c, o, k, stride, padding, dilation = case
    if form.startswith("winograd") and (k, stride, dilation) != (3, 1, 1):
        return
    if form == "places" and stride > 1 and dilation > 1:
        return
    if form == "rows" and (stride, dilation) != (1, 1):
        return
    force(monkeypatch, gradient=form)
    x, kernel = drawn(0, 2, *size_hw, c), drawn(1, k, k, c, o)
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    output = drawn(2, *conv_forms.plain(x, kernel, **options).shape)
    options |= {"size": (k, k)}
    expected = conv_forms.plain_kernel_gradient(x, output, **options)
    assert_near(conv_forms.kernel_gradient_on_cpu(x, output, **options), expected)


def test_a_turned_kernel_is_turned():
    x, kernel = drawn(0, 1, 6, 7, 3), drawn(1, 3, 3, 2, 3)
    options = {"stride": 1, "padding": ((2, 1), (0, 2)), "dilation": 2}
    turned = conv_forms.plain(x, kernel, turned=True, **options)
    by_hand = conv_forms.plain(x, kernel[::-1, ::-1].swapaxes(2, 3), **options)
    assert_near(turned, by_hand)


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


def test_padding_is_materialised_and_a_row_added(monkeypatch):
    monkeypatch.delenv(conv_choice.SWITCH, raising=False)
    x, kernel = jnp.zeros((1, 9, 9, 4)), jnp.zeros((3, 3, 4, 4))
    row = "padding=((0, 1), (0, 0))"
    assert row in text_of(conv_forms.on_cpu, x, kernel)
    assert row in text_of(conv_forms.on_cpu, x, kernel, padding=((1, 1), (1, 1)))
    for options in ({"stride": 2}, {"dilation": 2}):
        assert row not in text_of(conv_forms.on_cpu, x, kernel, **options)
    assert row not in text_of(conv_forms.on_cpu, x, kernel[:1, :1])
    monkeypatch.setenv(conv_choice.SWITCH, "xla")
    assert row not in text_of(conv_forms.on_cpu, x, kernel)


def test_float32_asks_for_no_precision_and_half_precision_keeps_it(monkeypatch):
    monkeypatch.delenv(conv_choice.SWITCH, raising=False)
    x, kernel = jnp.zeros((1, 9, 9, 4)), jnp.zeros((3, 3, 4, 4))
    high = jax.lax.Precision.HIGHEST
    assert "HIGHEST" not in text_of(conv_forms.on_cpu, x, kernel, precision=high)
    half = [z.astype(jnp.bfloat16) for z in (x, kernel)]
    assert "HIGHEST" in text_of(conv_forms.on_cpu, *half, precision=high)


def test_half_precision_and_switched_off_ones_are_left_to_xla(monkeypatch):
    monkeypatch.delenv(conv_choice.SWITCH, raising=False)
    x, output = jnp.zeros((1, 66, 66, 64)), jnp.zeros((1, 64, 64, 64))

    def uses_xla(x, output):
        fn = conv_forms.kernel_gradient_on_cpu
        return "conv_general_dilated" in text_of(fn, x, output, size=(3, 3))

    assert not uses_xla(x, output)
    assert uses_xla(x.astype(jnp.bfloat16), output.astype(jnp.bfloat16))
    monkeypatch.setenv(conv_choice.SWITCH, "xla")
    assert uses_xla(x, output)
