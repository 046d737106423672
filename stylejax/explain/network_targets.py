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
from stylejax.explain.targets import Box, region_mean
from stylejax.image.color import luminance
from stylejax.metrics import style as style_metrics
from stylejax.typing import Image, ImageFn

# Cycles per pixel of the finest wave on a square grid: the diagonal one.
_FINEST = 0.708

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
      A target. Called on pictures, it raises ValueError where the box is not inside.

    Raises:
      ValueError: an impossible box.
    """
    name = "cycle error" + _at(box)

    def error(images: Image) -> jax.Array:
        cycled = back(there(images))
        check_same_shape(images, cycled, names=("images", "the cycled pictures"))
        return _inside(jnp.abs(cycled - images), box, name).mean(axis=(1, 2, 3))

    return named(error, name=name)


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
      A target in [0, 1]. Called on pictures, it raises ValueError where the box is not
      inside or there is no such class.

    Raises:
      ValueError: an impossible box.
    """
    name = f"area of class {label}" + _at(box)

    def area(images: Image) -> jax.Array:
        shares = segment_fn(images)
        if shares.ndim != 4 or not 0 <= label < shares.shape[-1]:
            raise ValueError(
                "segment_fn: expected probabilities (b, h, w, classes) with class"
                f" {label}, got shape {shares.shape}"
            )
        return _inside(shares, box, name)[..., label].mean(axis=(1, 2))

    return named(area, name=name)


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
      high: cycles per pixel (the finest, along the diagonal, has 0.71).
      box: (x, y, w, h) in pixels; None is the whole picture.
      channel: "luminance", or "red", "green", "blue".

    Returns:
      A target in squared units of the picture; all bands together are its variance.

    Raises:
      ValueError: no band, an unknown channel, an impossible box; called on pictures,
        where the box is not inside them or they have not three channels.

    Example:
      >>> stripes = jnp.tile(jnp.array([0.0, 1.0]), 4)[None, None, :, None]
      >>> fine = band_energy(low=0.4, high=0.6)
      >>> round(float(fine(jnp.tile(stripes, (1, 8, 1, 3)))[0]), 3)
      0.25
    """
    names = ("red", "green", "blue")
    if not 0 <= low < min(high, _FINEST):
        raise ValueError(
            f"band: expected 0 <= low < high, low below {_FINEST} (the finest there"
            f" is), got {low} and {high}"
        )
    if channel not in (*names, "luminance"):
        raise ValueError(
            f"channel: expected one of luminance, {', '.join(names)}; got {channel!r}"
        )

    name = f"band {low:g}-{high:g}:{channel}" + _at(box)

    def energy(images: Image) -> jax.Array:
        check_image(images, name="images")
        inner = _inside(images, box, name)
        part = (
            luminance(inner)
            if channel == "luminance"
            else inner[..., names.index(channel)]
        )
        down, right = jnp.fft.fftfreq(part.shape[1]), jnp.fft.fftfreq(part.shape[2])
        frequency = jnp.sqrt(down[:, None] ** 2 + right[None] ** 2)
        inside = (frequency >= low) & (frequency < high) & (frequency > 0)
        spectrum = jnp.fft.fft2(part) / (part.shape[1] * part.shape[2])
        power = spectrum.real**2 + spectrum.imag**2
        return jnp.where(inside[None], power, 0).sum(axis=(1, 2))

    return named(energy, name=name)


def _at(box: Any) -> str:
    """The box as a name says it; refuses one that no picture could hold."""
    if box is None:
        return ""
    return "@" + ",".join(map(str, region_mean("luminance", box=box).box or ()))


def _inside(maps: jax.Array, box: Box | None, name: str) -> jax.Array:
    """The part of maps `b h w c` inside the box, which must be there."""
    if box is None:
        return maps
    (height, width), (x, y, w, h) = maps.shape[1:3], box
    if x + w > width or y + h > height:
        raise ValueError(
            f"target {name!r}: expected a box inside the picture, {width} wide and"
            f" {height} high"
        )
    return maps[:, y : y + h, x : x + w]
