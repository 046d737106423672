"""Feed-forward stylisation: one network, a fixed list of styles, any mixture of them.

Everything but the gains and shifts of the instance norms is shared by the styles. One
more row of them stands for the content itself: it is trained to change nothing, so that
strength is a mixture as well. New styles are added to a trained network by training
their rows alone (`--train_only_norms`).

Reference: Johnson et al. 2016, https://arxiv.org/abs/1603.08155, and Dumoulin et al.
2017, https://arxiv.org/abs/1610.07629. We differ in the row of the content and in the
losses' units: content counts every channel of the VGG by its mean activation, style the
Gram matrices' squared distance relative to the goal's, so that no style and no layer
weighs more than the others.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from stylejax import checks
from stylejax.image import resize
from stylejax.losses import content as content_losses
from stylejax.losses import regularizers
from stylejax.losses import style as style_losses
from stylejax.losses.channel_scale import channel_means, scaled
from stylejax.methods import control as controls
from stylejax.methods import fusing
from stylejax.methods.control import StyleControl
from stylejax.models.multistyle_generator import MULTIPLE, MultiStyleGenerator
from stylejax.pretrained import vgg
from stylejax.train import stylizer_step
from stylejax.train.state import StylizerState
from stylejax.typing import Features, Image, Key, Metrics, Params

CONTENT_TAP = "relu3_3"
STYLE_TAPS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")


@dataclasses.dataclass(frozen=True)
class FeedforwardConfig:
    """Every hyper-parameter of the method; it is written beside each checkpoint."""

    styles: tuple[str, ...] = ()  # names of the styles, in the order of the rows
    # Networks.
    width: int = 32  # channels after the first convolution
    num_blocks: int = 5  # residual blocks
    dtype: str = "float32"  # dtype of the computation: float32 or bfloat16
    features: str = "vgg16"  # VGG weights that judge in training: a name or a file
    image_size: int = 256  # side of the training crops in pixels
    style_size: int = 256  # longer side at which the style pictures are looked at
    # Losses, all on the judge's features.
    content_weight: float = 1.0  # distance of relu3_3 to the content's
    style_weight: float = 5.0  # relative distance of Gram matrices, over four layers
    variation_weight: float = 0.1  # total variation of the pictures
    reconstruction_weight: float = 10.0  # L1 of the row of the content
    # Optimisation.
    optimizer: Literal["adam", "muon", "sgd"] = "adam"  # muon: for kernels, else Adam
    train_only_norms: bool = False  # gains and shifts alone, to add styles
    learning_rate: float = 1e-3  # at the first step
    lr_decay: float = 0.0  # rate / (1 + decay * step)
    warmup_steps: int = 0  # in which the learning rate rises from nothing
    beta1: float = 0.9  # Adam's decay of the first moment
    beta2: float = 0.999  # Adam's decay of the second moment
    accumulate_steps: int = 1  # parts a batch is split into, gradients averaged
    ema_decay: float = 0.999  # moving average of the parameters; 0: off
    recolor: float = 0.0  # styles are fixed: only 0 means anything
    steps_per_epoch: int = 0  # 0: filled in from the data before training
    seed: int = 0  # of initialisation and of which style a picture gets


DEFAULT_CONFIG = FeedforwardConfig()


def generator(config: FeedforwardConfig) -> MultiStyleGenerator:
    """The network's module; its last row is that of the content.

    Args:
      config: the method's configuration.

    Returns:
      A module without parameters.
    """
    return MultiStyleGenerator(
        len(config.styles) + 1,
        config.width,
        config.num_blocks,
        dtype=jnp.dtype(config.dtype),
    )


def judge(config: FeedforwardConfig) -> Callable[[Image], Features]:
    """The network whose features the losses compare.

    Args:
      config: which weights.

    Returns:
      Function of pictures `b h w 3` in [0, 1] to maps by tap.

    Raises:
      ValueError: weights that lack one of the taps.
    """
    return vgg.features(config.features, STYLE_TAPS, padding_mode="reflect")


def init(key: Key, config: FeedforwardConfig) -> StylizerState:
    """The first state of a training; `calibrate` it before the first step.

    Args:
      key: PRNG key.
      config: the method's configuration.

    Returns:
      `StylizerState`; what the styles ask for is zero yet.

    Raises:
      ValueError: no styles, or a name that is given twice.
    """
    if not config.styles or len({*config.styles}) < len(config.styles):
        raise ValueError(
            f"styles: expected names, each once, got {', '.join(config.styles) or '-'}"
        )
    weights = jnp.ones((1, len(config.styles) + 1))
    params = generator(config).init(key, jnp.zeros((1, 16, 16, 3)), weights)["params"]
    maps = jax.eval_shape(judge(config), jax.ShapeDtypeStruct((1, 32, 32, 3), "f4"))
    widths = {tap: maps[tap].shape[-1] for tap in STYLE_TAPS}
    count = len(config.styles)
    fixed = {
        "scales": {tap: jnp.ones(c) for tap, c in widths.items()},
        "goals": {tap: jnp.zeros((count, c, c)) for tap, c in widths.items()},
    }
    return stylizer_step.first_state(params, fixed=fixed, config=config)


def calibrate(
    state: StylizerState,
    images: Image,
    styles: Sequence[np.ndarray],
    *,
    config: FeedforwardConfig,
) -> StylizerState:
    """The state with the judge's scales, and with what each style asks for.

    Args:
      state: from `init`.
      images: `b h w 3` in [0, 1], content and style pictures.
      styles: one picture `h w 3` in [0, 1] for each name in `config.styles`.
      config: the method's configuration.

    Returns:
      The state.

    Raises:
      ValueError: other than one picture for each name.
    """
    if len(styles) != len(config.styles):
        raise ValueError(
            f"styles: expected one picture for each of {len(config.styles)} names, got"
            f" {len(styles)}"
        )
    feature_fn = judge(config)
    scales = channel_means(feature_fn, images)
    goals = []
    for i in range(len(styles)):
        picture = resize.fit_longer_side(
            jnp.asarray(styles[i])[None], config.style_size
        )
        maps = jax.jit(feature_fn)(picture)
        goals.append({tap: _gram(maps[tap])[0] for tap in STYLE_TAPS})
    stacked = {tap: jnp.stack([goal[tap] for goal in goals]) for tap in STYLE_TAPS}
    return state.replace(fixed={"scales": scales, "goals": stacked})


def _gram(features: jax.Array) -> jax.Array:
    return style_losses.gram_matrix(features, normalization="positions")


def make_train_step(
    config: FeedforwardConfig, *, axis_name: str | None = None
) -> Callable[[StylizerState, dict], tuple[StylizerState, Metrics]]:
    """The training step: `a` are contents; the styles are known since `calibrate`.

    Args:
      config: the method's configuration.
      axis_name: of the mapped devices under `jax.pmap`.

    Returns:
      Pure function (state, {"a": images, "b": anything} in [0, 1]) to (state, metrics).
    """
    loss = functools.partial(_terms, feature_fn=judge(config), config=config)

    def draw(key: Key, count: int) -> dict[str, jax.Array]:
        choices = len(config.styles) + 1
        return {"choice": jax.random.randint(key, (count,), 0, choices)}

    is_trained = is_norm if config.train_only_norms else None
    return stylizer_step.make(
        loss,
        config,
        axis_name=axis_name,
        draw=draw,
        is_trained=is_trained,
    )


def is_norm(name: str) -> bool:
    """Whether a parameter belongs to a style.

    Args:
      name: its path, parts joined by slashes.

    Returns:
      True for gains and shifts of the norms.
    """
    return "_norm/" in name


def _terms(
    params: Params,
    given: dict[str, Image],
    fixed: Params,
    *,
    feature_fn: Callable[[Image], Features],
    config: FeedforwardConfig,
) -> tuple[dict, Image]:
    """The terms of the loss, weights included, and the stylised pictures."""
    content, choice = given["content"], given["choice"]
    count = len(config.styles)
    rows = jax.nn.one_hot(choice, count + 1)
    is_style = (choice < count).astype(jnp.float32)

    stylized = generator(config).apply({"params": params}, content, rows)

    found, own = feature_fn(stylized), feature_fn(content)
    index = jnp.minimum(choice, count - 1)
    style = sum(
        style_losses.relative_gram_distance(
            _gram(found[tap]), fixed["goals"][tap][index]
        )
        for tap in STYLE_TAPS
    )
    kept = content_losses.euclidean_distance(
        *(scaled(x, fixed["scales"])[CONTENT_TAP] for x in (found, own))
    )
    same = jnp.mean(jnp.abs(stylized - content), axis=(1, 2, 3))
    variation = regularizers.total_variation(stylized, kind="squared")
    per_picture = {
        "content": config.content_weight * is_style * kept,
        "style": config.style_weight * is_style * style,
        "variation": config.variation_weight * is_style * variation,
        "reconstruction": config.reconstruction_weight * (1 - is_style) * same,
    }
    return {name: jnp.mean(x) for name, x in per_picture.items()}, stylized


def painting_params(state: StylizerState) -> Params:
    """What is needed to paint: the network, as a moving average where there is one.

    Args:
      state: of a training.

    Returns:
      {"generator": params}.
    """
    return {"generator": state.ema_params or state.params}


def with_painting_params(state: StylizerState, params: Params) -> StylizerState:
    """The state of a training that begins with a network that paints already.

    Args:
      state: from `init`; its styles begin with those of the network, new ones follow.
      params: like `painting_params(state)`, with as many styles or fewer.

    Returns:
      The state; a new style begins as the mean of the known ones.
    """

    def grown(wanted: jax.Array, found: jax.Array) -> jax.Array:
        missing = wanted.shape[0] - found.shape[0]
        if wanted.shape == found.shape or not missing:
            return found
        known, last = found[:-1], found[-1:]
        new = jnp.repeat(jnp.mean(known, axis=0, keepdims=True), missing, axis=0)
        return jnp.concatenate([known, new, last])

    given = jax.tree.map(grown, state.params, params["generator"])
    return state.replace(params=given, ema_params=given if state.ema_params else {})


def predict(
    params: Params,
    content: Image,
    plan: fusing.Plan,
    *,
    config: FeedforwardConfig,
    rows: tuple[int, ...],
    partial: bool = True,
) -> Image:
    """The content painted in some of the styles; pure.

    Args:
      params: from `painting_params`.
      content: `b h w 3` in [0, 1], any size.
      plan: from `fusing.plan`, for as many styles as `rows`.
      config: the method's configuration.
      rows: which styles.
      partial: whether the plan may leave something unpainted.

    Returns:
      `b h w 3`, float32 in [0, 1].
    """
    padded, size_hw = resize.pad_to_multiple(content, MULTIPLE)
    network, count = generator(config), len(config.styles)

    def painted(pulls: jax.Array) -> Image:
        own = 1.0 - jnp.sum(pulls)
        weights = jnp.zeros(count + 1).at[jnp.array(rows)].add(pulls)
        weights = weights.at[count].add(own)
        rows_ = jnp.broadcast_to(weights, (padded.shape[0], count + 1))
        return network.apply({"params": params["generator"]}, padded, rows_)

    if plan.masks is None:
        found = painted(plan.pulls)
        if partial:
            left = 1.0 - jnp.sum(plan.pulls)
            found += left * (padded - painted(jnp.zeros_like(plan.pulls)))
        return resize.crop_to(found, size_hw)
    own = painted(jnp.zeros_like(plan.pulls))
    found = padded[:, : size_hw[0], : size_hw[1]]
    for i, mask in enumerate(plan.masks):
        pull = plan.pulls[i]
        picture = painted(jnp.zeros_like(plan.pulls).at[i].set(pull))
        picture += (1.0 - pull) * (padded - own)
        step = resize.crop_to(picture, size_hw) - content
        found = found + mask[None, :, :, None] * step
    return found


def stylize(
    params: Params,
    content: Image,
    styles: Sequence[str | int],
    *,
    config: FeedforwardConfig,
    control: StyleControl | None = None,
) -> Image:
    """The content painted in styles of the network, as a control asks for it.

    Args:
      params: from `painting_params`.
      content: `b h w 3` in [0, 1], any size.
      styles: names or numbers of styles in `config.styles`.
      config: the method's configuration.
      control: what the user asks for; strokes have the size they were trained at.

    Returns:
      `b h w 3`, float32 in [0, 1].

    Raises:
      ValueError: no such pictures or styles, or a control that cannot be obeyed.
    """
    control = control or StyleControl()
    checks.check_image(content, name="content")
    rows = tuple(row_of(style, config) for style in styles)
    if not rows:
        raise ValueError("styles: expected at least one style, got none")
    control.check(len(rows))
    if control.stroke_scale != 1 or control.color not in ("style", "luminance"):
        raise ValueError(
            "the styles of this network are fixed: stroke_scale and colours of the"
            " style cannot be changed; use another method for that"
        )
    content = jnp.asarray(content, jnp.float32)
    if control.strength == 0:
        return content
    compared = controls.prepare_content(content, control)
    found = _jitted_predict()(
        params,
        compared,
        fusing.plan(control, len(rows), content.shape[1:3]),
        config=config,
        rows=rows,
        partial=fusing.is_partial(control),
    )
    return controls.finish(found, content, control)


@functools.cache
def _jitted_predict() -> Any:
    return jax.jit(predict, static_argnames=("config", "rows", "partial"))


def row_of(style: str | int, config: FeedforwardConfig) -> int:
    """The row of a style.

    Args:
      style: a name in `config.styles`, or its number.
      config: the method's configuration.

    Returns:
      The row.

    Raises:
      ValueError: there is no such style.
    """
    if isinstance(style, str) and style in config.styles:
        return config.styles.index(style)
    if isinstance(style, int) and 0 <= style < len(config.styles):
        return style
    given = repr(style) if isinstance(style, str | int) else "a picture"
    raise ValueError(
        f"style: this network knows {', '.join(config.styles)}; got {given}"
    )


def sample(params: Params, batch: dict, *, config: FeedforwardConfig) -> dict:
    """What a sample grid shows, in [0, 1].

    Args:
      params: from `painting_params`.
      batch: {"a": contents `b h w 3` in [0, 1]}.
      config: the method's configuration.

    Returns:
      Dictionary with one picture for each style, and reconstructed.
    """
    found = {}
    for row, name in enumerate((*config.styles, "reconstructed")):
        rows = jnp.zeros((batch["a"].shape[0], len(config.styles) + 1))
        found[name] = generator(config).apply(
            {"params": params["generator"]}, batch["a"], rows.at[:, row].set(1.0)
        )
    return found
