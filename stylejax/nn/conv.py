"""Convolutions with the reference framework's padding, as Flax modules.

Kernels are stored `kh kw in out`, activations `b h w c`. Parameters are float32;
`dtype` is the dtype of the computation alone.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from stylejax.checks import check_choice
from stylejax.nn.conv_primitive import convolve

PADDING_MODES = ("zero", "reflect", "replicate")
_NUMPY_MODES = {"zero": "constant", "reflect": "reflect", "replicate": "edge"}

KERNEL_STD = 0.02
kernel_init = nn.initializers.normal(KERNEL_STD)
"""N(0, 0.02), the initialisation of the CycleGAN reference code."""

he_init = nn.initializers.he_normal()
"""N(0, 2 / fan in), He et al. 2015: keeps activations in size where no norm does."""


def pad(x: jax.Array, padding: int, *, mode: str = "zero") -> jax.Array:
    """Returns `x` with `padding` more positions on each of the four sides.

    Args:
      x: activations `b h w c`.
      padding: positions to add on each side; 0 returns `x`.
      mode: zero, reflect (the edge itself is not repeated) or replicate.

    Returns:
      Array `b (h + 2 padding) (w + 2 padding) c`.

    Raises:
      ValueError: unknown mode, or reflect padding as large as the picture.
    """
    check_choice(mode, choices=PADDING_MODES, name="padding mode")
    if padding == 0:
        return x
    if mode == "reflect" and padding >= min(x.shape[1:3]):
        raise ValueError(
            f"reflect padding of {padding} needs sides above {padding}, got"
            f" {x.shape[1:3]}; use larger pictures or padding mode zero"
        )
    widths = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    return jnp.pad(x, widths, mode=_NUMPY_MODES[mode])


def conv2d(x: jax.Array, kernel: jax.Array, *, stride: int = 1) -> jax.Array:
    """Returns the cross-correlation of `x` with `kernel`, without padding.

    Args:
      x: activations `b h w c`.
      kernel: weights `kh kw c o`.
      stride: step along both sides.

    Returns:
      Array `b h' w' o` with h' = (h - kh) // stride + 1.
    """
    return convolve(x, kernel, stride=stride)


def conv2d_transpose(
    x: jax.Array, kernel: jax.Array, *, stride: int, padding: int, output_padding: int
) -> jax.Array:
    """Returns the transposed convolution of `x`, as the reference framework has it.

    It is the adjoint of a stride-`stride` convolution with zero padding `padding`;
    `output_padding` more rows and columns at the lower right make sides even.

    Args:
      x: activations `b h w c`.
      kernel: weights `kh kw c o`, in the orientation of the forward convolution.
      stride: growth of the sides.
      padding: zero padding of the convolution it is the adjoint of.
      output_padding: rows and columns added at one side.

    Returns:
      Array `b h' w' o` with h' = (h - 1) stride - 2 padding + kh + output_padding.
    """
    before = [k - 1 - padding for k in kernel.shape[:2]]
    down, right = ((p, p + output_padding) for p in before)
    return convolve(x, kernel[::-1, ::-1], padding=(down, right), dilation=stride)


def add_bias(layer: Any, y: jax.Array) -> jax.Array:
    """Returns `y` plus the layer's bias, if it wants one; for use in `__call__`.

    Args:
      layer: a Flax module with `features`, `use_bias` and `dtype`.
      y: its activations `b h w features`.

    Returns:
      Array like `y`; the parameter `bias` is created where there is none yet.
    """
    if not layer.use_bias:
        return y
    bias = layer.param("bias", nn.initializers.zeros, (layer.features,), jnp.float32)
    return y + bias.astype(layer.dtype)[None, None, None, :]


class Conv(nn.Module):
    """Convolution with square kernels and a named padding mode.

    Attributes:
      features: number of output channels.
      kernel_size: side of the kernel.
      stride: step along both sides.
      padding: positions added on each side.
      padding_mode: zero, reflect or replicate.
      use_bias: add one number per output channel.
      dtype: dtype of the computation.
      kernel_init: initialiser of the kernel.
    """

    features: int
    kernel_size: int
    stride: int = 1
    padding: int = 0
    padding_mode: str = "zero"
    use_bias: bool = True
    dtype: Any = jnp.float32
    kernel_init: Callable[..., jax.Array] = kernel_init

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        size = self.kernel_size
        shape = (size, size, x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
        x = pad(x.astype(self.dtype), self.padding, mode=self.padding_mode)
        y = conv2d(x, kernel.astype(self.dtype), stride=self.stride)
        return add_bias(self, y)


class ConvTranspose(nn.Module):
    """Transposed convolution that doubles the sides, reference conventions.

    Attributes:
      features: number of output channels.
      kernel_size: side of the kernel.
      stride: growth of the sides.
      padding: zero padding of the convolution it is the adjoint of.
      output_padding: rows and columns added at the lower right.
      use_bias: add one number per output channel.
      dtype: dtype of the computation.
    """

    features: int
    kernel_size: int = 3
    stride: int = 2
    padding: int = 1
    output_padding: int = 1
    use_bias: bool = True
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        size = self.kernel_size
        shape = (size, size, x.shape[-1], self.features)
        kernel = self.param("kernel", kernel_init, shape, jnp.float32)
        y = conv2d_transpose(
            x.astype(self.dtype),
            kernel.astype(self.dtype),
            stride=self.stride,
            padding=self.padding,
            output_padding=self.output_padding,
        )
        return add_bias(self, y)
