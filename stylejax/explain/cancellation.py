"""Constant baselines that a normalisation layer cancels, and the refusal of them."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from numpy.typing import ArrayLike

from stylejax.explain.baselines import is_constant
from stylejax.explain.completeness import FLOOR
from stylejax.explain.pictures import Picture

PROBES = (0.1, 0.25, 0.5)
"""Where a path is looked at between its two ends."""

# A function already this close to its full change at every probe did its changing in a
# sliver next to the baseline.
_SATURATED = 0.05


def refuse_cancelled(values: Sequence[ArrayLike]) -> None:
    """Returns nothing; refuses a path that the function does not follow.

    A normalisation layer takes mean and scale off what it sees, so on the way from a
    constant picture all points but the very first look like the last: the gradients
    there are those of the end, and what happened at the start is missed.

    Args:
      values: the function (numbers or arrays of one shape) at the baseline, at each of
        `PROBES`, and at the picture.

    Raises:
      ValueError: at every probe the function is within 5 % of its full change.
    """
    first, *probes, last = (np.asarray(value, np.float64) for value in values)
    change = np.abs(first - last).mean()
    distance = max(np.abs(value - last).mean() for value in probes)
    floor = FLOOR * max(np.abs(first).mean(), np.abs(last).mean())
    if change > floor and distance <= _SATURATED * change:
        raise ValueError(
            "baseline: expected one whose path the function can follow, got a constant"
            f" colour: from alpha={PROBES[0]} on the target is within"
            f" {distance / change:.1%} of its full change, as when a normalisation"
            " layer cancels the path, and the gradients would miss it; use"
            " baseline='blur' or another picture (or force it with"
            " allow_constant_baseline=True)"
        )


def check_baseline(
    at: Callable[[Any], jax.Array], start: Picture, end: Picture, *, allow: bool
) -> None:
    """Returns nothing; refuses a constant baseline whose path a function misses.

    Args:
      at: a picture (or whatever the path leads through) to a number or an array.
      start: the path's start; what is not a constant picture is not looked into.
      end: the path's end.
      allow: whether it may be constant anyway.

    Raises:
      ValueError: as `refuse_cancelled`.
    """
    if allow or not is_constant(start):
        return
    compiled = jax.jit(lambda alpha: at((1 - alpha) * start + alpha * end))
    refuse_cancelled([compiled(alpha) for alpha in (0.0, *PROBES, 1.0)])
