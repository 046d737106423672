"""Widths, layers and norms of the discriminators; fields in test_receptive_field.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.explain.receptive_field import theoretical_receptive_field
from stylejax.models.patch_discriminator import (
    PatchDiscriminator,
    PixelDiscriminator,
    layers,
)


@pytest.mark.parametrize(("num_layers", "field"), [(1, 16), (2, 34), (3, 70), (4, 142)])
def test_the_closed_form_field_of_the_layers(num_layers, field):
    assert theoretical_receptive_field(layers(num_layers)).size == field


def test_widths_double_up_to_eight_times():
    net = PatchDiscriminator(ndf=2, num_layers=5)
    shapes = jax.eval_shape(net.init, jax.random.key(0), jnp.zeros((1, 256, 256, 3)))
    widths = [shapes["params"][f"conv_{i}"]["kernel"].shape[-1] for i in range(7)]
    assert widths == [2, 4, 8, 16, 16, 16, 1]


@pytest.mark.parametrize(
    "net", [PatchDiscriminator(4, 2), PixelDiscriminator(4)], ids=["patch", "pixel"]
)
def test_all_layers_but_the_first_and_last_forget_contrast(net, generator):
    x = jnp.asarray(generator.uniform(-1, 1, (1, 32, 32, 3)), jnp.float32)
    variables = net.init(jax.random.key(0), x)
    # No bias at first: LeakyReLU is homogeneous, so the norm undoes a scale.
    np.testing.assert_allclose(
        net.apply(variables, 1000 * x), net.apply(variables, 500 * x), atol=1e-3
    )
    bare = net.copy(use_norm=False)
    ratio = bare.apply(variables, 1000 * x) / bare.apply(variables, 500 * x)
    np.testing.assert_allclose(ratio, 2.0, rtol=1e-3)
