"""Activation patching: which part of a network carries what makes two outputs differ.

Two pictures (say, one content in two styles, or a picture with and without a mark) give
a metric two values. A patch puts the activation of one run into the other, at a layer,
in a region or in a channel, and the metric says how much of the difference came along:

    recovered = (m_patched - m_corrupt) / (m_clean - m_corrupt)

`"denoising"` patches clean into the corrupt run: what recovers is *sufficient*.
`"noising"` patches corrupt into the clean run: what is lost, `1 - recovered`, is what
was *necessary*. These are different claims; redundant parts are neither alone.
`effect` is the one or the other, so that 0 is always "this part does nothing" and 1
"this part is everything". Take a continuous metric, and another real picture rather
than noise as the corrupt one.

`run(images, edits) -> (output, activations)` is what `with_activations` makes; an edit
is a pair (mask, value). Nothing here knows a library of networks.

Reference: Vig et al. 2020 and Meng et al. 2022 for the method; Zhang and Nanda 2023,
  Heimersheim and Nanda 2024 for how to read it. We patch all examples of a batch at
  once, regions and channels too, and check every table by patching all and nothing.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from stylejax.checks import (
    check_choice,
    check_image,
    check_one_each,
    check_positive,
    check_same_shape,
)
from stylejax.explain.edits import Run
from stylejax.explain.patch_masks import (
    Masks,
    channel_masks,
    layer_masks,
    region_patches,
)
from stylejax.image.regions import Labels, count_regions
from stylejax.metrics.perturbation import map_in_chunks
from stylejax.typing import Image, ScalarFn

DIRECTIONS = ("denoising", "noising")
# Below this share of the metric's own size a difference is rounding.
_FLOOR = 1e-5
_EQUAL = (
    "{} of {} pairs have one metric, clean and corrupt, to a share of {:g}, or one that"
    " is not finite: nothing to recover; take other pictures or another metric"
)
_EMPTY = "some regions hold no position of a layer; take larger regions or pictures"


@dataclasses.dataclass(frozen=True, eq=False)
class Patching:
    """How much of a difference each patch carries.

    Attributes:
      recovered: `(m_patched - m_corrupt) / (m_clean - m_corrupt)`, one axis for each
        kind of patch and the examples `b` last; NaN where it is undefined.
      patched: the metric of each patched run, of the same shape.
      clean: the metric of the clean pictures, `b`.
      corrupt: the metric of the corrupt pictures, `b`.
      nothing: `effect` of patching nothing, `b`: 0 unless the run is not repeatable.
      everything: `effect` of all patches at once, `b`: 1 if no path leads around them.
      direction: `"denoising"` or `"noising"`.
      axes: what the axes of `recovered` stand for, a tuple of names each.
      undefined: why there are NaN, or the empty text.
    """

    recovered: np.ndarray
    patched: np.ndarray
    clean: np.ndarray
    corrupt: np.ndarray
    nothing: np.ndarray
    everything: np.ndarray
    direction: str
    axes: tuple[tuple[str, ...], ...]
    undefined: str

    @property
    def effect(self) -> np.ndarray:
        """0 for a part that does nothing, 1 for one that is everything."""
        return self.recovered if self.direction == "denoising" else 1 - self.recovered


def patched_metrics(
    run: Run,
    metric: ScalarFn,
    source: Image,
    target: Image,
    masks: Masks,
    *,
    chunk: int = 8,
) -> tuple[Float[Array, " b"], Float[Array, " b"], Float[Array, "n b"]]:
    """The metric of both pictures, and of the target's run with each patch.

    Pure: it may be jitted and differentiated (in the pictures). One program evaluates
    all patches: those of a chunk are vmapped, the chunks are a scan.

    Args:
      run: `run(images, edits) -> (output, activations)`.
      metric: output to one number each, `b`, or to one for all of them.
      source: pictures `b h w c` whose activations are taken.
      target: pictures `b h w c` into whose run they are put.
      masks: for each layer `n` booleans, true where the patch takes the source's
        value; axes after the first broadcast to the layer's activation.
      chunk: patches evaluated at once, which decides the memory.

    Returns:
      The metric of source, of target, and `n b` of the patched runs.
    """
    with jax.default_matmul_precision("highest"):
        # Together, so that the network is compiled once for both.
        pair = jnp.stack([source, target])
        outputs, activations = jax.vmap(lambda images: run(images, {}))(pair)
        ends = jax.vmap(metric)(outputs)
        if ends.ndim > 1:
            check_one_each(ends[0], count=len(source), name="metric")

        def patched(mask: dict[str, Array]) -> jax.Array:
            edits = {}
            for name, m in mask.items():
                value = activations[name][0]
                edits[name] = (jnp.broadcast_to(m, value.shape), value)
            return metric(run(target, edits)[0])

        return ends[0], ends[1], map_in_chunks(patched, masks, chunk=chunk)


def patch_layers(
    run: Run,
    metric: ScalarFn,
    clean: Image,
    corrupt: Image,
    *,
    layers: Sequence[str],
    direction: str = "denoising",
    chunk: int = 8,
) -> Patching:
    """How much each layer carries, patched whole and alone.

    Args:
      run: `run(images, edits) -> (output, activations)`, see `with_activations`.
      metric: output to one number each, `b`, or to one for all of them (`b` is then 1);
        differentiability is not needed.
      clean: pictures `b h w c`.
      corrupt: pictures `b h w c`, one for each clean one.
      layers: names of activations, `l` of them.
      direction: `"denoising"` or `"noising"`.
      chunk: patches evaluated at once, which decides the memory.

    Returns:
      A `Patching` with `recovered` of shape `l b`.

    Raises:
      ValueError: pictures of different shape, an unknown direction or layer, a metric
        of another shape.

    Example:
      >>> def run(x, edits):  # one layer, so all goes through it
      ...     mask, value = edits.get("twice", (False, 0.0))
      ...     y = jnp.where(mask, value, 2 * x)
      ...     return y, {"twice": y}
      >>> mean = lambda y: y.mean(axis=(1, 2, 3))
      >>> pair = jnp.ones((1, 2, 2, 3)), jnp.zeros((1, 2, 2, 3))
      >>> patch_layers(run, mean, *pair, layers=["twice"]).recovered.tolist()
      [[1.0]]
    """
    shapes = _shapes(run, clean, corrupt, layers)
    return _patching(
        run,
        metric,
        (clean, corrupt),
        layer_masks(shapes),
        (list(shapes),),
        direction=direction,
        chunk=chunk,
    )


def patch_regions(
    run: Run,
    metric: ScalarFn,
    clean: Image,
    corrupt: Image,
    *,
    layers: Sequence[str],
    labels: Labels,
    num_regions: int,
    direction: str = "denoising",
    chunk: int = 8,
) -> Patching:
    """How much each region of each layer carries.

    The labels are resized to each activation's size by taking the nearest one. A region
    of which no position is left at a layer has NaN there, not 0.

    Args:
      run: as in `patch_layers`.
      metric: as in `patch_layers`.
      clean: pictures `b h w c`.
      corrupt: pictures `b h w c`, one for each clean one.
      layers: names of activations `b h' w' c'`, `l` of them.
      labels: `h w` whole numbers from 0 to `k - 1`, see `stylejax.image.regions`.
      num_regions: `k`.
      direction: `"denoising"` or `"noising"`.
      chunk: patches evaluated at once, which decides the memory.

    Returns:
      A `Patching` with `recovered` of shape `l k b`.

    Raises:
      ValueError: as in `patch_layers`; a layer that is no map, labels of another size
        or range.
    """
    shapes = _shapes(run, clean, corrupt, layers)
    check_positive(num_regions, name="num_regions")
    count_regions(labels, size_hw=clean.shape[1:3], num_regions=num_regions)
    return _patching(
        run,
        metric,
        (clean, corrupt),
        region_patches(shapes, labels, num_regions=num_regions),
        (list(shapes), [f"region {i}" for i in range(num_regions)]),
        direction=direction,
        chunk=chunk,
    )


def patch_channels(
    run: Run,
    metric: ScalarFn,
    clean: Image,
    corrupt: Image,
    *,
    layer: str,
    direction: str = "denoising",
    chunk: int = 8,
) -> Patching:
    """How much each channel of one layer carries.

    Args:
      run: as in `patch_layers`.
      metric: as in `patch_layers`.
      clean: pictures `b h w c`.
      corrupt: pictures `b h w c`, one for each clean one.
      layer: name of an activation with `u` channels in its last axis.
      direction: `"denoising"` or `"noising"`.
      chunk: patches evaluated at once, which decides the memory.

    Returns:
      A `Patching` with `recovered` of shape `u b`.

    Raises:
      ValueError: as in `patch_layers`.
    """
    (shape,) = _shapes(run, clean, corrupt, [layer]).values()
    return _patching(
        run,
        metric,
        (clean, corrupt),
        {layer: channel_masks(shape)},
        ([f"channel {i}" for i in range(shape[-1])],),
        direction=direction,
        chunk=chunk,
    )


def _shapes(
    run: Run, clean: Image, corrupt: Image, layers: Sequence[str]
) -> dict[str, tuple[int, ...]]:
    """The shapes of the layers' activations, once pictures and names are checked."""
    check_image(clean, name="clean", channels=None)
    check_same_shape(clean, corrupt, names=("clean", "corrupt"))
    if isinstance(layers, str) or not layers:
        raise ValueError(f"layers: expected a list of names, got {layers!r}")
    activations = jax.eval_shape(lambda x: run(x, {})[1], clean)
    for name in layers:
        check_choice(name, choices=activations, name="layer")
    return {name: activations[name].shape for name in layers}


def _patching(
    run: Run,
    metric: ScalarFn,
    pictures: tuple[Image, Image],
    masks: Masks,
    axes: tuple[Sequence[str], ...],
    *,
    direction: str,
    chunk: int,
) -> Patching:
    """Patches by each mask, by none and by all at once; NaN for masks of nothing."""
    check_choice(direction, choices=DIRECTIONS, name="direction")
    whole = {
        name: np.concatenate([m, np.zeros_like(m[:1]), m.any(axis=0, keepdims=True)])
        for name, m in masks.items()
    }
    # A jitted run is compiled for this once; what a plain one closes over may change.
    program = _program_once if isinstance(run, jax.stages.Wrapped) else _program
    flip = 1 if direction == "denoising" else -1
    source, target, patched = program(run, metric, chunk)(*pictures[::flip], whole)
    clean, corrupt = (np.asarray(m).reshape(-1) for m in (source, target)[::flip])
    patched = np.asarray(patched).reshape(-1, clean.size)
    recovered, undefined = _recovered(patched, clean, corrupt)
    effect = recovered if direction == "denoising" else 1 - recovered
    covers = [m.reshape(len(m), -1).any(axis=1) for m in masks.values()]
    empty = ~np.any(covers, axis=0)
    recovered[:-2][empty] = np.nan
    reasons = [undefined, _EMPTY if empty.any() else ""]
    shape = (*map(len, axes), -1)
    return Patching(
        recovered=recovered[:-2].reshape(shape),
        patched=patched[:-2].reshape(shape),
        clean=clean,
        corrupt=corrupt,
        nothing=effect[-2],
        everything=effect[-1],
        direction=direction,
        axes=tuple(map(tuple, axes)),
        undefined="; ".join(filter(None, reasons)),
    )


def _program(run: Run, metric: ScalarFn, chunk: int) -> Callable:
    return jax.jit(functools.partial(patched_metrics, run, metric, chunk=chunk))


# Few, because each keeps alive the parameters its function closes over.
_program_once = functools.lru_cache(maxsize=4)(_program)


def _recovered(
    patched: np.ndarray, clean: np.ndarray, corrupt: np.ndarray
) -> tuple[np.ndarray, str]:
    """The recovered fraction of each patch, and why some of it is NaN."""
    clean, corrupt = clean.astype(np.float64), corrupt.astype(np.float64)
    change = clean - corrupt
    equal = ~(np.abs(change) > _FLOOR * np.maximum(np.abs(clean), np.abs(corrupt)))
    change = np.where(equal, np.nan, change)
    reason = _EQUAL.format(equal.sum(), equal.size, _FLOOR) if equal.any() else ""
    return (patched - corrupt[None]) / change[None], reason
