"""Forms of one convolution: XLA's own, and those that are faster on a CPU.

All of them compute what `plain` and `plain_kernel_gradient` do. XLA's convolution on a
CPU comes near its matrix product, except without padding (`on_cpu`) and, above all, in
the gradient by the kernel. Wide 3 x 3 convolutions take fewer multiplications by
Winograd's tiles (`winograd`); other gradients by the kernel are a matrix product for
each of its places (`kernel_gradients`). Which form is taken when: `conv_choice`.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from stylejax.nn import winograd
from stylejax.nn.conv_choice import forward_form, gradient_form, is_off
from stylejax.nn.kernel_gradients import (
    Padding,
    dilated_kernel_gradient,
    padded,
    placewise_kernel_gradient,
    rowwise_kernel_gradient,
)

_DIMENSIONS = ("NHWC", "HWIO", "NHWC")
_TURNED = ("NHWC", "HWOI", "NHWC")


def plain(
    x: jax.Array,
    kernel: jax.Array,
    *,
    stride: int,
    padding: Padding,
    dilation: int,
    turned: bool = False,
    precision: Any = None,
) -> jax.Array:
    """XLA's own convolution.

    Args:
      x: activations `b h w c`.
      kernel: weights `kh kw c o`; `kh kw o c` if turned.
      stride: step along both sides.
      padding: zeros on each side.
      dilation: `dilation - 1` zeros stand between the positions of `x`.
      turned: the kernel is turned by 180 degrees and its channels change places.
      precision: of the products, as `jax.lax` takes it.

    Returns:
      Array `b h' w' o`.
    """
    return lax.conv_general_dilated(
        x,
        lax.rev(kernel, (0, 1)) if turned else kernel,
        (stride, stride),
        padding,
        lhs_dilation=(dilation, dilation),
        dimension_numbers=_TURNED if turned else _DIMENSIONS,
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


def turned_padding(
    shape: Sequence[int],
    output_shape: Sequence[int],
    *,
    size: Sequence[int],
    stride: int,
    padding: Padding,
    dilation: int,
) -> Padding:
    """The padding of the convolution that is another's gradient by its input.

    That one is turned, its stride and dilation have changed places.

    Args:
      shape: input of the other, `b h w c`.
      output_shape: output of the other.
      size: (kh, kw).
      stride: of the other, like all that follow.
      padding: zeros on each side.
      dilation: of its input.

    Returns:
      Zeros on each side; below 0 crops.
    """
    pads = []
    for axis in (0, 1):
        length = (shape[1 + axis] - 1) * dilation + 1
        spread = (output_shape[1 + axis] - 1) * stride + 1
        before = size[axis] - 1 - padding[axis][0]
        pads.append((before, length - 1 - spread - before + size[axis]))
    return pads[0], pads[1]


def on_cpu(
    x: jax.Array,
    kernel: jax.Array,
    *,
    stride: int,
    padding: Padding,
    dilation: int,
    turned: bool = False,
    precision: Any = None,
) -> jax.Array:
    """`plain` by the form that is fastest on a CPU.

    XLA's convolution without padding takes up to 3 times (3 x 3) and 20 times (7 x 7 to
    few channels) as long as with one row of zeros more, and with wide padding up to 3
    times as long as on a padded copy (benchmarks/conv_forms.py). So a padded copy is
    made, a row of zeros added, and the output's last row thrown away.

    Args:
      x: as in `plain`, like all that follow.
      kernel: weights `kh kw c o`.
      stride: step along both sides.
      padding: zeros on each side.
      dilation: of `x`.
      turned: whether the kernel is.
      precision: of the products, for what is not float32: that a CPU multiplies in
        full, and to ask for it costs XLA's faster library.

    Returns:
      Array `b h' w' o`.
    """
    options: dict[str, Any] = {
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
    }
    if is_off():
        return plain(x, kernel, turned=turned, precision=precision, **options)
    form = forward_form(x.shape, kernel.shape, turned=turned, **options)
    if x.dtype == jnp.float32:
        precision = None
        if form.startswith("winograd"):
            side = int(form.removeprefix("winograd"))
            return _winograd(x, kernel, side=side, padding=padding, turned=turned)
    if turned:  # as a copy: XLA is slow on channels in the other order
        kernel = lax.rev(kernel, (0, 1)).swapaxes(2, 3)
    if stride > 1 or dilation > 1 or form == "padding":
        return plain(x, kernel, precision=precision, **options)
    options["padding"] = ((0, 1), (0, 0))
    x = lax.optimization_barrier(padded(x, padding))
    return plain(x, kernel, precision=precision, **options)[:, :-1]


def _winograd(
    x: jax.Array, kernel: jax.Array, *, side: int, padding: Padding, turned: bool
) -> jax.Array:
    if not turned:
        return winograd.convolution(padded(x, padding), kernel, side=side)
    # The adjoint of a convolution without padding, cropped.
    whole = winograd.input_gradient(x, kernel, side=side)
    return padded(whole, [(low - 2, high - 2) for low, high in padding])


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
    if form.startswith("winograd"):
        side = int(form.removeprefix("winograd"))
        return winograd.kernel_gradient(padded(x, padding), output, side=side)
    if form == "rows":
        return rowwise_kernel_gradient(padded(x, padding), output, size=size)
    if dilation > 1:
        return dilated_kernel_gradient(
            x, output, size=size, padding=padding, dilation=dilation
        )
    return placewise_kernel_gradient(
        padded(x, padding), output, size=size, stride=stride
    )
