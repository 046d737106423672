"""AdaIN: content features get the statistics of a style's, a decoder makes the picture.

    features of relu4_1 -> fusion -> decoder

The encoder is a VGG with fixed weights, the decoder its mirror, trained once for all
styles. `fusion="wct"` matches whole covariances through the same decoder, for which
nothing is trained.

Reference: Huang and Belongie 2017, https://arxiv.org/abs/1703.06868, in the weights and
the learning rate of its PyTorch code. We differ in the encoder: the plain VGG, every
channel divided by its mean activation, where theirs is a network normalised in such a
way, so that the published weights of the losses keep their meaning; and in options that
are off by default: reconstruction, recoloured styles, relative Gram distance, a decoder
that begins as the encoder's inverse, Muon and a warm-up.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Literal

import jax.numpy as jnp

from stylejax.losses import content as content_losses
from stylejax.losses.channel_scale import scaled
from stylejax.methods import decoder_fit, fusing
from stylejax.models.adain_decoder import AdaINDecoder
from stylejax.nn import fusion as fusions
from stylejax.pretrained import vgg
from stylejax.train import batching, stylizer_step
from stylejax.train.state import StylizerState
from stylejax.typing import Features, Image, Key, Metrics, Params

TAPS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
"""What the style loss compares; the last one is fused and decoded."""

FUSED = TAPS[-1:]
MULTIPLE = 8
"""Pixels between two positions of relu4_1."""


@dataclasses.dataclass(frozen=True)
class AdaINConfig:
    """Every hyper-parameter of the method; it is written beside each checkpoint."""

    # Networks.
    features: str = "vgg16"  # VGG weights of the encoder: a name or a file
    dtype: str = "float32"  # dtype of the computation: float32 or bfloat16
    fusion: str = "adain"  # adain or wct, when pictures are painted
    # What the decoder begins as: noise, or the inverse of the encoder, in closed form.
    start: Literal["noise", "least_squares"] = "noise"
    image_size: int = 256  # side of the training crops in pixels
    # Losses.
    content_weight: float = 1.0  # distance of relu4_1 to the fused features
    # Means and deviations of maps in units, or Gram matrices relative to their size.
    style_loss: Literal["moments", "relative_gram"] = "moments"
    style_weight: float = 10.0  # distance of the four layers to the style's
    reconstruction_weight: float = 0.0  # L1 of content decoded as it is
    recolor: float = 0.0  # share of the styles that get other colours
    # Optimisation.
    optimizer: Literal["adam", "muon", "sgd"] = "adam"  # muon: for kernels, else Adam
    learning_rate: float = 1e-4  # at the first step
    lr_decay: float = 5e-5  # rate / (1 + decay * step)
    warmup_steps: int = 0  # in which the learning rate rises from nothing
    beta1: float = 0.9  # Adam's decay of the first moment
    beta2: float = 0.999  # Adam's decay of the second moment
    accumulate_steps: int = 1  # parts a batch is split into, gradients averaged
    ema_decay: float = 0.0  # moving average of the decoder; 0: off
    steps_per_epoch: int = 0  # 0: filled in from the data before training
    seed: int = 0  # of initialisation and recolouring


DEFAULT_CONFIG = AdaINConfig()


def encoder(config: AdaINConfig) -> Callable[[Image], Features]:
    """The fixed encoder, its channels as the VGG has them.

    Args:
      config: which weights.

    Returns:
      Function of pictures `b h w 3` in [0, 1] to maps by tap.

    Raises:
      ValueError: weights that end before relu4_1.
    """
    return vgg.features(config.features, TAPS, padding_mode="reflect")


judge = encoder
"""What is trained on is what judges: the VGG."""


def decoder(config: AdaINConfig) -> AdaINDecoder:
    """The decoder that mirrors the encoder.

    Args:
      config: which weights.

    Returns:
      A module without parameters.
    """
    loaded = vgg.load_cached(config.features)
    return AdaINDecoder(loaded.arch, loaded.width, dtype=jnp.dtype(config.dtype))


def init(key: Key, config: AdaINConfig) -> StylizerState:
    """The first state of a training; `calibrate` it before the first step.

    Args:
      key: PRNG key.
      config: the method's configuration.

    Returns:
      `StylizerState`; the channels' scales are 1.
    """
    loaded = vgg.load_cached(config.features)
    widths = [loaded.width * multiple for multiple in (1, 2, 4, 8)]
    scales = {tap: jnp.ones(c) for tap, c in zip(TAPS, widths, strict=True)}
    network = decoder(config)
    params = network.init(key, jnp.zeros((1, 4, 4, widths[-1])))["params"]
    return stylizer_step.first_state(params, fixed=scales, config=config)


calibrate = functools.partial(stylizer_step.calibrate, judge)


def first_networks(
    state: StylizerState, images: Callable[[], Image], *, config: AdaINConfig
) -> StylizerState:
    """The state with the decoder that `config.start` asks for.

    Args:
      state: from `calibrate`.
      images: to some dozens of the training's crops, `b h w 3` in [0, 1].
      config: the method's configuration.

    Returns:
      The state; with "noise" as it was.

    Raises:
      ValueError: an unknown start.
    """
    if not decoder_fit.is_wanted(config.start):
        return state
    feature_fn = functools.partial(
        vgg.features, config.features, padding_mode="reflect"
    )
    params = decoder_fit.fit(decoder(config), feature_fn, state.fixed, images())
    return with_painting_params(state, {"decoder": params, "scales": state.fixed})


def make_train_step(
    config: AdaINConfig, *, axis_name: str | None = None
) -> Callable[[StylizerState, dict], tuple[StylizerState, Metrics]]:
    """The training step: `a` are contents, `b` styles.

    Args:
      config: the method's configuration.
      axis_name: of the mapped devices under `jax.pmap`.

    Returns:
      Pure function (state, {"a": images, "b": images} in [0, 1]) to (state, metrics).
    """
    feature_fn = encoder(config)
    loss = functools.partial(_terms, feature_fn=feature_fn, config=config)
    return stylizer_step.make(loss, config, axis_name=axis_name)


def _terms(
    params: Params,
    given: dict[str, Image],
    scales: Params,
    *,
    feature_fn: Callable[[Image], Features],
    config: AdaINConfig,
) -> tuple[dict, Image]:
    """The terms of the loss, weights included, and the stylised pictures."""
    network, variables = decoder(config), {"params": params}
    raw_content, raw_style = batching.apply_together(
        feature_fn, [given["content"], given["style"]]
    )
    content = scaled(raw_content, scales)["relu4_1"]
    goal = fusions.moments(scaled(raw_style, scales)["relu4_1"])
    fused = fusions.adaptive_instance_norm(content, fusions.moments(content), goal)

    maps = [fused, content] if config.reconstruction_weight else [fused]
    decode = functools.partial(network.apply, variables)
    stylized, *same = batching.apply_together(decode, maps)

    raw = feature_fn(stylized)
    found = scaled(raw, scales)["relu4_1"]
    terms = {
        "content": config.content_weight
        * content_losses.euclidean_distance(found, fused).mean(),
        "style": config.style_weight
        * stylizer_step.style_term(
            raw, raw_style, scales, kind=config.style_loss
        ).mean(),
    }
    if same:
        missed = jnp.mean(jnp.abs(same[0] - given["content"]))
        terms["reconstruction"] = config.reconstruction_weight * missed
    return terms, stylized


def painting_params(state: StylizerState) -> Params:
    """What is needed to paint: the decoder (its moving average, if any) and the scales.

    Args:
      state: of a training.

    Returns:
      {"decoder": params, "scales": (c,) by tap}.
    """
    return {"decoder": state.ema_params or state.params, "scales": state.fixed}


def with_painting_params(state: StylizerState, params: Params) -> StylizerState:
    """The state of a training that begins with a network that paints already.

    Args:
      state: from `init`.
      params: like `painting_params(state)`.

    Returns:
      The state; average and parameters are the same.
    """
    average = params["decoder"] if state.ema_params else {}
    return state.replace(
        params=params["decoder"], ema_params=average, fixed=params["scales"]
    )


def encode_style(params: Params, style: Image, *, config: AdaINConfig) -> fusing.Goals:
    """What a style asks for, once for all contents; pure.

    Args:
      params: from `painting_params`.
      style: `b h w 3` in [0, 1], any size; b is 1 or that of the contents.
      config: the method's configuration.

    Returns:
      Statistics by tap.
    """
    maps = _encode(params, config)(style)
    return fusing.goals(maps, FUSED, fusion=config.fusion)


def predict(
    params: Params,
    content: Image,
    goals: Sequence[fusing.Goals],
    plan: fusing.Plan,
    *,
    config: AdaINConfig,
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
    network = decoder(config)
    return fusing.painted(
        content,
        goals,
        plan,
        encode=_encode(params, config),
        decode=lambda maps: network.apply(
            {"params": params["decoder"]}, maps["relu4_1"]
        ),
        fusion=config.fusion,
        multiple=MULTIPLE,
        partial=partial,
    )


def _encode(params: Params, config: AdaINConfig) -> Callable[[Image], Features]:
    feature_fn = vgg.features(config.features, FUSED, padding_mode="reflect")
    return lambda images: scaled(feature_fn(images), params["scales"])


stylize = functools.partial(fusing.stylize, encode_style, predict)
sample = functools.partial(fusing.sample, encode_style, predict)
