"""The autoencoder's networks: sizes, and what each of them cannot see."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.models.latent_autoencoder import (
    ContentEncoder,
    LatentDecoder,
    StyleCritic,
    StyleEncoder,
    widths,
)

KEY = jax.random.key(0)


@pytest.mark.parametrize("num_downs", [1, 2, 4])
def test_sizes_fit_each_other(num_downs):
    side = 4 * 2**num_downs
    image = jnp.zeros((2, side, side, 3))
    encoder = ContentEncoder(5, width=4, num_downs=num_downs)
    decoder = LatentDecoder(width=4, num_ups=num_downs)
    latent = encoder.apply(encoder.init(KEY, image), image)
    assert latent.shape == (2, 5)
    style = jnp.zeros((2, 3))
    found = decoder.apply(decoder.init(KEY, latent, style), latent, style)
    assert found.shape == image.shape


def test_the_style_encoder_hardly_sees_where_things_are(generator):
    # Mid grey, which the padding continues.
    image = np.full((1, 32, 32, 3), 0.5, np.float32)
    image[:, 8:16, 8:16] = generator.random(3)
    moved = np.roll(image, 8, axis=(1, 2))
    encoder = StyleEncoder(4, width=4)
    variables = encoder.init(KEY, image)
    first, second = (encoder.apply(variables, jnp.asarray(x)) for x in (image, moved))
    np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-5)


def test_the_content_encoder_does_not_see_contrast(generator):
    image = jnp.float32(generator.random((1, 32, 32, 3)))
    encoder = ContentEncoder(4, width=4, num_downs=3)
    variables = encoder.init(KEY, image)
    weaker = 0.5 + 0.7 * (image - 0.5)
    first, second = (encoder.apply(variables, x) for x in (image, weaker))
    scale = float(jnp.abs(first).max())
    np.testing.assert_allclose(first, second, atol=0.1 * scale)


def test_styles_change_what_is_rendered(generator):
    content = jnp.float32(generator.normal(size=(1, 5)))
    styles = jnp.float32(generator.normal(size=(2, 1, 3)))
    decoder = LatentDecoder(width=4, num_ups=2)
    variables = decoder.init(KEY, content, styles[0])
    first, second = (decoder.apply(variables, content, s) for s in styles)
    assert float(jnp.abs(first - second).mean()) > 1e-3


def test_the_critic_has_a_logit_for_each_style_and_channels_double():
    critic = StyleCritic(3)
    content = jnp.zeros((4, 5))
    assert critic.apply(critic.init(KEY, content), content).shape == (4, 3)
    assert widths(8, 5) == [8, 16, 32, 32, 32]
