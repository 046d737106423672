"""The mirror of the VGG: sizes, layers, and what each layer computes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.models.adain_decoder import AdaINDecoder, layer_names
from stylejax.nn.conv import conv2d, pad


def count(params):
    return sum(x.size for x in jax.tree.leaves(params))


@pytest.mark.parametrize(("arch", "size"), [("vgg19", 3_505_219), ("vgg16", 2_915_139)])
def test_the_decoder_has_the_published_size(arch, size):
    network = AdaINDecoder(arch)
    features = jax.ShapeDtypeStruct((1, 4, 5, 512), jnp.float32)
    key = jax.eval_shape(lambda: jax.random.key(0))
    found = jax.eval_shape(network.init, key, features)
    assert count(found["params"]) == size
    assert jax.eval_shape(network.apply, found, features).shape == (1, 32, 40, 3)


def test_the_layers_are_those_of_the_reference():
    names = layer_names("vgg19")
    assert names[:6] == (
        "conv4_1",
        "conv3_4",
        "conv3_3",
        "conv3_2",
        "conv3_1",
        "conv2_2",
    )
    assert len(names) == 9


def test_it_computes_what_its_layers_say(generator):
    network = AdaINDecoder("vgg11", width=2)
    x = jnp.float32(generator.normal(size=(1, 4, 3, 16)))
    variables = network.init(jax.random.key(0), x)
    y = x
    for name in layer_names("vgg11"):
        if name in ("conv3_2", "conv2_1", "conv1_1"):
            y = jnp.repeat(jnp.repeat(y, 2, axis=1), 2, axis=2)
        leaf = variables["params"][name]
        y = conv2d(pad(y, 1, mode="reflect"), leaf["kernel"])
        y = y + leaf["bias"][None, None, None]
        y = y if name == "conv1_1" else jnp.maximum(y, 0.0)
    found = network.apply(variables, x)
    np.testing.assert_allclose(found, y, rtol=1e-4, atol=1e-5)


def test_unknown_architectures_are_refused():
    with pytest.raises(ValueError, match="arch"):
        AdaINDecoder("vgg12").init(jax.random.key(0), jnp.zeros((1, 4, 4, 512)))
