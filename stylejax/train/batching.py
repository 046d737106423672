"""Several batches through one network in one pass."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp


def apply_together(
    fn: Callable[[jax.Array], jax.Array], batches: Sequence[jax.Array]
) -> list[jax.Array]:
    """Returns `fn` of each batch, computed in one call: less to compile and to launch.

    Pictures of one place in the batches stand side by side, so a batch that is sharded
    over devices stays where it is.

    Args:
      fn: batch `b ...` to batch `b ...`, each picture by itself.
      batches: arrays `b ...`; those of different shapes go one by one.

    Returns:
      What `fn` gives for each batch, `b ...`.

    Example:
      >>> [y.tolist() for y in apply_together(lambda x: 2 * x, [jnp.ones(1)] * 2)]
      [[2.0], [2.0]]
    """
    if len(batches) == 1 or len({x.shape for x in batches}) > 1:
        return [fn(x) for x in batches]
    count, rest = len(batches), batches[0].shape[1:]
    together = fn(jnp.stack(batches, axis=1).reshape(-1, *rest))
    apart = together.reshape(-1, count, *together.shape[1:])
    return [apart[:, i] for i in range(count)]
