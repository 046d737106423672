"""Parameters with some or all leaves replaced by random ones of the same size."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from stylejax.checks import check_choice
from stylejax.trees import named_leaves
from stylejax.typing import Key

DRAWS = ("normal", "permutation")
"""How `randomize_params` makes a leaf anew."""


def randomize_params(
    key: Key,
    params: Any,
    *,
    names: Sequence[str] | None = None,
    draw: str = "normal",
) -> Any:
    """Parameters with leaves drawn anew, each as large as it was.

    Every leaf of floats, kernels and biases alike, is replaced by normal numbers of its
    own mean and standard deviation, or by its own numbers in another order. A leaf of
    equal numbers (a bias that is still zero) therefore stays, and so does one of other
    types. What a leaf becomes depends on the key and its place alone, not on `names`.

    Args:
      key: random key.
      params: pytree of arrays.
      names: only leaves whose slash path is one of these or below it, as `"block_1"` is
        above `"block_1/conv/kernel"` (but not `"block_10/kernel"`); None is all.
      draw: a name in `DRAWS`.

    Returns:
      A pytree of the same structure, shapes and types.

    Raises:
      ValueError: a name that no leaf has, or an unknown draw.

    Example:
      >>> params = {"a": jnp.arange(3.0), "b": jnp.arange(3.0)}
      >>> new = randomize_params(jax.random.key(0), params, names=["b"])
      >>> bool((new["a"] == params["a"]).all()), bool((new["b"] == params["b"]).any())
      (True, False)

    Reference: Adebayo et al. 2018. They initialise anew; ours keeps each leaf's size,
      so that the activations keep theirs.
    """
    check_choice(draw, choices=DRAWS, name="draw")
    chosen = chosen_leaves(params, names)
    leaves, structure = jax.tree.flatten(params)
    ends = np.cumsum([jnp.size(leaf) for leaf in leaves])
    # One long draw: a hundred small ones take a minute to compile.
    noise = jnp.split(jax.random.normal(key, (int(ends[-1]),)), ends[:-1])
    new = [
        _drawn(n, leaf, draw) if is_chosen else leaf
        for n, leaf, is_chosen in zip(noise, leaves, chosen, strict=True)
    ]
    return jax.tree.unflatten(structure, new)


def chosen_leaves(params: Any, names: Sequence[str] | None) -> list[bool]:
    """For each leaf, whether it is one of the names or below one.

    Args:
      params: pytree of arrays.
      names: slash paths; None is every leaf.

    Returns:
      One truth value for each leaf, in tree order.

    Raises:
      ValueError: a name that no leaf has.

    Example:
      >>> chosen_leaves({"a": {"b": 1, "c": 2}, "ab": 3}, ["a"])
      [True, True, False]
    """
    paths = list(named_leaves(params))
    if names is None:
        return [True] * len(paths)
    if isinstance(names, str):
        names = [names]
    for name in names:
        if not any(_below(path, name) for path in paths):
            known = ", ".join(dict.fromkeys(path.split("/")[0] for path in paths))
            raise ValueError(
                f"names: expected paths of parameters, got {name!r}, which none has; at"
                f" the top there are {known}"
            )
    return [any(_below(path, name) for name in names) for path in paths]


def _drawn(noise: Float[Array, " n"], leaf: Any, draw: str) -> Any:
    if not jnp.issubdtype(jnp.result_type(leaf), jnp.floating):
        return leaf
    values = jnp.asarray(leaf)
    if draw == "permutation":
        return values.ravel()[jnp.argsort(noise)].reshape(values.shape)
    exact = values.astype(jnp.promote_types(values.dtype, jnp.float32))
    drawn = exact.mean() + exact.std() * noise.reshape(values.shape)
    return drawn.astype(values.dtype)


def _below(path: str, name: str) -> bool:
    return path == name or path.startswith(name.rstrip("/") + "/")
