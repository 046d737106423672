"""Adversarial losses on discriminator logits, and the WGAN gradient penalty.

Logits may be one number per example or a map of patches; an example's value is the
mean over its patches. Discriminator losses are the plain sum of the real and the fake
term; a recipe that halves them (CycleGAN's does) halves them in its training step.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from stylejax.checks import check_choice, check_same_shape
from stylejax.losses.gradients import input_gradient
from stylejax.typing import Key, PerExample

Logits = Float[Array, "b ..."]

LOSSES = ("lsgan", "nonsaturating", "hinge", "wasserstein")

_GENERATOR_TERMS = {
    "lsgan": lambda fake: jnp.square(fake - 1),
    "nonsaturating": lambda fake: jax.nn.softplus(-fake),
    "hinge": lambda fake: -fake,
    "wasserstein": lambda fake: -fake,
}
_REAL_TERMS = {
    "lsgan": lambda real: jnp.square(real - 1),
    "nonsaturating": lambda real: jax.nn.softplus(-real),
    "hinge": lambda real: jax.nn.relu(1 - real),
    "wasserstein": lambda real: -real,
}
_FAKE_TERMS = {
    "lsgan": jnp.square,
    "nonsaturating": jax.nn.softplus,
    "hinge": lambda fake: jax.nn.relu(1 + fake),
    "wasserstein": lambda fake: fake,
}


def generator_loss(fake_logits: Logits, *, kind: str) -> PerExample:
    """The generator's adversarial loss of each example.

    With f a logit of a fake: lsgan (f - 1)^2, nonsaturating log(1 + exp(-f)),
    hinge and wasserstein -f.

    Args:
      fake_logits: (b, ...), the discriminator's raw output on fakes (no sigmoid).
      kind: one of `LOSSES`.

    Returns:
      (b,), float32: the mean over each example's patches. Not reduced over the batch.

    Raises:
      ValueError: for an unknown kind.

    Example:
      >>> generator_loss(jnp.zeros((2, 4, 4, 1)), kind="lsgan").tolist()
      [1.0, 1.0]

    Reference:
      Mao et al. 2017 (lsgan; without the factor 1/2, as CycleGAN), Goodfellow et al.
      2014 (nonsaturating), Lim and Ye 2017 (hinge), Arjovsky et al. 2017 (wasserstein).
    """
    check_choice(kind, choices=LOSSES, name="kind")
    return _per_example_mean(_GENERATOR_TERMS[kind](_float32(fake_logits)))


def discriminator_loss(
    real_logits: Logits, fake_logits: Logits, *, kind: str
) -> PerExample:
    """The discriminator's loss of each pair of examples: real term plus fake term.

    With r, f logits of a real and a fake: lsgan (r - 1)^2 + f^2, nonsaturating
    log(1 + exp(-r)) + log(1 + exp(f)), hinge max(0, 1 - r) + max(0, 1 + f),
    wasserstein f - r.

    Args:
      real_logits: (b, ...), the discriminator's raw output on reals (no sigmoid).
      fake_logits: same shape, its raw output on fakes.
      kind: one of `LOSSES`.

    Returns:
      (b,), float32: the mean over each example's patches. Not reduced over the batch,
      and not halved.

    Raises:
      ValueError: for an unknown kind, or if the two shapes differ.

    Example:
      >>> ones, zeros = jnp.ones((2, 4, 4, 1)), jnp.zeros((2, 4, 4, 1))
      >>> discriminator_loss(ones, zeros, kind="lsgan").tolist()
      [0.0, 0.0]
    """
    check_choice(kind, choices=LOSSES, name="kind")
    check_same_shape(real_logits, fake_logits, names=("real_logits", "fake_logits"))
    real = _REAL_TERMS[kind](_float32(real_logits))
    fake = _FAKE_TERMS[kind](_float32(fake_logits))
    return _per_example_mean(real + fake)


def gradient_penalty(
    key: Key,
    logits_fn: Callable[[Array], Logits],
    real: Float[Array, "b h w c"],
    fake: Float[Array, "b h w c"],
) -> PerExample:
    """The two-sided gradient penalty of each example: `(||grad f(x)|| - 1)^2`.

    x = u real + (1 - u) fake with one u ~ U(0, 1) per example, and f(x) the mean of
    the example's logits: the number whose differences the wasserstein loss takes. It
    can be differentiated again, and is finite where the gradient vanishes.

    Args:
      key: random key of the mixing weights.
      logits_fn: images (b h w c) to logits (b, ...); an example's logits may depend on
        that example alone.
      real: (b, h, w, c), in whatever range `logits_fn` takes.
      fake: same shape; stop its gradient first where only the critic shall learn.

    Returns:
      (b,), float32. The weight (10 in the paper) is the caller's.

    Raises:
      ValueError: if the two shapes differ.

    Example:
      >>> image = jnp.ones((2, 4, 4, 3))
      >>> flat = lambda x: x[:, 0, 0, 0]
      >>> gradient_penalty(jax.random.key(0), flat, image, image).tolist()
      [0.0, 0.0]

    Reference:
      Gulrajani et al. 2017. For patch logits pytorch-CycleGAN-and-pix2pix takes the sum
      over patches where we take the mean; with one logit per example both agree.
    """
    check_same_shape(real, fake, names=("real", "fake"))
    weight = jax.random.uniform(key, (real.shape[0], 1, 1, 1), real.dtype)
    gradient = input_gradient(logits_fn, weight * real + (1 - weight) * fake)
    squared_norm = jnp.sum(jnp.square(gradient), axis=(1, 2, 3))
    # sqrt has an infinite slope at 0; both wheres are needed to keep NaN out.
    is_zero = squared_norm == 0
    norm = jnp.where(is_zero, 0.0, jnp.sqrt(jnp.where(is_zero, 1.0, squared_norm)))
    return jnp.square(norm - 1)


def _float32(logits: Logits) -> Logits:
    return logits.astype(jnp.float32)


def _per_example_mean(values: Float[Array, "b ..."]) -> PerExample:
    return jnp.mean(values, axis=tuple(range(1, values.ndim)))
