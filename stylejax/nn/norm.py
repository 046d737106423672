"""Normalisation over the positions of one picture.

Everything here is per picture: no running statistics, nothing shared over the batch,
so every kind of parallelism gives the same numbers.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn


def instance_norm(x: jax.Array, *, epsilon: float = 1e-5) -> jax.Array:
    """Returns `x` with mean 0 and variance 1 in each channel of each picture.

        y = (x - mean_hw(x)) / sqrt(var_hw(x) + epsilon)

    The variance is the biased one. Moments are computed in float32 whatever the
    dtype of `x`; at one single position the result is 0.

    Args:
      x: activations `b h w c`.
      epsilon: added to the variance.

    Returns:
      Array of the shape and dtype of `x`.

    Example:
      >>> float(jnp.abs(instance_norm(jnp.ones((1, 4, 4, 2)))).max())
      0.0

    Reference: Ulyanov et al. 2016, https://arxiv.org/abs/1607.08022; without the
    affine part, as in the CycleGAN reference code.
    """
    return _normalized(x, axes=(1, 2), epsilon=epsilon)


def layer_norm(x: jax.Array, *, epsilon: float = 1e-5) -> jax.Array:
    """Returns `x` with mean 0 and variance 1 in each picture, all channels together.

        y = (x - mean_hwc(x)) / sqrt(var_hwc(x) + epsilon)

    Channels keep their means and sizes relative to each other, which `instance_norm`
    takes away. The variance is the biased one; moments are computed in float32.

    Args:
      x: activations `b h w c`.
      epsilon: added to the variance.

    Returns:
      Array of the shape and dtype of `x`.

    Example:
      >>> layer_norm(jnp.array([[[[1.0, 3.0]]]])).round(3).tolist()
      [[[[-1.0, 1.0]]]]

    Reference: Ba et al. 2016, https://arxiv.org/abs/1607.06450, without the gain and
    the bias.
    """
    return _normalized(x, axes=(1, 2, 3), epsilon=epsilon)


def _normalized(x: jax.Array, *, axes: tuple[int, ...], epsilon: float) -> jax.Array:
    wide = x.astype(jnp.float32)
    centred = wide - jnp.mean(wide, axis=axes, keepdims=True)
    variance = jnp.mean(jnp.square(centred), axis=axes, keepdims=True)
    return (centred * jax.lax.rsqrt(variance + epsilon)).astype(x.dtype)


class ConditionalInstanceNorm(nn.Module):
    """Instance norm whose gain and shift are those of a style, or of a mixture.

        y = norm(x) * (weights @ gain) + weights @ shift

    Attributes:
      num_styles: k, rows of the two tables (k, c).
      epsilon: added to the variance.

    Reference: Dumoulin et al. 2017, https://arxiv.org/abs/1610.07629.
    """

    num_styles: int
    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: jax.Array, weights: jax.Array) -> jax.Array:
        shape = (self.num_styles, x.shape[-1])
        gain = self.param("gain", nn.initializers.ones, shape, jnp.float32)
        shift = self.param("shift", nn.initializers.zeros, shape, jnp.float32)
        gains, shifts = ((weights @ table)[:, None, None] for table in (gain, shift))
        y = instance_norm(x, epsilon=self.epsilon).astype(jnp.float32)
        return (y * gains + shifts).astype(x.dtype)
