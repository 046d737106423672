"""What an attribution is worth: whether it adds up, and how far its pixels may be off.

Every explainer of this package that gives out amounts returns an `Attribution`: the
map, both ends of the target, and the errors. `measure` is the one place where those
numbers are worked out.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

# Below this share of the target's own size, a change is too small to divide by.
FLOOR = 1e-3


class CompletenessWarning(UserWarning):
    """The attribution does not add up as closely as was asked for."""


@dataclasses.dataclass(frozen=True, eq=False)
class Attribution:
    """How much each input value contributed to a target, and how well that adds up.

    Attributes:
      map: signed contributions, in the target's unit, of the picture's shape (for
        methods that say so: a gradient, the target's unit per unit of the picture).
      target: the target's value on the picture.
      target_baseline: its value on the baseline.
      sum: the sum of the contributions; complete if `target - target_baseline`.
      absolute_error: `|sum - (target - target_baseline)|`.
      relative_error: `absolute_error / |target - target_baseline|`, or NaN where that
        change is below `floor` and a ratio would mean nothing.
      num_steps: evaluations of the function's gradient (or of the function) behind
        the map.
      floor: the change below which the relative error is undefined.
      error_map: how far off each value of `map` may be, of its shape; None where the
        method has no integral or sample to be unsure of.
      error_estimate: the same in one number, `sum |error_map| / sum |map|`.
      error_kind: what `error_map` is, in a word: "rule" (the difference to a rule with
        half the nodes, which is far more than the error of a smooth function) or
        "sampling" (one standard error over draws).
      method: the name of what made it.
    """

    map: jax.Array
    target: float
    target_baseline: float
    sum: float
    absolute_error: float
    relative_error: float
    num_steps: int
    floor: float
    error_map: jax.Array | None = None
    error_estimate: float = float("nan")
    error_kind: str = ""
    method: str = "integrated_gradients"

    def summary(self) -> str:
        """One line for people: both ends, the sum, and the errors.

        Returns:
          Text without a line break.
        """
        change = self.target - self.target_baseline
        if np.isnan(self.relative_error):
            relative = (
                f"undefined (the change is below the floor {self.floor:.1e}, read the"
                " absolute error)"
            )
        else:
            relative = f"{self.relative_error:.2e}"
        text = (
            f"target {self.target:.5g}, at the baseline {self.target_baseline:.5g},"
            f" change {change:.5g}; the map sums to {self.sum:.5g}; absolute error"
            f" {self.absolute_error:.2e}, relative error {relative};"
            f" {self.num_steps} steps"
        )
        if self.error_kind:
            text += f"; pixels within {self.error_estimate:.1e} ({self.error_kind})"
        return text


def floor_of(target: float, target_baseline: float) -> float:
    """The change of a target below which a relative error would mean nothing.

    Args:
      target: its value at one end.
      target_baseline: its value at the other.

    Returns:
      A thousandth of the larger size.

    Example:
      >>> floor_of(-5.0, 2.0)
      0.005
    """
    return FLOOR * max(abs(target), abs(target_baseline))


def measure(
    values: jax.Array,
    *,
    ends: tuple[float, float],
    num_steps: int,
    method: str,
    total: float | None = None,
    error_map: jax.Array | None = None,
    error_kind: str = "",
) -> Attribution:
    """The attribution with its errors worked out.

    Args:
      values: the map.
      ends: the target at the picture and at the baseline.
      num_steps: evaluations behind the map.
      method: its name.
      total: the sum of the contributions, where it is not the sum of the map.
      error_map: how far off each value may be.
      error_kind: "rule" or "sampling", where there is an `error_map`.

    Returns:
      An `Attribution`.
    """
    if total is None:
        total = float(np.asarray(values, np.float64).sum())
    change, floor = ends[0] - ends[1], floor_of(*ends)
    error = abs(total - change)
    estimate = float("nan")
    if error_map is not None:
        size = float(jnp.abs(values).sum())
        estimate = float(jnp.abs(error_map).sum()) / size if size > 0 else 0.0
    return Attribution(
        map=values,
        target=ends[0],
        target_baseline=ends[1],
        sum=total,
        absolute_error=error,
        relative_error=error / abs(change) if abs(change) > floor else float("nan"),
        num_steps=num_steps,
        floor=floor,
        error_map=error_map,
        error_estimate=estimate,
        error_kind=error_kind if error_map is not None else "",
        method=method,
    )
