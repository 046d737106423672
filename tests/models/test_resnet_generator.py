"""What is the ResNet generator's own; the rest is in test_translation.py."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from stylejax.models.resnet_generator import ResidualBlock, ResNetGenerator


def test_submodules_have_the_names_that_checkpoints_rely_on():
    net = ResNetGenerator(ngf=2, num_blocks=2)
    shapes = jax.eval_shape(net.init, jax.random.key(0), jnp.zeros((1, 16, 16, 3)))
    kernels = {
        name: leaf["kernel"].shape
        for name, leaf in shapes["params"].items()
        if "kernel" in leaf
    }
    assert kernels == {
        "stem": (7, 7, 3, 2),
        "down_0": (3, 3, 2, 4),
        "down_1": (3, 3, 4, 8),
        "up_0": (3, 3, 8, 4),
        "up_1": (3, 3, 4, 2),
        "head": (7, 7, 2, 3),
    }
    assert set(shapes["params"]["block_1"]) == {"conv_0", "conv_1"}


def test_a_block_with_zero_kernels_is_the_identity(generator):
    x = jnp.asarray(generator.normal(size=(1, 4, 4, 2)), jnp.float32)
    block = ResidualBlock(2)
    zeros = jax.tree.map(jnp.zeros_like, block.init(jax.random.key(0), x))
    # No ReLU after the sum: negative values pass.
    np.testing.assert_array_equal(block.apply(zeros, x), x)


def test_resize_enlarges_a_flat_map_to_a_flat_map_and_transpose_does_not():
    x, spread = jnp.full((1, 32, 32, 3), 0.3), {}
    flat = jnp.full((1, 16, 16, 4), 0.5)
    for kind in ("transpose", "resize"):
        net = ResNetGenerator(ngf=2, num_blocks=1, num_downs=1, upsample=kind)
        variables = net.init(jax.random.key(0), x)

        def replace(call, args, kwargs, context):
            if context.module.name == "block_0":  # what the enlarging layer gets
                return flat
            return call(*args, **kwargs)

        with nn.intercept_methods(replace):
            _, taps = net.apply(variables, x, capture_intermediates=True)
        out = taps["intermediates"]["up_0"]["__call__"][0]
        assert out.shape == (1, 32, 32, 2)
        spread[kind] = float(jnp.std(out[0, 2:-2, 2:-2], axis=(0, 1)).max())
    assert spread["resize"] < 1e-6
    assert spread["transpose"] > 1e-3
