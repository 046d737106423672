"""Attention from content positions to style positions, with rows that can be shown.

    P_nm = softmax_m(q_n . k_m / temperature)        out_n = sum_m P_nm v_m

The matrix P of a whole picture is large; it is never held at once. Queries are worked
off in tiles, and the rows of chosen queries can be had exactly.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

Queries = Float[Array, "b n d"]
Keys = Float[Array, "b m d"]

TILE = 1024


def attend(
    queries: Queries, keys: Keys, values: Any, *, tile: int = TILE, scale: float = 1.0
) -> Any:
    """Weighted means of the values for each query.

    Memory grows with `tile * m`, not with `n * m`.

    Args:
      queries: (b, n, d).
      keys: (b, m, d).
      values: pytree of arrays (b, m, c).
      tile: queries that are worked on at a time.
      scale: products are multiplied with it before the softmax.

    Returns:
      Pytree like `values` of arrays (b, n, c), float32.
    """
    b, n, d = queries.shape
    count = -(-n // tile)
    if count == 1:
        return _mix(weights(queries, keys, scale=scale), values)
    padded = jnp.pad(queries, ((0, 0), (0, count * tile - n), (0, 0)))
    tiles = jnp.moveaxis(padded.reshape(b, count, tile, d), 1, 0)

    def of_tile(part: Queries) -> Any:
        return _mix(weights(part, keys, scale=scale), values)

    found = jax.lax.map(jax.checkpoint(of_tile), tiles)
    return jax.tree.map(
        lambda x: jnp.moveaxis(x, 0, 1).reshape(b, count * tile, -1)[:, :n], found
    )


def weights(
    queries: Queries, keys: Keys, *, scale: float = 1.0
) -> Float[Array, "b n m"]:
    """The rows of the attention matrix of all queries given.

    Args:
      queries: (b, n, d).
      keys: (b, m, d).
      scale: as in `attend`.

    Returns:
      (b, n, m), float32; each row sums to 1.
    """
    products = jnp.einsum(
        "bnd,bmd->bnm", queries, keys, preferred_element_type=jnp.float32
    )
    return jax.nn.softmax(scale * products, axis=-1)


def _mix(rows: Float[Array, "b n m"], values: Any) -> Any:
    return jax.tree.map(
        lambda v: jnp.einsum("bnm,bmc->bnc", rows, v.astype(jnp.float32)), values
    )


def spaced(size_hw: Sequence[int], *, at_most: int) -> Int[Array, " n"]:
    """Positions of a map on an even grid, the same for every picture of this size.

    Args:
      size_hw: height and width of the map.
      at_most: how many there may be.

    Returns:
      (n,), indices into the flattened map; all of them where they are few enough.

    Raises:
      ValueError: `at_most` is below 1.

    Example:
      >>> spaced((4, 4), at_most=4).tolist()
      [0, 2, 8, 10]
    """
    if at_most < 1:
        raise ValueError(f"at_most: expected at least 1, got {at_most}")
    step = 1
    while -(-size_hw[0] // step) * -(-size_hw[1] // step) > at_most:
        step += 1
    rows, columns = (jnp.arange(0, n, step) for n in size_hw)
    return (rows[:, None] * size_hw[1] + columns[None]).reshape(-1)
