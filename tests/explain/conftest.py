"""Small networks in plain jnp: nothing here knows a model of the package."""

import jax
import jax.numpy as jnp
import pytest


def conv(x, kernel, *, stride=1):
    """A convolution with reflect padding that keeps `h / stride`."""
    pad = kernel.shape[0] // 2
    x = jnp.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)), mode="reflect")
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        "VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def instance_norm(x):
    mean = x.mean(axis=(1, 2), keepdims=True)
    return (x - mean) * jax.lax.rsqrt(x.var(axis=(1, 2), keepdims=True) + 1e-5)


def upsample(x):
    return x.repeat(2, axis=1).repeat(2, axis=2)


def _make_generator(
    *, activation=jax.nn.silu, norm=instance_norm, conv=conv, seed=0, features=8
):
    """A random ResNet generator: stem, down, a block of two, two after upsampling."""
    widths = [(7, 3, 1), (3, 1, 2), (3, 2, 2), (3, 2, 2), (3, 2, 1)]
    shapes = [(k, k, i if i == 3 else i * features, o * features) for k, i, o in widths]
    shapes += [(3, 3, features, features), (7, 7, features, 3)]
    keys = jax.random.split(jax.random.key(seed), len(shapes))
    kernels = [
        jax.random.normal(k, s) / jnp.sqrt(s[0] * s[1] * s[2])
        for k, s in zip(keys, shapes, strict=True)
    ]

    def generate(images):
        def layer(x, i, **options):
            return activation(norm(conv(x, kernels[i], **options)))

        x = layer(layer(images * 2 - 1, 0), 1, stride=2)
        x = x + norm(conv(layer(x, 2), kernels[3]))
        x = layer(layer(upsample(x), 4), 5)
        return (jnp.tanh(conv(x, kernels[6])) + 1) / 2

    return generate


@pytest.fixture(scope="session")
def make_generator():
    """The function that makes a random generator: `make_generator(seed=1)`."""
    return _make_generator


@pytest.fixture(scope="session")
def picture():
    """A 32 x 32 picture of soft blobs with an edge and a little noise."""
    y, x = jnp.mgrid[0:32, 0:32] / 31
    blobs = [jnp.sin(a * x + b * y) for a, b in ((7.0, 2.0), (3.0, 9.0), (11.0, 5.0))]
    image = 0.5 + 0.25 * jnp.stack(blobs, axis=-1)
    image = image.at[8:20, 10:24].add(0.2)
    noise = jax.random.uniform(jax.random.key(7), image.shape)
    return jnp.clip(image + 0.1 * (noise - 0.5), 0, 1)
