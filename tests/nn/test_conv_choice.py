"""The rules that choose a form, at the shapes of the networks here."""

import pytest

from stylejax.nn import conv_choice

NONE, ONE, TWO = (((n, n), (n, n)) for n in range(3))
TURNED = {"padding": TWO, "turned": True}


@pytest.mark.parametrize(
    ("x", "kernel", "options", "form"),
    [
        ((1, 66, 66, 256), (3, 3, 256, 256), {}, "winograd4"),
        ((1, 34, 34, 256), (3, 3, 256, 256), {}, "winograd4"),
        ((1, 18, 18, 256), (3, 3, 256, 256), {}, "winograd4"),
        ((1, 10, 10, 256), (3, 3, 256, 256), {}, "row"),
        ((4, 10, 10, 256), (3, 3, 256, 256), {}, "winograd4"),
        ((1, 32, 32, 512), (3, 3, 512, 512), {"padding": ONE}, "winograd4"),
        ((1, 32, 32, 512), (3, 3, 512, 512), TURNED, "winograd4"),
        ((1, 16, 16, 512), (3, 3, 512, 512), TURNED, "winograd2"),
        ((1, 12, 12, 512), (3, 3, 512, 512), TURNED, "row"),  # 9 tiles, not 16
        ((1, 256, 256, 64), (3, 3, 64, 64), {"padding": ONE}, "row"),
        ((1, 134, 134, 64), (7, 7, 64, 3), {}, "row"),
        ((1, 128, 128, 64), (3, 3, 64, 128), {"stride": 2, "padding": ONE}, "padding"),
        ((1, 32, 32, 256), (3, 3, 256, 128), {"dilation": 2}, "padding"),
        ((1, 16, 16, 256), (4, 4, 256, 512), {"padding": ONE}, "padding"),
        ((1, 16, 16, 256), (1, 1, 256, 256), {}, "padding"),
    ],
)
def test_the_form_of_a_convolution(x, kernel, options, form):
    given = {"stride": 1, "padding": NONE, "dilation": 1, "turned": False} | options
    found = conv_choice.forward_form(x, kernel, **given)
    assert found == form


@pytest.mark.parametrize(
    ("x", "output", "k", "stride", "dilation", "form"),
    [
        ((1, 66, 66, 256), (1, 64, 64, 256), 3, 1, 1, "winograd4"),
        ((1, 34, 34, 256), (1, 32, 32, 256), 3, 1, 1, "winograd4"),
        ((4, 34, 34, 256), (4, 32, 32, 256), 3, 1, 1, "winograd4"),
        ((1, 34, 34, 512), (1, 32, 32, 512), 3, 1, 1, "winograd4"),
        ((1, 18, 18, 512), (1, 16, 16, 512), 3, 1, 1, "winograd2"),
        ((1, 10, 10, 512), (1, 8, 8, 512), 3, 1, 1, "places"),
        ((1, 128, 128, 64), (1, 64, 64, 128), 3, 2, 1, "places"),
        ((1, 32, 32, 256), (1, 64, 64, 128), 3, 1, 2, "places"),
        ((1, 16, 16, 64), (1, 32, 32, 32), 3, 1, 2, "xla"),
        ((1, 10, 10, 32), (1, 8, 8, 32), 3, 1, 1, "xla"),
        ((1, 262, 262, 64), (1, 256, 256, 3), 7, 1, 1, "xla"),
        ((1, 262, 262, 3), (1, 256, 256, 64), 7, 1, 1, "rows"),
        ((1, 256, 256, 3), (1, 128, 128, 64), 7, 2, 1, "xla"),
        ((1, 70, 70, 256), (1, 64, 64, 256), 7, 1, 1, "xla"),
        ((1, 64, 64, 256), (1, 64, 64, 256), 3, 2, 2, "xla"),
    ],
)
def test_the_form_of_a_gradient(x, output, k, stride, dilation, form):
    found = conv_choice.gradient_form(
        x, output, size=(k, k), stride=stride, dilation=dilation
    )
    assert found == form
