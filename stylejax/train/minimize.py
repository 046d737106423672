"""Minimising a function of one array, a step at a time: Adam and L-BFGS.

The caller evaluates the function at `Descent.trial` and tells the value and gradient:

    state = method.init(x)
    state = method.update(state, *jax.value_and_grad(fn)(state.trial))      # many times

So a step costs one gradient, whichever the method, many minimisations can be mapped
side by side around one batched evaluation, and there is no loop inside. Whose function
is of `stylejax.nn` puts many steps into one `fori_loop`. One that calls `jax.lax`
convolutions is best stepped from the host on a CPU: inside a loop XLA (jax 0.10,
2026-11) gives their gradients a form that takes 7 to 8 times as long
(benchmarks/loop_gradients.py).

L-BFGS here searches along its direction lazily: a trial point that does not decrease
the value enough is rejected and the next step tries half as far. Optax's own line
search calls the function itself, inside a loop.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from stylejax.checks import check_choice, check_positive

Value = Float[Array, ""]

OPTIMIZERS = ("lbfgs", "adam")
# Sufficient decrease, as usual (Nocedal and Wright 2006, chapter 3).
_DECREASE = 1e-4
_SHRINK = 0.5


class Descent(NamedTuple):
    """Where a minimisation stands: a pytree.

    Attributes:
      x: the best point so far with L-BFGS, the newest with Adam.
      value: the function at `x` (Adam: at the point before the last update).
      trial: the point that the next step evaluates.
      slope: L-BFGS: derivative at `x` along the way to `trial` (negative).
      num_rejected: L-BFGS: trials that did not decrease the value.
      memory: the optimiser's own state.
    """

    x: Array
    value: Value
    trial: Array
    slope: Value
    num_rejected: jax.Array
    memory: Any


class Minimizer(NamedTuple):
    """A method.

    Attributes:
      init: the array to start from, to a `Descent`.
      update: (descent, value and gradient at `descent.trial`) to the next `Descent`.
    """

    init: Callable[[Array], Descent]
    update: Callable[[Descent, Value, Array], Descent]


def make(
    optimizer: str, *, learning_rate: Any = 0.02, memory_size: int = 20
) -> Minimizer:
    """A minimiser by its name.

    Args:
      optimizer: one of `OPTIMIZERS`.
      learning_rate: of Adam: a number or an optax schedule over its steps.
      memory_size: of L-BFGS: differences it remembers, two arrays of x's size each.

    Returns:
      A `Minimizer`.

    Raises:
      ValueError: an unknown name, or a memory of no size.

    Example:
      >>> method = make("lbfgs")
      >>> value_and_grad = jax.value_and_grad(lambda x: jnp.sum((x - 1.0) ** 2))
      >>> state = method.init(jnp.float32([3.0, -1.0]))
      >>> for _ in range(12):
      ...     state = method.update(state, *value_and_grad(state.trial))
    """
    check_choice(optimizer, choices=OPTIMIZERS, name="optimizer")
    if optimizer == "adam":
        return _adam(learning_rate)
    check_positive(memory_size, name="memory_size")
    return _lbfgs(memory_size)


def _start(x: Array, memory: Any) -> Descent:
    infinite = jnp.full((), jnp.inf, jnp.float32)
    return Descent(x, infinite, x, -infinite, jnp.zeros((), jnp.int32), memory)


def _adam(learning_rate: Any) -> Minimizer:
    transform = optax.adam(learning_rate)

    def init(x: Array) -> Descent:
        return _start(x, transform.init(x))

    def update(now: Descent, value: Value, gradient: Array) -> Descent:
        updates, memory = transform.update(gradient, now.memory, now.x)
        x = optax.apply_updates(now.x, updates)
        return now._replace(x=x, value=value, trial=x, memory=memory)

    return Minimizer(init, update)


def _lbfgs(memory_size: int) -> Minimizer:
    transform = optax.scale_by_lbfgs(memory_size=memory_size)

    def init(x: Array) -> Descent:
        return _start(x, transform.init(x))

    def update(now: Descent, value: Value, gradient: Array) -> Descent:
        is_first = jnp.isinf(now.slope)
        enough = value <= now.value + _DECREASE * now.slope
        accepted = jnp.isfinite(value) & (is_first | enough)

        def accept() -> Descent:
            direction, memory = _direction(transform, gradient, now)
            return now._replace(
                x=now.trial,
                value=value,
                trial=now.trial + direction,
                slope=jnp.vdot(direction, gradient),
                memory=memory,
            )

        def reject() -> Descent:
            return now._replace(
                trial=now.x + _SHRINK * (now.trial - now.x),
                slope=_SHRINK * now.slope,
                num_rejected=now.num_rejected + 1,
            )

        return jax.lax.cond(accepted, accept, reject)

    return Minimizer(init, update)


def _direction(transform: Any, gradient: Array, now: Descent) -> tuple[Array, Any]:
    """The next direction, and the memory; pairs of bad curvature are not remembered."""
    preconditioned, memory = transform.update(gradient, now.memory, now.trial)
    difference = now.trial - now.memory.params
    curvature = jnp.vdot(difference, gradient - now.memory.updates)
    length = jnp.linalg.norm(gradient)
    has_pair = now.memory.count > 0
    is_good = ~has_pair | (curvature > 1e-10 * jnp.vdot(difference, difference))
    is_descent = jnp.vdot(preconditioned, gradient) > 0
    usable = is_good & is_descent & jnp.all(jnp.isfinite(preconditioned))
    # Without a direction of its own: downhill, as far as the last step went.
    fallback = gradient * jnp.linalg.norm(difference) / jnp.maximum(length, 1e-30)
    direction = -jnp.where(usable, preconditioned, fallback)
    kept = jax.tree.map(
        lambda new, old: jnp.where(usable, new, old), memory, now.memory
    )
    return direction, kept
