"""Trees as a checkpoint wants them: without empty arrays, or as shapes alone."""

from typing import Any

import jax
import jax.numpy as jnp


def without_empty(tree: Any) -> Any:
    """Returns the tree with None in place of arrays that have no elements.

    Such arrays (an image pool of size 0) cannot be stored and need not be.

    Args:
        tree: pytree of arrays or of their shapes.

    Returns:
        The same containers; None is no leaf, so those places become empty.

    Example:
        >>> without_empty({"pool": jnp.zeros((0, 3)), "step": 7})
        {'pool': None, 'step': 7}
    """
    return jax.tree.map(lambda leaf: None if _is_empty(leaf) else leaf, tree)


def with_empty(found: Any, template: Any) -> Any:
    """Returns the leaves found in the structure of the template, empty arrays back in.

    Args:
        found: a tree made by `without_empty`, in the same order of leaves.
        template: the tree it came from, or one like it.

    Returns:
        Pytree with the structure of `template`.
    """
    leaves = iter(jax.tree.leaves(found))
    return jax.tree.map(
        lambda leaf: (
            jnp.zeros(leaf.shape, leaf.dtype) if _is_empty(leaf) else next(leaves)
        ),
        template,
    )


def abstract(tree: Any) -> Any:
    """Returns shapes, types and shardings of a tree; its data is not looked at.

    Args:
        tree: pytree of arrays or shapes; without a sharding: the default device.

    Returns:
        Pytree of `jax.ShapeDtypeStruct`; other leaves stay what they are.
    """
    default = jnp.zeros(()).sharding

    def describe(leaf):
        if not isinstance(leaf, jax.Array | jax.ShapeDtypeStruct):
            return leaf
        sharding = leaf.sharding or default
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)

    return jax.tree.map(describe, tree)


def _is_empty(leaf: Any) -> bool:
    return getattr(leaf, "size", 1) == 0
