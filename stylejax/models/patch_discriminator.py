"""Discriminators that judge patches (PatchGAN) or single pixels.

The closed-form receptive field of one logit is 70 px for three strided layers
(`stylejax.explain.receptive_field`). It holds with the norms off or their statistics
frozen: a live instance norm ties every logit to all pixels of the picture through
its mean and variance.

Reference: Isola et al. 2017, https://arxiv.org/abs/1611.07004.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from stylejax.nn.conv import Conv
from stylejax.nn.norm import instance_norm


def layers(num_layers: int) -> tuple[tuple[int, int, int], ...]:
    """Returns (kernel, stride, padding) of every convolution of a PatchGAN.

    Args:
      num_layers: strided convolutions; 3 gives the 70 px field.

    Returns:
      One triple per convolution, first layer first.

    Example:
      >>> layers(3)
      ((4, 2, 1), (4, 2, 1), (4, 2, 1), (4, 1, 1), (4, 1, 1))
    """
    return ((4, 2, 1),) * num_layers + ((4, 1, 1),) * 2


class PatchDiscriminator(nn.Module):
    """Pictures `b h w 3` in [-1, 1] to logits `b h' w' 1`, one per patch.

    Attributes:
      ndf: channels after the first convolution; they double up to 8 times that.
      num_layers: strided convolutions (1 or more).
      use_norm: instance norm on all but the first and last layer; off only to
        study the receptive field.
      dtype: dtype of the computation; parameters and norm moments stay float32.
    """

    ndf: int = 64
    num_layers: int = 3
    use_norm: bool = True
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        *hidden, last = layers(self.num_layers)
        for i, (kernel, stride, padding) in enumerate(hidden):
            features = self.ndf * min(2**i, 8)
            shape = (features, kernel, stride, padding)
            x = Conv(*shape, dtype=self.dtype, name=f"conv_{i}")(x)
            if self.use_norm and i > 0:
                x = instance_norm(x)
            x = nn.leaky_relu(x, 0.2)
        kernel, stride, padding = last
        name = f"conv_{len(hidden)}"
        x = Conv(1, kernel, stride, padding, dtype=self.dtype, name=name)(x)
        return x.astype(jnp.float32)


class PixelDiscriminator(nn.Module):
    """Pictures `b h w 3` in [-1, 1] to logits `b h w 1`, one per pixel.

    Attributes:
      ndf: channels after the first convolution.
      use_norm: instance norm on the second layer.
      dtype: dtype of the computation.
    """

    ndf: int = 64
    use_norm: bool = True
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = nn.leaky_relu(Conv(self.ndf, 1, dtype=self.dtype, name="conv_0")(x), 0.2)
        # The reference gives this layer no bias when the norm has an affine part;
        # instance norm has none, so the bias stays.
        x = Conv(2 * self.ndf, 1, dtype=self.dtype, name="conv_1")(x)
        x = nn.leaky_relu(instance_norm(x) if self.use_norm else x, 0.2)
        x = Conv(1, 1, dtype=self.dtype, name="conv_2")(x)
        return x.astype(jnp.float32)
