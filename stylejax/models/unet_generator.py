"""U-Net generator: halvings down to one position, doublings back, skips between.

Reference: Isola et al. 2017, https://arxiv.org/abs/1611.07004, in the variant of the
CycleGAN reference code (`unet_128`, `unet_256`): 4x4 kernels of stride 2, instance
norm, LeakyReLU 0.2 going down, ReLU going up, no dropout. The innermost level has
no norm going down: at one position instance norm would erase everything.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from stylejax.nn.conv import Conv, ConvTranspose
from stylejax.nn.norm import instance_norm


class UNetGenerator(nn.Module):
    """Pictures `b h w 3` in [-1, 1] to pictures of the same shape and range.

    Attributes:
      ngf: channels after the first convolution; they double up to 8 times that.
      num_downs: halvings; sides must divide by 2 to this power. 7 is the
        reference's unet_128, 8 its unet_256.
      dtype: dtype of the computation; parameters and norm moments stay float32.
    """

    ngf: int = 64
    num_downs: int = 8
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        last = self.num_downs - 1
        features = [self.ngf * min(2**i, 8) for i in range(self.num_downs)]
        skips, y = [], x
        for i in range(self.num_downs):
            y = y if i == 0 else nn.leaky_relu(y, 0.2)
            y = Conv(features[i], 4, 2, 1, dtype=self.dtype, name=f"down_{i}")(y)
            y = y if i in (0, last) else instance_norm(y)
            skips.append(y)

        for i in reversed(range(self.num_downs)):
            y = skips[i] if i == last else jnp.concatenate([skips[i], y], axis=-1)
            width = x.shape[-1] if i == 0 else features[i - 1]
            options = {"kernel_size": 4, "output_padding": 0, "dtype": self.dtype}
            y = ConvTranspose(width, **options, name=f"up_{i}")(nn.relu(y))
            y = y if i == 0 else instance_norm(y)
        return jnp.tanh(y.astype(jnp.float32))
