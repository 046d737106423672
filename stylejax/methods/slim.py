"""Slim: AdaIN at three depths of a network small enough for a laptop.

    slim maps at 1/2, 1/4, 1/8 -> fusion at each -> slim decoder with skips

Encoder and decoder are trained together. What they are told is what the whole VGG sees:
its style and content losses of the painted picture, and its feature maps, which linear
heads must read off the slim ones (distillation). The heads are not needed to paint.
Style is the Gram matrices' distance relative to the goal's, so that no style and no
layer weighs more than the others.

Reference: the losses of Huang and Belongie 2017, https://arxiv.org/abs/1703.06868; the
decoder's lateral connections carry fused maps, as in Wang et al. 2023 (MicroAST,
https://arxiv.org/abs/2211.15313), whose modulation we do not use.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import linen as nn

from stylejax.losses import content as content_losses
from stylejax.losses import style as style_losses
from stylejax.losses.channel_scale import scaled
from stylejax.methods import fusing
from stylejax.models.slim_style import (
    FUSED,
    MULTIPLE,
    STRIDES,
    TAPS,
    SlimDecoder,
    SlimEncoder,
)
from stylejax.nn import fusion as fusions
from stylejax.pretrained import vgg
from stylejax.train import batching, stylizer_step
from stylejax.train.state import StylizerState
from stylejax.typing import Features, Image, Key, Metrics, Params

_VGG_STRIDES = {"relu1_1": 1, "relu2_1": 2, "relu3_1": 4, "relu4_1": 8}


@dataclasses.dataclass(frozen=True)
class SlimConfig:
    """Every hyper-parameter of the method; it is written beside each checkpoint."""

    # Networks.
    width: int = 32  # channels at half the sides; twice and four times as many deeper
    num_blocks: int = 2  # residual blocks of the decoder at an eighth of the sides
    dtype: str = "float32"  # dtype of the computation: float32 or bfloat16
    fusion: str = "adain"  # adain or wct, when pictures are painted
    features: str = "vgg16"  # VGG weights that judge in training: a name or a file
    image_size: int = 256  # side of the training crops in pixels
    # Losses, all on the judge's features.
    content_weight: float = 1.0  # distance of relu4_1 to the VGG's fused features
    style_weight: float = 5.0  # relative distance of Gram matrices, over four layers
    distillation_weight: float = 1.0  # the VGG's maps, read off the slim ones
    reconstruction_weight: float = 10.0  # L1 of content decoded as it is
    recolor: float = 0.0  # share of the styles that get other colours
    # Optimisation.
    optimizer: Literal["adam", "muon", "sgd"] = "adam"  # muon: for kernels, else Adam
    learning_rate: float = 1e-3  # at the first step
    lr_decay: float = 1e-4  # rate / (1 + decay * step)
    warmup_steps: int = 0  # in which the learning rate rises from nothing
    beta1: float = 0.9  # Adam's decay of the first moment
    beta2: float = 0.999  # Adam's decay of the second moment
    accumulate_steps: int = 1  # parts a batch is split into, gradients averaged
    ema_decay: float = 0.999  # moving average of the parameters; 0: off
    steps_per_epoch: int = 0  # 0: filled in from the data before training
    seed: int = 0  # of initialisation and recolouring


DEFAULT_CONFIG = SlimConfig()


def encoder(config: SlimConfig) -> SlimEncoder:
    """The encoder's module.

    Args:
      config: the method's configuration.

    Returns:
      A module without parameters.
    """
    return SlimEncoder(config.width, dtype=jnp.dtype(config.dtype))


def decoder(config: SlimConfig) -> SlimDecoder:
    """The decoder's module.

    Args:
      config: the method's configuration.

    Returns:
      A module without parameters.
    """
    return SlimDecoder(config.width, config.num_blocks, dtype=jnp.dtype(config.dtype))


class Heads(nn.Module):
    """Linear readings of the judge's maps, in units of their scales, from slim maps.

    Attributes:
      widths: channels of the judge's maps by tap.
    """

    widths: Any

    @nn.compact
    def __call__(self, maps: Features) -> Features:
        return {tap: nn.Dense(width, name=tap)(maps[tap]) for tap, width in self.widths}


def judge(config: SlimConfig) -> Callable[[Image], Features]:
    """The network whose features the losses compare.

    Args:
      config: which weights.

    Returns:
      Function of pictures `b h w 3` in [0, 1] to maps by tap.

    Raises:
      ValueError: weights that end before relu4_1.
    """
    return vgg.features(config.features, TAPS, padding_mode="reflect")


def _heads(config: SlimConfig) -> Heads:
    width = vgg.load_cached(config.features).width
    return Heads(tuple(zip(TAPS, (width * m for m in (1, 2, 4, 8)), strict=True)))


def init(key: Key, config: SlimConfig) -> StylizerState:
    """The first state of a training; `calibrate` it before the first step.

    Args:
      key: PRNG key.
      config: the method's configuration.

    Returns:
      `StylizerState`; the scales of the judge's channels are 1.
    """
    keys = jax.random.split(key, 3)
    image = jnp.zeros((1, 16, 16, 3))
    first = encoder(config).init(keys[0], image)
    maps = encoder(config).apply(first, image)
    heads = _heads(config)
    params = {
        "encoder": first["params"],
        "decoder": decoder(config).init(keys[1], maps)["params"],
        "heads": heads.init(keys[2], maps)["params"],
    }
    scales = {tap: jnp.ones(width) for tap, width in heads.widths}
    return stylizer_step.first_state(params, fixed=scales, config=config)


calibrate = functools.partial(stylizer_step.calibrate, judge)


def make_train_step(
    config: SlimConfig, *, axis_name: str | None = None
) -> Callable[[StylizerState, dict], tuple[StylizerState, Metrics]]:
    """The training step: `a` are contents, `b` styles.

    Args:
      config: the method's configuration.
      axis_name: of the mapped devices under `jax.pmap`.

    Returns:
      Pure function (state, {"a": images, "b": images} in [0, 1]) to (state, metrics).
    """
    feature_fn = judge(config)
    loss = functools.partial(_terms, feature_fn=feature_fn, config=config)
    return stylizer_step.make(loss, config, axis_name=axis_name)


def _terms(
    params: Params,
    given: dict[str, Image],
    scales: Params,
    *,
    feature_fn: Callable[[Image], Features],
    config: SlimConfig,
) -> tuple[dict, Image]:
    """The terms of the loss, weights included, and the stylised pictures."""
    # One pass for what is known at the start.
    pictures = [given["content"], given["style"]]
    slim = functools.partial(encoder(config).apply, {"params": params["encoder"]})
    content, style = batching.apply_together(slim, pictures)
    wide_content, raw_style = batching.apply_together(feature_fn, pictures)
    wide_content, wide_style = (scaled(x, scales) for x in (wide_content, raw_style))
    fused = {
        tap: fusions.adaptive_instance_norm(
            content[tap], fusions.moments(content[tap]), fusions.moments(style[tap])
        )
        for tap in FUSED
    }
    network, variables = decoder(config), {"params": params["decoder"]}

    stylized, same = batching.apply_together(
        functools.partial(network.apply, variables),
        [fused, {tap: content[tap] for tap in FUSED}],
    )

    raw = feature_fn(stylized)
    found = scaled(raw, scales)
    deep, goal = wide_content["relu4_1"], fusions.moments(wide_style["relu4_1"])
    wanted = fusions.adaptive_instance_norm(deep, fusions.moments(deep), goal)
    read = functools.partial(_heads(config).apply, {"params": params["heads"]})
    terms = {
        "content": config.content_weight
        * content_losses.euclidean_distance(found["relu4_1"], wanted).mean(),
        "style": config.style_weight
        * style_losses.relative_gram_loss(raw, raw_style).mean(),
        "reconstruction": config.reconstruction_weight
        * jnp.mean(jnp.abs(same - given["content"])),
        "distillation": config.distillation_weight
        * (
            _distillation(read(content), wide_content)
            + _distillation(read(style), wide_style)
        )
        / 2,
    }
    return terms, stylized


def _distillation(read: Features, wide: Features) -> jax.Array:
    """How far the readings are from the judge's maps, as a share of their variance."""
    total = jnp.zeros(())
    for tap, found in read.items():
        goal = jax.lax.stop_gradient(wide[tap])
        shrink = STRIDES[tap] // _VGG_STRIDES[tap]
        if shrink > 1:
            goal = nn.avg_pool(goal, (shrink, shrink), strides=(shrink, shrink))
        # Each picture by its own variance, so that parts of a batch make no difference.
        spread = jnp.mean(jnp.var(goal, axis=(1, 2)), axis=-1)
        missed = jnp.mean(jnp.square(found - goal), axis=(1, 2, 3))
        total += jnp.mean(missed / (spread + 1e-2))
    return total / len(read)


def painting_params(state: StylizerState) -> Params:
    """What is needed to paint: both networks, as moving averages where there are.

    Args:
      state: of a training.

    Returns:
      {"encoder": params, "decoder": params}.
    """
    found = state.ema_params or state.params
    return {name: found[name] for name in ("encoder", "decoder")}


def with_painting_params(state: StylizerState, params: Params) -> StylizerState:
    """The state of a training that begins with networks that paint already.

    Args:
      state: from `init`.
      params: like `painting_params(state)`.

    Returns:
      The state; average and parameters are the same, the heads those of `state`.
    """
    given = {**state.params, **params}
    return state.replace(params=given, ema_params=given if state.ema_params else {})


def encode_style(params: Params, style: Image, *, config: SlimConfig) -> fusing.Goals:
    """What a style asks for, once for all contents.

    Args:
      params: from `painting_params`.
      style: `b h w 3` in [0, 1], any size; b is 1 or that of the contents.
      config: the method's configuration.

    Returns:
      Statistics by tap.
    """
    maps = encoder(config).apply({"params": params["encoder"]}, style)
    return fusing.goals(maps, FUSED, fusion=config.fusion)


def predict(
    params: Params,
    content: Image,
    goals: Sequence[fusing.Goals],
    plan: fusing.Plan,
    *,
    config: SlimConfig,
    partial: bool = True,
) -> Image:
    """The content painted in the styles; pure.

    Args:
      params: from `painting_params`.
      content: `b h w 3` in [0, 1], any size.
      goals: one for each style, from `encode_style`.
      plan: from `fusing.plan`.
      config: the method's configuration.
      partial: whether the plan may leave something unpainted, see `fusing.painted`.

    Returns:
      `b h w 3`, float32; not clipped.
    """
    encode = functools.partial(encoder(config).apply, {"params": params["encoder"]})
    return fusing.painted(
        content,
        goals,
        plan,
        encode=encode,
        decode=functools.partial(decoder(config).apply, {"params": params["decoder"]}),
        fusion=config.fusion,
        multiple=MULTIPLE,
        partial=partial,
    )


stylize = functools.partial(fusing.stylize, encode_style, predict)
sample = functools.partial(fusing.sample, encode_style, predict)
