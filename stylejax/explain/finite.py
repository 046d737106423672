"""Values that are not finite, refused by name before anything is counted.

NaN compares as false with everything: counted, it is strong evidence in one test and an
all-clear in the next.
"""

from typing import Any

import numpy as np

# So many are listed; a broken network breaks every picture.
_LISTED = 8


def check_finite(values: Any, *, name: str, what: str, axis: int = 0) -> None:
    """Returns nothing; refuses NaN and infinity, and says where they are.

    Args:
      values: numbers or truth values, concrete (not under `jax.jit`).
      name: what the caller calls them.
      what: what the entries of the axis are, in the plural.
      axis: the one whose entries are named.

    Raises:
      ValueError: some are not finite.

    Example:
      >>> check_finite(np.array([[0.0], [np.nan]]), name="outputs", what="pictures")
      Traceback (most recent call last):
      ValueError: outputs: expected finite numbers, got NaN or infinity in pictures 1
    """
    rows = np.moveaxis(np.isfinite(np.asarray(values)), axis, 0)
    broken = np.flatnonzero(~rows.all(axis=tuple(range(1, rows.ndim))))
    if len(broken):
        listed = ", ".join(map(str, broken[:_LISTED]))
        more = ", …" if len(broken) > _LISTED else ""
        raise ValueError(
            f"{name}: expected finite numbers, got NaN or infinity in {what}"
            f" {listed}{more}"
        )
