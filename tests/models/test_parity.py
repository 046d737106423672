"""Networks against the stored answers of an independent PyTorch implementation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.models.patch_discriminator import PatchDiscriminator
from tests.goldens import network_parity

TOLERANCE = 1e-5


@pytest.mark.parametrize("name", network_parity.NETWORKS)
def test_outputs_and_gradients_agree(name):
    for quantity, error in network_parity.measure_network(name).items():
        assert error < TOLERANCE, quantity


@pytest.mark.parametrize("name", network_parity.NETWORKS)
def test_goldens_say_something(name):
    golden = network_parity.below(network_parity.goldens("networks"), name)
    assert golden["output"].std() > 1000 * TOLERANCE
    assert golden["input_gradient"].std() > 0


@pytest.mark.parametrize("name", network_parity.NETWORKS)
def test_names_and_shapes_agree(name):
    golden = network_parity.below(network_parity.goldens("networks"), name)
    variables = jax.eval_shape(
        network_parity.NETWORKS[name].init,
        jax.random.key(0),
        jax.ShapeDtypeStruct(golden["image"].shape, jnp.float32),
    )
    expected = network_parity.nest(network_parity.below(golden, "params"))
    ours = jax.tree.map(np.shape, variables["params"])
    assert ours == jax.tree.map(np.shape, expected)


@pytest.mark.parametrize("name", network_parity.FULL_SIZE)
def test_parameter_counts_agree(name):
    ours, reference = network_parity.count_parameters(name)
    assert ours == reference


@pytest.mark.parametrize(
    ("name", "count"), [("resnet_9", 11_378_179), ("patch_3", 2_764_737)]
)
def test_parameter_counts_are_the_published_ones(name, count):
    assert network_parity.count_parameters(name) == (count, count)


@pytest.mark.parametrize(("num_layers", "side"), [(3, 30), (4, 14), (2, 62)])
def test_logits_at_256_pixels(num_layers, side):
    images = jax.ShapeDtypeStruct((1, 256, 256, 3), jnp.float32)
    net = PatchDiscriminator(ndf=2, num_layers=num_layers)
    logits, _ = jax.eval_shape(net.init_with_output, jax.random.key(0), images)
    assert logits.shape == (1, side, side, 1)
