"""What is the U-Net's own; the rest is in test_translation.py and test_parity.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.models.unet_generator import UNetGenerator


@pytest.fixture(scope="module")
def net_and_variables():
    net = UNetGenerator(ngf=2, num_downs=5)
    x = jnp.asarray(
        np.random.default_rng(0).uniform(-1, 1, (1, 32, 32, 3)), jnp.float32
    )
    return net, net.init(jax.random.key(0), x), x


def test_channels_double_up_to_eight_times_and_skips_double_the_inputs(
    net_and_variables,
):
    _, variables, _ = net_and_variables
    shapes = {k: v["kernel"].shape[2:] for k, v in variables["params"].items()}
    assert shapes == {
        "down_0": (3, 2),
        "down_1": (2, 4),
        "down_2": (4, 8),
        "down_3": (8, 16),
        "down_4": (16, 16),
        "up_4": (16, 16),
        "up_3": (32, 8),
        "up_2": (16, 4),
        "up_1": (8, 2),
        "up_0": (4, 3),
    }


def test_the_skip_carries_the_input_past_the_bottleneck(net_and_variables):
    net, variables, x = net_and_variables
    params = dict(variables["params"])
    # With the way through the bottleneck cut, only the outermost skip is left.
    cut = jax.tree.map(jnp.zeros_like, params["up_1"])
    through_skip = net.apply({"params": params | {"up_1": cut}}, x)
    assert float(jnp.std(through_skip)) > 1e-4
    constant = net.apply(
        {"params": params | {"up_0": jax.tree.map(jnp.zeros_like, params["up_0"])}}, x
    )
    assert float(jnp.abs(constant).max()) == 0.0


def test_the_innermost_level_is_not_normalised_away(net_and_variables):
    net, variables, x = net_and_variables
    # At one position instance norm would give zero whatever the kernel.
    _, taps = net.apply(variables, x, capture_intermediates=True)
    innermost = taps["intermediates"]["down_4"]["__call__"][0]
    assert innermost.shape == (1, 1, 1, 16)
    grads = jax.grad(lambda v: jnp.sum(net.apply(v, x) ** 2))(variables)
    assert float(jnp.abs(grads["params"]["down_4"]["kernel"]).max()) > 0
