"""Stylisation by optimising the picture itself (Gatys et al. 2016), at several scales.

Nothing is trained: the pixels are moved until their VGG features match the content's
maps and the style's statistics. Slow, and the yardstick for what is fast.

    alpha mean_l content_l + beta mean_l style_l + regularizers

With alpha 1 and beta 100 these are the proportions of the usual neural-style codes (5
for content, 100 for each of five style layers). The default is a beta of 20: from
VGG-16 and a pyramid, 100 paints over faces.

Reference: Gatys, Ecker and Bethge 2016 (CVPR); the pyramid follows Gatys et al. 2017,
https://arxiv.org/abs/1611.07865; regions are their guided Gram matrices.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from stylejax.checks import check_choice, check_image, check_positive
from stylejax.image import resize
from stylejax.losses import content as content_losses
from stylejax.losses import regularizers, statistics, terms
from stylejax.losses.terms import StyleTarget, Term
from stylejax.methods import control as controls
from stylejax.methods.control import Progress, StyleControl
from stylejax.nn import conv_choice
from stylejax.pretrained import vgg
from stylejax.train import minimize
from stylejax.typing import Features, Image, Key

FeatureFn = Callable[[Image], Features]


@dataclasses.dataclass(frozen=True)
class GatysConfig:
    """Every setting of the method.

    Attributes:
      features: VGG weights: a shipped name or a file.
      content_layers: taps of the content loss.
      content_distance: euclidean or cosine.
      content_weight: alpha.
      style_layers: taps of the style loss.
      style_layer_weights: one per style layer; () weighs them alike. Their mean is
        made 1.
      style_statistic: gram, gram_positions, moments, sliced_wasserstein, histogram or
        patches.
      style_weight: beta.
      variation_weight: of the squared total variation, against noise.
      range_weight: of the squared distance to [0, 1] of values outside.
      optimizer: lbfgs or adam.
      num_iterations: at each scale; each costs one gradient.
      learning_rate: of adam, for values in [0, 1]; falls to a tenth along a cosine.
      memory_size: of lbfgs: pairs of pictures it remembers.
      min_side: the pyramid starts with pictures whose longer side is at least this,
        and whose shorter side does not vanish in the network.
      scale_factor: sides of a scale over those of the one before.
      initial: content, noise or style: what the first scale starts from.
      noise: deviation of noise added to the start.
      tolerance: a scale ends when the loss falls by less than this share in
        `check_every` steps; 0 never ends early.
      check_every: steps between two looks at the loss.
      padding: of the VGG: zero, reflect or replicate.
      pooling: of the VGG: max or average.
    """

    features: str = "vgg16"
    content_layers: tuple[str, ...] = ("relu4_2",)
    content_distance: Literal["euclidean", "cosine"] = "euclidean"
    content_weight: float = 1.0
    style_layers: tuple[str, ...] = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
    style_layer_weights: tuple[float, ...] = ()
    style_statistic: str = "gram"
    style_weight: float = 20.0
    variation_weight: float = 0.0
    range_weight: float = 1e6
    optimizer: Literal["lbfgs", "adam"] = "lbfgs"
    num_iterations: int = 100
    learning_rate: float = 0.02
    memory_size: int = 20
    min_side: int = 128
    scale_factor: float = 2.0
    initial: Literal["content", "noise", "style"] = "content"
    noise: float = 0.0
    tolerance: float = 0.0
    check_every: int = 25
    padding: Literal["zero", "reflect", "replicate"] = "zero"
    pooling: Literal["max", "average"] = "max"

    def check(self) -> None:
        """Returns nothing; refuses settings that mean nothing.

        Raises:
          ValueError: the first that is wrong.
        """
        known: dict[str, Any] = {
            "content_distance": content_losses.DISTANCES,
            "style_statistic": statistics.STATISTICS,
            "optimizer": minimize.OPTIMIZERS,
            "initial": ("content", "noise", "style"),
        }
        for name, choices in known.items():
            check_choice(getattr(self, name), choices=choices, name=name)
        counts = ("num_iterations", "check_every", "min_side", "memory_size")
        for name in (*counts, "learning_rate"):
            check_positive(getattr(self, name), name=name)
        for name in counts:
            if not isinstance(value := getattr(self, name), int):
                raise ValueError(f"{name}: expected a whole number, got {value}")
        if not 1 < self.scale_factor < float("inf"):
            raise ValueError(
                f"scale_factor: expected a number above 1, got {self.scale_factor}"
            )
        weights = ("content_weight", "style_weight", "variation_weight", "range_weight")
        for name in (*weights, "noise", "tolerance"):
            if not 0 <= (value := getattr(self, name)) < float("inf"):
                raise ValueError(
                    f"{name}: expected a number of at least 0, got {value}"
                )
        count = len(self.style_layer_weights)
        if count and count != len(self.style_layers):
            raise ValueError(
                f"style_layer_weights: expected {len(self.style_layers)} numbers, one"
                f" for each style layer, got {count}"
            )


DEFAULT_CONFIG = GatysConfig()
DEFAULT_CONTROL = StyleControl()


class Targets(NamedTuple):
    """What pictures are painted towards at one scale: a pytree of arrays.

    Attributes:
      content: maps (b, h, w, c) by layer.
      styles: by (style, region).
      base: (b, h, w, 3), the content pictures.
      keep: (1, h, w, 1) in [0, 1] or None: how much of `base` shows.
    """

    content: Features
    styles: dict[tuple[str, str], StyleTarget]
    base: jax.Array
    keep: jax.Array | None


def features(config: GatysConfig) -> FeatureFn:
    """The feature network of a configuration; the same one each time it is asked for.

    Args:
      config: which weights, taps, padding and pooling.

    Returns:
      Function of pictures (b, h, w, 3) in [0, 1] to their maps by tap.

    Raises:
      ValueError: a tap the weights do not reach.
    """
    taps = tuple(dict.fromkeys((*config.style_layers, *config.content_layers)))
    return vgg.features(
        config.features, taps, padding_mode=config.padding, pooling=config.pooling
    )


def config_for(name_or_path: str) -> GatysConfig:
    """The default configuration for some VGG weights: as deep as they reach.

    Args:
      name_or_path: as `stylejax.pretrained.vgg.load` takes it.

    Returns:
      A configuration whose style layers are relu1_1 … relu5_1, as far as there are.

    Raises:
      ValueError: weights that end before relu4_2, the content layer.
    """
    taps = vgg.load_cached(name_or_path).taps()
    layers = tuple(f"relu{i}_1" for i in range(1, 6) if f"relu{i}_1" in taps)
    config = GatysConfig(features=name_or_path, style_layers=layers)
    features(config)
    return config


def make_targets(
    content: Image,
    styles: Sequence[Image],
    *,
    config: GatysConfig,
    control: StyleControl,
    feature_fn: FeatureFn,
    names: Sequence[str] | None = None,
) -> Targets:
    """What content pictures are painted towards.

    Args:
      content: (b, h, w, 3) in [0, 1], at the size it is painted.
      styles: pictures (1, h, w, 3) in [0, 1], of any sizes.
      config: which losses.
      control: checked against the number of styles.
      feature_fn: from `features`.
      names: of the styles, all different; style0, style1, … by default.

    Returns:
      `Targets`.

    Raises:
      ValueError: a name that is given twice, or is the content's.
    """
    size_hw = content.shape[1:3]
    names = list(names or (f"style{i}" for i in range(len(styles))))
    if len({*names, terms.CONTENT_STYLE}) <= len(styles):
        raise ValueError(f"names: expected others than 'content', each once: {names}")
    painted, rest = controls.regions(control, len(styles), size_hw)
    compared = controls.prepare_content(content, control)
    maps = feature_fn(compared)
    summarize = functools.partial(
        terms.style_statistics,
        layers=config.style_layers,
        statistic=config.style_statistic,
    )

    places = ["" if control.masks is None else f"mask_{name}" for name in names]
    targets = {}
    for name, place, picture, region in zip(
        names, places, styles, painted, strict=True
    ):
        prepared = controls.prepare_style(picture, content, control)
        targets[name, place] = StyleTarget(
            summarize(feature_fn(prepared)), region.weight, region.mask
        )
    for place, region in controls.own_regions(places, painted, rest, control):
        own = summarize(maps, mask=region.mask)
        target = StyleTarget(own, region.own_weight, region.mask)
        targets[terms.CONTENT_STYLE, place] = target
    return Targets(
        content={layer: maps[layer] for layer in config.content_layers},
        styles=targets,
        base=compared,
        keep=controls.keep_map(control, size_hw),
    )


def shown(images: Image, targets: Targets) -> Image:
    """The pictures that are judged: where the content is kept, the content.

    Args:
      images: (b, h, w, 3), what the optimiser moves.
      targets: of this size.

    Returns:
      (b, h, w, 3).
    """
    if targets.keep is None:
        return images
    return targets.keep * targets.base + (1 - targets.keep) * images


def loss_terms(
    images: Image,
    targets: Targets,
    *,
    config: GatysConfig,
    feature_fn: FeatureFn,
) -> dict[Term, jax.Array]:
    """Every term of the loss of each picture, its weight included.

    Args:
      images: (b, h, w, 3), what the optimiser moves.
      targets: from `make_targets`.
      config: weights and losses.
      feature_fn: from `features`.

    Returns:
      (b,) by `Term`; the loss is their sum. Not reduced over the batch.
    """
    judged = shown(images, targets)
    maps = feature_fn(judged)
    found = terms.content_terms(
        maps,
        targets.content,
        terms.layer_weights(config.content_weight, config.content_layers),
        distance=config.content_distance,
    )
    found |= terms.style_terms(
        maps,
        targets.styles,
        terms.layer_weights(
            config.style_weight,
            config.style_layers,
            relative=config.style_layer_weights,
        ),
        statistic=config.style_statistic,
    )
    if config.variation_weight:
        variation = regularizers.total_variation(judged, kind="squared")
        found[Term("total_variation")] = config.variation_weight * variation
    if config.range_weight:
        excess = regularizers.range_excess(images)
        found[Term("range")] = config.range_weight * excess
    return found


def stylize(
    key: Key,
    content: Image,
    styles: Sequence[Image],
    *,
    config: GatysConfig = DEFAULT_CONFIG,
    control: StyleControl = DEFAULT_CONTROL,
    on_progress: Callable[[Progress], None] | None = None,
) -> Image:
    """The content painted in the styles.

    All pictures of a batch are painted at once, each with its own optimiser.

    Args:
      key: PRNG key of noise in the start.
      content: (b, h, w, 3) in [0, 1], any size.
      styles: pictures (1, h, w, 3) in [0, 1], of any sizes.
      config: of the method.
      control: what the user asks for.
      on_progress: is called after every `check_every` steps.

    Returns:
      (b, h, w, 3), float32 in [0, 1].

    Raises:
      ValueError: no such pictures, or settings that mean nothing.
      FloatingPointError: the loss is not finite.
    """
    check_image(content, name="content")
    if not styles:
        raise ValueError("styles: expected at least one picture, got none")
    for style in styles:
        check_image(style, name="style")
    config.check()
    control.check(len(styles))
    content = jnp.asarray(content, jnp.float32)
    if control.strength == 0:
        return content
    feature_fn, images = features(config), content
    sizes = resize.pyramid_sizes(
        content.shape[1:3], min_side=config.min_side, factor=config.scale_factor
    )
    least = statistics.get(config.style_statistic).least_side
    sizes = controls.sizes_that_fit(sizes, feature_fn, least_side=least)
    for index, size_hw in enumerate(sizes):
        smaller = _resized(content, size_hw)
        targets = make_targets(
            smaller, styles, config=config, control=control, feature_fn=feature_fn
        )
        if index == 0:
            images = initial_images(key, targets.base, styles, config=config)
        else:
            images = _resized(images, size_hw)
        images = _paint(
            images, targets, config, feature_fn, on_progress, (index, len(sizes))
        )
    return controls.finish(images, content, control)


def initial_images(
    key: Key, content: Image, styles: Sequence[Image], *, config: GatysConfig
) -> Image:
    """What the first scale starts from.

    Args:
      key: PRNG key.
      content: (b, h, w, 3), at the size of that scale.
      styles: the first one is used.
      config: `initial` and `noise`.

    Returns:
      (b, h, w, 3).
    """
    noise = jax.random.normal(key, content.shape)
    if config.initial == "noise":
        # Mid grey with a tenth of the range: what the eye calls noise, in range.
        start = 0.5 + 0.1 * noise
    elif config.initial == "style":
        start = jnp.broadcast_to(
            _resized(jnp.asarray(styles[0]), content.shape[1:3]), content.shape
        )
    else:
        start = content
    return start + config.noise * noise


def _resized(images: Image, size_hw: tuple[int, ...]) -> Image:
    if images.shape[1:3] == tuple(size_hw):
        return images
    return jnp.clip(resize.resize(images, size_hw), 0.0, 1.0)


def minimizer(config: GatysConfig) -> minimize.Minimizer:
    """How one picture is optimised.

    Args:
      config: optimiser, rate, memory and number of steps.

    Returns:
      A `Minimizer`.
    """
    rate = optax.cosine_decay_schedule(
        config.learning_rate, config.num_iterations, alpha=0.1
    )
    return minimize.make(
        config.optimizer, learning_rate=rate, memory_size=config.memory_size
    )


@functools.partial(jax.jit, static_argnames=("config", "feature_fn", "num_steps"))
def advance(
    descents: minimize.Descent,
    targets: Targets,
    *,
    config: GatysConfig,
    feature_fn: FeatureFn,
    num_steps: int,
) -> minimize.Descent:
    """The optimisation of every picture, a few steps further on.

    Args:
      descents: mapped over pictures, from `jax.vmap(minimizer(config).init)`.
      targets: of these pictures.
      config: of the method.
      feature_fn: from `features`.
      num_steps: how many steps; each costs one gradient.

    Returns:
      The new `descents`.
    """
    update = jax.vmap(minimizer(config).update)

    def summed(images: Image) -> tuple[jax.Array, jax.Array]:
        found = loss_terms(images, targets, config=config, feature_fn=feature_fn)
        values = terms.total(found)
        return jnp.sum(values), values

    def step(_: Any, now: minimize.Descent) -> minimize.Descent:
        # No picture's loss depends on another picture, so the gradient of their sum
        # holds the gradient of each.
        (_, values), gradient = jax.value_and_grad(summed, has_aux=True)(now.trial)
        return update(now, values, gradient)

    # XLA does not unroll even a loop of one turn, see `train.minimize`.
    if num_steps == 1:
        return step(0, descents)
    return jax.lax.fori_loop(0, num_steps, step, descents)


def _paint(
    images: Image,
    targets: Targets,
    config: GatysConfig,
    feature_fn: FeatureFn,
    on_progress: Callable[[Progress], None] | None,
    place: tuple[int, int],
) -> Image:
    """The pictures after the steps of one scale."""
    descents = jax.vmap(minimizer(config).init)(images)
    # Inside a loop what depends on the weights alone is computed once. XLA's own
    # gradients are slow there on a CPU, see `train.minimize`.
    is_slow = conv_choice.is_off() and jax.default_backend() == "cpu"
    per_call = 1 if is_slow else config.check_every
    step = functools.partial(advance, config=config, feature_fn=feature_fn)
    done, before = 0, np.asarray(np.inf)
    while done < config.num_iterations:
        goal = min(done + config.check_every, config.num_iterations)
        while done < goal:
            count = min(per_call, goal - done)
            descents = step(descents, targets, num_steps=count)
            done += count
        loss = np.asarray(descents.value)
        if not np.isfinite(loss).all():
            raise FloatingPointError(
                "the loss is not finite; lower the weights or the learning rate, or"
                " check the pictures"
            )
        if on_progress is not None:
            now = shown(descents.x, targets)
            size_hw = images.shape[1:3]
            on_progress(
                Progress(*place, size_hw, done, config.num_iterations, loss, now)
            )
        if config.tolerance > 0 and np.all(before - loss < config.tolerance * before):
            break
        before = loss
    return descents.x
