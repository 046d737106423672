"""What the units of a layer look at: where each is highest, against masks of concepts.

A unit is one channel of an activation. Its highest places over a set of pictures are
compared with where each concept is (a segmentation, or planted masks). What a unit
causes is another question, see `stylejax.explain.units`.

Reference: Bau et al., "Network Dissection: Quantifying Interpretability of Deep Visual
  Representations", 2017: top quantile 0.005, enlarged bilinearly, IoU above 0.05. We
  add the IoU that independence alone would give.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from stylejax.checks import check_image
from stylejax.explain.finite import check_finite

Maps = Float[Array, "b h w u"]


@dataclasses.dataclass(frozen=True, eq=False)
class Dissection:
    """Which concept each of `u` units looks at, of `k` concepts.

    Attributes:
      iou: intersection over union of where a unit is above its threshold and a
        concept's mask, over all pictures, `u k`.
      chance_iou: what it would be if the two areas were independent, `u k`.
      thresholds: of each unit, `u`: its values' quantile `1 - quantile`.
      best: index of the concept with the highest `iou`, `u`.
      interpretable: whether that `iou` is above `iou_threshold` and above chance, `u`.
      quantile: share of positions above the threshold.
      iou_threshold: what `interpretable` was decided by.
      num_pictures: how many pictures the thresholds and areas are from.
    """

    iou: np.ndarray
    chance_iou: np.ndarray
    thresholds: np.ndarray
    best: np.ndarray
    interpretable: np.ndarray
    quantile: float
    iou_threshold: float
    num_pictures: int


def unit_levels(activations: Maps, *, quantile: float = 0.005) -> Float[Array, " u"]:
    """The value that each unit exceeds at a share `quantile` of all positions.

    Args:
      activations: `b h w u` over a set of pictures.
      quantile: share of positions above, in (0, 1).

    Returns:
      `u`: thresholds for dissection, or high values to force a unit to; NaN for a unit
      that is NaN somewhere.

    Raises:
      ValueError: a quantile outside (0, 1), or no maps.

    Example:
      >>> maps = jnp.arange(5.0).reshape(1, 1, 5, 1)
      >>> unit_levels(maps, quantile=0.25).tolist()
      [3.0]
    """
    check_image(activations, name="activations", channels=None)
    if not 0 < quantile < 1:
        raise ValueError(f"quantile: expected a number in (0, 1), got {quantile}")
    return jnp.quantile(activations, 1 - quantile, axis=(0, 1, 2))


def dissect_units(
    activations: Maps,
    masks: ArrayLike,
    *,
    quantile: float = 0.005,
    iou_threshold: float = 0.05,
) -> Dissection:
    """What each unit looks at: overlap of its highest places with concepts.

    Activations are enlarged to the masks' size (bilinear) before the threshold, which
    is taken at their own size. `iou = sum |unit and concept| / sum |unit or concept|`
    over all pictures; 0 where both are empty.

    Args:
      activations: `b h w u`, of one layer on `b` pictures.
      masks: `b h' w' k`, where each concept is: booleans, or numbers that are true
        above 0.5.
      quantile: share of a unit's positions that are its highest.
      iou_threshold: above which a unit counts as interpretable.

    Returns:
      A `Dissection`.

    Raises:
      ValueError: activations and masks of different numbers of pictures, either not
        finite, a quantile outside (0, 1).

    Example:
      >>> sky = jnp.zeros((1, 4, 4, 1)).at[:, :1].set(1.0)
      >>> dissect_units(sky, sky, quantile=0.5).iou.tolist()
      [[1.0]]
    """
    levels = unit_levels(activations, quantile=quantile)
    shape = jnp.shape(masks)
    if len(shape) != 4 or shape[0] != activations.shape[0]:
        raise ValueError(
            f"masks: expected shape (b, h, w, concepts) with"
            f" {activations.shape[0]} pictures, got {shape}"
        )
    check_finite(activations, name="activations", what="units", axis=-1)
    check_finite(masks, name="masks", what="concepts", axis=-1)
    concepts = jnp.asarray(masks) > 0.5
    both, units, concept = (
        np.asarray(count, np.float64) for count in _areas(activations, concepts, levels)
    )
    units, concept = units[:, None], concept[None]
    independent = units * concept / np.prod(shape[:3], dtype=np.float64)
    iou = _ratio(both, units + concept - both)
    chance = _ratio(independent, units + concept - independent)
    best = iou.argmax(axis=1)
    found = (iou > iou_threshold) & (iou > chance)
    return Dissection(
        iou=iou,
        chance_iou=chance,
        thresholds=np.asarray(levels),
        best=best,
        interpretable=np.take_along_axis(found, best[:, None], axis=1)[:, 0],
        quantile=quantile,
        iou_threshold=iou_threshold,
        num_pictures=shape[0],
    )


@jax.jit
def _areas(activations: Maps, concepts: Array, levels: Array) -> tuple[Array, ...]:
    """Positions in both, in each unit and in each concept, picture by picture."""
    size = concepts.shape[1:3]

    def count(picture: tuple[Array, Array]) -> tuple[Array, ...]:
        maps, masks = picture
        enlarged = jax.image.resize(maps, (*size, maps.shape[-1]), "linear")
        # Sums of ones: exact in float32 to 16 million positions a picture.
        high = (enlarged > levels[None, None]).astype(jnp.float32)
        where = masks.astype(jnp.float32)
        both = jnp.einsum("hwu,hwk->uk", high, where, precision="highest")
        return both, high.sum(axis=(0, 1)), where.sum(axis=(0, 1))

    counts = jax.lax.map(count, (activations, concepts))
    return tuple(c.astype(jnp.int32).sum(axis=0) for c in counts)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
