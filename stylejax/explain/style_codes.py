"""What each coordinate of a style code painted, pixel by pixel, and how that adds up.

A forward derivative carries one coordinate's change to *every* pixel at once, so that a
code of `d` numbers is explained by `d` forward passes at each node of a path, whatever
the picture's size. The maps sum at every pixel to the change of the picture, and the
error of that sum is part of the result. Groups of coordinates (layers, means against
deviations) cost one pass each.

A code is one vector. Statistics of several layers are flattened into one by
`jax.flatten_util.ravel_pytree`, with labels made in the same way.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from stylejax.checks import check_same_shape
from stylejax.explain.paths import checked_chunk
from stylejax.explain.quadrature import nodes_and_weights
from stylejax.metrics.perturbation import compiled, map_in_chunks

Code = Float[Array, " d"]
CodeDecoder = Callable[[jax.Array], jax.Array]
"""One code `d` in, one picture `h w c` or `1 h w c` out."""


class CodeAttribution(NamedTuple):
    """What each coordinate, or group, of a code contributed to the change of a picture.

    Attributes:
      maps: `k h w c`, signed, in the picture's unit; `k` groups, or the coordinates.
      start: `h w c`, the picture of the code that the path starts from.
      end: `h w c`, that of the code it ends at.
      errors: `h w c`, `maps.sum(0) - (end - start)`: what the sum misses, signed.
      max_error: largest absolute error of any pixel and channel.
      mean_error: mean absolute error.
      mean_change: mean of `|end - start|`, to read the errors against.
    """

    maps: Float[Array, "k h w c"]
    start: Float[Array, "h w c"]
    end: Float[Array, "h w c"]
    errors: Float[Array, "h w c"]
    max_error: Float[Array, ""]
    mean_error: Float[Array, ""]
    mean_change: Float[Array, ""]

    def summary(self) -> str:
        """One line for people: the change and how closely the maps add up to it.

        Returns:
          Text without a line break.
        """
        return (
            f"{self.maps.shape[0]} maps; mean change of a pixel"
            f" {float(self.mean_change):.4g}; their sum misses it by"
            f" {float(self.mean_error):.2e} in the mean and"
            f" {float(self.max_error):.2e} at most"
        )


def code_attribution(
    decode: CodeDecoder,
    start: Code,
    end: Code,
    *,
    labels: Int[np.ndarray, " d"] | None = None,
    num_steps: int = 16,
    rule: str = "gauss_legendre",
    chunk: int | None = None,
) -> CodeAttribution:
    """What each coordinate painted on the way from one code to another.

    `map_i = (b_i - a_i) sum_k w_k dG/dz_i (a + alpha_k (b - a))`, at every pixel at
    once; for the exact integral `sum_i map_i = G(b) - G(a)`. The memory does not grow
    with the number of nodes. Pure: may be jitted with `labels` closed over.

    Args:
      decode: `G`, one code `d` to one picture, `h w c` or `1 h w c`; differentiable.
        For a content picture and a style code, close over the content.
      start: `a`, the code to explain against, such as the content's own or the mean.
      end: `b`, the code to explain.
      labels: `d` whole numbers from 0 to `k - 1`, the group of each coordinate; by
        default each is its own. Costs one pass for each group at each node.
      num_steps: nodes of the rule.
      rule: a name in `quadrature.RULES`.
      chunk: coordinates or groups pushed at once, which decides the memory; by default
        16, fewer for pictures of more than 90 x 90 pixels.

    Returns:
      `CodeAttribution`, with the error of the sum at every pixel.

    Raises:
      ValueError: codes of different shapes or not flat, labels that do not fit, no
        picture, a wrong rule, number of nodes or chunk.

    Example:
      >>> paint = lambda code: code.sum() * jnp.ones((1, 1, 1))
      >>> code_attribution(paint, jnp.zeros(2), jnp.array([1.0, 3.0])).maps.ravel()
      Array([1., 3.], dtype=float32)

    Reference: Sundararajan, Taly and Yan 2017, in forward mode and for every output
      pixel. Lang et al., "Explaining in Style" (StylEx), 2021, move each coordinate to
      its two ends instead, which does not add up.
    """
    check_same_shape(start, end, names=("start", "end"))
    start, end = jnp.asarray(start), jnp.asarray(end)
    masks = _masks(labels, jnp.shape(start))
    nodes, weights = nodes_and_weights(rule, num_steps=num_steps)
    out = jax.eval_shape(decode, start).shape
    if len(out) not in (3, 4) or (len(out) == 4 and out[0] != 1):
        raise ValueError(
            "decode: expected one picture (h, w, c) or (1, h, w, c) for one code, got"
            f" shape {out}"
        )
    chunk = checked_chunk(chunk, shape=out[-3:], num_steps=len(masks))
    compute = compiled(_attribute, decode, chunk=chunk)
    dtype = jnp.promote_types(start.dtype, jnp.float32)
    arrays = (jnp.asarray(v, dtype) for v in (start, end, masks, nodes, weights))
    return compute(*arrays)


def _attribute(
    decode: CodeDecoder,
    start: Code,
    end: Code,
    masks: Float[Array, "k d"],
    nodes: Float[Array, " n"],
    weights: Float[Array, " n"],
    *,
    chunk: int,
) -> CodeAttribution:
    def picture(code: Code) -> jax.Array:
        with jax.default_matmul_precision("highest"):
            image = decode(code)
        image = image.reshape(image.shape[-3:])
        return image.astype(jnp.promote_types(image.dtype, jnp.float32))

    def add_node(total: jax.Array, node: tuple[Array, Array]) -> tuple[Array, None]:
        alpha, weight = node
        # One linearisation serves all tangents of the node.
        _, push = jax.linearize(picture, (1 - alpha) * start + alpha * end)
        moved = map_in_chunks(lambda m: push(m * (end - start)), masks, chunk=chunk)
        return total + weight * moved, None

    first, last = picture(start), picture(end)
    zeros = jnp.zeros((masks.shape[0], *first.shape), first.dtype)
    maps, _ = jax.lax.scan(add_node, zeros, (nodes, weights))
    errors = maps.sum(axis=0) - (last - first)
    return CodeAttribution(
        maps=maps,
        start=first,
        end=last,
        errors=errors,
        max_error=jnp.abs(errors).max(),
        mean_error=jnp.abs(errors).mean(),
        mean_change=jnp.abs(last - first).mean(),
    )


def _masks(labels: Int[np.ndarray, " d"] | None, shape: tuple[int, ...]) -> np.ndarray:
    """Which coordinates move together: `k d`, each column with a single 1."""
    if len(shape) != 1 or not shape[0]:
        raise ValueError(
            f"start: expected a code of shape (d,), got {shape}; flatten it with"
            " jax.flatten_util.ravel_pytree"
        )
    if labels is None:
        return np.eye(shape[0])
    labels = np.asarray(labels)
    whole = np.issubdtype(labels.dtype, np.integer)
    if labels.shape != shape or not whole or labels.min() < 0:
        raise ValueError(
            f"labels: expected {shape[0]} whole numbers of at least 0, one for each"
            f" coordinate, got {labels.dtype} of shape {labels.shape}"
        )
    return np.eye(labels.max() + 1)[labels].T
