"""Convolutions against sums written out in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.nn import conv


def correlate(x, kernel, stride):
    """Cross-correlation position by position."""
    kh, kw, _, outputs = kernel.shape
    h = (x.shape[1] - kh) // stride + 1
    w = (x.shape[2] - kw) // stride + 1
    y = np.zeros((x.shape[0], h, w, outputs))
    for i in range(h):
        for j in range(w):
            patch = x[:, i * stride : i * stride + kh, j * stride : j * stride + kw]
            y[:, i, j] = np.einsum("bijc,ijco->bo", patch, kernel)
    return y


@pytest.fixture
def arrays(generator):
    x = generator.normal(size=(2, 7, 9, 3)).astype(np.float32)
    return x, generator.normal(size=(3, 3, 3, 4)).astype(np.float32)


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_conv2d_is_cross_correlation(arrays, stride):
    x, kernel = arrays
    expected = correlate(x, kernel, stride)
    np.testing.assert_allclose(
        conv.conv2d(x, kernel, stride=stride), expected, atol=1e-4
    )


def test_conv2d_transpose_is_the_adjoint_of_the_padded_convolution(arrays, generator):
    x, kernel = arrays

    def forward(y):
        return conv.conv2d(conv.pad(y, 1), kernel.swapaxes(2, 3), stride=2)

    # With output_padding 1, (7, 9) grows to (14, 18), which stride 2 takes back.
    options = {"stride": 2, "padding": 1, "output_padding": 1}
    grown = conv.conv2d_transpose(x, kernel, **options)
    y = generator.normal(size=(2, 14, 18, 4)).astype(np.float32)
    assert grown.shape == y.shape
    np.testing.assert_allclose(jnp.vdot(grown, y), jnp.vdot(x, forward(y)), rtol=1e-4)


def test_transposed_layer_doubles_and_has_reference_sizes():
    layer = conv.ConvTranspose(5)
    variables = layer.init(jax.random.key(0), jnp.zeros((1, 6, 4, 3)))
    assert layer.apply(variables, jnp.zeros((1, 6, 4, 3))).shape == (1, 12, 8, 5)
    assert variables["params"]["kernel"].shape == (3, 3, 3, 5)


@pytest.mark.parametrize(
    ("mode", "numpy_mode"),
    [("zero", "constant"), ("reflect", "reflect"), ("replicate", "edge")],
)
def test_padding_modes(arrays, mode, numpy_mode):
    x, _ = arrays
    expected = np.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)), numpy_mode)
    np.testing.assert_array_equal(conv.pad(x, 2, mode=mode), expected)


def test_padding_refuses_what_cannot_be(arrays):
    x, _ = arrays
    with pytest.raises(ValueError, match="expected one of zero, reflect, replicate"):
        conv.pad(x, 1, mode="mirror")
    with pytest.raises(ValueError, match="reflect padding of 7 needs sides above 7"):
        conv.pad(x, 7, mode="reflect")
    assert conv.pad(x, 0, mode="reflect") is x


def test_layer_pads_convolves_and_adds_the_bias(arrays):
    x, kernel = arrays
    layer = conv.Conv(4, 3, stride=2, padding=1, padding_mode="reflect")
    bias = np.arange(4, dtype=np.float32)
    y = layer.apply({"params": {"kernel": kernel, "bias": bias}}, x)
    expected = correlate(np.asarray(conv.pad(x, 1, mode="reflect")), kernel, 2) + bias
    np.testing.assert_allclose(y, expected, atol=1e-4)


@pytest.mark.parametrize("layer", [conv.Conv(64, 3), conv.ConvTranspose(64)])
def test_initialisation_is_the_references(layer):
    params = layer.init(jax.random.key(1), jnp.zeros((1, 4, 4, 64)))["params"]
    assert float(jnp.std(params["kernel"])) == pytest.approx(0.02, rel=0.02)
    assert abs(float(jnp.mean(params["kernel"]))) < 5e-4
    assert not params["bias"].any()


def test_bfloat16_computes_narrow_and_keeps_wide_parameters(arrays):
    x, _ = arrays
    layer = conv.Conv(4, 3, dtype=jnp.bfloat16, use_bias=False)
    variables = layer.init(jax.random.key(0), x)
    assert list(variables["params"]) == ["kernel"]
    assert variables["params"]["kernel"].dtype == jnp.float32
    assert layer.apply(variables, x).dtype == jnp.bfloat16
