"""Gradients of a sum of named terms, over parts of a batch and over devices."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def mean_gradients(
    terms_fn: Callable, params: Any, batch: Any, *, num_parts: int = 1
) -> tuple[dict, Any, Any]:
    """Returns terms, outputs and gradients, averaged over `num_parts` of the batch.

    Part i holds rows i, i + num_parts, …, so that a batch sharded in contiguous rows
    is split without moving data between devices. With terms that are means over
    pictures the result does not depend on `num_parts`, but peak memory does.

    Args:
      terms_fn: (params, batch) -> (dictionary of scalar terms, pytree of arrays with
        a leading batch axis). The gradient is that of the sum of the terms.
      params: pytree to differentiate with respect to.
      batch: pytree of arrays that share the leading axis `b`.
      num_parts: how many parts; must divide `b`.

    Returns:
      (terms, outputs in the order of the batch, gradients like `params`).

    Raises:
      ValueError: `num_parts` does not divide `b`.
    """

    def total(params: Any, part: Any) -> tuple:
        terms, outputs = terms_fn(params, part)
        return sum(terms.values()), (terms, outputs)

    gradient = jax.grad(total, has_aux=True)
    if num_parts == 1:
        grads, (terms, outputs) = gradient(params, batch)
        return terms, outputs, grads

    size = jax.tree.leaves(batch)[0].shape[0]
    if size % num_parts:
        raise ValueError(
            f"accumulate_steps: {num_parts} parts do not divide a batch of {size};"
            " change --accumulate_steps or --batch_size"
        )

    def split(x: jax.Array) -> jax.Array:
        return jnp.moveaxis(x.reshape(-1, num_parts, *x.shape[1:]), 1, 0)

    def join(x: jax.Array) -> jax.Array:
        return jnp.moveaxis(x, 0, 1).reshape(-1, *x.shape[2:])

    def visit(mean: tuple, part: Any) -> tuple:
        grads, (terms, outputs) = gradient(params, part)
        mean = jax.tree.map(lambda m, x: m + x / num_parts, mean, (grads, terms))
        return mean, outputs

    parts = jax.tree.map(split, batch)
    grads, (terms, _) = jax.eval_shape(gradient, params, jax.tree.map(_first, parts))
    zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), (grads, terms))
    (grads, terms), outputs = jax.lax.scan(visit, zeros, parts)
    return terms, jax.tree.map(join, outputs), grads


def _first(x: jax.Array) -> jax.Array:
    return x[0]


@dataclasses.dataclass(frozen=True)
class Across:
    """Collectives over a `jax.pmap` axis; without an axis all of them do nothing.

    Under `jax.jit` on a mesh arrays are global already, so the step needs none.

    Attributes:
      axis_name: the mapped axis, or None.
    """

    axis_name: str | None = None

    def size(self, local: int) -> int:
        """Returns the global batch size for `local` pictures on each device."""
        return local * (jax.lax.axis_size(self.axis_name) if self.axis_name else 1)

    def mean(self, tree: Any) -> Any:
        """Returns `tree` averaged over the devices."""
        return jax.lax.pmean(tree, self.axis_name) if self.axis_name else tree

    def gather(self, tree: Any) -> Any:
        """Returns the rows of all devices, in the order of the global batch."""
        if not self.axis_name:
            return tree
        return jax.lax.all_gather(tree, self.axis_name, tiled=True)

    def share(self, tree: Any) -> Any:
        """Returns this device's rows of arrays that hold the global batch."""
        if not self.axis_name:
            return tree
        index = jax.lax.axis_index(self.axis_name)
        count = jax.lax.axis_size(self.axis_name)

        def rows(x: jax.Array) -> jax.Array:
            size = x.shape[0] // count
            return jax.lax.dynamic_slice_in_dim(x, index * size, size)

        return jax.tree.map(rows, tree)
