"""What is the ResNet generator's own; the rest is in test_translation.py."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from stylejax.models.resnet_generator import (
    GATE_SCALE,
    ResidualBlock,
    ResNetGenerator,
    is_skip,
)
from stylejax.nn.norm import instance_norm


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


def skipping(x):
    net = ResNetGenerator(ngf=4, num_blocks=1, skips=True, upsample="resize")
    return net, dict(net.init(jax.random.key(0), x)["params"])


def test_closed_skips_leave_the_plain_generator(generator):
    x = jnp.asarray(generator.uniform(-1, 1, (1, 16, 16, 3)), jnp.float32)
    net, params = skipping(x)
    plain = {k: v for k, v in params.items() if not is_skip(k)}
    assert set(params) - set(plain) == {"gate_0", "gate_1", "gate_head"}
    expected = net.clone(skips=False).apply({"params": plain}, x)
    np.testing.assert_array_equal(net.apply({"params": params}, x), expected)


def test_open_skips_carry_what_the_encoder_saw_and_the_colours(generator):
    x = jnp.asarray(generator.uniform(-1, 1, (1, 16, 16, 3)), jnp.float32)
    net, params = skipping(x)
    silent = jax.tree.map(jnp.zeros_like, params)
    silent["gate_head"] = jnp.full(3, 1 / GATE_SCALE)
    np.testing.assert_allclose(net.apply({"params": silent}, x), jnp.tanh(x), atol=1e-6)
    # The decoder gives nothing, so its last map is the stem's behind the gate.
    params["up_1"] = jax.tree.map(jnp.zeros_like, params["up_1"])
    params["gate_1"] = jnp.float32([2.0, 0.0, 0.0, 0.0]) / GATE_SCALE
    kernel = jnp.zeros((7, 7, 4, 3)).at[3, 3, 0].set(1.0)
    params["head"] = {"kernel": kernel, "bias": jnp.zeros(3)}
    out, taps = net.apply({"params": params}, x, capture_intermediates=True)
    stem = nn.relu(instance_norm(taps["intermediates"]["stem"]["__call__"][0]))
    np.testing.assert_allclose(out[..., 0], jnp.tanh(2 * stem[..., 0]), atol=1e-5)
