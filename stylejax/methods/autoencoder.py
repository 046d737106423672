"""An encoder-decoder with a short content vector that one can read.

A picture becomes a vector `d` that says what is shown; the decoder renders it in the
style of either domain, or in that of a style picture. It is trained on two domains by
reconstruction, by coming back (the vector, and where asked the picture), and against a
critic that tries to tell the domain from the vector: where it cannot, no style is left
there. For small sets of pictures the content encoder may begin with a VGG.

Reference: content and style codes as in Huang et al. 2018 (MUNIT),
https://arxiv.org/abs/1804.04732, with a vector in place of their content map; the
vector is to leave the critic undecided, as in Tzeng et al. 2015,
https://arxiv.org/abs/1510.02192: unlike a critic's loss turned around, this has a
gradient where the critic is sure.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp

from stylejax import checks
from stylejax.image import resize
from stylejax.losses.discrepancy import moment_discrepancy
from stylejax.models.latent_autoencoder import (
    GRID,
    PLACE,
    ContentEncoder,
    FeatureEncoder,
    LatentDecoder,
    StyleCritic,
    StyleEncoder,
)
from stylejax.pretrained import vgg
from stylejax.train import stylizer_step
from stylejax.train.state import StylizerState
from stylejax.typing import Image, Key, Metrics, Params

DIRECTIONS = ("AtoB", "BtoA")
DOMAINS = ("A", "B")
TAP = "relu4_1"
"""The maps of a VGG that the content encoder begins with, where it does."""
_LEAST_SIDE = 16  # of pictures with such maps


@dataclasses.dataclass(frozen=True)
class AutoencoderConfig:
    """Every hyper-parameter of the method; it is written beside each checkpoint."""

    # Networks.
    features: str = ""  # VGG weights the content encoder begins with; empty: with none
    latent_size: int = 32  # numbers of a content vector; three place what is drawn
    style_size: int = 8  # numbers of a style vector
    width: int = 32  # channels at half the sides
    dtype: str = "float32"  # dtype of the computation: float32 or bfloat16
    image_size: int = 64  # side at which pictures are looked at: 4, 8, 16, … 512
    # Losses.
    # Squares: by absolute differences what is small in a picture is never learnt, since
    # leaving it out costs no more than a texture that is slightly off.
    reconstruction_weight: float = 100.0  # square of a picture's own style rendered
    cycle_weight: float = 0.0  # square of a picture there and back; 0: not rendered
    latent_weight: float = 5.0  # of the vector there and back, relative to its size
    place_weight: float = 5.0  # square of its place numbers, there and back
    place_jitter: float = 0.6  # by up to this they are moved on the way there
    zoom_weight: float = 0.05  # square of its zoom number
    shown_noise: float = 0.2  # added to the others for the decoder, by their size
    grain: float = 0.0  # deviation, up to this, of noise on what the content is read of
    critic_weight: float = 1.0  # of the critic's own loss, which reaches it alone
    confusion_weight: float = 1.0  # of the vectors that are to leave it undecided
    match_weight: float = 0.0  # discrepancy of the domains' vectors, in each part
    style_weight: float = 1.0  # style pictures against the domain's style vector
    # Optimisation.
    optimizer: Literal["adam", "muon", "sgd"] = "muon"  # muon: for kernels, else Adam
    learning_rate: float = 5e-3  # at the first step
    lr_decay: float = 1e-3  # rate / (1 + decay * step)
    warmup_steps: int = 100  # in which the learning rate rises from nothing
    beta1: float = 0.5  # Adam's decay of the first moment
    beta2: float = 0.999  # Adam's decay of the second moment
    accumulate_steps: int = 1  # parts a batch is split into, gradients averaged
    ema_decay: float = 0.999  # moving average of the parameters; 0: off
    recolor: float = 0.0  # domains are as they are: only 0 means anything
    steps_per_epoch: int = 0  # 0: filled in from the data before training
    seed: int = 0  # of initialisation and of what is drawn in training


DEFAULT_CONFIG = AutoencoderConfig()


def _num_downs(config: AutoencoderConfig) -> int:
    count = (config.image_size // GRID).bit_length() - 1
    if GRID * 2**count != config.image_size or count < 1:
        raise ValueError(
            f"image_size: expected 8, 16, 32, 64, …, got {config.image_size}"
        )
    return count


def networks(config: AutoencoderConfig) -> dict[str, Any]:
    """The modules, by the name of their parameters.

    Args:
      config: the method's configuration.

    Returns:
      content, style, decoder and critic.

    Raises:
      ValueError: a side that halvings do not bring to 4, or a vector too short.
    """
    if config.latent_size <= PLACE:
        raise ValueError(
            f"latent_size: expected at least {PLACE + 1}, of which {PLACE} place what"
            f" is drawn, got {config.latent_size}"
        )
    shared = {"width": config.width, "dtype": jnp.dtype(config.dtype)}
    count = _num_downs(config)
    if config.features and config.image_size < _LEAST_SIDE:
        raise ValueError(
            f"image_size: expected at least {_LEAST_SIDE} with features, got"
            f" {config.image_size}"
        )
    content = FeatureEncoder(config.latent_size, **shared)
    if not config.features:
        content = ContentEncoder(config.latent_size, num_downs=count, **shared)
    return {
        "content": content,
        "style": StyleEncoder(config.style_size, num_downs=min(3, count), **shared),
        "decoder": LatentDecoder(num_ups=count, **shared),
        "critic": StyleCritic(len(DOMAINS)),
    }


def looked_at(images: Image, config: AutoencoderConfig) -> jax.Array:
    """What the content encoder looks at.

    Args:
      images: `b s s 3` in [0, 1], or beyond it by noise; s is `image_size`.
      config: the method's configuration.

    Returns:
      The pictures themselves; where `features` names a VGG, its maps `b h w c`.

    Raises:
      FileNotFoundError: no such weights.
      ValueError: weights that end before these maps.
    """
    if not config.features:
        return images
    network = vgg.features(config.features, (TAP,), padding_mode="reflect")
    return network(images)[TAP]


def init(key: Key, config: AutoencoderConfig) -> StylizerState:
    """The first state of a training.

    Args:
      key: PRNG key.
      config: the method's configuration.

    Returns:
      `StylizerState`; beside the networks `domains`, a style vector for each.
    """
    keys = jax.random.split(key, 5)
    image = jnp.zeros((1, config.image_size, config.image_size, 3))
    content = jnp.zeros((1, config.latent_size))
    style = jnp.zeros((1, config.style_size))
    seen = jax.eval_shape(functools.partial(looked_at, config=config), image)
    inputs = {
        "content": (jnp.zeros(seen.shape),),
        "style": (image,),
        "decoder": (content, style),
        "critic": (content,),
    }
    params: dict[str, Any] = {
        name: network.init(k, *inputs[name])["params"]
        for (name, network), k in zip(networks(config).items(), keys[1:], strict=True)
    }
    shape = (len(DOMAINS), config.style_size)
    params["domains"] = {"vectors": jax.random.normal(keys[0], shape)}
    return stylizer_step.first_state(params, fixed={}, config=config)


def make_train_step(
    config: AutoencoderConfig, *, axis_name: str | None = None
) -> Callable[[StylizerState, dict], tuple[StylizerState, Metrics]]:
    """The training step on pictures of both domains.

    Args:
      config: the method's configuration.
      axis_name: of the mapped devices under `jax.pmap`.

    Returns:
      Pure function (state, {"a": images, "b": images} in [0, 1]) to (state, metrics).
    """

    def terms(params: Params, given: dict, fixed: Any) -> tuple[dict, Image]:
        return _terms(params, given, config)

    def draw(key: Key, count: int) -> dict[str, jax.Array]:
        keys, limit = jax.random.split(key, 4), config.place_jitter
        shape = (count, len(DOMAINS), PLACE)
        moved = jax.random.uniform(keys[0], shape, minval=-limit, maxval=limit)
        shape = (count, len(DOMAINS), config.latent_size - PLACE)
        noise = config.shown_noise * jax.random.normal(keys[1], shape)
        found = {"moved": moved, "noise": noise}
        if config.grain:
            rows, side = (count, len(DOMAINS)), config.image_size
            level = config.grain * jax.random.uniform(keys[2], (*rows, 1, 1, 1))
            found["grain"] = level * jax.random.normal(keys[3], (*rows, side, side, 3))
        return found

    return stylizer_step.make(terms, config, axis_name=axis_name, draw=draw)


def _terms(
    params: Params, given: dict[str, jax.Array], config: AutoencoderConfig
) -> tuple[dict, Image]:
    """The terms of the loss, weights included, and the pictures rendered again."""
    apply = functools.partial(_apply, params, config=config)
    images = jnp.concatenate([given["content"], given["style"]])
    domain = jnp.repeat(jnp.arange(len(DOMAINS)), len(given["content"]))
    vectors = params["domains"]["vectors"]
    own, other = vectors[domain], vectors[1 - domain]

    moved, noise = (_of_both(given[name]) for name in ("moved", "noise"))
    grain = _of_both(given["grain"]) if config.grain else jnp.zeros_like(images)
    latent = apply("content", looked_at(images + grain, config))
    same = apply("decoder", _noisy(latent, noise), own)
    judged = _judged(params["critic"], latent, config)
    read = apply("style", images)

    guessed, undecided = (jax.nn.log_softmax(x) for x in judged)
    seen = jnp.square(read - jax.lax.stop_gradient(own))
    terms = {
        "reconstruction": config.reconstruction_weight * _square_error(same, images),
        "zoom": config.zoom_weight * jnp.mean(jnp.square(latent[:, PLACE - 1])),
        "critic": -config.critic_weight
        * jnp.mean(guessed[jnp.arange(len(domain)), domain]),
        "confusion": -config.confusion_weight
        * (jnp.mean(undecided) + jnp.log(len(DOMAINS))),
        "style": config.style_weight * jnp.mean(seen),
    }
    if config.match_weight:
        halves = jnp.split(latent, len(DOMAINS))
        if len(halves[0]) < 2:
            raise ValueError(
                "match_weight: expected two or more pictures in each part of a batch,"
                " got one; raise batch_size or lower accumulate_steps"
            )
        terms["match"] = config.match_weight * moment_discrepancy(*halves)
    if config.latent_weight or config.place_weight or config.cycle_weight:
        again = _there_and_back(apply, latent, other, moved, grain, config)
        terms |= _kept_terms(again, latent, config)
        if config.cycle_weight:
            cycled = apply("decoder", again, own)
            terms["cycle"] = config.cycle_weight * _square_error(cycled, images)
    return terms, same


def _apply(
    params: Params, name: str, *inputs: jax.Array, config: AutoencoderConfig
) -> jax.Array:
    return networks(config)[name].apply({"params": params[name]}, *inputs)


def _of_both(drawn: jax.Array) -> jax.Array:
    """Rows for the pictures of the first domain, then for those of the second."""
    return jnp.concatenate([drawn[:, i] for i in range(len(DOMAINS))])


def _noisy(latent: jax.Array, noise: jax.Array) -> jax.Array:
    """The vectors, with noise on the numbers that say what is shown.

    A place number without any is then the better way to tell a size, and shapes are
    told by vectors far from each other.
    """
    place, shown = latent[:, :PLACE], latent[:, PLACE:]
    size = jnp.sqrt(jnp.mean(jnp.square(shown), axis=1, keepdims=True))
    shown = shown + jax.lax.stop_gradient(size) * noise
    return jnp.concatenate([place, shown], axis=1)


def _there_and_back(
    apply: Callable[..., jax.Array],
    latent: jax.Array,
    style: jax.Array,
    moved: jax.Array,
    grain: Image,
    config: AutoencoderConfig,
) -> jax.Array:
    """The vectors of what is rendered from some in a style.

    On the way there what is drawn is moved and zoomed, and the encoder is to read by
    how much: so each place number means the same whatever is shown, and what is shown
    is told by the others. The zoom's gain being known, a weight on its square leaves
    no more to choose than its zero, which is then the same for whatever is shown.
    Grain is against an encoder that tells renderings from pictures and reads sizes off
    the former alone.
    """
    moved = jnp.pad(moved, ((0, 0), (0, config.latent_size - PLACE)))
    drawn = apply("decoder", latent + moved, style)
    return apply("content", looked_at(drawn + grain, config)) - moved


def _kept_terms(
    again: jax.Array, latent: jax.Array, config: AutoencoderConfig
) -> dict[str, jax.Array]:
    known = jax.lax.stop_gradient(latent)
    missed = jnp.square(again - known)
    # Each vector by its own size, so that parts of a batch make no difference.
    size = jnp.mean(jnp.square(known), axis=1) + 1e-3
    return {
        "latent": config.latent_weight * jnp.mean(jnp.mean(missed, axis=1) / size),
        "place": config.place_weight * jnp.mean(missed[:, :PLACE]),
    }


def _square_error(x: Image, y: Image) -> jax.Array:
    return jnp.mean(jnp.square(x - y))


def _judged(
    critic: Params, latent: jax.Array, config: AutoencoderConfig
) -> tuple[jax.Array, jax.Array]:
    """The critic's logits twice: what it learns from, and what the encoder learns from.

    Their gradients reach the critic alone, and the encoder alone.
    """
    apply, fixed = networks(config)["critic"].apply, jax.lax.stop_gradient
    return (
        apply({"params": critic}, fixed(latent)),
        apply({"params": fixed(critic)}, latent),
    )


def generator_params(state: StylizerState, *, use_ema: bool | None = None) -> Params:
    """The parameters to encode and render with.

    Args:
      state: of a training.
      use_ema: True for the moving average, False for the raw parameters, None for the
        average where there is one.

    Returns:
      content, style, decoder and domains by name; no critic.

    Raises:
      ValueError: the average is asked for and was never on.
    """
    if use_ema and not state.ema_params:
        raise ValueError("expected a moving average, got a run with --ema_decay=0")
    is_average = bool(state.ema_params) if use_ema is None else use_ema
    found = state.ema_params if is_average else state.params
    return {name: leaf for name, leaf in found.items() if name != "critic"}


def encode(params: Params, images: Image, *, config: AutoencoderConfig) -> jax.Array:
    """The content vectors of pictures; pure.

    Args:
      params: from `generator_params`.
      images: `b h w 3` in [0, 1], any size; they are looked at as squares.
      config: the method's configuration.

    Returns:
      (b, d), float32.

    Raises:
      ValueError: no pictures.
    """
    checks.check_image(images, name="images")
    network = networks(config)["content"]
    seen = looked_at(_square(images, config), config)
    return network.apply({"params": params["content"]}, seen)


def style_of(params: Params, images: Image, *, config: AutoencoderConfig) -> jax.Array:
    """The style vectors of pictures; pure.

    Args:
      params: from `generator_params`.
      images: `b h w 3` in [0, 1], any size.
      config: the method's configuration.

    Returns:
      (b, e), float32.
    """
    network = networks(config)["style"]
    return network.apply({"params": params["style"]}, _square(images, config))


def render(
    params: Params,
    content: jax.Array,
    style: str | jax.Array,
    *,
    config: AutoencoderConfig,
    size_hw: tuple[int, int] | None = None,
) -> Image:
    """Pictures of content vectors in a style; pure.

    Args:
      params: from `generator_params`.
      content: (b, d), from `encode`.
      style: "A" or "B", a domain; or (b, e) or (1, e), from `style_of`.
      config: the method's configuration.
      size_hw: of the pictures; None for squares of `image_size`.

    Returns:
      `b h w 3` in [0, 1].

    Raises:
      ValueError: no such domain.
    """
    vectors = _domain(params, style) if isinstance(style, str) else style
    vectors = jnp.broadcast_to(vectors, (content.shape[0], vectors.shape[-1]))
    network = networks(config)["decoder"]
    found = network.apply({"params": params["decoder"]}, content, vectors)
    if size_hw is None or tuple(size_hw) == found.shape[1:3]:
        return found
    return jnp.clip(resize.resize(found, size_hw), 0.0, 1.0)


def _domain(params: Params, name: str) -> jax.Array:
    checks.check_choice(name, choices=DOMAINS, name="style")
    return params["domains"]["vectors"][DOMAINS.index(name)][None]


def predict(
    params: Params,
    images: Image,
    *,
    config: AutoencoderConfig,
    direction: str = "AtoB",
) -> Image:
    """The pictures rendered in the other domain's style, at their own size; pure.

    Args:
      params: from `generator_params`.
      images: `b h w 3` in [0, 1], any size.
      config: the method's configuration.
      direction: "AtoB" or "BtoA".

    Returns:
      `b h w 3` in [0, 1].

    Raises:
      ValueError: no pictures, or an unknown direction.
    """
    checks.check_choice(direction, choices=DIRECTIONS, name="direction")
    content = encode(params, images, config=config)
    size_hw = (images.shape[1], images.shape[2])
    return render(params, content, direction[-1], config=config, size_hw=size_hw)


def _square(images: Image, config: AutoencoderConfig) -> Image:
    size_hw = (config.image_size, config.image_size)
    if images.shape[1:3] == size_hw:
        return images
    return jnp.clip(resize.resize(images, size_hw), 0.0, 1.0)


def sample(params: Params, batch: dict, *, config: AutoencoderConfig) -> dict:
    """What a sample grid shows, in [0, 1].

    Args:
      params: from `generator_params`.
      batch: {"a": images, "b": images} `b h w 3` in [0, 1].
      config: the method's configuration.

    Returns:
      Dictionary with fake_b, cycled_a, identity_a, fake_a, cycled_b, identity_b.
    """
    found = {}
    for own, other in ("ab", "ba"):
        latent = encode(params, batch[own], config=config)
        fake = render(params, latent, other.upper(), config=config)
        again = encode(params, fake, config=config)
        found[f"fake_{other}"] = fake
        found[f"cycled_{own}"] = render(params, again, own.upper(), config=config)
        found[f"identity_{own}"] = render(params, latent, own.upper(), config=config)
    return found
