"""Attention between pictures: what it must do to features of known kinds."""

import jax
import jax.numpy as jnp
import numpy as np

from stylejax.models.style_attention import StyleAttention
from stylejax.nn.norm import instance_norm


def made(generator, *, channels=6, **options):
    network = StyleAttention(channels, **options)
    content, style = (
        jnp.float32(generator.normal(2.0, 3.0, (1, h, w, channels)))
        for h, w in ((5, 4), (6, 7))
    )
    variables = network.init(jax.random.key(0), content, style)
    return network, variables, content, style


def test_a_style_of_one_kind_gives_every_position_its_mean(generator):
    network, variables, content, _ = made(generator)
    flat = jnp.broadcast_to(jnp.arange(6.0), (1, 3, 3, 6))
    found = network.apply(variables, content, flat)
    # Without variance nothing of the content is left but a thousandth.
    np.testing.assert_allclose(
        found, np.broadcast_to(np.arange(6.0), found.shape), atol=5e-3
    )


def test_attention_that_does_not_choose_is_a_plain_instance_norm(generator):
    network, variables, content, style = made(generator)
    blind = jax.tree.map(jnp.zeros_like, variables)
    found = network.apply(blind, content, style)
    x = np.asarray(style, np.float64)
    mean = x.mean((1, 2), keepdims=True)
    expected = np.asarray(instance_norm(content)) * x.std((1, 2), keepdims=True) + mean
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_tiles_and_thinned_keys(generator):
    network, variables, content, style = made(generator)
    whole = network.apply(variables, content, style)
    tiled = StyleAttention(6, tile=3).apply(variables, content, style)
    np.testing.assert_allclose(tiled, whole, rtol=1e-4, atol=1e-4)
    thinned = StyleAttention(6, max_keys=12)
    keys = thinned.apply(variables, style, method="keys_of")
    assert keys.keys.shape[1] <= 12
    np.testing.assert_array_equal(keys.values[0, 0], style[0, 0, 0])
    one, two = (thinned.apply(variables, content, style) for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_one_style_serves_all_contents(generator):
    network, variables, content, style = made(generator)
    both = jnp.concatenate([content, content[:, ::-1]])
    found = network.apply(variables, both, style)
    np.testing.assert_allclose(
        found[0], network.apply(variables, content, style)[0], rtol=1e-4, atol=1e-4
    )
