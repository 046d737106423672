"""Forms of one convolution: XLA's own, and those that are faster on a CPU.

All of them compute what `plain` and `plain_kernel_gradient` do. XLA's convolution on a
CPU reaches a third of what its matrix product reaches; so the others are matrix
products: of Winograd's transformed tiles (3 x 3, stride 1), of the input gathered under
the kernel (few channels), or one for each place of the kernel.

Reference: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016
(https://arxiv.org/abs/1509.09308), for the transforms.
"""

import os
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Padding = tuple[tuple[int, int], tuple[int, int]]
"""Zeros ((above, below), (left, right)) that are added; below 0 crops."""

SWITCH = "STYLEJAX_CONV"
"""Environment variable: "xla" takes XLA's own convolution on CPUs as well."""

_DIMENSIONS = ("NHWC", "HWIO", "NHWC")

# Winograd's transforms by the side of an output tile: of the input, the kernel, back.
_TRANSFORMS = {
    2: (
        np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]]),
        np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]]) / 2,
        np.array([[1, 1, 1, 0], [0, 1, -1, -1]]),
    ),
    4: (
        np.array(
            [
                [4, 0, -5, 0, 1, 0],
                [0, -4, -4, 1, 1, 0],
                [0, 4, -4, -1, 1, 0],
                [0, -2, -1, 2, 1, 0],
                [0, 2, -1, -2, 1, 0],
                [0, 4, 0, -5, 0, 1],
            ]
        ),
        np.array(
            [[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]
        )
        / 24,
        np.array(
            [
                [1, 1, 1, 1, 1, 0],
                [0, 1, -1, 2, -2, 0],
                [0, 1, 1, 4, 4, 0],
                [0, 1, -1, 8, -8, 1],
            ]
        ),
    ),
}


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

    Args:
      x: as in `plain`, like all that follow.
      kernel: weights `kh kw c o`.
      stride: step along both sides.
      padding: zeros on each side.
      dilation: of `x`.
      precision: only handed on to XLA's own; the others are float32 throughout.

    Returns:
      Array `b h' w' o`.
    """
    is_odd = stride > 1 and dilation > 1
    if is_odd or not _is_worth_it(x, kernel.shape, stride):
        return plain(
            x,
            kernel,
            stride=stride,
            padding=padding,
            dilation=dilation,
            precision=precision,
        )
    if dilation > 1:
        return subpixel(x, kernel, padding=padding, dilation=dilation)
    return _valid(padded(x, padding), kernel, stride=stride)


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
      precision: only handed on to XLA's own.

    Returns:
      Array `kh kw c o`.
    """
    shape = (*size, x.shape[-1], output.shape[-1])
    is_odd = stride > 1 and dilation > 1
    if is_odd or not _is_worth_it(x, shape, stride):
        return plain_kernel_gradient(
            x,
            output,
            size=size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            precision=precision,
        )
    if dilation > 1:
        return _dilated_kernel_gradient(x, output, size, padding, dilation)
    x = padded(x, padding)
    if side := tile_side(shape, output.shape[1:3], stride):
        return winograd_kernel_gradient(x, output, side=side)
    columns = output.reshape(-1, output.shape[-1])
    if _gathers(shape):
        patches = lax.optimization_barrier(_patches(x, size, output.shape, stride))
        return _contract(patches, columns).reshape(shape)
    parts = [
        _contract(lax.optimization_barrier(part.reshape(-1, part.shape[-1])), columns)
        for part in _windows(x, size, output.shape, stride)
    ]
    return jnp.stack(parts).reshape(shape)


# --- which form -----------------------------------------------------------------------

# Multiplications below which a program's overhead decides.
_LEAST_WORK = 2**21
# Channels, the fewer of both, from which Winograd's transforms pay.
_LEAST_CHANNELS = 32
# Gathered numbers a position up to which one product beats one for each place.
_MOST_GATHERED = 256


def _is_worth_it(x: jax.Array, kernel_shape: Sequence[int], stride: int) -> bool:
    work = x.shape[0] * x.shape[1] * x.shape[2] * int(np.prod(kernel_shape))
    large = work >= _LEAST_WORK * stride**2
    return x.dtype == jnp.float32 and large and os.environ.get(SWITCH) != "xla"


def tile_side(kernel_shape: Sequence[int], size_hw: Sequence[int], stride: int) -> int:
    """The side of Winograd's output tiles, or 0 where another form is faster.

    Args:
      kernel_shape: (kh, kw, c, o).
      size_hw: of the output.
      stride: of the convolution.

    Returns:
      4, 2 or 0.
    """
    is_fit = tuple(kernel_shape[:2]) == (3, 3) and stride == 1
    if not is_fit or min(kernel_shape[2:]) < _LEAST_CHANNELS:
        return 0
    return 4 if min(size_hw) >= 8 else 2


def _gathers(kernel_shape: Sequence[int]) -> bool:
    return int(np.prod(kernel_shape[:3])) <= _MOST_GATHERED


def _valid(x: jax.Array, kernel: jax.Array, *, stride: int) -> jax.Array:
    """A convolution without padding, by the form that fits."""
    b, h, w, _ = x.shape
    kh, kw, _, o = kernel.shape
    shape = (b, (h - kh) // stride + 1, (w - kw) // stride + 1, o)
    if side := tile_side(kernel.shape, shape[1:3], stride):
        return winograd(x, kernel, side=side)
    if _gathers(kernel.shape):
        patches = lax.optimization_barrier(_patches(x, (kh, kw), shape, stride))
        return (patches @ kernel.reshape(-1, o)).reshape(shape)
    total: Any = 0.0
    weights = kernel.reshape(kh * kw, -1, o)
    for part, weight in zip(_windows(x, (kh, kw), shape, stride), weights, strict=True):
        # Kept apart: XLA would gather anew within each product.
        total = (
            total + lax.optimization_barrier(part.reshape(-1, part.shape[-1])) @ weight
        )
    return total.reshape(shape)


# --- the forms ------------------------------------------------------------------------


def padded(x: jax.Array, padding: Padding) -> jax.Array:
    """Activations with zeros around them, or cropped.

    Args:
      x: `b h w c`.
      padding: ((above, below), (left, right)); below 0 crops.

    Returns:
      `b h' w' c`.
    """
    if not any(map(any, padding)):
        return x
    around = [(0, 0, 0), *[(low, high, 0) for low, high in padding], (0, 0, 0)]
    return lax.pad(x, jnp.zeros((), x.dtype), around)


def _windows(
    x: jax.Array, size: Sequence[int], shape: Sequence[int], stride: int
) -> Iterator[jax.Array]:
    """For each place of the kernel, what lies under it at every output: `b h' w' c`."""
    down, right = (stride * (n - 1) + 1 for n in shape[1:3])
    for i in range(size[0]):
        for j in range(size[1]):
            yield x[:, i : i + down : stride, j : j + right : stride]


def _patches(
    x: jax.Array, size: Sequence[int], shape: Sequence[int], stride: int
) -> jax.Array:
    """What lies under the kernel at each output, a row each."""
    parts = list(_windows(x, size, shape, stride))
    return jnp.concatenate(parts, axis=-1).reshape(-1, len(parts) * x.shape[-1])


def _contract(x: jax.Array, y: jax.Array) -> jax.Array:
    """`n c` and `n o` to `c o`."""
    return lax.dot_general(x, y, (((0,), (0,)), ((), ())))


def _combined(matrix: np.ndarray, parts: Sequence[jax.Array]) -> list[jax.Array]:
    """The rows of a small matrix applied to arrays, zeros and ones left out."""
    rows = []
    for row in matrix:
        terms = [
            part
            if weight == 1
            else -part
            if weight == -1
            else part * np.float32(weight)
            for weight, part in zip(row, parts, strict=True)
            if weight
        ]
        rows.append(sum(terms[1:], terms[0]))
    return rows


def _tiles(
    matrix: np.ndarray, x: jax.Array, counts: Sequence[int], step: int
) -> jax.Array:
    """Overlapping tiles of `x`, transformed along both sides: `k k, b tiles, c`."""
    span, (down, right) = matrix.shape[1], counts
    rows = [x[:, i : i + step * (down - 1) + 1 : step] for i in range(span)]
    parts: list[jax.Array] = []
    for row in _combined(matrix, rows):
        columns = [
            row[:, :, j : j + step * (right - 1) + 1 : step] for j in range(span)
        ]
        parts += _combined(matrix, columns)
    return jnp.stack(parts).reshape(len(parts), -1, x.shape[-1])


def winograd(x: jax.Array, kernel: jax.Array, *, side: int) -> jax.Array:
    """A 3 x 3 convolution without padding by Winograd's F(side, 3).

    Args:
      x: activations `b h w c`.
      kernel: weights `3 3 c o`.
      side: of the output tiles: 2 or 4.

    Returns:
      Array `b h-2 w-2 o`; off by about 1e-6 (side 2) and 1e-5 (side 4) of the largest.
    """
    into, of_kernel, back = _TRANSFORMS[side]
    b, h, w, _ = x.shape
    o = kernel.shape[-1]
    counts = -(-(h - 2) // side), -(-(w - 2) // side)
    fill = [
        (0, n * side + 2 - length) for n, length in zip(counts, (h, w), strict=True)
    ]
    # Barriers keep XLA from computing the transforms anew within the products.
    x = lax.optimization_barrier(padded(x, tuple(fill)))
    tiles = lax.optimization_barrier(_tiles(into, x, counts, side))
    matrix = jnp.asarray(of_kernel, jnp.float32)
    weights = jnp.einsum(
        "ki,ijco,lj->klco", matrix, kernel, matrix, precision="highest"
    )
    weights = lax.optimization_barrier(weights.reshape(len(tiles), -1, o))
    products = lax.dot_general(tiles, weights, (((2,), (1,)), ((0,), (0,))))
    span = side + 2
    products = lax.optimization_barrier(products).reshape(span, span, b, *counts, o)
    rows = []
    for row in _combined(back, list(products)):
        columns = jnp.stack(_combined(back, list(row)), axis=3)
        rows.append(columns.reshape(b, counts[0], counts[1] * side, o))
    y = jnp.stack(rows, axis=2).reshape(b, counts[0] * side, counts[1] * side, o)
    return y[:, : h - 2, : w - 2]


def winograd_kernel_gradient(
    x: jax.Array, output: jax.Array, *, side: int
) -> jax.Array:
    """What the cotangent of `winograd` sends back to the kernel.

    Args:
      x: activations `b h w c`.
      output: cotangent `b h-2 w-2 o`.
      side: of the output tiles: 2 or 4.

    Returns:
      Array `3 3 c o`.
    """
    into, of_kernel, back = _TRANSFORMS[side]
    counts = tuple(-(-n // side) for n in output.shape[1:3])
    fill = [
        (0, n * side + 2 - length)
        for n, length in zip(counts, x.shape[1:3], strict=True)
    ]
    rest = [
        (0, n * side - length)
        for n, length in zip(counts, output.shape[1:3], strict=True)
    ]
    x, output = lax.optimization_barrier(
        (padded(x, tuple(fill)), padded(output, tuple(rest)))
    )
    tiles = _tiles(into, x, counts, side)
    cotangents = _tiles(back.T, output, counts, side)
    tiles, cotangents = lax.optimization_barrier((tiles, cotangents))
    weights = lax.dot_general(tiles, cotangents, (((1,), (1,)), ((0,), (0,))))
    span = side + 2
    weights = weights.reshape(span, span, *weights.shape[1:])
    matrix = jnp.asarray(of_kernel, jnp.float32)
    return jnp.einsum("ki,klco,lj->ijco", matrix, weights, matrix, precision="highest")


def subpixel(
    x: jax.Array, kernel: jax.Array, *, padding: Padding, dilation: int
) -> jax.Array:
    """A convolution of a dilated input, a phase of the output at a time.

    No zero between the positions is multiplied: each phase is a convolution of `x`
    itself with the part of the kernel that meets positions.

    Args:
      x: activations `b h w c`.
      kernel: weights `kh kw c o`.
      padding: of the dilated input.
      dilation: `dilation - 1` zeros stand between positions.

    Returns:
      Array `b h' w' o`.
    """
    b, *size_hw, _ = x.shape
    lengths = [
        (n - 1) * dilation + sum(pads) - k + 2
        for n, k, pads in zip(size_hw, kernel.shape[:2], padding, strict=True)
    ]
    most = [-(-length // dilation) for length in lengths]

    def axis_part(axis: int, phase: int) -> tuple[int, int, tuple[int, int]]:
        """Outputs of a phase, the first tap that meets a position, what to pad."""
        first = (padding[axis][0] - phase) % dilation
        count = len(range(phase, lengths[axis], dilation))
        taps = len(range(first, kernel.shape[axis], dilation))
        begin = (phase + first - padding[axis][0]) // dilation
        return count, first, (-begin, begin + count + taps - 1 - size_hw[axis])

    rows = []
    for phase_y in range(dilation):
        height, i, pads_y = axis_part(0, phase_y)
        row = []
        for phase_x in range(dilation):
            width, j, pads_x = axis_part(1, phase_x)
            taps = kernel[i::dilation, j::dilation]
            if taps.size and height and width:
                y = _valid(padded(x, (pads_y, pads_x)), taps, stride=1)
            else:
                y = jnp.zeros((b, height, width, kernel.shape[-1]), x.dtype)
            row.append(padded(y, ((0, most[0] - height), (0, most[1] - width))))
        rows.append(jnp.stack(row, axis=3))
    y = jnp.stack(rows, axis=2).reshape(b, most[0] * dilation, most[1] * dilation, -1)
    return y[:, : lengths[0], : lengths[1]]


def _dilated_kernel_gradient(
    x: jax.Array,
    output: jax.Array,
    size: tuple[int, int],
    padding: Padding,
    dilation: int,
) -> jax.Array:
    """`sum_u x[u] output[dilation u + before - i]` for each place i of the kernel."""
    pads = [
        (k - 1 - low, dilation * (n - 1) + low - (m - 1))
        for n, m, k, (low, _) in zip(
            x.shape[1:3], output.shape[1:3], size, padding, strict=True
        )
    ]
    output = padded(output, tuple(pads))
    rows = x.reshape(-1, x.shape[-1])
    parts = [
        _contract(rows, lax.optimization_barrier(part.reshape(-1, part.shape[-1])))
        for part in _windows(output, size, x.shape, dilation)
    ]
    # The windows come in the order of the turned kernel.
    return jnp.stack(parts[::-1]).reshape(*size, x.shape[-1], -1)
