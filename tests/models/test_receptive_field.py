"""How much of a picture one PatchGAN logit sees, found by its gradient.

With the norms off the field is the closed form: 70 pixels at the default depth. With
live instance norm every logit depends on the whole picture through the statistics.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stylejax.models.patch_discriminator import PatchDiscriminator, layers

# Strided layers: side of the field. 4, 7, 16, 34, 70 grows by f -> 2 f + 2.
FIELDS = {1: 16, 2: 34, 3: 70, 4: 142}


def closed_form(convolutions):
    """The field in pixels of (kernel, stride, padding) triples, first layer first."""
    field = 1
    for kernel, stride, _ in reversed(convolutions):
        field = (field - 1) * stride + kernel
    return field


@functools.cache
def seen_pixels(num_layers, use_norm):
    """(boolean h w: pixels the central logit has a gradient at, the gradient h w)."""
    size = 2 * FIELDS[num_layers] + 40
    net = PatchDiscriminator(ndf=2, num_layers=num_layers, use_norm=use_norm)
    init_key, bias_key, image_key = jax.random.split(jax.random.key(num_layers), 3)
    image = jax.random.uniform(image_key, (1, size, size, 3), minval=-1.0)
    params = net.init(init_key, image[:, :64, :64])["params"]
    # Positive weights cannot cancel; live statistics do not care.
    params = jax.tree.map(lambda p: jnp.abs(p) + 0.01, params)

    def centre(image):
        logits = net.apply({"params": params}, image)
        return logits[0, logits.shape[1] // 2, logits.shape[2] // 2, 0]

    gradient = np.asarray(jnp.abs(jax.jit(jax.grad(centre))(image))[0].sum(axis=-1))
    return gradient > 0, gradient


def extent(seen):
    """(rows, columns) of the bounding box of a boolean map."""
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    return int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1


@pytest.mark.parametrize(("num_layers", "field"), FIELDS.items())
def test_field_without_norm_is_the_closed_form(num_layers, field):
    seen, _ = seen_pixels(num_layers, use_norm=False)
    assert closed_form(layers(num_layers)) == field
    assert extent(seen) == (field, field)
    assert seen.sum() == field**2  # a full square, and nothing outside


def test_default_field_is_70():
    assert PatchDiscriminator().num_layers == 3
    assert extent(seen_pixels(3, use_norm=False)[0]) == (70, 70)


def test_field_with_live_norm_is_the_whole_picture():
    inside, _ = seen_pixels(3, use_norm=False)
    seen, gradient = seen_pixels(3, use_norm=True)
    assert seen[~inside].mean() > 0.99
    assert gradient[~inside].sum() > 0.01 * gradient[inside].sum()
