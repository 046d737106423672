"""A narrow VGG and small configurations of the learned stylising methods."""

import numpy as np

from stylejax.methods.adain import AdaINConfig
from stylejax.methods.slim import SlimConfig
from stylejax.methods.style_attention import StyleAttentionConfig
from stylejax.pretrained import vgg

_OPTIONS = {"image_size": 16, "learning_rate": 3e-3, "ema_decay": 0.5}
CONFIGS = {
    "adain": AdaINConfig(**_OPTIONS),
    "slim": SlimConfig(width=4, num_blocks=1, **_OPTIONS),
    "style_attention": StyleAttentionConfig(max_keys=8, tile=5, **_OPTIONS),
}
_WIDTH = 6
_LAYERS = {
    "vgg11": ["conv1_1", "conv2_1", "conv3_1", "conv3_2", "conv4_1"],
    "vgg16": [
        *("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_2", "conv3_3"),
        *("conv4_1", "conv4_2", "conv4_3"),
    ],
}


def save_vgg(folder, *, arch="vgg11"):
    """The path of a VGG of random numbers with six channels in its first block."""
    generator, params, channels = np.random.default_rng(0), {}, 3
    for name in _LAYERS[arch]:
        out = _WIDTH * vgg.vgg.MULTIPLES[int(name[4]) - 1]
        spread = (2 / (9 * channels)) ** 0.5
        shape = (3, 3, channels, out)
        params[name] = {
            "kernel": generator.normal(0, spread, shape).astype(np.float32),
            "bias": np.zeros(out, np.float32),
        }
        channels = out
    weights = vgg.VGGWeights({"params": params}, arch, False, "none", name)
    return str(vgg.save(folder / f"{arch}.safetensors", weights))


def edges(count, side=32):
    """Smooth pictures (count, side, side, 3) with an edge each, float32 in [0, 1]."""
    generator = np.random.default_rng(0)
    y, x = np.mgrid[0:side, 0:side] / side
    found = []
    for _ in range(count):
        colors, turn = generator.random((2, 3)), generator.random(2) - 0.5
        is_one_side = (turn[0] * (y - 0.5) + turn[1] * (x - 0.5) > 0)[..., None]
        found.append(np.where(is_one_side, colors[0], colors[1] * x[..., None]))
    return np.float32(found)
