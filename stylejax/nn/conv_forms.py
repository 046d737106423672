"""Forms of one convolution: XLA's own, and those that are faster on a CPU.

All of them compute what `plain` and `plain_kernel_gradient` do. XLA's convolution on a
CPU comes near its matrix product, except without padding (`on_cpu`) and, above all, in
the gradient by the kernel; that one is written as matrix products here: one for each
place of the kernel, or of Winograd's transformed tiles (3 x 3, stride 1); see
`kernel_gradients`.
"""

import os
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from stylejax.nn.kernel_gradients import (
    Padding,
    dilated_kernel_gradient,
    padded,
    placewise_kernel_gradient,
    winograd_kernel_gradient,
)

SWITCH = "STYLEJAX_CONV"
"""Environment variable: "xla" takes XLA's own convolution on CPUs as well."""

_DIMENSIONS = ("NHWC", "HWIO", "NHWC")


def plain(
    x: jax.Array,
    kernel: jax.Array,
    *,
    stride: int,
    padding: Padding,
    dilation: int,
    precision: Any = None,
) -> jax.Array:
    """XLA's own convolution.

    Args:
      x: activations `b h w c`.
      kernel: weights `kh kw c o`.
      stride: step along both sides.
      padding: zeros on each side.
      dilation: `dilation - 1` zeros stand between the positions of `x`.
      precision: of the products, as `jax.lax` takes it.

    Returns:
      Array `b h' w' o`.
    """
    return lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        padding,
        lhs_dilation=(dilation, dilation),
        dimension_numbers=_DIMENSIONS,
        precision=precision,
    )


def plain_kernel_gradient(
    x: jax.Array,
    output: jax.Array,
    *,
    size: tuple[int, int],
    stride: int,
    padding: Padding,
    dilation: int,
    precision: Any = None,
) -> jax.Array:
    """What the cotangent of `plain`'s output sends back to its kernel, by XLA.

    Args:
      x: activations `b h w c`.
      output: cotangent `b h' w' o`.
      size: (kh, kw).
      stride: as in `plain`, like all that follow.
      padding: zeros on each side.
      dilation: of `x`.
      precision: of the products.

    Returns:
      Array `kh kw c o`.
    """
    pads = []
    for axis in (0, 1):
        length = (x.shape[1 + axis] - 1) * dilation + 1
        spread = (output.shape[1 + axis] - 1) * stride + 1
        before = padding[axis][0]
        pads.append((before, size[axis] - 1 + spread - length - before))
    return lax.conv_general_dilated(
        x,
        output,
        (1, 1),
        pads,
        lhs_dilation=(dilation, dilation),
        rhs_dilation=(stride, stride),
        dimension_numbers=("CHWN", "IHWO", "HWNC"),
        precision=precision,
    )


def on_cpu(
    x: jax.Array,
    kernel: jax.Array,
    *,
    stride: int,
    padding: Padding,
    dilation: int,
    precision: Any = None,
) -> jax.Array:
    """`plain` by the form that is fastest on a CPU.

    XLA's convolution without padding takes up to 3 times (3 x 3) and 20 times (7 x 7 to
    few channels) as long as with one row of zeros more (benchmarks/conv_forms.py); so
    one is added, and the output's last row thrown away.

    Args:
      x: as in `plain`, like all that follow.
      kernel: weights `kh kw c o`.
      stride: step along both sides.
      padding: zeros on each side.
      dilation: of `x`.
      precision: of the products.

    Returns:
      Array `b h' w' o`.
    """
    options = {"stride": stride, "dilation": dilation, "precision": precision}
    is_bare = not any(map(any, padding)) and stride == dilation == 1
    if not is_bare or kernel.shape[:2] == (1, 1) or is_off():
        return plain(x, kernel, padding=padding, **options)
    return plain(x, kernel, padding=((0, 1), (0, 0)), **options)[:, :-1]


def kernel_gradient_on_cpu(
    x: jax.Array,
    output: jax.Array,
    *,
    size: tuple[int, int],
    stride: int,
    padding: Padding,
    dilation: int,
    precision: Any = None,
) -> jax.Array:
    """`plain_kernel_gradient` by the form that is fastest on a CPU.

    Args:
      x: as in `plain_kernel_gradient`, like all that follow.
      output: cotangent `b h' w' o`.
      size: (kh, kw).
      stride: of the convolution.
      padding: zeros on each side.
      dilation: of `x`.
      precision: only handed on to XLA's own; the others are float32 throughout.

    Returns:
      Array `kh kw c o`.
    """
    form = gradient_form(
        x.shape, output.shape, size=size, stride=stride, dilation=dilation
    )
    if form == "xla" or x.dtype != jnp.float32 or is_off():
        return plain_kernel_gradient(
            x,
            output,
            size=size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            precision=precision,
        )
    if form == "winograd":
        return winograd_kernel_gradient(padded(x, padding), output)
    if dilation > 1:
        return dilated_kernel_gradient(
            x, output, size=size, padding=padding, dilation=dilation
        )
    return placewise_kernel_gradient(
        padded(x, padding), output, size=size, stride=stride
    )


# --- which form -----------------------------------------------------------------------

# From benchmarks/conv_forms.py on two x86-64 cores (2026-11, jax 0.10.2): from these
# sizes on XLA's gradient by the kernel takes 1.5 to 30 times as long as the best form.
_LEAST_WORK = 2**27  # multiplications
_LEAST_POSITIONS = 2048  # from which Winograd's transforms pay, for 256 x 256 channels
_LEAST_CHANNELS = 16


def is_off() -> bool:
    """Whether the environment asks for XLA's own convolution.

    Returns:
      True where STYLEJAX_CONV is "xla".
    """
    return os.environ.get(SWITCH) == "xla"


def gradient_form(
    shape: Sequence[int],
    output_shape: Sequence[int],
    *,
    size: Sequence[int],
    stride: int,
    dilation: int,
) -> str:
    """How a CPU computes the gradient by the kernel.

    Args:
      shape: of the input, `b h w c`.
      output_shape: `b h' w' o`.
      size: (kh, kw).
      stride: of the convolution.
      dilation: of its input.

    Returns:
      "xla"; "winograd", tiles of 4 x 4; or "places", a product for each place of the
      kernel.
    """
    channels = (shape[-1], output_shape[-1])
    # A dilated input has fewer positions than the output, and they alone count.
    positions = int(np.prod(min(shape[:3], output_shape[:3], key=np.prod)))
    work = positions * int(np.prod(size)) * int(np.prod(channels))
    if work < _LEAST_WORK or min(channels) < _LEAST_CHANNELS or max(size) > 4:
        return "xla"
    if stride > 1 and dilation > 1:
        return "xla"
    if tuple(size) == (3, 3) and stride == dilation == 1:
        wide = max(1.0, np.prod(channels) / 256**2)
        if positions >= _LEAST_POSITIONS * wide:
            return "winograd"
        return "places" if wide > 1 else "xla"
    return "places"
