"""The slim networks: sizes of maps and pictures, numbers of parameters, precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.models.slim_style import (
    FUSED,
    MULTIPLE,
    STRIDES,
    TAPS,
    SlimDecoder,
    SlimEncoder,
)


def shapes(function, *args):
    return jax.eval_shape(function, *args)


KEY = jax.eval_shape(lambda: jax.random.key(0))


def test_maps_have_the_stated_strides():
    network = SlimEncoder(4)
    image = jax.ShapeDtypeStruct((2, 48, 64, 3), jnp.float32)
    variables = shapes(network.init, KEY, image)
    maps = shapes(network.apply, variables, image)
    assert tuple(maps) == TAPS
    for tap, x in maps.items():
        assert x.shape[1:3] == (48 // STRIDES[tap], 64 // STRIDES[tap])
    assert [maps[tap].shape[-1] for tap in TAPS] == [4, 4, 8, 16]


def test_both_together_are_small():
    image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    encoder, decoder = SlimEncoder(), SlimDecoder()
    first = shapes(encoder.init, KEY, image)
    maps = shapes(encoder.apply, first, image)
    second = shapes(decoder.init, KEY, maps)
    total = sum(x.size for x in jax.tree.leaves((first, second)))
    assert total <= 1_500_000


@pytest.mark.parametrize("size", [(16, 24), (MULTIPLE * 3, MULTIPLE * 2)])
def test_pictures_come_back_at_their_size(size):
    encoder, decoder = SlimEncoder(4), SlimDecoder(4, 1)
    image = jax.random.uniform(jax.random.key(1), (1, *size, 3))
    first = encoder.init(jax.random.key(2), image)
    maps = encoder.apply(first, image)
    second = decoder.init(jax.random.key(3), maps)
    found = decoder.apply(second, {tap: maps[tap] for tap in FUSED})
    assert found.shape == image.shape
    assert found.dtype == jnp.float32
    assert np.isfinite(found).all()


def test_half_precision_is_near(generator):
    image = jnp.float32(generator.random((1, 16, 16, 3)))
    variables = SlimEncoder(4).init(jax.random.key(0), image)
    exact = SlimEncoder(4).apply(variables, image)["relu4_1"]
    half = SlimEncoder(4, dtype=jnp.bfloat16).apply(variables, image)["relu4_1"]
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(half.astype(jnp.float32), exact, rtol=0.1, atol=0.05)
