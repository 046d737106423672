"""Decoders of the reference's layout: names, orders, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.models.adain_decoder import AdaINDecoder, features_of, layer_names
from stylejax.nn.conv import conv2d, pad
from stylejax.pretrained import adain_names

# Where the convolutions stand among paddings, ReLUs and enlargements.
PLACES = (1, 5, 8, 11, 14, 18, 21, 25, 28)
WIDTH = 2


@pytest.fixture
def tensors(generator):
    found, channels = {}, 8 * WIDTH
    for place, name in zip(PLACES, layer_names("vgg19"), strict=True):
        out = features_of(name, width=WIDTH)
        found[f"{place}.weight"] = generator.normal(0, 0.2, (out, channels, 3, 3))
        found[f"{place}.bias"] = generator.normal(0, 0.1, out)
        channels = out
    return found


def reference(tensors, x):
    """The sequence as the reference has it, layer by layer."""
    place, last = 0, max(PLACES)
    while place <= last:
        if f"{place}.weight" in tensors:
            kernel = jnp.float32(tensors[f"{place}.weight"].transpose(2, 3, 1, 0))
            bias = jnp.float32(tensors[f"{place}.bias"])[None, None, None]
            x = conv2d(x, kernel) + bias
            if place < last:
                x = jnp.maximum(x, 0.0)  # a ReLU follows every one but the last
            place += 2
        elif place in (3, 16, 23):
            x = jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)
            place += 1
        else:
            x = pad(x, 1, mode="reflect")
            place += 1
    return x


@pytest.mark.parametrize("prefix", ["", "decoder."])
def test_a_decoder_of_the_reference_computes_the_same(tensors, prefix, generator):
    named = {prefix + name: array for name, array in tensors.items()}
    params = adain_names.convert(named)
    x = jnp.float32(generator.normal(size=(1, 4, 5, 8 * WIDTH)))
    network = AdaINDecoder("vgg19", WIDTH)
    found = jax.jit(network.apply)({"params": params}, x)
    np.testing.assert_allclose(found, reference(tensors, x), rtol=1e-4, atol=1e-5)


def test_other_files_are_refused(tensors):
    with pytest.raises(ValueError, match="expected the 8 convolutions .* vgg16, .* 9"):
        adain_names.convert(tensors, arch="vgg16")
    with pytest.raises(ValueError, match="got 0; give another"):
        adain_names.convert({"conv.kernel": np.zeros(3)})
    tensors["5.bias"] = np.zeros(3)
    with pytest.raises(ValueError, match=r"not the weights of a decoder.*conv3_4/bias"):
        adain_names.convert(tensors)
