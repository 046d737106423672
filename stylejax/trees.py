"""Pytrees by name: norms, selection, and a readable diff of two trees."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def _name(entry: Any) -> str:
    for attribute in ("key", "name", "idx"):
        if hasattr(entry, attribute):
            return str(getattr(entry, attribute))
    return str(entry)


def named_leaves(tree: Any) -> dict[str, Any]:
    """Returns every leaf of `tree` under its slash path, in tree order.

    Args:
      tree: any pytree.

    Returns:
      Dictionary from names like `"down_0/kernel"` to leaves.

    Example:
      >>> named_leaves({"a": {"b": 1}, "c": [2]})
      {'a/b': 1, 'c/0': 2}
    """
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {"/".join(map(_name, path)): leaf for path, leaf in leaves}


def norm(tree: Any) -> jax.Array:
    """Returns the Euclidean norm of all leaves together, as a float32 scalar.

    Args:
      tree: pytree of arrays; an empty one has norm 0.

    Returns:
      Scalar sqrt(sum of squares), accumulated in float32.
    """
    squares = [
        jnp.sum(jnp.square(x.astype(jnp.float32))) for x in jax.tree.leaves(tree)
    ]
    return jnp.sqrt(sum(squares, start=jnp.zeros((), jnp.float32)))


def norms(tree: Any) -> dict[str, jax.Array]:
    """Returns the Euclidean norm of every leaf by its name.

    Args:
      tree: pytree of arrays.

    Returns:
      Dictionary from slash path to scalar.
    """
    return {name: norm(leaf) for name, leaf in named_leaves(tree).items()}


def all_finite(tree: Any) -> jax.Array:
    """Returns a boolean scalar: no leaf holds NaN or infinity.

    Args:
      tree: pytree of arrays.

    Returns:
      Boolean scalar array.
    """
    finite = [jnp.all(jnp.isfinite(x)) for x in jax.tree.leaves(tree)]
    return jnp.all(jnp.stack(finite)) if finite else jnp.array(True)


def select(predicate: jax.Array, on_true: Any, on_false: Any) -> Any:
    """Returns `on_true` where the scalar `predicate` holds, else `on_false`.

    Args:
      predicate: boolean scalar array.
      on_true: pytree of arrays.
      on_false: pytree of the same structure, shapes and dtypes.

    Returns:
      Pytree of the same structure; no value of the other tree leaks through, NaN
      included.
    """
    return jax.tree.map(lambda x, y: jnp.where(predicate, x, y), on_true, on_false)


def _describe(leaf: Any) -> str:
    return f"{jnp.shape(leaf)} {getattr(leaf, 'dtype', type(leaf).__name__)}"


def difference(expected: Any, got: Any, *, limit: int = 8) -> str:
    """Returns a readable diff of names, shapes and dtypes; empty if they agree.

    Args:
      expected: the tree that was wanted.
      got: the tree that came.
      limit: how many lines of each kind to name before counting the rest.

    Returns:
      Text with one finding a line: only in expected, only in got, different.
    """
    left, right = named_leaves(expected), named_leaves(got)
    findings = {
        "missing": [n for n in left if n not in right],
        "unexpected": [n for n in right if n not in left],
        "different": [
            f"{n}: expected {_describe(left[n])}, got {_describe(right[n])}"
            for n in left
            if n in right and _describe(left[n]) != _describe(right[n])
        ],
    }
    lines = []
    for kind, names in findings.items():
        lines += [f"{kind} {name}" for name in names[:limit]]
        if len(names) > limit:
            lines.append(f"{kind}: {len(names) - limit} more")
    return "\n".join(lines)


def only(tree: Any, keep: Callable[[str], bool]) -> Any:
    """Returns the tree with zeros in place of the leaves that are not kept.

    Args:
      tree: pytree of arrays.
      keep: slash path of a leaf, as in `named_leaves`, to whether it stays.

    Returns:
      A tree like the given one.

    Example:
      >>> found = only({"a": jnp.ones(1), "b": jnp.ones(1)}, lambda path: path == "a")
      >>> found["a"].tolist(), found["b"].tolist()
      ([1.0], [0.0])
    """

    def kept(path: Any, leaf: jax.Array) -> jax.Array:
        is_kept = keep("/".join(map(_name, path)))
        return leaf if is_kept else jnp.zeros_like(leaf)

    return jax.tree_util.tree_map_with_path(kept, tree)
