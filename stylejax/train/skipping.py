"""Steps whose numbers are not finite: left out, and counted."""

from typing import Any

import jax
import jax.numpy as jnp

from stylejax import trees
from stylejax.typing import Metrics


def keep_if_finite(moved: Any, state: Any, *, checked: Any) -> tuple[Any, Metrics]:
    """Returns the state after a step, or the one before it with its counters up.

    Args:
      moved: the state the step arrived at.
      state: the state it left; both have `step`, `skipped_in_a_row` and
        `skipped_total` and are dataclasses with `replace`.
      checked: pytree of losses and gradients that must hold no NaN or infinity.

    Returns:
      (state with the step counted, metrics `skipped` (0 or 1), `skipped_in_a_row`
      and `skipped_total`).
    """
    is_finite = trees.all_finite(checked)
    skipped = jnp.where(is_finite, 0, 1).astype(jnp.int32)
    counters: dict[str, jax.Array] = {
        "skipped_in_a_row": (state.skipped_in_a_row + skipped) * skipped,
        "skipped_total": state.skipped_total + skipped,
    }
    kept = trees.select(is_finite, moved, state)
    kept = kept.replace(step=state.step + 1, **counters)
    return kept, counters | {"skipped": skipped}
