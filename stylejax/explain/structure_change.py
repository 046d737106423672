"""What a translator added or removed, whatever it did to the colours.

A translator may recolour as it likes: where its output is, nearby, some affine function
of the input's colour, there is no new structure. What varies beyond that was added; and
what varies in the input beyond any recolouring of the output was removed. How much of
either is normal is learnt from pictures known to have nothing added or removed.

`stylejax.metrics.structure` compares layouts as a whole and without direction; here the
question is where, and in which direction.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from stylejax.checks import check_image, check_positive, check_same_shape
from stylejax.explain.detection import binomial_interval
from stylejax.explain.finite import check_finite
from stylejax.image.filters import gaussian_blur
from stylejax.metrics.pixel import Interval
from stylejax.typing import Image

# Variation this small explains nothing: 1 % of the picture's, and an 8-bit step.
_RIDGE, _FLAT = 1e-2, (1 / 255) ** 2


class StructureMaps(NamedTuple):
    """Where structure was added and removed, in shares of the picture's contrast.

    Attributes:
      added: (b, h, w), local variance of the output that no recolouring of the input
        explains, over the output's variance; not negative.
      removed: (b, h, w), the same with input and output exchanged.
    """

    added: Float[Array, "b h w"]
    removed: Float[Array, "b h w"]


@dataclasses.dataclass(frozen=True, eq=False)
class StructureReport:
    """Which pictures had structure added or removed, against pictures that had not.

    Attributes:
      maps: of the pictures.
      added: (b,), the highest point of each `maps.added`.
      removed: (b,), of each `maps.removed`.
      p_added: (b,), the chance of so high a point in pictures without additions.
      p_removed: (b,), the same for what is removed.
      level: pictures with p at most this are flagged.
      num_null: how many known pictures the chances come from.
    """

    maps: StructureMaps
    added: np.ndarray
    removed: np.ndarray
    p_added: np.ndarray
    p_removed: np.ndarray
    level: float
    num_null: int

    @property
    def added_rate(self) -> tuple[float, Interval]:
        """Share of the pictures flagged as added to; Clopper-Pearson interval."""
        return self._rate(self.p_added)

    @property
    def removed_rate(self) -> tuple[float, Interval]:
        """Share of the pictures flagged as removed from; Clopper-Pearson interval."""
        return self._rate(self.p_removed)

    def summary(self) -> str:
        """One line for people: how many pictures are flagged, and how many by chance.

        Returns:
          Text without a line break.
        """
        (added, up), (removed, down) = self.added_rate, self.removed_rate
        return (
            f"structure added in {added:.0%} of {len(self.added)} pictures"
            f" [{up.low:.0%}, {up.high:.0%}], removed in {removed:.0%}"
            f" [{down.low:.0%}, {down.high:.0%}]; {self.level:.0%} each by chance, as"
            f" in {self.num_null} pictures without"
        )

    def _rate(self, chances: np.ndarray) -> tuple[float, Interval]:
        flagged, total = int((chances <= self.level).sum()), len(chances)
        interval = binomial_interval(flagged, total, method="clopper_pearson")
        return flagged / total, interval


def structure_maps(
    inputs: Image, outputs: Image, *, sigma: float = 1.5
) -> StructureMaps:
    """Where the outputs have structure that the inputs lack, and the other way round.

    In a Gaussian window around each pixel, the output's channels are fitted by affine
    functions of the input's; `added` is the variance that is left. A new texture is
    structure as well; a feature that replaces another is both added and removed.

    Args:
      inputs: (b, h, w, 3), in [0, 1].
      outputs: same shape; output `i` is the translation of input `i`.
      sigma: of the window, in pixels: about half the size of the feature looked for.

    Returns:
      `StructureMaps`. Pure: it may be jitted and vmapped.

    Raises:
      ValueError: no batches of RGB pictures of one shape, or sigma not above 0.

    Example:
      >>> pictures = jnp.ones((2, 16, 16, 3))
      >>> jax.eval_shape(structure_maps, pictures, pictures).added.shape
      (2, 16, 16)

    Reference:
      He, Sun and Tang 2010: the window's fit is that of their guided filter.
    """
    check_image(inputs, name="inputs")
    check_image(outputs, name="outputs")
    check_same_shape(inputs, outputs, names=("inputs", "outputs"))
    check_positive(sigma, name="sigma")
    inputs, outputs = (jnp.asarray(x, jnp.float32) for x in (inputs, outputs))
    # Centred first: variances are differences of means of squares.
    x, y = (z - jnp.mean(z, axis=(1, 2), keepdims=True) for z in (inputs, outputs))
    covariance = _covariances(jnp.concatenate([x, y], axis=-1), sigma)
    exchanged = jnp.roll(covariance, x.shape[-1], axis=(-2, -1))
    return StructureMaps(_unexplained(covariance, x, y), _unexplained(exchanged, y, x))


def structure_change(
    inputs: Image,
    outputs: Image,
    *,
    null_inputs: Image,
    null_outputs: Image,
    sigma: float = 1.5,
    level: float = 0.05,
) -> StructureReport:
    """Which pictures had structure added or removed, and how surely.

    The highest point of each map is compared with those of pictures that are known to
    have nothing added or removed, translated by the same model: pictures without the
    feature in question, or held-out pairs. `p = (1 + how many of m are as high) /
    (1 + m)`: where the pictures are alike, a share `level` is flagged by chance,
    whatever the distribution.

    Args:
      inputs: (b, h, w, 3), in [0, 1].
      outputs: their translations.
      null_inputs: (m, h, w, 3), pictures known to lack the feature.
      null_outputs: their translations, also known to lack it.
      sigma: see `structure_maps`.
      level: pictures with p at most this are flagged.

    Returns:
      `StructureReport`.

    Raises:
      ValueError: shapes that do not fit, too few known pictures for this level, or
        pictures that are not finite.

    Reference:
      Cohen, Luck and Honari 2018, "Distribution matching losses can hallucinate
      features in medical image translation". The test is ours; its chances are those
      of conformal p-values (Vovk, Gammerman and Shafer 2005).
    """
    if not 0 < level < 1:
        raise ValueError(f"level: expected a number between 0 and 1, got {level}")
    least, known = int(np.ceil(1 / level - 1e-9)) - 1, len(null_inputs)
    if known < least:
        raise ValueError(
            f"null_inputs: expected at least {least} pictures for level {level:g}, got"
            f" {known}; add pictures or raise the level"
        )
    check_same_shape(
        inputs[:1], null_inputs[:1], names=("one of inputs", "one of null_inputs")
    )
    measure = jax.jit(structure_maps, static_argnames="sigma")
    maps, null = (
        measure(jnp.asarray(x), jnp.asarray(y), sigma=sigma)
        for x, y in ((inputs, outputs), (null_inputs, null_outputs))
    )
    check_finite(inputs, name="inputs", what="pictures")
    check_finite(outputs, name="outputs", what="pictures")
    check_finite(null_inputs, name="null_inputs", what="pictures")
    check_finite(null_outputs, name="null_outputs", what="pictures")
    peaks, normal = (
        [np.asarray(m.max(axis=(1, 2)), np.float64) for m in which]
        for which in (maps, null)
    )
    return StructureReport(
        maps=maps,
        added=peaks[0],
        removed=peaks[1],
        p_added=_chances(peaks[0], normal[0]),
        p_removed=_chances(peaks[1], normal[1]),
        level=level,
        num_null=known,
    )


def _unexplained(
    covariance: Float[Array, "b h w c c"], source: Image, result: Image
) -> Float[Array, "b h w"]:
    """Local variance of the result that no local recolouring of the source explains."""
    energy, contrast = (
        jnp.mean(jnp.square(z), axis=(1, 2, 3)) + _FLAT for z in (source, result)
    )
    ridge = (_RIDGE * energy + _FLAT)[:, None, None]
    # Schur complement, one channel of the source after the other. `jnp.linalg.solve` of
    # this many small systems now and then never returned (2026-11, jax 0.10.2, CPU).
    given = source.shape[-1]
    for k in range(given):
        column, pivot = covariance[..., k], covariance[..., k, k] + ridge
        product = column[..., :, None] * column[..., None, :]
        covariance = covariance - product / pivot[..., None, None]
    left = jnp.mean(jnp.diagonal(covariance, axis1=-2, axis2=-1)[..., given:], axis=-1)
    return jnp.maximum(left, 0) / contrast[:, None, None]


def _covariances(channels: Image, sigma: float) -> Float[Array, "b h w c c"]:
    """Between channels, in a Gaussian window around each pixel."""
    c = channels.shape[-1]
    rows, columns = np.triu_indices(c)
    means = gaussian_blur(channels, sigma)
    squares = gaussian_blur(channels[..., rows] * channels[..., columns], sigma)
    upper = squares - means[..., rows] * means[..., columns]
    place = np.zeros((c, c), np.int32)
    place[rows, columns] = place[columns, rows] = np.arange(len(rows))
    return upper[..., place]


def _chances(peaks: np.ndarray, normal: np.ndarray) -> np.ndarray:
    higher = (normal[None] >= peaks[:, None]).sum(axis=1)
    return (1 + higher) / (1 + len(normal))
