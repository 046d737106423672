"""Integrated gradients that add up, and say by how much they do not.

A target is a function from pictures `b h w c` to one number each, `b` (a function that
returns one scalar works too). How it is called, and when it is compiled anew, is said
in `stylejax.explain.paths`.
"""

import warnings
from typing import Any

import jax.numpy as jnp
import numpy as np

from stylejax.checks import check_positive
from stylejax.explain.baselines import is_constant, make_baseline
from stylejax.explain.cancellation import refuse_cancelled
from stylejax.explain.completeness import (
    Attribution,
    CompletenessWarning,
    floor_of,
    measure,
)
from stylejax.explain.paths import Piece, StraightPath
from stylejax.explain.pictures import check_function, one_picture
from stylejax.explain.refinement import refine
from stylejax.typing import ScalarFn


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
      tolerance: halve the pieces of the path that do not add up, and keep those that
        do, until the absolute error is at most this share of the target's change (of
        `Attribution.floor` where the change is smaller).
      max_num_steps: nodes at which that stops.
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
    picture = one_picture(image)
    check_function(fn, picture)
    start = make_baseline(baseline, image=picture)
    path = StraightPath(fn, picture, start, num_steps=num_steps, rule=rule, chunk=chunk)
    ends = _ends(path, allow_constant_baseline)
    pieces = [path.piece(0.0, 1.0, values=ends[::-1], num_steps=num_steps)]
    met = True
    if tolerance is not None:
        check_positive(tolerance, name="tolerance")
        allowed = tolerance * max(abs(ends[0] - ends[1]), floor_of(*ends))
        pieces, met = refine(path, pieces, allowed=allowed, max_steps=max_num_steps)
    result = _attribution(path, pieces, ends, shape=jnp.shape(image))
    if not met:
        _warn(result, tolerance, path.rule)
    return result


def _ends(path: StraightPath, allow_constant_baseline: bool) -> tuple[float, float]:
    """The target at the picture and at the baseline, once both can be trusted."""
    target_baseline, *probes, target = path.values()
    if not np.isfinite([target, target_baseline]).all():
        raise ValueError(
            f"fn: expected a finite target, got {target} at the picture and"
            f" {target_baseline} at the baseline; check the function and its parameters"
        )
    if not allow_constant_baseline and is_constant(path.baseline):
        refuse_cancelled([target_baseline, *probes, target])
    return target, target_baseline


def _attribution(
    path: StraightPath,
    pieces: list[Piece],
    ends: tuple[float, float],
    *,
    shape: tuple[int, ...],
) -> Attribution:
    """The pieces of the path put together."""
    fine = sum((p.gradients[0] for p in pieces[1:]), pieces[0].gradients[0])
    difference = path.image - path.baseline
    num_steps = sum(piece.num_steps for piece in pieces)
    # One node has no coarser rule to be compared with.
    errors = [jnp.abs(difference * (p.gradients[0] - p.gradients[1])) for p in pieces]
    known = pieces[0].num_steps > 1
    return measure(
        (difference * fine).reshape(shape),
        ends=ends,
        num_steps=num_steps,
        method="integrated_gradients",
        error_map=sum(errors[1:], errors[0]).reshape(shape) if known else None,
        error_kind="rule",
    )


def _warn(result: Attribution, tolerance: float | None, rule: str) -> None:
    change = result.target - result.target_baseline
    warnings.warn(
        f"tolerance {tolerance:g} not met: absolute error {result.absolute_error:.2e}"
        f" against a change of {change:.5g} after {result.num_steps} {rule} steps;"
        " raise max_num_steps, try another baseline, or read the map with this error"
        " in mind",
        CompletenessWarning,
        stacklevel=3,
    )
