"""What the units of a layer do: forced off, or to a high value, alone and together.

A unit is one channel of an activation. That a unit looks at something (see
`stylejax.explain.dissection`) does not show that it causes it; forcing it and watching
a metric of the output does, if the change is larger than that of random units.

Reference: Bau et al., "GAN Dissection: Visualizing and Understanding Generative
  Adversarial Networks", 2019. Ours takes any metric instead of a segmentation, and
  compares a set of units with random sets of its size.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from stylejax.checks import check_choice, check_image, check_one_each, check_positive
from stylejax.explain.edits import Run
from stylejax.metrics.perturbation import map_in_chunks
from stylejax.typing import Image, Key, ScalarFn


@dataclasses.dataclass(frozen=True, eq=False)
class Ablation:
    """What forcing each of `u` units does to a metric.

    Attributes:
      changes: metric with the unit forced minus without, for each unit and picture,
        `u b`.
      effects: their mean over the pictures, `u`.
      order: units by `|effects|`, the largest first.
      band: 5 % and 95 % quantile of `effects`: where a unit taken at random lies.
      unforced: the metric without an edit, `b`.
      levels: what the units were forced to, `u`.
    """

    changes: np.ndarray
    effects: np.ndarray
    order: np.ndarray
    band: tuple[float, float]
    unforced: np.ndarray
    levels: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class SetAblation:
    """What forcing a set of units together does, against random sets of its size.

    Attributes:
      effect: mean change of the metric over the pictures.
      random_effects: the same for each random set, `r`.
      band: 5 % and 95 % quantile of `random_effects`.
      p_value: share of sets, this one counted among them, that change the metric at
        least as much; at least `1 / (r + 1)`. NaN where a change is not finite.
    """

    effect: float
    random_effects: np.ndarray
    band: tuple[float, float]
    p_value: float


def forced_changes(
    run: Run,
    metric: ScalarFn,
    images: Image,
    masks: Float[Array, "n u"],
    *,
    layer: str,
    levels: Float[Array, " u"],
    chunk: int = 8,
) -> tuple[Float[Array, "n b"], Float[Array, " b"]]:
    """The change of a metric when sets of units are forced, and the metric itself.

    Pure: it may be jitted. Sets of a chunk are vmapped, chunks are a scan.

    Args:
      run: `run(images, edits) -> (output, activations)`.
      metric: output to one number each, `b`.
      images: pictures `b h w c`.
      masks: `n u` booleans: which units are forced.
      layer: name of an activation with `u` channels in its last axis.
      levels: what each unit is forced to, at all positions, `u`.
      chunk: sets evaluated at once, which decides the memory.

    Returns:
      `n b` metric with the units forced minus without, and `b` without.

    Raises:
      ValueError: a metric that is not one number for each picture.
    """
    with jax.default_matmul_precision("highest"):
        output, activations = run(images, {})
        x, unforced = activations[layer], metric(output)
        check_one_each(unforced, count=len(images), name="metric")
        row = (*[1] * (x.ndim - 1), -1)
        value = jnp.broadcast_to(levels.astype(x.dtype).reshape(row), x.shape)

        def change(mask: jax.Array) -> jax.Array:
            edit = (jnp.broadcast_to(mask.reshape(row), x.shape), value)
            return metric(run(images, {layer: edit})[0]) - unforced

        return map_in_chunks(change, masks, chunk=chunk), unforced


def ablate_units(
    run: Run,
    metric: ScalarFn,
    images: Image,
    *,
    layer: str,
    levels: ArrayLike = 0.0,
    units: Sequence[int] | None = None,
    chunk: int = 8,
) -> Ablation:
    """What each unit alone does to a metric, forced off or to a value, ranked.

    Args:
      run: `run(images, edits) -> (output, activations)`, see `with_activations`.
      metric: output to one number each, `b`, say the area of a concept.
      images: pictures `b h w c`.
      layer: name of an activation with channels in its last axis.
      levels: what a unit is forced to at all positions: 0 for off, `unit_levels` for
        on; one number or one for each channel.
      units: which; None takes all. The results are in this order.
      chunk: units evaluated at once, which decides the memory.

    Returns:
      An `Ablation`. The causal effect on minus off is the difference of two.

    Raises:
      ValueError: an unknown layer, units that it has not, levels of another number, a
        metric that is not one number for each picture.
    """
    size = _num_units(run, images, layer)
    chosen = _checked_units(range(size) if units is None else units, size)
    forced = _checked_levels(levels, size)
    masks = np.eye(size, dtype=bool)[chosen]
    changes, unforced = _program(run, metric, layer, chunk)(images, masks, forced)
    changes = np.asarray(changes, np.float64).reshape(len(chosen), -1)
    effects = changes.mean(axis=1)
    return Ablation(
        changes=changes,
        effects=effects,
        order=np.asarray(chosen)[np.argsort(-np.abs(effects), kind="stable")],
        band=_band(effects),
        unforced=np.asarray(unforced).reshape(-1),
        levels=forced[chosen],
    )


def ablate_set(
    key: Key,
    run: Run,
    metric: ScalarFn,
    images: Image,
    *,
    layer: str,
    units: Sequence[int],
    levels: ArrayLike = 0.0,
    num_random: int = 50,
    chunk: int = 8,
) -> SetAblation:
    """What a set of units does together, against random sets of as many units.

    Choose the units on other pictures than these: the best of many on some pictures are
    partly the luckiest on them.

    Args:
      key: draws the random sets, each without repetition.
      run: as in `ablate_units`.
      metric: as in `ablate_units`.
      images: pictures `b h w c`.
      layer: as in `ablate_units`.
      units: the set.
      levels: as in `ablate_units`.
      num_random: `r`.
      chunk: sets evaluated at once, which decides the memory.

    Returns:
      A `SetAblation`.

    Raises:
      ValueError: as in `ablate_units`.
    """
    check_positive(num_random, name="num_random")
    size = _num_units(run, images, layer)
    chosen = _checked_units(units, size)
    own = np.isin(np.arange(size), chosen)
    lots = np.asarray(jax.random.uniform(key, (num_random, size)))
    masks = np.concatenate(
        [own[None], lots.argsort(axis=1).argsort(axis=1) < own.sum()]
    )
    forced = _checked_levels(levels, size)
    changes, _ = _program(run, metric, layer, chunk)(images, masks, forced)
    effect, *others = np.asarray(changes, np.float64).reshape(len(masks), -1).mean(1)
    random_effects = np.array(others)
    # The set itself, drawn by chance, must count although it is rounded otherwise.
    as_large = int((np.abs(random_effects) >= abs(effect) * (1 - 1e-5)).sum())
    finite = np.isfinite([effect, *others]).all()
    return SetAblation(
        effect=float(effect),
        random_effects=random_effects,
        band=_band(random_effects),
        p_value=(1 + as_large) / (1 + num_random) if finite else float("nan"),
    )


def _band(effects: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(effects, [0.05, 0.95])
    return float(low), float(high)


def _num_units(run: Run, images: Image, layer: str) -> int:
    check_image(images, name="images", channels=None)
    activations = jax.eval_shape(lambda x: run(x, {})[1], images)
    check_choice(layer, choices=activations, name="layer")
    return activations[layer].shape[-1]


def _checked_units(units: Sequence[int], size: int) -> list[int]:
    chosen = [int(unit) for unit in units]
    if not chosen or min(chosen) < 0 or max(chosen) >= size:
        raise ValueError(f"units: expected some of 0 to {size - 1}, got {chosen}")
    return chosen


def _checked_levels(levels: ArrayLike, size: int) -> np.ndarray:
    values = np.asarray(levels, np.float32)
    if values.shape not in ((), (size,)):
        raise ValueError(
            f"levels: expected one number or {size}, one for each unit, got shape"
            f" {values.shape}"
        )
    return np.broadcast_to(values, (size,))


def _program(run: Run, metric: ScalarFn, layer: str, chunk: int) -> Callable:
    # A jitted run is compiled for this once; what a plain one closes over may change.
    make = _make_once if isinstance(run, jax.stages.Wrapped) else _make
    program = make(run, metric, layer, chunk)
    return lambda images, masks, levels: program(images, masks, levels=levels)


def _make(run: Run, metric: ScalarFn, layer: str, chunk: int) -> Callable:
    fn = functools.partial(forced_changes, run, metric, layer=layer, chunk=chunk)
    return jax.jit(fn)


# Few, because each keeps alive the parameters its function closes over.
_make_once = functools.lru_cache(maxsize=4)(_make)
