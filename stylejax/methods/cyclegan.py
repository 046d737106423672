"""CycleGAN: two generators, two discriminators, pictures that come back.

`AtoB` translates domain A into B, discriminator `B` judges its outputs; the other
way round likewise. One step updates both generators from one forward pass, then both
discriminators on the same fakes, drawn through an image pool.

Reference: Zhu et al. 2017, https://arxiv.org/abs/1703.10593, in the weights and order
of its PyTorch code. Options beyond it are off by default: moving average,
differentiable augmentation, R1, total variation, other adversarial losses, skips in
the generator, and a price on changing a picture (Shrivastava et al. 2017).
"""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from stylejax import checks, trees
from stylejax.image import color, resize
from stylejax.losses import adversarial, cycle, regularizers
from stylejax.models import translation
from stylejax.train import (
    augment,
    batching,
    gradients,
    image_pool,
    optim,
    skipping,
)
from stylejax.train.state import CycleGANState
from stylejax.typing import Image, Metrics, Params

DIRECTIONS = ("AtoB", "BtoA")


@dataclasses.dataclass(frozen=True)
class CycleGANConfig:
    """Every hyper-parameter of the method; it is written beside each checkpoint."""

    # Networks.
    generator: str = "resnet"  # resnet or unet
    ngf: int = 64  # channels after the generator's first convolution
    num_blocks: int = 9  # residual blocks of the resnet generator
    num_downs: int = 0  # halvings; 0: 2 for resnet, log2(image_size) for unet
    upsample: str = "transpose"  # transpose (reference) or resize (no checkerboard)
    skips: bool = False  # resnet: encoder maps and the picture reach the decoder
    discriminator: str = "patch"  # patch or pixel
    ndf: int = 64  # channels after the discriminator's first convolution
    num_layers: int = 3  # strided layers of the patch discriminator
    dtype: str = "float32"  # dtype of the computation: float32 or bfloat16
    remat: bool = False  # recompute residual blocks in the backward pass
    image_size: int = 256  # side of the training crops in pixels
    # Losses.
    gan_loss: str = "lsgan"  # lsgan, nonsaturating, hinge or wasserstein
    cycle_weight: float = 10.0  # weight of the L1 cycle loss, both ways
    identity_weight: float = 0.5  # identity loss, in units of cycle_weight
    preserve_weight: float = 0.0  # L1 between a picture and its translation
    tv_weight: float = 0.0  # total variation of the fakes
    source_share: float = 0.0  # share of untranslated pictures among D's fakes
    r1_weight: float = 0.0  # R1 penalty on real pictures
    gradient_penalty_weight: float = 10.0  # used by wasserstein alone
    # Discriminator's view.
    pool_size: int = 50  # places of each image pool
    augment: str = ""  # comma list of translation, cutout, color
    # Optimisation.
    optimizer: str = "adam"  # adam or sgd
    generator_lr: float = 2e-4  # learning rate of both generators
    discriminator_warmup: int = (
        0  # first steps, in which the discriminators alone learn
    )
    discriminator_lr: float = 2e-4  # learning rate of both discriminators
    beta1: float = 0.5  # Adam's decay of the first moment
    beta2: float = 0.999  # Adam's decay of the second moment
    constant_epochs: int = 100  # epochs at full learning rate
    decay_epochs: int = 100  # epochs of linear decay
    steps_per_epoch: int = 0  # 0: filled in from the data before training
    accumulate_steps: int = 1  # parts a batch is split into, gradients averaged
    ema_decay: float = 0.0  # moving average of the generators; 0: off
    seed: int = 0  # of initialisation, pool and augmentation


class Networks(NamedTuple):
    """The two architectures; parameters travel separately."""

    generator: nn.Module
    discriminator: nn.Module


def networks(config: CycleGANConfig) -> Networks:
    """Returns the generator and discriminator modules that `config` describes.

    Args:
      config: the method's configuration.

    Returns:
      `Networks`; both directions share one architecture, not their parameters.

    Raises:
      ValueError: a name that is not offered.
    """
    generator = translation.make_generator(
        config.generator,
        ngf=config.ngf,
        num_blocks=config.num_blocks,
        num_downs=_num_downs(config),
        upsample=config.upsample,
        dtype=config.dtype,
        remat=config.remat,
        skips=config.skips,
    )
    discriminator = translation.make_discriminator(
        config.discriminator,
        ndf=config.ndf,
        num_layers=config.num_layers,
        dtype=config.dtype,
    )
    return Networks(generator, discriminator)


def _num_downs(config: CycleGANConfig) -> int:
    default = translation.num_halvings(config.generator, image_size=config.image_size)
    return config.num_downs or default


def init(key: jax.Array, config: CycleGANConfig) -> CycleGANState:
    """Returns the state before the first step.

    Args:
      key: PRNG key of the initial parameters.
      config: the method's configuration.

    Returns:
      `CycleGANState` with N(0, 0.02) kernels, zero biases, empty pools.

    Raises:
      ValueError: `image_size` does not divide by 2 to the number of halvings.
    """
    multiple = 2 ** _num_downs(config)
    if config.image_size % multiple:
        raise ValueError(
            f"image_size: expected a multiple of {multiple} for this generator, got"
            f" {config.image_size}"
        )
    return _init(key, config)


@functools.partial(jax.jit, static_argnames="config")
def _init(key: jax.Array, config: CycleGANConfig) -> CycleGANState:
    nets, optimizer = networks(config), _optimizer(config)
    shape = (config.image_size, config.image_size, 3)
    keys = jax.random.split(key, 4)

    def params_of(net: nn.Module, key: jax.Array) -> Params:
        return translation.initial_params(key, net, image_size=config.image_size)

    generators = {
        d: params_of(nets.generator, keys[i]) for i, d in enumerate(DIRECTIONS)
    }
    judges = {d: params_of(nets.discriminator, keys[2 + i]) for i, d in enumerate("AB")}
    zero = jnp.zeros((), jnp.int32)
    return CycleGANState(
        step=zero,
        generator_params=generators,
        discriminator_params=judges,
        generator_opt_state=optimizer.init(generators),
        discriminator_opt_state=optimizer.init(judges),
        pool_a=image_pool.init_pool(config.pool_size, shape),
        pool_b=image_pool.init_pool(config.pool_size, shape),
        ema_params=generators if config.ema_decay else {},
        skipped_in_a_row=zero,
        skipped_total=zero,
    )


def _optimizer(config: CycleGANConfig):
    return optim.direction(config.optimizer, beta1=config.beta1, beta2=config.beta2)


def translate_all(params: Params, batch: dict, *, config: CycleGANConfig) -> dict:
    """Returns every picture the losses look at, in [-1, 1].

    Args:
      params: {"AtoB": params, "BtoA": params}.
      batch: {"a": pictures, "b": pictures} `b h w 3` in [-1, 1].
      config: the method's configuration; identity pictures are left out where
        their weight is 0.

    Returns:
      Dictionary with fake_b, cycled_a, fake_a, cycled_b and, if weighted,
      identity_a and identity_b.
    """
    generator = networks(config).generator

    def run(direction: str, *pictures: jax.Array) -> list[jax.Array]:
        apply = functools.partial(generator.apply, {"params": params[direction]})
        return batching.apply_together(apply, pictures)

    # What is known at the start goes through a generator in one pass.
    same = {"AtoB": ["b"], "BtoA": ["a"]} if config.identity_weight else {}
    out: dict[str, jax.Array] = {}
    for direction, source, target in (("AtoB", "a", "b"), ("BtoA", "b", "a")):
        sides = [source, *same.get(direction, [])]
        names = [f"fake_{target}", f"identity_{target}"]
        found = run(direction, *(batch[side] for side in sides))
        out |= dict(zip(names, found, strict=False))
    (out["cycled_a"],) = run("BtoA", out["fake_b"])
    (out["cycled_b"],) = run("AtoB", out["fake_a"])
    return out


def _generator_terms(params: Params, judges: Params, batch: dict, config) -> tuple:
    """Returns (weighted terms by name, pictures), each term a mean over the batch."""
    judge, kind = networks(config).discriminator, config.gan_loss
    out = translate_all(params, batch, config=config)
    fakes = {"a": out["fake_a"], "b": out["fake_b"]}
    kinds = augment.parse(config.augment)

    names = ("adversarial", "cycle", "identity", "preserve", "total_variation")
    terms: dict[str, Any] = dict.fromkeys(names, 0.0)
    for side in "ab":
        seen = augment.apply(fakes[side], batch["draws"][side]["fake"], kinds=kinds)
        logits = judge.apply({"params": judges[side.upper()]}, seen)
        terms["adversarial"] += jnp.mean(adversarial.generator_loss(logits, kind=kind))
        cycled = cycle.cycle_loss(batch[side], out[f"cycled_{side}"])
        terms["cycle"] += config.cycle_weight * jnp.mean(cycled)
        if config.identity_weight:
            same = cycle.identity_loss(batch[side], out[f"identity_{side}"])
            weight = config.cycle_weight * config.identity_weight
            terms["identity"] += weight * jnp.mean(same)
        if config.preserve_weight:
            translated = fakes["b" if side == "a" else "a"]
            change = cycle.preserve_loss(batch[side], translated)
            terms["preserve"] += config.preserve_weight * jnp.mean(change)
        if config.tv_weight:
            variation = regularizers.total_variation(fakes[side])
            terms["total_variation"] += config.tv_weight * jnp.mean(variation)
    return terms, fakes


def _discriminator_terms(judges: Params, batch: dict, config) -> tuple:
    """Returns (halved loss of each discriminator with its penalties, nothing more)."""
    judge, kind = networks(config).discriminator, config.gan_loss
    kinds = augment.parse(config.augment)
    terms = {}
    for side in "ab":
        run = functools.partial(judge.apply, {"params": judges[side.upper()]})
        draws = batch["draws"][side]
        real = augment.apply(batch[side], draws["real"], kinds=kinds)
        fake = augment.apply(batch[f"fake_{side}"], draws["pooled"], kinds=kinds)
        share, other = config.source_share, batch["b" if side == "a" else "a"]
        # A translation that changes nothing is one of these.
        views = [augment.apply(other, draws["fake"], kinds=kinds)] if share else []
        judged, *fakes = batching.apply_together(run, [real, fake, *views])
        losses = adversarial.discriminator_loss(judged, fakes[0], kind=kind)
        if share:
            unchanged = adversarial.discriminator_loss(judged, fakes[1], kind=kind)
            losses = (1.0 - share) * losses + share * unchanged
        terms[side] = 0.5 * jnp.mean(losses)
        if kind == "wasserstein":
            penalty = adversarial.gradient_penalty(batch["keys"][0], run, real, fake)
            terms[side] += config.gradient_penalty_weight * jnp.mean(penalty)
        if config.r1_weight:
            terms[side] += config.r1_weight * jnp.mean(regularizers.r1(run, real))
    return terms, ()


def _draw(key: jax.Array, batch: int, config: CycleGANConfig) -> tuple[dict, dict]:
    """Returns (pool decisions, per-picture draws) for a global batch of `batch`."""
    pool_keys, draw_keys, rest = jax.random.split(key, 3)
    decisions = {
        side: image_pool.draw_decisions(k, batch, config.pool_size)
        for side, k in zip("ab", jax.random.split(pool_keys), strict=True)
    }
    views = [(side, view) for side in "ab" for view in ("real", "fake", "pooled")]
    draws: dict = {"a": {}, "b": {}}
    for (side, view), k in zip(views, jax.random.split(draw_keys, 6), strict=True):
        draws[side][view] = augment.draw(k, batch)
    return decisions, {"draws": draws, "keys": jax.random.split(rest, batch)}


def make_train_step(config: CycleGANConfig, *, axis_name: str | None = None):
    """Returns the pure function that takes one training step.

    Args:
      config: the method's configuration, `steps_per_epoch` filled in.
      axis_name: mapped axis when the step runs under `jax.pmap`; the batch is then
        one device's share, gradients and metrics are averaged over the axis, and
        fakes are gathered before they enter the pools. Leave it out under `jax.jit`.

    Returns:
      `step(state, batch, *, pool_decisions=None) -> (state, metrics)`. `batch` is
      {"a": images, "b": images} `b h w 3` in [0, 1], the global batch. `metrics` is a
      flat dictionary of scalars. A step whose losses or gradients are not finite
      changes nothing but the counters. `pool_decisions` ({"a": Decisions, "b":
      Decisions} for the global batch) replaces the drawn ones in parity tests.

    Raises:
      ValueError: `steps_per_epoch` is 0, or a name that is not offered.
    """
    checks.check_positive(config.steps_per_epoch, name="steps_per_epoch")
    checks.check_choice(config.gan_loss, choices=adversarial.LOSSES, name="gan_loss")
    networks(config), augment.parse(config.augment)
    return functools.partial(_step, config=config, across=gradients.Across(axis_name))


def _step(
    state: CycleGANState,
    batch: dict,
    *,
    pool_decisions: dict | None = None,
    config: CycleGANConfig,
    across: gradients.Across,
) -> tuple[CycleGANState, Metrics]:
    key = jax.random.fold_in(jax.random.key(config.seed), state.step)
    decisions, chance = _draw(key, across.size(batch["a"].shape[0]), config)
    decisions = pool_decisions or decisions
    real = {side: color.to_signed(batch[side]) for side in "ab"} | across.share(chance)
    factor = _learning_rate_factor(state.step, config)
    rate = config.generator_lr * factor

    def improve(params: Params, opt_state: Any) -> tuple:
        def terms_fn(params: Params, part: dict) -> tuple:
            return _generator_terms(params, state.discriminator_params, part, config)

        moved, terms, fakes = _descend(
            terms_fn, (params, opt_state), real, rate, config, across
        )
        return *moved, terms, fakes

    generator_params, generator_opt_state, terms, fakes = _unless_warming_up(
        improve, state, real, config
    )

    fakes = across.gather(fakes)
    pool_a, seen_a = image_pool.query(state.pool_a, fakes["a"], decisions["a"])
    pool_b, seen_b = image_pool.query(state.pool_b, fakes["b"], decisions["b"])
    judged = real | across.share({"fake_a": seen_a, "fake_b": seen_b})

    def judge_terms_fn(judges: Params, part: dict) -> tuple:
        return _discriminator_terms(judges, part, config)

    (judge_params, judge_opt_state), judge_terms, _ = _descend(
        judge_terms_fn,
        (state.discriminator_params, state.discriminator_opt_state),
        judged,
        config.discriminator_lr * factor,
        config,
        across,
    )

    metrics = _metrics(across, terms, judge_terms)
    moved = state.replace(  # type: ignore[attr-defined]
        generator_params=generator_params,
        discriminator_params=judge_params,
        generator_opt_state=generator_opt_state,
        discriminator_opt_state=judge_opt_state,
        pool_a=pool_a,
        pool_b=pool_b,
        ema_params=_average(state, generator_params, config),
    )
    kept, counters = skipping.keep_if_finite(moved, state, checked=metrics)
    return kept, metrics | counters | {"learning_rate": rate}


def _average(state: CycleGANState, params: Params, config: CycleGANConfig) -> Params:
    return optim.moving_average(
        state.ema_params, params, decay=config.ema_decay, step=state.step
    )


def _descend(terms_fn, now: tuple, batch: dict, rate, config, across) -> tuple:
    """Returns ((params, optimiser state) one step on, terms and norm, outputs)."""
    params, opt_state = now
    terms, outputs, grads = gradients.mean_gradients(
        terms_fn, params, batch, num_parts=config.accumulate_steps
    )
    grads = across.mean(grads)
    moved = optim.descend(_optimizer(config), params, opt_state, grads, rate=rate)
    terms = {name: jnp.asarray(x, jnp.float32) for name, x in terms.items()}
    return moved, (terms, trees.norm(grads)), outputs


def _unless_warming_up(
    improve, state: CycleGANState, real: dict, config: CycleGANConfig
) -> tuple:
    """Returns what `improve` does or, in the warm-up, the generators as they are.

    The discriminators then learn on untranslated pictures: on what generators that
    change nothing would put out.
    """
    now = (state.generator_params, state.generator_opt_state)
    if not config.discriminator_warmup:
        return improve(*now)

    def rest(params: Params, opt_state: Any) -> tuple:
        shapes = jax.eval_shape(improve, params, opt_state)[2]
        zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
        return params, opt_state, zeros, {"a": real["b"], "b": real["a"]}

    is_warm = state.step >= config.discriminator_warmup
    return jax.lax.cond(is_warm, improve, rest, *now)


def _learning_rate_factor(step: jax.Array, config: CycleGANConfig) -> jax.Array:
    return optim.constant_then_linear(
        step,
        steps_per_epoch=config.steps_per_epoch,
        constant_epochs=config.constant_epochs,
        decay_epochs=config.decay_epochs,
    )


def _metrics(across: gradients.Across, found: tuple, judges: tuple) -> Metrics:
    (terms, norm), (judge_terms, judge_norm) = found, judges
    terms, judge_terms = across.mean(terms), across.mean(judge_terms)
    metrics = {f"generator/{name}": x for name, x in terms.items()}
    metrics["generator/total"] = sum(terms.values())
    metrics |= {f"discriminator/{name}": x for name, x in judge_terms.items()}
    metrics["discriminator/total"] = sum(judge_terms.values())
    metrics["norm/generator_gradient"] = norm
    metrics["norm/discriminator_gradient"] = judge_norm
    return metrics


def generator_params(state: CycleGANState, *, use_ema: bool | None = None) -> Params:
    """Returns the parameters to translate with.

    Args:
      state: training state.
      use_ema: True for the moving average, False for the raw parameters, None for
        the average where there is one.

    Returns:
      {"AtoB": params, "BtoA": params}.

    Raises:
      ValueError: the average is asked for and was never on.
    """
    if use_ema and not state.ema_params:
        raise ValueError("expected a moving average, got a run with --ema_decay=0")
    is_average = bool(state.ema_params) if use_ema is None else use_ema
    return state.ema_params if is_average else state.generator_params


def predict(
    params: Params, images: Image, *, config: CycleGANConfig, direction: str = "AtoB"
) -> Image:
    """Returns `images` translated into the other domain, at their own size.

    Sides that the generator cannot halve are padded by reflection and cut again.

    Args:
      params: {"AtoB": params, "BtoA": params}.
      images: pictures `b h w 3` in [0, 1], any size.
      config: the method's configuration.
      direction: "AtoB" or "BtoA".

    Returns:
      Pictures `b h w 3` in [0, 1].

    Raises:
      ValueError: no pictures, or an unknown direction.
    """
    checks.check_image(images, name="images")
    checks.check_choice(direction, choices=DIRECTIONS, name="direction")
    multiple = 2 ** _num_downs(config)
    if config.generator == "resnet" and min(images.shape[1:3]) <= multiple:
        multiple *= 2  # its blocks reflect one pixel, so they need two
    padded, size = resize.pad_to_multiple(images, multiple)
    generator = networks(config).generator
    translated = generator.apply({"params": params[direction]}, color.to_signed(padded))
    return resize.crop_to(color.from_signed(translated), size)


def sample(params: Params, batch: dict, *, config: CycleGANConfig) -> dict:
    """Returns what a sample grid shows, in [0, 1].

    Args:
      params: {"AtoB": params, "BtoA": params}.
      batch: {"a": images, "b": images} `b h w 3` in [0, 1].
      config: the method's configuration.

    Returns:
      Dictionary with fake_b, cycled_a, identity_a, fake_a, cycled_b, identity_b.
    """
    signed = jax.tree.map(color.to_signed, {"a": batch["a"], "b": batch["b"]})
    config = dataclasses.replace(config, identity_weight=1.0)
    out = translate_all(params, signed, config=config)
    return jax.tree.map(color.from_signed, out)
