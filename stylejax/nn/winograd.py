"""Winograd's 3 x 3 convolutions of stride 1 as matrix products, for CPUs.

F(m x m, 3 x 3) takes tiles of (m + 2)^2 inputs to m^2 outputs with (m + 2)^2 products
of matrices instead of 9 m^2: a quarter for m = 4, 1 / 2.25 for m = 2. Each transform is
one matrix product too, with the Kronecker square of the published matrix: that XLA runs
near the speed of the machine, unlike sums of shifted slices.

Reference: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016
(https://arxiv.org/abs/1509.09308).
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from stylejax.nn.kernel_gradients import padded


class Transforms(NamedTuple):
    """The published matrices of F(m, 3): of the input, of the kernel, and back."""

    of_input: np.ndarray
    of_kernel: np.ndarray
    back: np.ndarray


TRANSFORMS = {
    2: Transforms(
        np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]]),
        np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]]) / 2,
        np.array([[1, 1, 1, 0], [0, 1, -1, -1]]),
    ),
    4: Transforms(
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
"""By the side of a tile of outputs."""


def _square(matrix: np.ndarray) -> np.ndarray:
    """What a transform along both sides does to a flattened tile."""
    return np.kron(matrix, matrix).astype(np.float32)


def _counts(shape: Sequence[int], side: int) -> tuple[int, int]:
    """Tiles of outputs along both sides of a map `b h w c`."""
    return -(-shape[1] // side), -(-shape[2] // side)


def _filled(x: jax.Array, sides: Sequence[int]) -> jax.Array:
    """`x` with rows and columns of zeros behind it, up to these sides."""
    pads = [(0, n - length) for n, length in zip(sides, x.shape[1:3], strict=True)]
    return padded(x, pads)


def _tiles(
    matrix: np.ndarray, x: jax.Array, counts: Sequence[int], step: int
) -> jax.Array:
    """Tiles that begin every `step` positions, transformed along both sides.

    Along the width first, then along the height: each time the places of a tile are
    stacked and a product taken. All places at once would be 3 times the slices, and
    are compiled 3 times as long.

    Args:
      matrix: of the transform, `k span`.
      x: activations `b h w c`.
      counts: tiles down and across.
      step: from a tile to the next.

    Returns:
      `k^2 b n m c` for n and m tiles down and across.
    """
    tall, span = matrix.shape
    x = lax.optimization_barrier(_filled(x, [step * (n - 1) + span for n in counts]))
    down, right = (step * (n - 1) + 1 for n in counts)
    places = jnp.stack([x[:, :, j : j + right : step] for j in range(span)])
    columns = _product(matrix, places)
    places = jnp.stack([columns[:, :, i : i + down : step] for i in range(span)])
    tiles = _product(matrix, places)
    return tiles.reshape(tall * tall, *tiles.shape[2:])


def _product(matrix: np.ndarray, x: jax.Array) -> jax.Array:
    """A small matrix applied along the first axis, both sides materialised.

    Barriers keep XLA from computing what comes before anew for every place. Pictures
    keep an axis of their own: merged with others it could not stay sharded.
    """
    x = lax.optimization_barrier(x)
    y = lax.dot_general(np.float32(matrix), x, (((1,), (0,)), ((), ())))
    return lax.optimization_barrier(y)


def _kernel_tiles(kernel: jax.Array, side: int, *, after: jax.Array) -> jax.Array:
    """Transformed kernels `(m + 2)^2, c, o`, once `after` is there.

    They are 2 to 4 times as large as the kernels, and XLA would compute those of all
    layers first and keep them, in memory that is new every time. So they wait for
    `after`: a factor of 1 that XLA takes for a function of it.
    """
    first = lax.bitcast_convert_type(after[(0,) * after.ndim], jnp.int32)
    one = jnp.where((first | 1) != 0, 1.0, 0.0)
    places = kernel.reshape(9, *kernel.shape[2:]) * one
    tiles = _product(_square(TRANSFORMS[side].of_kernel), places)
    return tiles.reshape(-1, *kernel.shape[2:])


def convolution(x: jax.Array, kernel: jax.Array, *, side: int = 4) -> jax.Array:
    """A 3 x 3 convolution of stride 1 without padding.

    Args:
      x: activations `b h w c`, float32.
      kernel: `3 3 c o`.
      side: of a tile of outputs, see `TRANSFORMS`.

    Returns:
      `b h-2 w-2 o`; off by about 1e-5 (m = 4) or 1e-6 (m = 2) of the largest.
    """
    height, width = x.shape[1] - 2, x.shape[2] - 2
    counts = _counts((1, height, width), side)
    tiles = _tiles(TRANSFORMS[side].of_input, x, counts, side)
    weights = _kernel_tiles(kernel, side, after=tiles)
    products = lax.dot_general(tiles, weights, (((4,), (1,)), ((0,), (0,))))
    y = _product(_square(TRANSFORMS[side].back), products)
    y = y.reshape(side, side, x.shape[0], *counts, -1).transpose(2, 3, 0, 4, 1, 5)
    y = y.reshape(x.shape[0], side * counts[0], side * counts[1], -1)
    return y[:, :height, :width]


def input_gradient(output: jax.Array, kernel: jax.Array, *, side: int = 4) -> jax.Array:
    """The gradient of `convolution` by its input: its adjoint, step by step.

    It takes as many tiles as the convolution did, and the same transformed kernels.

    Args:
      output: cotangent `b h w o`, float32.
      kernel: `3 3 c o`.
      side: of a tile of outputs.

    Returns:
      `b h+2 w+2 c`; off by about 1e-5 (m = 4) or 1e-6 (m = 2) of the largest.
    """
    transforms, counts = TRANSFORMS[side], _counts(output.shape, side)
    tiles = _tiles(transforms.back.T, output, counts, side)
    weights = _kernel_tiles(kernel, side, after=tiles)
    products = lax.dot_general(tiles, weights, (((4,), (2,)), ((0,), (0,))))
    columns = products.reshape(side + 2, side + 2, *products.shape[1:])
    rows = _product(transforms.of_input.T, columns)
    rows = _overlapped(rows, axis=3, side=side)
    whole = _product(transforms.of_input.T, rows)
    whole = _overlapped(whole, axis=3, side=side)
    return whole[:, : output.shape[1] + 2, : output.shape[2] + 2]


def _overlapped(tiles: jax.Array, *, axis: int, side: int) -> jax.Array:
    """Tiles `m+2 ... n ...` laid `m` apart and summed where they overlap.

    Args:
      tiles: the places of a tile first; tiles along `axis`.
      axis: of the tiles.
      side: m.

    Returns:
      Without the first axis; `axis` (now one less) has `m (n + 1)` positions.
    """
    inner, outer = tiles[:side], tiles[side:]
    none, before = [(0, 0)] * tiles.ndim, [(0, 0)] * tiles.ndim
    none[axis] = (0, 1)
    before[axis], before[0] = (1, 0), (0, side - 2)
    laid = jnp.pad(inner, none) + jnp.pad(outer, before)
    laid = jnp.moveaxis(laid, 0, axis)
    shape = (*laid.shape[: axis - 1], -1, *laid.shape[axis + 1 :])
    return lax.optimization_barrier(laid.reshape(shape))


def kernel_gradient(x: jax.Array, output: jax.Array, *, side: int = 4) -> jax.Array:
    """The gradient of `convolution` by its kernel: the adjoint, as many products.

    Args:
      x: activations `b h w c`, float32.
      output: cotangent `b h-2 w-2 o`.
      side: of a tile of outputs.

    Returns:
      Array `3 3 c o`; off by about 1e-5 of the largest.
    """
    transforms, counts = TRANSFORMS[side], _counts(output.shape, side)
    tiles = _tiles(transforms.of_input, x, counts, side)
    cotangents = _tiles(transforms.back.T, output, counts, side)
    positions = (1, 2, 3)
    weights = lax.dot_general(tiles, cotangents, ((positions, positions), ((0,), (0,))))
    kernel = _product(_square(transforms.of_kernel).T, weights)
    return kernel.reshape(3, 3, x.shape[-1], output.shape[-1])
