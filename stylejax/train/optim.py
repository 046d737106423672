"""Optimisers and learning rates of adversarial training.

The optimisers here return directions; the step scales them by a learning rate
computed from its own step number, so a skipped step moves the schedule on and the
rate needs no place in the state.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from stylejax import trees
from stylejax.checks import check_choice
from stylejax.train.state import StylizerState
from stylejax.typing import Metrics

OPTIMIZERS = ("adam", "sgd", "muon")


def direction(name: str, *, beta1: float, beta2: float) -> optax.GradientTransformation:
    """Returns the optimiser without its learning rate.

    Args:
      name: "adam"; "sgd" (plain gradient descent, for parity tests: Adam's
        sign-like first step hides a wrong scale); or "muon", which turns the momentum
        of each kernel into the nearest matrix with equal singular values (kernels are
        matrices of inputs by outputs) and has Adam for all else.
      beta1: decay of the first moment; Muon's momentum is 0.95 whatever this is.
      beta2: decay of the second moment.

    Returns:
      An optax transformation whose updates are to be multiplied by minus the rate.

    Raises:
      ValueError: unknown name.

    Reference: Muon is Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/,
    with updates as large as Adam's (Liu et al. 2025, https://arxiv.org/abs/2502.16982).
    """
    check_choice(name, choices=OPTIMIZERS, name="optimizer")
    if name == "sgd":
        return optax.identity()
    if name == "muon":
        descent = optax.contrib.muon(
            learning_rate=1.0,
            adam_b1=beta1,
            adam_b2=beta2,
            muon_weight_dimension_numbers=_kernels,
            consistent_rms=0.2,
        )
        return optax.chain(descent, optax.scale(-1.0))
    return optax.scale_by_adam(b1=beta1, b2=beta2, eps=1e-8)


def _kernels(params: optax.Params) -> Any:
    """Which parameters are matrices to Muon: kernels, and no tables of vectors."""

    def numbers(path: tuple, x: jax.Array) -> Any:
        if getattr(path[-1], "key", "") != "kernel":
            return None
        return optax.contrib.MuonDimensionNumbers(tuple(range(x.ndim - 1)), x.ndim - 1)

    return jax.tree_util.tree_map_with_path(numbers, params)


def constant_then_linear(
    step: jax.Array, *, steps_per_epoch: int, constant_epochs: int, decay_epochs: int
) -> jax.Array:
    """Returns the factor on the learning rate at `step`.

        1 - max(0, e - constant_epochs) / (decay_epochs + 1),  e = 1 + step // epoch

    It changes once an epoch and never reaches zero within the planned epochs; past
    them it stays at zero.

    Args:
      step: int32 scalar, steps taken before this one.
      steps_per_epoch: steps of one epoch.
      constant_epochs: epochs at full rate.
      decay_epochs: epochs of linear decay.

    Returns:
      float32 scalar in [0, 1].

    Example:
      >>> rule = {"steps_per_epoch": 1, "constant_epochs": 1, "decay_epochs": 1}
      >>> float(constant_then_linear(1, **rule))
      0.5

    Reference: the rule of the CycleGAN reference code, `lr_policy` linear.
    """
    epoch = 1 + jnp.asarray(step) // steps_per_epoch
    decayed = jnp.maximum(0, epoch - constant_epochs).astype(jnp.float32)
    return jnp.maximum(0.0, 1.0 - decayed / (decay_epochs + 1))


def inverse_time(
    step: jax.Array, *, rate: float, decay: float, warmup_steps: int = 0
) -> jax.Array:
    """Returns the learning rate at `step`.

        min(1, (step + 1) / warmup_steps) * rate / (1 + decay * step)

    Args:
      step: int32 scalar, steps taken before this one.
      rate: at the first step, were there no warm-up.
      decay: 0 keeps it.
      warmup_steps: in which the rate rises to this in a straight line. Adam's first
        steps move every weight by the whole rate, all in one direction, which undoes
        networks that were good already.

    Returns:
      float32 scalar.

    Reference: the rule of the AdaIN reference code; the warm-up is ours.
    """
    step = jnp.asarray(step, jnp.float32)
    risen = jnp.minimum(1.0, (step + 1.0) / max(warmup_steps, 1))
    return risen * rate / (1.0 + decay * step)


def descend(
    optimizer: optax.GradientTransformation,
    params: optax.Params,
    opt_state: optax.OptState,
    grads: optax.Updates,
    *,
    rate: jax.Array,
) -> tuple[optax.Params, optax.OptState]:
    """Returns the parameters and the optimiser state after one update.

    Args:
      optimizer: from `direction`.
      params: pytree of arrays.
      opt_state: the optimiser's state.
      grads: gradients like `params`.
      rate: learning rate, float32 scalar.

    Returns:
      (`params - rate * direction`, new optimiser state).
    """
    updates, opt_state = optimizer.update(grads, opt_state, params)
    return jax.tree.map(lambda p, u: p - rate * u, params, updates), opt_state


def moving_average(
    average: optax.Params, params: optax.Params, *, decay: float, step: jax.Array
) -> optax.Params:
    """Returns the exponential moving average of `params` after one more step.

    The decay is min(decay, (1 + step) / (10 + step)), so that the random first
    parameters are forgotten quickly.

    Args:
      average: pytree before the step.
      params: pytree of the new parameters.
      decay: weight of the old average in [0, 1); 0 is off and returns `average`.
      step: int32 scalar, steps taken.

    Returns:
      Pytree like `params`.
    """
    if not decay:
        return average
    warm = (1.0 + step) / (10.0 + step)
    kept = jnp.minimum(decay, warm)
    return optax.incremental_update(params, average, 1.0 - kept)


def first_state(
    params: optax.Params,
    optimizer: optax.GradientTransformation,
    *,
    fixed: Any,
    ema_decay: float,
) -> StylizerState:
    """Returns the first state of a training with one optimiser.

    Args:
      params: what is trained.
      optimizer: from `direction`.
      fixed: arrays that are not trained.
      ema_decay: of the moving average; 0 for none.

    Returns:
      `StylizerState` at step 0.
    """
    zero = jnp.zeros((), jnp.int32)
    return StylizerState(
        step=zero,
        params=params,
        fixed=fixed,
        opt_state=optimizer.init(params),
        ema_params=jax.tree.map(jnp.copy, params) if ema_decay else {},
        skipped_in_a_row=zero,
        skipped_total=zero,
    )


def advance(
    state: StylizerState,
    grads: optax.Updates,
    optimizer: optax.GradientTransformation,
    *,
    rate: jax.Array,
    ema_decay: float,
) -> StylizerState:
    """Returns the state after one update; its counters stay.

    Args:
      state: before.
      grads: gradients like `state.params`.
      optimizer: the one `first_state` was given.
      rate: learning rate, float32 scalar.
      ema_decay: of the moving average; 0 for none.

    Returns:
      `StylizerState`.
    """
    params, opt_state = descend(
        optimizer, state.params, state.opt_state, grads, rate=rate
    )
    average = moving_average(state.ema_params, params, decay=ema_decay, step=state.step)
    return state.replace(params=params, opt_state=opt_state, ema_params=average)


def metrics(terms: dict, grads: optax.Updates, rate: jax.Array) -> Metrics:
    """Returns what a step with one optimiser reports.

    Args:
      terms: scalar terms of the loss, by name.
      grads: gradients of their sum.
      rate: learning rate.

    Returns:
      `loss/...` of each term and of the total, the gradient's norm, the rate.
    """
    found = {f"loss/{name}": jnp.asarray(x, jnp.float32) for name, x in terms.items()}
    return found | {
        "loss/total": sum(found.values(), start=jnp.zeros(())),
        "norm/gradient": trees.norm(grads),
        "learning_rate": rate,
    }
