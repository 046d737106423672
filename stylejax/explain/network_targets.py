"""Targets that need another function: features, a discriminator, a way back, a probe.

Like those of `targets`, each is a `Scalar`: named, composable, checked. They take
callables, so that any network serves; whoever calls them brings it.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from stylejax.checks import check_image, check_same_shape
from stylejax.explain.scalars import Named, named
from stylejax.explain.targets import Box
from stylejax.image.color import luminance
from stylejax.metrics import style as style_metrics
from stylejax.typing import Image, ImageFn

FeatureFn = Callable[[Image], Mapping[str, jax.Array]]


def style_distance(
    feature_fn: FeatureFn, *, style: Image, statistic: str = "gram"
) -> Named:
    """The target "how far the picture's style is from this one's".

    Args:
      feature_fn: pictures to feature maps (b, h, w, c) by layer.
      style: (1, h', w', 3) in [0, 1], any size.
      statistic: "gram" or "moments"; see `stylejax.metrics.style.style_distance`.

    Returns:
      A target: relative distance, averaged over the layers.

    Raises:
      ValueError: `style` is not one picture, or an unknown statistic.
    """
    check_image(style, name="style")
    if len(style) != 1:
        raise ValueError(f"style: expected one picture, got {len(style)}")
    # Once: the style does not move while a path of pictures is followed.
    goal = style_metrics.style_statistics(feature_fn(style), statistic=statistic)

    def distance(images: Image) -> jax.Array:
        found = style_metrics.style_statistics(feature_fn(images), statistic=statistic)
        return style_metrics.statistics_distance(found, goal)

    return named(distance, name=f"style distance ({statistic})")


def content_distance(feature_fn: FeatureFn, *, content: Image) -> Named:
    """The target "how far the picture's features are from the content's".

    Args:
      feature_fn: pictures to feature maps (b, h, w, c) by layer.
      content: (1, h, w, 3) in [0, 1], of the size of the pictures.

    Returns:
      A target: relative distance, averaged over the layers.

    Raises:
      ValueError: `content` is not one picture.
    """
    check_image(content, name="content")
    if len(content) != 1:
        raise ValueError(f"content: expected one picture, got {len(content)}")
    goal = feature_fn(content)

    def distance(images: Image) -> jax.Array:
        return style_metrics.maps_distance(feature_fn(images), goal)

    return named(distance, name="content distance")


def cycle_error(there: ImageFn, back: ImageFn, *, box: Box | None = None) -> Named:
    """The target "how much of the picture is lost on the way there and back".

    `mean |back(there(x)) - x|`: a function of the *input*, so nothing goes behind it.

    Args:
      there: pictures to pictures, from one domain to the other.
      back: the other way.
      box: (x, y, w, h) in pixels; None is the whole picture.

    Returns:
      A target.
    """

    def error(images: Image) -> jax.Array:
        cycled = back(there(images))
        check_same_shape(images, cycled, names=("images", "the cycled pictures"))
        x, y, w, h = box or (0, 0, images.shape[2], images.shape[1])
        off = jnp.abs(cycled - images)[:, y : y + h, x : x + w]
        return off.mean(axis=(1, 2, 3))

    return named(error, name="cycle error" + _at(box))


def discriminator_logit(
    logit_fn: Callable[[Image], jax.Array], *, cell: tuple[int, int] | None = None
) -> Named:
    """The target "how real a discriminator finds the picture", or one patch of it.

    Args:
      logit_fn: pictures to logits (b, h', w', 1), (b, h', w') or (b,).
      cell: (row, column) of one patch's logit; None averages them all.

    Returns:
      A target. Called on pictures, it raises ValueError where there is no such cell.
    """

    def logit(images: Image) -> jax.Array:
        logits = logit_fn(images)
        if logits.ndim == 4:
            logits = logits.mean(axis=-1)
        if cell is None:
            return logits.reshape(len(logits), -1).mean(axis=1)
        rows, columns = logits.shape[1:] if logits.ndim == 3 else (0, 0)
        if not (0 <= cell[0] < rows and 0 <= cell[1] < columns):
            raise ValueError(
                f"cell: expected (row, column) inside {rows} x {columns} logits, got"
                f" {tuple(cell)}"
            )
        return logits[:, cell[0], cell[1]]

    where = "" if cell is None else f" of cell {cell[0]},{cell[1]}"
    return named(logit, name=f"discriminator logit{where}")


def segment_area(
    segment_fn: Callable[[Image], jax.Array], *, label: int, box: Box | None = None
) -> Named:
    """The target "what share of the picture a segmenter gives to a class".

    Args:
      segment_fn: pictures to probabilities (b, h, w, classes); soft, or there is no
        gradient.
      label: which class.
      box: (x, y, w, h) in pixels; None is the whole picture.

    Returns:
      A target in [0, 1].
    """

    def area(images: Image) -> jax.Array:
        shares = segment_fn(images)
        if shares.ndim != 4 or not 0 <= label < shares.shape[-1]:
            raise ValueError(
                "segment_fn: expected probabilities (b, h, w, classes) with class"
                f" {label}, got shape {shares.shape}"
            )
        x, y, w, h = box or (0, 0, shares.shape[2], shares.shape[1])
        return shares[:, y : y + h, x : x + w, label].mean(axis=(1, 2))

    return named(area, name=f"area of class {label}" + _at(box))


def probe_score(
    latent_fn: Callable[[Image], jax.Array],
    *,
    weights: Float[Array, " d"],
    bias: float = 0.0,
    name: str = "probe",
) -> Named:
    """The target "what a linear probe reads from the picture's latent".

    Args:
      latent_fn: pictures to latents (b, d), or maps (b, h, w, d), which are averaged.
      weights: (d,), the probe's, for latents as they are (not standardised).
      bias: the probe's.
      name: of the probe's factor.

    Returns:
      A target: `latent . weights + bias`.
    """
    direction = jnp.asarray(weights)

    def score(images: Image) -> jax.Array:
        latents = latent_fn(images)
        if latents.ndim == 4:
            latents = latents.mean(axis=(1, 2))
        if latents.ndim != 2 or direction.shape != latents.shape[1:]:
            raise ValueError(
                f"weights: expected one for each of the latent's {latents.shape[1:]}"
                f" numbers, got shape {direction.shape}"
            )
        return latents @ direction + bias

    return named(score, name=f"{name} score")


def band_energy(
    *, low: float, high: float, box: Box | None = None, channel: str = "luminance"
) -> Named:
    """The target "how much the picture has of some fineness": a band of its spectrum.

    The variance of the luminance that lies at spatial frequencies from `low` to `high`.

    Args:
      low: cycles per pixel, from 0; 0 itself (the mean) is never in the band.
      high: cycles per pixel, at most 0.75 (the diagonal's finest is 0.71).
      box: (x, y, w, h) in pixels; None is the whole picture.
      channel: "luminance", or "red", "green", "blue".

    Returns:
      A target in squared units of the picture; all bands together are its variance.

    Raises:
      ValueError: no band, or an unknown channel.

    Example:
      >>> stripes = jnp.tile(jnp.array([0.0, 1.0]), 4)[None, None, :, None]
      >>> fine = band_energy(low=0.4, high=0.6)
      >>> round(float(fine(jnp.tile(stripes, (1, 8, 1, 3)))[0]), 3)
      0.25
    """
    names = ("red", "green", "blue")
    if not 0 <= low < high:
        raise ValueError(f"band: expected 0 <= low < high, got {low} and {high}")
    if channel not in (*names, "luminance"):
        raise ValueError(
            f"channel: expected one of luminance, {', '.join(names)}; got {channel!r}"
        )

    def energy(images: Image) -> jax.Array:
        x, y, w, h = box or (0, 0, images.shape[2], images.shape[1])
        plane = (
            luminance(images)
            if channel == "luminance"
            else images[..., names.index(channel)]
        )
        part = plane[:, y : y + h, x : x + w]
        down, right = jnp.fft.fftfreq(part.shape[1]), jnp.fft.fftfreq(part.shape[2])
        frequency = jnp.sqrt(down[:, None] ** 2 + right[None] ** 2)
        inside = (frequency >= low) & (frequency < high) & (frequency > 0)
        spectrum = jnp.fft.fft2(part) / (part.shape[1] * part.shape[2])
        power = spectrum.real**2 + spectrum.imag**2
        return jnp.where(inside[None], power, 0).sum(axis=(1, 2))

    return named(energy, name=f"band {low:g}-{high:g}:{channel}" + _at(box))


def _at(box: Any) -> str:
    return "" if box is None else "@" + ",".join(map(str, box))
