"""A convolution's gradient by its kernel as matrix products, for CPUs.

One product for each place of the kernel. Winograd's form is in `winograd`.
"""

from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
from jax import lax

Padding = tuple[tuple[int, int], tuple[int, int]]
"""Zeros ((above, below), (left, right)) that are added; below 0 crops."""


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


def rowwise_kernel_gradient(
    x: jax.Array, output: jax.Array, *, size: tuple[int, int]
) -> jax.Array:
    """The same for a wide kernel of stride 1 on few channels.

    The places of a row of the kernel become channels of the input, so that there is one
    product for each row.

    Args:
      x: activations `b h w c`, padded.
      output: cotangent `b h' w' o`.
      size: (kh, kw).

    Returns:
      Array `kh kw c o`.
    """
    height, width = output.shape[1:3]
    places = [x[:, :, j : j + width] for j in range(size[1])]
    rows = lax.optimization_barrier(jnp.concatenate(places, axis=3))
    columns = output.reshape(-1, output.shape[3])
    parts = [
        _contract(rows[:, i : i + height].reshape(-1, rows.shape[3]), columns)
        for i in range(size[0])
    ]
    return jnp.stack(parts).reshape(*size, x.shape[3], -1)
