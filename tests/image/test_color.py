"""Ranges and colour against numbers worked out by hand, on NumPy and JAX arrays."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.image import color

KINDS = pytest.mark.parametrize("array", [np.asarray, jnp.asarray], ids=["np", "jnp"])


@KINDS
def test_signed_and_back(array, generator):
    image = generator.uniform(size=(2, 4, 5, 3)).astype(np.float32)
    signed = color.to_signed(array(image))
    np.testing.assert_allclose(signed, image * 2 - 1, atol=1e-7)
    np.testing.assert_allclose(color.from_signed(signed), image, atol=1e-7)


@KINDS
def test_from_signed_clips(array):
    clipped = color.from_signed(array(np.float32([-1.5, -1, 0, 1, 1.5])))
    np.testing.assert_array_equal(clipped, [0, 0, 0.5, 1, 1])


@KINDS
def test_functions_return_the_kind_of_array_they_got(array):
    kind = type(array(np.zeros(1, np.float32)))
    image = array(np.full((1, 2, 2, 3), 0.5, np.float32))
    results = [
        color.to_signed(image),
        color.from_signed(image),
        color.to_float(color.to_uint8(image)),
        color.luminance(image),
    ]
    assert all(isinstance(result, kind) for result in results)
    assert all(result.dtype == np.float32 for result in results)


@KINDS
def test_every_8_bit_level_survives_the_round_trip(array):
    levels = np.arange(256, dtype=np.uint8)
    image = color.to_float(array(levels))
    assert float(image.min()) == 0 and float(image.max()) == 1
    np.testing.assert_array_equal(color.to_uint8(image), levels)


def test_to_uint8_rounds_and_clips():
    image = np.float32([-0.1, 0.4 / 255, 0.6 / 255, 1.1])
    assert color.to_uint8(image).tolist() == [0, 0, 1, 255]


@KINDS
def test_16_bit_keeps_its_precision(array):
    image = color.to_float(array(np.uint16([0, 1, 257, 65535])))
    np.testing.assert_allclose(image, [0, 1 / 65535, 1 / 255, 1], rtol=1e-6)


def test_floats_only_change_their_dtype():
    for dtype in (np.float64, np.float16, jnp.bfloat16):
        image = color.to_float(np.asarray([0.25, 2.0]).astype(dtype))
        assert image.dtype == np.float32
        assert image.tolist() == [0.25, 2.0]


@pytest.mark.parametrize("dtype", [np.int32, np.int8, np.bool_, np.complex64])
def test_other_dtypes_are_refused(dtype):
    with pytest.raises(TypeError, match="uint8, uint16 or float"):
        color.to_float(np.zeros(3, dtype))


@pytest.mark.parametrize("compile_fn", [lambda f: f, jax.jit])
def test_luminance_weights(compile_fn):
    primaries = jnp.eye(3)[None, None]  # one row: red, green, blue
    actual = compile_fn(color.luminance)(primaries)
    np.testing.assert_allclose(actual, [[[0.299, 0.587, 0.114]]], rtol=1e-6)


def test_luminance_of_grey_is_grey_and_needs_rgb():
    grey = np.full((1, 2, 2, 3), 0.3, np.float32)
    np.testing.assert_allclose(color.luminance(grey), grey[..., 0], rtol=1e-6)
    with pytest.raises(ValueError, match="RGB in the last axis"):
        color.luminance(grey[..., :1])


def test_conversions_have_finite_gradients_under_jit():
    def total(x):
        return jnp.sum(color.from_signed(color.to_signed(x)))

    gradient = jax.jit(jax.grad(total))(jnp.full((1, 2, 2, 3), 0.5))
    np.testing.assert_allclose(gradient, np.ones((1, 2, 2, 3)))
