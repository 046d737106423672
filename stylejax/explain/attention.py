"""Attention as a map over the picture, on a scale that compares between pictures.

Attention comes as an array: `b heads queries keys`, whose rows sum to 1, or a map
`b h w` (class activation). Maps are stated in *multiples of uniform attention*: 1 is
what every position would get if the network did not choose. They are never stretched
to each picture's own minimum and maximum, which makes any two pictures look alike.

A map of attention is no explanation until the network is seen to depend on it: see
`stylejax.explain.attention_interventions` and `stylejax.explain.attention_agreement`.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Weights = Float[Array, "b ..."]
"""`b heads queries keys` or `b h w`."""

GridSize = tuple[int, int]


def attention_map(
    weights: Weights,
    *,
    size_hw: tuple[int, int],
    query_region: Float[Array, "..."] | None = None,
    grid_hw: GridSize | None = None,
    query_grid_hw: GridSize | None = None,
    per_head: bool = False,
) -> Float[Array, "b ... h w"]:
    """Where attention goes, over the picture, in multiples of uniform attention.

    Each key's weight is spread over its own cell of the picture, so that the mean of a
    map over its pixels is 1 at any size (if rows sum to 1).

    Args:
      weights: `b heads queries keys`, rows that sum to 1; or maps `b h w`, which are
        divided by their mean absolute value: their sign is kept, their strength not.
      size_hw: height and width of the picture in pixels.
      query_region: `h w` or `b h w` in [0, 1], the pixels whose queries count, such as
        a mask of `stylejax.image.regions`; by default all. Empty gives NaN.
      grid_hw: rows and columns of the keys, by default a square. Tokens that stand for
        no place must be cut off before.
      query_grid_hw: the same of the queries, by default that of the keys if there are
        as many.
      per_head: keep the heads apart.

    Returns:
      `b h w`, or `b heads h w`.

    Raises:
      ValueError: a wrong rank, a grid that does not fit, or a region for a map without
        queries.

    Example:
      >>> attention_map(jnp.array([[[[0.75, 0.25]]]]), size_hw=(1, 2), grid_hw=(1, 2))
      Array([[[1.5, 0.5]]], dtype=float32)
    """
    check_weights(weights)
    weights = jnp.asarray(weights)
    if weights.ndim == 3:
        if query_region is not None or per_head:
            raise ValueError(
                "weights: expected (b, heads, queries, keys) where a query region or"
                f" heads are asked for, got maps of shape {weights.shape}"
            )
        size = jnp.abs(weights).mean(axis=(1, 2), keepdims=True)
        return _on_pixels(weights / jnp.where(size > 0, size, 1), size_hw)
    _, _, queries, keys = weights.shape
    grid_hw = _grid(keys, grid_hw, name="grid_hw")
    if query_region is None:
        rows = weights.mean(axis=2)
    else:
        if query_grid_hw is None and queries == keys:
            query_grid_hw = grid_hw
        rows = _region_mean(weights, query_region, query_grid_hw)
    if not per_head:
        rows = rows.mean(axis=1)
    return _on_pixels(rows.reshape(*rows.shape[:-1], *grid_hw) * keys, size_hw)


def attention_rollout(
    layers: Sequence[Float[Array, "b heads n n"]], *, residual: float = 0.5
) -> Float[Array, "b 1 n n"]:
    """Self-attention followed through its layers: the product of their matrices.

    Args:
      layers: weights of each layer, the first one first; rows that sum to 1.
      residual: share of each layer that goes past its attention, in [0, 1].

    Returns:
      `b 1 n n`, rows that sum to 1, as `attention_map` takes them.

    Raises:
      ValueError: no layers, or layers that are not square.

    Reference: Abnar and Zuidema, "Quantifying Attention Flow in Transformers", 2020.
      It follows weights alone: values and nonlinear layers have no part in it.
    """
    layers = [jnp.asarray(w) for w in layers]
    if not layers or any(w.ndim != 4 or w.shape[2] != w.shape[3] for w in layers):
        raise ValueError(
            "layers: expected self-attention (b, heads, n, n) of one layer or more, got"
            f" shapes {[jnp.shape(w) for w in layers]}"
        )
    passed = residual * jnp.eye(layers[0].shape[-1])[None]
    steps = [(1 - residual) * w.mean(axis=1) + passed for w in layers]
    dot = functools.partial(jnp.matmul, precision="highest")
    return functools.reduce(lambda total, step: dot(step, total), steps)[:, None]


def check_weights(weights: Weights) -> None:
    """Returns nothing; refuses what is neither attention nor a map of it.

    Args:
      weights: expected `b heads queries keys` or `b h w`.

    Raises:
      ValueError: a wrong rank.
    """
    if jnp.ndim(weights) not in (3, 4):
        raise ValueError(
            "weights: expected (b, heads, queries, keys) or maps (b, h, w), got shape"
            f" {jnp.shape(weights)}"
        )


def _grid(count: int, grid_hw: GridSize | None, *, name: str) -> GridSize:
    side = round(count**0.5)
    grid_hw = (side, side) if grid_hw is None else grid_hw
    if grid_hw[0] * grid_hw[1] != count:
        raise ValueError(
            f"{name}: expected rows x columns = {count} positions, got {grid_hw[0]} x"
            f" {grid_hw[1]}; name the grid, and cut off tokens without a place"
        )
    return grid_hw


def _overlaps(cells: int, pixels: int) -> np.ndarray:
    """The share of each pixel that lies in each of equal cells: columns sum to 1."""
    ends = np.arange(cells + 1) * (pixels / cells)
    first = np.maximum(ends[:-1, None], np.arange(pixels)[None])
    last = np.minimum(ends[1:, None], np.arange(1, pixels + 1)[None])
    return np.maximum(last - first, 0).astype(np.float32)


def _on_pixels(cells: jax.Array, size_hw: tuple[int, int]) -> jax.Array:
    """`... rows columns` to `... h w`, each value over its own cell."""
    down, across = (
        jnp.asarray(_overlaps(*v), cells.dtype)
        for v in zip(cells.shape[-2:], size_hw, strict=True)
    )
    return jnp.einsum("...rc,rh,cw->...hw", cells, down, across, precision="highest")


def _region_mean(
    weights: jax.Array, region: Float[Array, "..."], grid_hw: GridSize | None
) -> Float[Array, "b heads keys"]:
    """The mean over the queries of a region of the picture."""
    num, _, queries, _ = weights.shape
    grid_hw = _grid(queries, grid_hw, name="query_grid_hw")
    shares = _query_shares(jnp.asarray(region, weights.dtype), grid_hw)
    shares = jnp.broadcast_to(shares, (num, queries))
    return jnp.einsum("bq,bnqk->bnk", shares, weights, precision="highest")


def _query_shares(region: jax.Array, grid_hw: GridSize) -> jax.Array:
    """`... h w` to `... n` shares of the region's area in each cell, summing to 1."""
    down, across = (
        jnp.asarray(_overlaps(*v), region.dtype)
        for v in zip(grid_hw, region.shape[-2:], strict=True)
    )
    area = jnp.einsum("...hw,rh,cw->...rc", region, down, across, precision="highest")
    area = area.reshape(*area.shape[:-2], -1)
    return area / area.sum(axis=-1, keepdims=True)
