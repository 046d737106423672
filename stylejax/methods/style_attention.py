"""Style attention: content positions are painted from style positions they attend to.

At two depths of a VGG the content asks and the style answers; a decoder makes the
picture from both. The attention is part of the result: `attention_of` gives its exact
rows, "this patch of the output was painted from those patches of the style".

Reference: Liu et al. 2021 (AdaAttN), https://arxiv.org/abs/2108.03647, with identity
losses of Park and Lee 2019 (SANet), https://arxiv.org/abs/1812.02342. We differ in the
network (VGG-16, channels by their mean activation, relu3_1 and relu4_1) and in how
style positions are thinned out (on a grid).
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from stylejax.image import resize
from stylejax.losses import content as content_losses
from stylejax.losses.channel_scale import scaled
from stylejax.methods import control as controls
from stylejax.methods import decoder_fit, fusing
from stylejax.methods.control import StyleControl
from stylejax.models.adain_decoder import AdaINDecoder
from stylejax.models.style_attention import StyleAttention, StyleKeys
from stylejax.models.vgg import MULTIPLES
from stylejax.nn import attention
from stylejax.nn import fusion as fusions
from stylejax.pretrained import vgg
from stylejax.train import batching, stylizer_step
from stylejax.train.state import StylizerState
from stylejax.typing import Features, Image, Key, Metrics, Params

TAPS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
FUSED = ("relu3_1", "relu4_1")
MULTIPLE = 8


@dataclasses.dataclass(frozen=True)
class StyleAttentionConfig:
    """Every hyper-parameter of the method; it is written beside each checkpoint."""

    # Networks.
    features: str = "vgg16"  # VGG weights of the encoder: a name or a file
    max_keys: int = 4096  # style positions of a depth that are looked at
    tile: int = 1024  # content positions worked on at a time
    dtype: str = "float32"  # dtype of the computation: float32 or bfloat16
    # What the decoder begins as: noise, or the inverse of the encoder, in closed form.
    start: Literal["noise", "least_squares"] = "noise"
    image_size: int = 256  # side of the training crops in pixels
    # Losses.
    global_weight: float = 10.0  # distance of the four layers to the style's
    # Means and deviations of maps in units, or Gram matrices relative to their size.
    style_loss: Literal["moments", "relative_gram"] = "moments"
    local_weight: float = 3.0  # to attention without parameters, position by position
    identity_weight: float = 10.0  # L1 of a picture painted in its own style
    identity_features_weight: float = 1.0  # the same, on the maps of four layers
    recolor: float = 0.0  # share of the styles that get other colours
    # Optimisation.
    optimizer: Literal["adam", "muon", "sgd"] = "adam"  # muon: for kernels, else Adam
    learning_rate: float = 2e-4  # at the first step
    lr_decay: float = 5e-5  # rate / (1 + decay * step)
    warmup_steps: int = 0  # in which the learning rate rises from nothing
    beta1: float = 0.9  # Adam's decay of the first moment
    beta2: float = 0.999  # Adam's decay of the second moment
    accumulate_steps: int = 1  # parts a batch is split into, gradients averaged
    ema_decay: float = 0.0  # moving average of the parameters; 0: off
    steps_per_epoch: int = 0  # 0: filled in from the data before training
    seed: int = 0  # of initialisation and recolouring


DEFAULT_CONFIG = StyleAttentionConfig()


class AttentionRows(NamedTuple):
    """Exact rows of the attention of one depth.

    Attributes:
      rows: (b, n, m); row n sums to 1.
      queries: (n, 2), row and column of the content positions, in pixels (centres).
      keys: (m, 2), of the style positions, in pixels of the prepared style picture.
    """

    rows: Float[Array, "b n m"]
    queries: Float[Array, "n 2"]
    keys: Float[Array, "m 2"]


def judge(config: StyleAttentionConfig) -> Callable[[Image], Features]:
    """The fixed encoder, which also judges.

    Args:
      config: which weights.

    Returns:
      Function of pictures `b h w 3` in [0, 1] to maps by tap.

    Raises:
      ValueError: weights that end before relu4_1.
    """
    return vgg.features(config.features, TAPS, padding_mode="reflect")


def _width(config: StyleAttentionConfig, tap: str) -> int:
    loaded = vgg.load_cached(config.features)
    return loaded.width * MULTIPLES[int(tap[4]) - 1]


def level(config: StyleAttentionConfig, tap: str) -> StyleAttention:
    """The attention of one depth.

    Args:
      config: the method's configuration.
      tap: one of `FUSED`.

    Returns:
      A module without parameters.
    """
    return StyleAttention(
        _width(config, tap), config.max_keys, config.tile, jnp.dtype(config.dtype)
    )


def decoder(config: StyleAttentionConfig) -> AdaINDecoder:
    """The decoder; relu3_1 enters it where the maps are of its size.

    Args:
      config: the method's configuration.

    Returns:
      A module without parameters.
    """
    loaded = vgg.load_cached(config.features)
    return AdaINDecoder(loaded.arch, loaded.width, dtype=jnp.dtype(config.dtype))


def init(key: Key, config: StyleAttentionConfig) -> StylizerState:
    """The first state of a training; `calibrate` it before the first step.

    Args:
      key: PRNG key.
      config: the method's configuration.

    Returns:
      `StylizerState`; the channels' scales are 1.
    """
    keys = jax.random.split(key, len(FUSED) + 1)
    maps = {
        tap: jnp.zeros((1, side, side, _width(config, tap)))
        for tap, side in zip(FUSED, (8, 4), strict=True)
    }
    params = {
        tap: level(config, tap).init(k, maps[tap], maps[tap])["params"]
        for tap, k in zip(FUSED, keys[1:], strict=True)
    }
    first = decoder(config).init(keys[0], maps["relu4_1"], maps["relu3_1"])
    params["decoder"] = first["params"]
    scales = {tap: jnp.ones(_width(config, tap)) for tap in TAPS}
    return stylizer_step.first_state(params, fixed=scales, config=config)


calibrate = functools.partial(stylizer_step.calibrate, judge)


def first_networks(
    state: StylizerState, images: Callable[[], Image], *, config: StyleAttentionConfig
) -> StylizerState:
    """The state with the networks that `config.start` asks for.

    Args:
      state: from `calibrate`.
      images: to some dozens of the training's crops, `b h w 3` in [0, 1].
      config: the method's configuration.

    Returns:
      The state; with "noise" as it was. With "least_squares" queries and keys are the
      features themselves, and the decoder inverts features.

    Raises:
      ValueError: an unknown start.
    """
    if not decoder_fit.is_wanted(config.start):
        return state
    fitted = decoder_fit.fit(
        decoder(config),
        functools.partial(vgg.features, config.features, padding_mode="reflect"),
        state.fixed,
        images(),
        skip="relu3_1",
    )
    params = {tap: _unit(_width(config, tap)) for tap in FUSED} | {"decoder": fitted}
    return with_painting_params(state, {**params, "scales": state.fixed})


def make_train_step(
    config: StyleAttentionConfig, *, axis_name: str | None = None
) -> Callable[[StylizerState, dict], tuple[StylizerState, Metrics]]:
    """The training step: `a` are contents, `b` styles.

    Args:
      config: the method's configuration.
      axis_name: of the mapped devices under `jax.pmap`.

    Returns:
      Pure function (state, {"a": images, "b": images} in [0, 1]) to (state, metrics).
    """
    loss = functools.partial(_terms, feature_fn=judge(config), config=config)
    return stylizer_step.make(loss, config, axis_name=axis_name)


def _terms(
    params: Params,
    given: dict[str, Image],
    scales: Params,
    *,
    feature_fn: Callable[[Image], Features],
    config: StyleAttentionConfig,
) -> tuple[dict, Image]:
    """The terms of the loss, weights included, and the stylised pictures."""
    raw_content, raw_style = batching.apply_together(
        feature_fn, [given["content"], given["style"]]
    )
    content, style = (scaled(x, scales) for x in (raw_content, raw_style))

    def painted(content: Features, style: Features) -> Image:
        fused = {
            tap: level(config, tap).apply(
                {"params": params[tap]}, content[tap], style[tap]
            )
            for tap in FUSED
        }
        return _decode(params, fused, config)

    stylized = painted(content, style)
    same = painted(content, content)

    raw, raw_own = batching.apply_together(feature_fn, [stylized, same])
    found, own = (scaled(x, scales) for x in (raw, raw_own))
    terms = {
        "global": config.global_weight
        * stylizer_step.style_term(
            raw, raw_style, scales, kind=config.style_loss
        ).mean(),
        "local": config.local_weight
        * sum(
            content_losses.euclidean_distance(
                found[tap], _plain(content[tap], style[tap], config)
            ).mean()
            for tap in FUSED
        ),
        "identity": config.identity_weight * jnp.mean(jnp.abs(same - given["content"])),
        "identity_features": config.identity_features_weight
        * sum(
            content_losses.euclidean_distance(own[tap], content[tap]).mean()
            for tap in TAPS
        ),
    }
    return terms, stylized


def _plain(
    content: jax.Array, style: jax.Array, config: StyleAttentionConfig
) -> jax.Array:
    """Fused features of an attention whose queries and keys are the features."""
    network = StyleAttention(content.shape[-1], config.max_keys, config.tile)
    return network.apply({"params": _unit(content.shape[-1])}, content, style)


def _unit(channels: int) -> Params:
    """Projections whose queries and keys are the features themselves."""
    same = {"kernel": jnp.eye(channels)[None, None], "bias": jnp.zeros(channels)}
    return {"query": same, "key": same}


def _decode(params: Params, fused: Features, config: StyleAttentionConfig) -> Image:
    variables = {"params": params["decoder"]}
    return decoder(config).apply(variables, fused["relu4_1"], fused["relu3_1"])


def painting_params(state: StylizerState) -> Params:
    """What is needed to paint: the networks, as moving averages where there are.

    Args:
      state: of a training.

    Returns:
      Parameters of the two depths and the decoder by name, and "scales".
    """
    return {**(state.ema_params or state.params), "scales": state.fixed}


def with_painting_params(state: StylizerState, params: Params) -> StylizerState:
    """The state of a training that begins with networks that paint already.

    Args:
      state: from `init`.
      params: like `painting_params(state)`.

    Returns:
      The state; average and parameters are the same.
    """
    given = {name: params[name] for name in state.params}
    average = given if state.ema_params else {}
    return state.replace(params=given, ema_params=average, fixed=params["scales"])


def encode_style(
    params: Params, style: Image, *, config: StyleAttentionConfig
) -> dict[str, StyleKeys]:
    """Keys and values of a style, once for all contents.

    Args:
      params: from `painting_params`.
      style: `b h w 3` in [0, 1], any size; b is 1 or that of the contents.
      config: the method's configuration.

    Returns:
      `StyleKeys` by tap.
    """
    maps = _encode(params, config)(style)
    return {
        tap: level(config, tap).apply(
            {"params": params[tap]}, maps[tap], method="keys_of"
        )
        for tap in FUSED
    }


def predict(
    params: Params,
    content: Image,
    goals: Sequence[dict[str, StyleKeys]],
    plan: fusing.Plan,
    *,
    config: StyleAttentionConfig,
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
    return fusing.painted(
        content,
        goals,
        plan,
        encode=_encode(params, config),
        decode=lambda maps: _decode(params, maps, config),
        fusion=functools.partial(_fusion, params, config),
        multiple=MULTIPLE,
        partial=partial,
    )


def _fusion(params: Params, config: StyleAttentionConfig, tap: str) -> fusions.Fusion:
    """Attention as a fusion: the content is normalised by the moments of its region."""

    def apply(x: jax.Array, own: fusions.Moments, goal: StyleKeys) -> jax.Array:
        white = fusions.Moments(jnp.zeros_like(own.mean), jnp.ones_like(own.deviation))
        normalized = fusions.adaptive_instance_norm(x, own, white)
        return level(config, tap).apply(
            {"params": params[tap]}, x, normalized, goal, method="fuse"
        )

    return fusions.Fusion(fusions.moments, apply)


def _encode(
    params: Params, config: StyleAttentionConfig
) -> Callable[[Image], Features]:
    feature_fn = vgg.features(config.features, FUSED, padding_mode="reflect")
    return lambda images: scaled(feature_fn(images), params["scales"])


stylize = functools.partial(fusing.stylize, encode_style, predict)
sample = functools.partial(fusing.sample, encode_style, predict)


def attention_of(
    params: Params,
    content: Image,
    style: Image,
    *,
    config: StyleAttentionConfig = DEFAULT_CONFIG,
    control: StyleControl | None = None,
    at_most: int = 256,
) -> dict[str, AttentionRows]:
    """From which style patches each output patch was painted, exactly.

    Args:
      params: from `painting_params`.
      content: `b h w 3` in [0, 1], any size.
      style: `1 h w 3` in [0, 1], any size.
      config: the method's configuration.
      control: colours and strokes, as they were painted.
      at_most: content positions of each depth, on an even grid.

    Returns:
      `AttentionRows` by tap: the rows that `stylize` used.
    """
    control = control or StyleControl()
    prepared = controls.prepare_style(style, content, control)
    padded, _ = resize.pad_to_multiple(
        controls.prepare_content(jnp.asarray(content), control), MULTIPLE
    )
    maps, other = (_encode(params, config)(x) for x in (padded, prepared))
    found = {}
    for tap in FUSED:
        network, variables = level(config, tap), {"params": params[tap]}
        keys = network.apply(variables, other[tap], method="keys_of")
        places = attention.spaced(maps[tap].shape[1:3], at_most=at_most)
        rows = network.apply(variables, maps[tap], keys, places, method="rows")
        seen = attention.spaced(other[tap].shape[1:3], at_most=config.max_keys)
        stride = 4 if tap == "relu3_1" else 8
        found[tap] = AttentionRows(
            rows,
            _centres(places, maps[tap].shape[2], stride),
            _centres(seen, other[tap].shape[2], stride),
        )
    return found


def _centres(places: Int[Array, " n"], width: int, stride: int) -> Float[Array, "n 2"]:
    grid = jnp.stack([places // width, places % width], axis=-1)
    return (grid + 0.5) * stride - 0.5
