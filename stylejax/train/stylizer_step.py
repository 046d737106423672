"""The training step that stylising networks share: one optimiser, no adversary.

A method gives the terms of its loss; recolouring of the styles, gradients over parts of
a batch and over devices, the learning rate, the update, its moving average and the
check that all is finite are here.
"""

from collections.abc import Callable
from typing import Any

import jax

from stylejax import trees
from stylejax.checks import check_choice
from stylejax.image import color_jitter
from stylejax.losses import style as style_losses
from stylejax.losses.channel_scale import channel_means, scaled
from stylejax.train import gradients, optim, skipping
from stylejax.train.state import StylizerState
from stylejax.typing import Features, Image, Key, Metrics, Params, PerExample

Terms = Callable[[Params, dict, Any], tuple[dict, Any]]
"""(params, {"content": images, "style": images}, fixed) to (scalar terms, outputs)."""

STYLE_KINDS = ("moments", "relative_gram")


def optimizer(config: Any) -> Any:
    """The optimiser of a configuration, without its learning rate.

    Args:
      config: has `optimizer`, `beta1` and `beta2`.

    Returns:
      An optax transformation.
    """
    return optim.direction(config.optimizer, beta1=config.beta1, beta2=config.beta2)


def first_state(params: Params, *, fixed: Any, config: Any) -> StylizerState:
    """The first state of a training.

    Args:
      params: what is trained.
      fixed: arrays that belong to the networks and are not trained.
      config: of the method.

    Returns:
      `StylizerState` at step 0.
    """
    return optim.first_state(
        params, optimizer(config), fixed=fixed, ema_decay=config.ema_decay
    )


def calibrate(
    judge: Callable[[Any], Callable[[Image], Features]],
    state: StylizerState,
    images: Image,
    styles: Any,
    *,
    config: Any,
) -> StylizerState:
    """The state with the mean activation of every channel of the judge as its scales.

    Methods whose styles change from step to step bind the first argument.

    Args:
      judge: configuration to the network whose features are compared.
      state: from the method's `init`.
      images: `b h w 3` in [0, 1], content and style pictures.
      styles: of the whole training; only methods with fixed styles look at them.
      config: of the method.

    Returns:
      The state; a channel that is never active counts as a tenth of its layer's mean.
    """
    return state.replace(fixed=channel_means(judge(config), images))


def style_term(
    features: Features, target: Features, scales: Params, *, kind: str
) -> PerExample:
    """The distance of a painted picture's style, summed over the layers.

    Args:
      features: the judge's maps (b, h, w, c) by tap, as they are.
      target: of the style, likewise, with the taps of `features`.
      scales: (c,) by tap, from `channel_means`.
      kind: "moments", the published one, of maps in units of `scales`; or
        "relative_gram", of maps as they are.

    Returns:
      (b,), float32.

    Raises:
      ValueError: an unknown kind.
    """
    check_choice(kind, choices=STYLE_KINDS, name="style_loss")
    if kind == "relative_gram":
        return style_losses.relative_gram_loss(features, target)
    return style_losses.moments_loss(scaled(features, scales), scaled(target, scales))


def make(
    terms_fn: Terms,
    config: Any,
    *,
    axis_name: str | None = None,
    draw: Callable[[Key, int], dict[str, jax.Array]] | None = None,
    is_trained: Callable[[str], bool] | None = None,
) -> Callable[[StylizerState, dict], tuple[StylizerState, Metrics]]:
    """The training step of a loss.

    Args:
      terms_fn: the terms of the loss, weights included, means over the pictures.
      config: of the method: optimizer, learning_rate, lr_decay, warmup_steps, beta1,
        beta2, ema_decay, accumulate_steps, recolor (share of the styles in other
        colours) and seed.
      axis_name: of the mapped devices under `jax.pmap`.
      draw: key and number of pictures to random arrays with a row for each picture,
        which the terms are given as well; None draws none.
      is_trained: path of a parameter, parts joined by slashes, to whether it is
        trained; None trains all.

    Returns:
      Pure function (state, {"a": contents, "b": styles} `b h w 3` in [0, 1]) to (new
      state, metrics).
    """
    across = gradients.Across(axis_name)
    transformation = optimizer(config)

    def step(state: StylizerState, batch: dict) -> tuple[StylizerState, Metrics]:
        key = jax.random.fold_in(jax.random.key(config.seed), state.step)
        count = across.size(batch["b"].shape[0])
        draws = {"color": color_jitter.draw(key, count)}
        if draw is not None:
            draws |= draw(jax.random.fold_in(key, 1), count)
        batch = {"a": batch["a"], "b": batch["b"], "draws": across.share(draws)}

        def terms_of(params: Params, part: dict) -> tuple[dict, Any]:
            drawn = dict(part["draws"])
            style = color_jitter.apply(
                part["b"], drawn.pop("color"), share=config.recolor
            )
            given = {"content": part["a"], "style": style, **drawn}
            return terms_fn(params, given, state.fixed)

        terms, _, grads = gradients.mean_gradients(
            terms_of, state.params, batch, num_parts=config.accumulate_steps
        )
        terms, grads = across.mean(terms), across.mean(grads)
        if is_trained is not None:
            grads = trees.only(grads, is_trained)

        rate = optim.inverse_time(
            state.step,
            rate=config.learning_rate,
            decay=config.lr_decay,
            warmup_steps=config.warmup_steps,
        )
        moved = optim.advance(
            state, grads, transformation, rate=rate, ema_decay=config.ema_decay
        )

        kept, counters = skipping.keep_if_finite(moved, state, checked=(terms, grads))
        return kept, optim.metrics(terms, grads, rate) | counters

    return step
