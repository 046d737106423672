"""Enlarging and convolving in one against the two steps apart."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.nn import conv
from stylejax.nn.upsample import NearestConv, nearest_conv2d


def plain(x, kernel, mode):
    large = jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)
    return conv.conv2d(conv.pad(large, 1, mode=mode), kernel)


@pytest.mark.parametrize("mode", conv.PADDING_MODES)
def test_nearest_conv_equals_enlarging_and_then_convolving(mode, generator):
    x = generator.normal(size=(2, 3, 4, 5)).astype(np.float32)
    kernel = generator.normal(size=(3, 3, 5, 2)).astype(np.float32)
    actual = nearest_conv2d(x, kernel, padding_mode=mode)
    np.testing.assert_allclose(actual, plain(x, kernel, mode), atol=1e-4)


def test_nearest_conv_has_the_plain_gradients(generator):
    x = generator.normal(size=(1, 4, 3, 2)).astype(np.float32)
    kernel = generator.normal(size=(3, 3, 2, 3)).astype(np.float32)
    weights = generator.normal(size=(1, 8, 6, 3)).astype(np.float32)

    def gradients(fn):
        return jax.grad(lambda x, k: jnp.sum(weights * fn(x, k)), (0, 1))(x, kernel)

    pairs = zip(
        gradients(nearest_conv2d),
        gradients(lambda x, k: plain(x, k, "reflect")),
        strict=True,
    )
    for actual, expected in pairs:
        np.testing.assert_allclose(actual, expected, atol=1e-4)


def test_nearest_conv_multiplies_less_than_half_as_often():
    shapes = [jnp.ones((1, 32, 32, 16)), jnp.ones((3, 3, 16, 16))]

    def flops(fn):
        return jax.jit(fn).lower(*shapes).compile().cost_analysis()["flops"]

    ours, theirs = flops(nearest_conv2d), flops(lambda x, k: plain(x, k, "reflect"))
    assert ours < 0.5 * theirs


def test_nearest_conv_refuses_other_kernels():
    with pytest.raises(ValueError, match=r"expected sides \(3, 3\), got \(5, 5\)"):
        nearest_conv2d(jnp.ones((1, 4, 4, 1)), jnp.ones((5, 5, 1, 1)))


def test_the_module_adds_its_bias_and_computes_in_its_dtype(generator):
    x = generator.normal(size=(1, 4, 4, 2)).astype(np.float32)
    layer = NearestConv(3, dtype=jnp.bfloat16)
    params = layer.init(jax.random.key(0), x)["params"]
    assert params["kernel"].dtype == params["bias"].dtype == jnp.float32
    zero = layer.apply({"params": params}, x)
    moved = layer.apply({"params": params | {"bias": jnp.ones(3)}}, x)
    assert zero.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.float32(moved - zero), 1.0, atol=0.02)
