"""Winograd's tiles against XLA's convolution and both of its gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.nn import winograd

SIZES = [(1, 1), (4, 4), (5, 10), (17, 8)]


def drawn(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


def valid(x, kernel):
    dimensions = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "VALID", dimension_numbers=dimensions
    )


def assert_near(found, expected, side):
    assert found.shape == expected.shape
    scale = float(jnp.abs(expected).max())
    np.testing.assert_allclose(found, expected, atol=(3e-6 * side) * scale)


@pytest.mark.parametrize("side", winograd.TRANSFORMS)
@pytest.mark.parametrize("size_hw", SIZES)
def test_the_convolution_and_its_gradients(size_hw, side):
    x = drawn(0, 2, size_hw[0] + 2, size_hw[1] + 2, 3)
    kernel, output = drawn(1, 3, 3, 3, 5), drawn(2, 2, *size_hw, 5)
    y, pull = jax.vjp(valid, x, kernel)
    by_input, by_kernel = pull(output)
    assert_near(winograd.convolution(x, kernel, side=side), y, side)
    found = winograd.input_gradient(output, kernel, side=side)
    assert_near(found, by_input, side)
    found = winograd.kernel_gradient(x, output, side=side)
    assert_near(found, by_kernel, side)


@pytest.mark.parametrize("side", winograd.TRANSFORMS)
def test_the_transforms_are_exact_in_one_dimension(side):
    transforms = winograd.TRANSFORMS[side]
    signal, kernel = np.arange(side + 2.0) ** 2 - 3, np.array([2.0, -1.0, 5.0])
    product = (transforms.of_input @ signal) * (transforms.of_kernel @ kernel)
    expected = [signal[i : i + 3] @ kernel for i in range(side)]
    np.testing.assert_allclose(transforms.back @ product, expected, rtol=1e-12)


@pytest.mark.parametrize("channels", [1, 33, 256])
def test_the_error_at_many_channels(channels):
    x, kernel = drawn(0, 1, 18, 18, channels), drawn(1, 3, 3, channels, channels)
    exact = np.asarray(valid(x, kernel))
    for side, limit in ((2, 3e-6), (4, 3e-5)):
        found = winograd.convolution(x, kernel, side=side)
        assert np.abs(found - exact).max() <= limit * np.abs(exact).max()


def test_sharded_pictures_stay_where_they_are():
    mesh = jax.sharding.Mesh(np.array(jax.devices()), ("data",))
    rows = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    x = jax.device_put(drawn(0, 4, 10, 10, 8), rows)
    output, kernel = jax.device_put(drawn(1, 4, 8, 8, 8), rows), drawn(2, 3, 3, 8, 8)

    @jax.jit
    def all_three(x, kernel, output):
        return (
            winograd.convolution(x, kernel),
            winograd.input_gradient(output, kernel),
            winograd.kernel_gradient(x, output),
        )

    text = all_three.lower(x, kernel, output).compile().as_text()
    assert "all-gather" not in text and "all-to-all" not in text
