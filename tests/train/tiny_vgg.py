"""A file of a narrow VGG of random numbers, for tests that only need some features."""

import numpy as np

from stylejax.pretrained import vgg


def save_tiny_vgg(folder):
    """The path of a VGG-11 with two channels in its first block, up to relu3_2."""
    generator = np.random.default_rng(0)
    params, width = {}, 3
    for name, out in {"conv1_1": 2, "conv2_1": 4, "conv3_1": 8, "conv3_2": 8}.items():
        params[name] = {
            "kernel": generator.normal(0, 0.3, (3, 3, width, out)).astype(np.float32),
            "bias": np.zeros(out, np.float32),
        }
        width = out
    weights = vgg.VGGWeights({"params": params}, "vgg11", False, "none", "conv3_2")
    return vgg.save(folder / "tiny.safetensors", weights)
