"""Integrated gradients that add up, and say by how much they do not.

A target is a function from pictures `b h w c` to one number each, `b` (a function that
returns one scalar works too). How it is called, and when it is compiled anew, is said
in `stylejax.explain.paths`.
"""

import dataclasses
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from stylejax.checks import check_positive
from stylejax.explain.baselines import is_constant, make_baseline
from stylejax.explain.paths import PROBES, Picture, StraightPath
from stylejax.typing import ScalarFn

# A target already this close to its full change at every probe did its changing in a
# sliver next to the baseline.
_SATURATED = 0.05
# Below this share of the target's own size, a change is too small to divide by.
_FLOOR = 1e-3


class CompletenessWarning(UserWarning):
    """The attribution does not add up as closely as was asked for."""


@dataclasses.dataclass(frozen=True, eq=False)
class Attribution:
    """How much each input value contributed to a target, and how well that adds up.

    Attributes:
      map: signed contributions, in the target's unit, of the picture's shape.
      target: the target's value on the picture.
      target_baseline: its value on the baseline.
      sum: the sum of `map`; complete if equal to `target - target_baseline`.
      absolute_error: `|sum - (target - target_baseline)|`.
      relative_error: `absolute_error / |target - target_baseline|`, or NaN where that
        change is below `floor` and a ratio would mean nothing.
      num_steps: nodes of the rule that were used.
      floor: the change below which the relative error is undefined.
    """

    map: jax.Array
    target: float
    target_baseline: float
    sum: float
    absolute_error: float
    relative_error: float
    num_steps: int
    floor: float

    def summary(self) -> str:
        """One line for people: both ends, the sum, and the completeness error.

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
        return (
            f"target {self.target:.5g}, at the baseline {self.target_baseline:.5g},"
            f" change {change:.5g}; the map sums to {self.sum:.5g}; absolute error"
            f" {self.absolute_error:.2e}, relative error {relative};"
            f" {self.num_steps} steps"
        )


def integrated_gradients(
    fn: ScalarFn,
    image: Any,
    *,
    baseline: Any = "blur",
    num_steps: int = 32,
    rule: str = "gauss_legendre",
    chunk: int | None = None,
    tolerance: float | None = None,
    max_num_steps: int = 1024,
    allow_constant_baseline: bool = False,
) -> Attribution:
    """Integrated gradients of a scalar function, with their completeness error.

    `map_i = (x_i - x'_i) sum_k w_k dF/dx_i(x' + alpha_k (x - x'))`, which for the exact
    integral sums to `F(x) - F(x')`. `CompletenessWarning` says a missed `tolerance`.

    Args:
      fn: pictures `b h w c` to one number each, `b` (or a scalar); differentiable. To
        explain a network, put a target of `stylejax.explain.targets` behind it.
      image: one picture `h w c` or `1 h w c`, float, in the range that `fn` expects.
      baseline: where the path starts: a name in `baselines.BASELINES` or a picture.
      num_steps: nodes of the rule; each costs one gradient.
      rule: a name in `quadrature.RULES`.
      chunk: points differentiated at once, which alone decides the memory; by default
        16, fewer for pictures of more than 90 x 90 pixels.
      tolerance: double the nodes until the absolute error is at most this share of the
        target's change (of `Attribution.floor` where the change is smaller).
      max_num_steps: where that doubling stops.
      allow_constant_baseline: explain even where a constant baseline is meaningless.

    Returns:
      An `Attribution`; `map` has the shape of `image`, with no axis reduced.

    Raises:
      ValueError: a wrong shape, name or number; a target that is not finite; a
        constant baseline that a normalisation layer of `fn` cancels.
      TypeError: `image` is not float.

    Example:
      >>> doubled = lambda x: 2 * x.sum(axis=(1, 2, 3))
      >>> integrated_gradients(doubled, jnp.ones((1, 1, 3)), baseline="zero").map
      Array([[[2., 2., 2.]]], dtype=float32)

    Reference: Sundararajan, Taly and Yan, "Axiomatic Attribution for Deep Networks",
      2017. Ours starts from a blur instead of black, and uses Gauss-Legendre nodes.
    """
    picture = _one_picture(image)
    _check_function(fn, picture)
    start = make_baseline(baseline, image=picture)
    path = StraightPath(fn, picture, start, num_steps=num_steps, rule=rule, chunk=chunk)
    ends = _ends(path, allow_constant_baseline)
    result = _refine(path, ends, num_steps, tolerance, max_num_steps)
    return dataclasses.replace(result, map=result.map.reshape(jnp.shape(image)))


def _ends(path: StraightPath, allow_constant_baseline: bool) -> tuple[float, float]:
    """The target at the picture and at the baseline, once both can be trusted."""
    target_baseline, *probes, target = path.values()
    if not np.isfinite([target, target_baseline]).all():
        raise ValueError(
            f"fn: expected a finite target, got {target} at the picture and"
            f" {target_baseline} at the baseline; check the function and its parameters"
        )
    if allow_constant_baseline or not is_constant(path.baseline):
        return target, target_baseline
    change = abs(target - target_baseline)
    distance = max(abs(value - target) for value in probes)
    if change > _floor(target, target_baseline) and distance <= _SATURATED * change:
        raise ValueError(
            "baseline: expected one whose path the function can follow, got a constant"
            f" colour: from alpha={PROBES[0]} on the target is within"
            f" {distance / change:.1%} of its full change, as when a normalisation"
            " layer cancels the path, and the gradients would miss it; use"
            " baseline='blur' or another picture (or force it with"
            " allow_constant_baseline=True)"
        )
    return target, target_baseline


def _refine(
    path: StraightPath,
    ends: tuple[float, float],
    num_steps: int,
    tolerance: float | None,
    max_num_steps: int,
) -> Attribution:
    """The attribution with as many nodes as the tolerance asks for."""
    if tolerance is not None:
        check_positive(tolerance, name="tolerance")
    while True:
        gradient = path.average_gradient(num_steps=num_steps)
        result = _attribution((path.image - path.baseline) * gradient, ends, num_steps)
        scale = max(abs(ends[0] - ends[1]), result.floor)
        if tolerance is None or result.absolute_error <= tolerance * scale:
            return result
        if 2 * num_steps > max_num_steps:
            break
        num_steps *= 2
    warnings.warn(
        f"tolerance {tolerance:g} not met: absolute error {result.absolute_error:.2e}"
        f" against a change of {ends[0] - ends[1]:.5g} after {num_steps} {path.rule}"
        " steps; raise max_num_steps, try another baseline, or read the map with this"
        " error in mind",
        CompletenessWarning,
        stacklevel=3,
    )
    return result


def _floor(target: float, target_baseline: float) -> float:
    return _FLOOR * max(abs(target), abs(target_baseline))


def _attribution(
    contributions: jax.Array, ends: tuple[float, float], num_steps: int
) -> Attribution:
    total = float(np.asarray(contributions, np.float64).sum())
    change, floor = ends[0] - ends[1], _floor(*ends)
    error = abs(total - change)
    return Attribution(
        map=contributions,
        target=ends[0],
        target_baseline=ends[1],
        sum=total,
        absolute_error=error,
        relative_error=error / abs(change) if abs(change) > floor else float("nan"),
        num_steps=num_steps,
        floor=floor,
    )


def _one_picture(image: Any) -> Picture:
    shape = jnp.shape(image)
    if len(shape) == 4 and shape[0] != 1:
        raise ValueError(
            f"image: expected one picture, got a batch of {shape[0]}; explain them one"
            " at a time, image[i]"
        )
    if len(shape) not in (3, 4) or 0 in shape:
        raise ValueError(
            f"image: expected one picture (h, w, c) or (1, h, w, c), got shape {shape}"
        )
    dtype = image.dtype if hasattr(image, "dtype") else np.asarray(image).dtype
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(
            f"image: expected floats, got {dtype}; convert with"
            " stylejax.image.color.to_float"
        )
    picture = jnp.asarray(image).reshape(shape[-3:])
    if not np.isfinite(np.asarray(picture)).all():
        raise ValueError("image: expected finite values, got NaN or infinity")
    return picture.astype(jnp.promote_types(picture.dtype, jnp.float32))


def _check_function(fn: ScalarFn, picture: Picture) -> None:
    out = jax.eval_shape(fn, jax.ShapeDtypeStruct((1, *picture.shape), picture.dtype))
    is_array = isinstance(out, jax.ShapeDtypeStruct)
    fits = is_array and out.shape in ((), (1,))
    if not fits or not jnp.issubdtype(out.dtype, jnp.floating):
        got = f"{out.dtype} of shape {out.shape}" if is_array else type(out).__name__
        raise ValueError(
            "fn: expected one float for a batch of one picture, shape (1,) or (), got"
            f" {got}; put a target behind it, as parse_target('mean:red').of(fn)"
        )
