"""Ridge and logistic regression on principal axes, where both are easy. Pure.

On the axes of `stylejax.explain.principal_basis` ridge is a division, and what Newton's
method for the logistic losses has to solve is nearly diagonal: conjugate gradients need
a few products with the features for a step, and no matrix of `k r` by `k r` is made.
The public face of this is `stylejax.explain.probes`.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from stylejax.explain.principal_basis import Basis

# Ridge: what rounding leaves of the residual is solved for again.
_PASSES, _REDUCTION = 2, 1e-5
# Newton's inner loop: products with the features for one step, at most.
_PRODUCTS = 100
# What is left of a curvature where every probability is 0 or 1.
_FLAT = 1e-6
# Shares of a Newton step that are tried: the first that does not overshoot is taken.
_SHARES = tuple(2.0**-i for i in range(12))


_Map = Callable[[jax.Array], jax.Array]


class Fit(NamedTuple):
    """A solution on the axes of a `Basis`.

    Attributes:
      values: `r k`, the weights on the axes.
      offset: `k`, the scores at the training mean.
      gradient_norm: of the mean objective, over the features' root mean square length:
        no feature's unit and no number of examples enters.
      num_iterations: Newton steps.
    """

    values: Float[Array, "r k"]
    offset: Float[Array, " k"]
    gradient_norm: Float[Array, ""]
    num_iterations: Array


def solve_ridge(
    basis: Basis,
    targets: Float[Array, "n k"],
    weights: Float[Array, " n"],
    l2: Float[Array, ""],
) -> Fit:
    """The minimum of `sum_i w_i |y_i - v x_i - b|^2 / 2 + l2/2 |v|^2`, in closed form.

    A division on exact axes; on rounded ones, conjugate gradients that start with it.

    Args:
      basis: from `principal_basis` with the same weights.
      targets: `n k`.
      weights: `n`.
      l2: penalty, above 0.

    Returns:
      A `Fit`; `offset` is the weighted mean of the targets.
    """
    offset = weights @ targets / weights.sum()
    residual = targets - offset[None]

    diagonal = basis.spectrum + l2

    def product(values: Array) -> Array:
        fitted = weights[:, None] * (basis.rows @ values)
        return basis.rows.T @ fitted + l2 * (basis.metric @ values)

    def divided(values: Array) -> Array:
        return values / diagonal[:, None]

    def descent(values: Array) -> Array:
        error = weights[:, None] * (residual - basis.rows @ values)
        return basis.rows.T @ error - l2 * (basis.metric @ values)

    def corrected(_: Array, values: Array) -> Array:
        left = descent(values)
        return values + _conjugate_gradients(product, divided, left, _REDUCTION)

    values = jnp.zeros((basis.rows.shape[1], targets.shape[1]))
    values = jax.lax.fori_loop(0, _PASSES, corrected, values)
    total = weights.sum()
    norm = jnp.linalg.norm(descent(values)) / (_length(basis, total) * total)
    return Fit(values, offset, norm, jnp.asarray(1))


def solve_logistic(
    basis: Basis,
    targets: Float[Array, "n k"],
    weights: Float[Array, " n"],
    l2: Float[Array, ""],
    start: tuple[Float[Array, "r k"], Float[Array, " k"]],
    *,
    tolerance: float | Float[Array, ""],
    max_iterations: int | Array,
) -> Fit:
    """The minimum of `sum_i w_i log loss_i + l2/2 |v|^2`, by Newton's method.

    Args:
      basis: from `principal_basis` with the same weights.
      targets: `n 1` of 0 and 1 (logistic), or `n k` with one 1 in each row
        (multinomial).
      weights: `n`.
      l2: penalty, above 0.
      start: values `r k` and offset `k` to start from.
      tolerance: where `Fit.gradient_norm` may stop.
      max_iterations: Newton steps, at most.

    Returns:
      A `Fit`. The offsets of several classes sum to zero: the loss leaves that open.

    Reference: Nocedal and Wright, "Numerical Optimization", 2006, algorithm 7.1. Our
      preconditioner is the mean curvature of each class times the features' spectrum.
    """
    problem = _problem(basis, targets, weights, l2)

    def unsolved(state: _State) -> Array:
        norm = _norm(problem, state.gradient)
        return (norm > tolerance) & (state.num_iterations < max_iterations)

    position = jnp.concatenate([start[0], start[1][None]])
    state = _state(problem, position, jnp.asarray(0))
    state = jax.lax.while_loop(unsolved, lambda s: _newton_step(problem, s), state)
    values, offset = state.position[:-1], state.position[-1]
    offset = offset - offset.mean() if len(offset) > 1 else offset
    return Fit(values, offset, _norm(problem, state.gradient), state.num_iterations)


class _Problem(NamedTuple):
    """A logistic problem whose last axis is the intercept: a one for each example."""

    rows: Float[Array, "n r+1"]
    spectrum: Float[Array, " r+1"]
    penalty: Float[Array, "r+1 r+1"]
    unit: Float[Array, " r+1"]
    targets: Float[Array, "n k"]
    weights: Float[Array, " n"]


class _State(NamedTuple):
    position: Float[Array, "r+1 k"]
    scores: Float[Array, "n k"]
    gradient: Float[Array, "r+1 k"]
    num_iterations: Array


def _problem(basis: Basis, targets: Array, weights: Array, l2: Array) -> _Problem:
    total = weights.sum()
    length = jnp.tile(_length(basis, total), len(basis.spectrum))
    return _Problem(
        rows=jnp.concatenate([basis.rows, jnp.ones((len(basis.rows), 1))], axis=1),
        spectrum=jnp.append(basis.spectrum, total),
        penalty=jnp.pad(l2 * basis.metric, (0, 1)),
        unit=jnp.append(length, 1) * total,
        targets=targets,
        weights=weights,
    )


def _length(basis: Basis, total: Array) -> Array:
    """The root mean square length of the training features."""
    return jnp.sqrt(jnp.maximum(basis.spectrum.sum() / total, _FLAT))


def _norm(problem: _Problem, gradient: Array) -> Array:
    return jnp.linalg.norm(gradient / problem.unit[:, None])


def _probabilities(scores: Array) -> Array:
    if scores.shape[-1] == 1:
        return jax.nn.sigmoid(scores)
    return jax.nn.softmax(scores, axis=-1)


def _pulled_back(problem: _Problem, errors: Array, position: Array) -> Array:
    """Errors of the examples as a gradient, the penalty's added."""
    errors = problem.weights[:, None] * errors
    return problem.rows.T @ errors + problem.penalty @ position


def _state(problem: _Problem, position: Array, count: Array) -> _State:
    scores = problem.rows @ position
    errors = _probabilities(scores) - problem.targets
    return _State(position, scores, _pulled_back(problem, errors, position), count)


def _newton_step(problem: _Problem, state: _State) -> _State:
    step = _newton_direction(problem, state)
    position = state.position + _share(problem, state, step) * step
    return _state(problem, position, state.num_iterations + 1)


def _newton_direction(problem: _Problem, state: _State) -> Array:
    """The solution of `Hessian step = -gradient`, as closely as pays off."""
    probabilities = _probabilities(state.scores)
    curvature = probabilities * (1 - probabilities)
    mean_curvature = problem.weights @ curvature / problem.weights.sum()
    mean_curvature = jnp.maximum(mean_curvature, _FLAT)
    diagonal = problem.spectrum[:, None] * mean_curvature[None]
    diagonal = diagonal + jnp.diag(problem.penalty)[:, None]
    several = curvature.shape[1] > 1

    def hessian(step: Array) -> Array:
        change = problem.rows @ step
        if several:
            change = change - (probabilities * change).sum(axis=1, keepdims=True)
            return _pulled_back(problem, probabilities * change, step)
        return _pulled_back(problem, curvature * change, step)

    def precondition(residual: Array) -> Array:
        return residual / diagonal

    reduction = jnp.minimum(0.1, jnp.sqrt(_norm(problem, state.gradient)))
    return _conjugate_gradients(hessian, precondition, -state.gradient, reduction)


_Search = tuple[Array, Array, Array, Array, Array]


def _conjugate_gradients(
    product: _Map, precondition: _Map, target: Array, reduction: Array | float
) -> Array:
    """Solves `product(x) = target` until the residual is reduced so far."""

    def unsolved(state: _Search) -> Array:
        *_, energy, count = state
        return (energy > reduction**2 * first_energy) & (count < _PRODUCTS)

    def advance(state: _Search) -> _Search:
        x, residual, direction, energy, count = state
        image = product(direction)
        curvature = jnp.vdot(direction, image)
        length = jnp.where(curvature > 0, energy / curvature, 0)
        x, residual = x + length * direction, residual - length * image
        scaled = precondition(residual)
        new_energy = jnp.vdot(residual, scaled)
        direction = scaled + new_energy / energy * direction
        # Logits may all be shifted alike: once that is all that is left, there is no
        # curvature but for rounding, and a division by it.
        new_energy = jnp.where(curvature > 0, new_energy, 0)
        return x, residual, direction, new_energy, count + 1

    direction = precondition(target)
    first_energy = jnp.vdot(target, direction)
    zero, count = jnp.zeros_like(target), jnp.asarray(0)
    state = (zero, target, direction, first_energy, count)
    return jax.lax.while_loop(unsolved, advance, state)[0]


def _share(problem: _Problem, state: _State, step: Array) -> Array:
    """The largest share of a step at whose end the loss does not rise steeply.

    Slopes are compared, not losses: near the minimum losses differ by less than their
    rounding. The loss is convex, so that a slope tells on which side one is.
    """
    shares = jnp.asarray(_SHARES)
    change = (problem.rows @ step)[None]
    scores = state.scores[None] + shares[:, None, None] * change
    errors = _probabilities(scores) - problem.targets[None]
    data = (problem.weights[None, :, None] * errors * change).sum(axis=(1, 2))
    pull = problem.penalty @ step
    penalty = jnp.vdot(pull, state.position) + shares * jnp.vdot(pull, step)
    overshoots = data + penalty > 0.5 * jnp.abs(jnp.vdot(state.gradient, step))
    # The first that does not; where all do, the smallest.
    return shares[jnp.argmin(overshoots.at[-1].set(False))]
