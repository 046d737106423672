"""A convolution's gradient by its kernel as matrix products, for CPUs.

Reference: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016
(https://arxiv.org/abs/1509.09308), for Winograd's transforms.
"""

from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Padding = tuple[tuple[int, int], tuple[int, int]]
"""Zeros ((above, below), (left, right)) that are added; below 0 crops."""


# Winograd's F(4 x 4, 3 x 3): transforms of the input, of the kernel, and back.
_SIDE = 4
_INTO = np.array(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ]
)
_OF_KERNEL = (
    np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]])
    / 24
)
_BACK = np.array(
    [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]
)


def padded(x: jax.Array, padding: Sequence[tuple[int, int]]) -> jax.Array:
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


def _tiles(matrix: np.ndarray, x: jax.Array, counts: Sequence[int]) -> jax.Array:
    """Tiles of `x`, one in 4 positions, transformed along both sides: `k^2, n, c`."""
    span, (down, right) = matrix.shape[1], (_SIDE * (n - 1) + 1 for n in counts)
    rows = [x[:, i : i + down : _SIDE] for i in range(span)]
    parts: list[jax.Array] = []
    for row in _combined(matrix, rows):
        columns = [row[:, :, j : j + right : _SIDE] for j in range(span)]
        parts += _combined(matrix, columns)
    return jnp.stack(parts).reshape(len(parts), -1, x.shape[-1])


def winograd_kernel_gradient(x: jax.Array, output: jax.Array) -> jax.Array:
    """The gradient of a 3 x 3 convolution by its kernel, by tiles of 4 x 4 outputs.

    The adjoint of Winograd's F(4 x 4, 3 x 3) by the kernel: a quarter of the products.

    Args:
      x: activations `b h w c`.
      output: cotangent `b h-2 w-2 o`.

    Returns:
      Array `3 3 c o`; off by about 1e-5 of the largest.
    """
    counts = tuple(-(-n // _SIDE) for n in output.shape[1:3])
    whole = [
        (0, n * _SIDE + 2 - length)
        for n, length in zip(counts, x.shape[1:3], strict=True)
    ]
    inner = [
        (0, n * _SIDE - length)
        for n, length in zip(counts, output.shape[1:3], strict=True)
    ]
    # Barriers keep XLA from computing the transforms anew within the products.
    x, output = lax.optimization_barrier((padded(x, whole), padded(output, inner)))
    tiles = _tiles(_INTO, x, counts)
    cotangents = _tiles(_BACK.T, output, counts)
    tiles, cotangents = lax.optimization_barrier((tiles, cotangents))
    weights = lax.dot_general(tiles, cotangents, (((1,), (1,)), ((0,), (0,))))
    span = _SIDE + 2
    weights = weights.reshape(span, span, *weights.shape[1:])
    matrix = jnp.asarray(_OF_KERNEL, jnp.float32)
    return jnp.einsum("ki,klco,lj->ijco", matrix, weights, matrix, precision="highest")


def placewise_kernel_gradient(
    x: jax.Array, output: jax.Array, *, size: tuple[int, int], stride: int
) -> jax.Array:
    """The gradient by the kernel as a matrix product for each of its places.

    Args:
      x: activations `b h w c`, padded.
      output: cotangent `b h' w' o`.
      size: (kh, kw).
      stride: of the convolution.

    Returns:
      Array `kh kw c o`.
    """
    columns = output.reshape(-1, output.shape[-1])
    parts = [
        _contract(lax.optimization_barrier(part.reshape(-1, part.shape[-1])), columns)
        for part in _windows(x, size, output.shape, stride)
    ]
    return jnp.stack(parts).reshape(*size, x.shape[-1], -1)


def dilated_kernel_gradient(
    x: jax.Array,
    output: jax.Array,
    *,
    size: tuple[int, int],
    padding: Padding,
    dilation: int,
) -> jax.Array:
    """The same for a convolution of a dilated input, whose zeros are left out.

    `sum_u x[u] output[dilation u + before - i]` for each place i of the kernel.

    Args:
      x: activations `b h w c`, neither dilated nor padded.
      output: cotangent `b h' w' o`.
      size: (kh, kw).
      padding: of the dilated input.
      dilation: `dilation - 1` zeros stand between the positions of `x`.

    Returns:
      Array `kh kw c o`.
    """
    pads = [
        (k - 1 - low, dilation * (n - 1) + low - (m - 1))
        for n, m, k, (low, _) in zip(
            x.shape[1:3], output.shape[1:3], size, padding, strict=True
        )
    ]
    output = padded(output, pads)
    rows = x.reshape(-1, x.shape[-1])
    parts = [
        _contract(rows, lax.optimization_barrier(part.reshape(-1, part.shape[-1])))
        for part in _windows(output, size, x.shape, dilation)
    ]
    # The windows come in the order of the turned kernel.
    return jnp.stack(parts[::-1]).reshape(*size, x.shape[-1], -1)
