"""How a cycle of two translators responds to invisible changes in between.

Arrays in, arrays out: what `stylejax.explain.stego` judges by. The question is whether
`backward` reads from `forward`'s pictures what no eye sees in them.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from stylejax.checks import check_image, check_positive, check_same_shape
from stylejax.explain.invisible_changes import (
    PERTURBATIONS,
    dct_matrix,
    invisible_changes,
)
from stylejax.image.filters import gaussian_blur
from stylejax.typing import Image, ImageFn, Key, PerExample


class Transplant(NamedTuple):
    """Sums over each picture of what the exchange of invisible parts did.

    `moved / apart` is how far the reconstructions went to their partners, from 0 to 1;
    `changed / distance` the same of the intermediate pictures themselves.
    """

    moved: PerExample
    apart: PerExample
    changed: PerExample
    distance: PerExample


class Effect(NamedTuple):
    """What one kind of invisible change of the intermediate picture did.

    Attributes:
      visible: mean absolute change of the intermediate picture itself.
      error: mean absolute error of the cycle, after.
      ratio: `error` over the error without the change.
      jump: `error` minus the error without it.
      gain: size of the reconstruction's change over that of the intermediate picture's
        (root mean squares).
      forward_gain: the same of the first translator, for such a change of its input.
    """

    visible: Any
    error: Any
    ratio: Any
    jump: Any
    gain: Any
    forward_gain: Any


class CycleStatistics(NamedTuple):
    """What `cycle_statistics` measures; `stego_report` turns it into a report.

    Attributes:
      clean_error: (b,), mean absolute error of the cycle.
      transplant: of each picture and its partner.
      effects: by name of `PERTURBATIONS`, means over the pictures and draws.
      sensitivity_share: share of the high band in the energy of the gradient of the
        reconstruction, with respect to the intermediate picture; NaN without gradient.
      energy_share: share of the high band in the intermediate picture's own energy.
    """

    clean_error: PerExample
    transplant: Transplant
    effects: dict[str, Effect]
    sensitivity_share: Float[Array, ""]
    energy_share: Float[Array, ""]


def cycle_statistics(
    key: Key,
    forward: ImageFn,
    backward: ImageFn,
    images: Image,
    *,
    limit: float = 4 / 255,
    sigma: float = 1.5,
    epsilon: float = 3 / 256,
    num_draws: int = 4,
    quality: int = 75,
) -> CycleStatistics:
    """How the way back responds to invisible changes of the intermediate pictures.

    Pure: it may be jitted and vmapped, over models too.

    Args:
      key: of the noise.
      forward: pictures (b, h, w, 3) in [0, 1] to the other domain; same size.
      backward: the way back. The gradient goes through it.
      images: (b, h, w, 3), two or more. The partner of each picture is the one before.
      limit: at most this is exchanged at any value, in the pictures' unit.
      sigma: what a Gaussian of this deviation in pixels removes is fine structure; the
        high band begins where it halves the amplitude, at 0.19 / sigma cycles a pixel.
      epsilon: size of the noise, see `invisible_changes`.
      num_draws: of each kind of noise.
      quality: of the JPEG.

    Returns:
      `CycleStatistics`.

    Raises:
      ValueError: see `find_hidden_channel`.
    """
    _check(images, limit, sigma)
    change = functools.partial(
        invisible_changes, epsilon=epsilon, num_draws=num_draws, quality=quality
    )
    with jax.default_matmul_precision("highest"):
        inputs = {"clean": images[None], **change(key, images)}
        outputs = _map_all(forward, inputs)
        middle = outputs["clean"][0]
        check_same_shape(middle, images, names=("forward(images)", "images"))
        cycled, pull_back = jax.vjp(backward, middle)
        check_same_shape(cycled, images, names=("the cycle's pictures", "images"))
        (gradient,) = pull_back(_without_mean(cycled))
        fine = jnp.clip(middle - gaussian_blur(middle, sigma), -limit, limit)
        swapped = middle + _partner(fine) - fine
        changed = {
            **change(key, middle),
            "swapped": swapped[None],
        }
        answers = _map_all(backward, changed)
    clean_error = _mean(jnp.abs(cycled - images))
    effects = {}
    for name in PERTURBATIONS:
        error = jnp.mean(jnp.abs(answers[name] - images[None]))
        effects[name] = Effect(
            visible=jnp.mean(jnp.abs(changed[name] - middle[None])),
            error=error,
            ratio=error / clean_error.mean(),
            jump=error - clean_error.mean(),
            gain=_gain((middle, changed[name]), (cycled, answers[name])),
            forward_gain=_gain((images, inputs[name]), (middle, outputs[name])),
        )
    return CycleStatistics(
        clean_error=clean_error,
        transplant=_transplant(middle, cycled, swapped, answers["swapped"][0]),
        effects=effects,
        sensitivity_share=_high_share(gradient, sigma),
        energy_share=_high_share(_without_mean(middle), sigma),
    )


def _gain(
    sources: tuple[Image, Array], results: tuple[Image, Array]
) -> Float[Array, ""]:
    """Size of the results' change over that of the sources', from clean to changed."""
    change, response = (
        jnp.sum(jnp.square(after - before[None]))
        for before, after in (sources, results)
    )
    ratio = response / jnp.where(change > 0, change, 1)
    return jnp.where(change > 0, jnp.sqrt(ratio), 0.0)


def _transplant(
    middle: Image, cycled: Image, swapped: Image, answers: Image
) -> Transplant:
    apart, distance = _partner(cycled) - cycled, _partner(middle) - middle
    return Transplant(
        moved=_mean((answers - cycled) * apart),
        apart=_mean(apart * apart),
        changed=_mean((swapped - middle) * distance),
        distance=_mean(distance * distance),
    )


def _map_all(fn: ImageFn, batches: dict[str, Array]) -> dict[str, Array]:
    """The function on every batch, compiled once."""
    names, sizes = list(batches), [len(batch) for batch in batches.values()]
    answers = jax.lax.map(fn, jnp.concatenate(list(batches.values())))
    return dict(zip(names, jnp.split(answers, np.cumsum(sizes)[:-1]), strict=True))


def _high_share(images: Image, sigma: float) -> Float[Array, ""]:
    """Share of the cosine transform's energy at 0.19 / sigma cycles a pixel or more."""
    down, across = (dct_matrix(side) for side in images.shape[1:3])
    spectrum = jnp.einsum("uy,byxc,vx->buvc", down, images, across, precision="highest")
    frequency = np.hypot(
        np.arange(len(down))[:, None] / (2 * len(down)),
        np.arange(len(across))[None] / (2 * len(across)),
    )
    high = frequency >= np.sqrt(2 * np.log(2)) / (2 * np.pi * sigma)
    energy = jnp.sum(jnp.square(spectrum), axis=(0, 3))
    total = jnp.sum(energy)
    share = jnp.sum(jnp.where(high, energy, 0)) / jnp.where(total > 0, total, 1)
    return jnp.where(total > 0, share, jnp.nan)


def _partner(images: Image) -> Image:
    return jnp.roll(images, 1, axis=0)


def _mean(values: Image) -> PerExample:
    return jnp.mean(values, axis=(1, 2, 3))


def _without_mean(images: Image) -> Image:
    return images - jnp.mean(images, axis=(1, 2), keepdims=True)


def _check(images: Image, limit: float, sigma: float) -> None:
    check_image(images, name="images")
    check_positive(limit, name="limit")
    check_positive(sigma, name="sigma")
    if images.shape[0] < 2:
        raise ValueError(
            f"images: expected two pictures or more, got shape {images.shape}; parts"
            " are exchanged between them"
        )
