"""Channels in units of their mean activation."""

import jax.numpy as jnp
import numpy as np

from stylejax.losses.channel_scale import channel_means, scaled


def maps(images):
    x = jnp.concatenate([images, 10 * images, 0 * images[..., :1]], axis=-1)
    return {"a": x, "b": 2 * x}


def test_scaled_channels_have_mean_one_and_dead_ones_stay_zero(generator):
    images = jnp.float32(generator.random((3, 4, 5, 3)))
    scales = channel_means(maps, images)
    found = scaled(maps(images), scales)
    for x in found.values():
        np.testing.assert_allclose(x.mean((0, 1, 2))[:6], np.ones(6), rtol=1e-5)
        assert float(jnp.abs(x[..., 6]).max()) == 0.0
    mean = np.mean([images.mean(), 10 * images.mean()]) * 6 / 7
    np.testing.assert_allclose(scales["a"][6], 0.1 * mean, rtol=1e-5)
