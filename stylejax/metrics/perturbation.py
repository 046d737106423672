"""A function's values on many changed copies of a picture, in one compiled call.

What the metrics of explanations share. The function is only given batches of one
picture, mapped by `jax.vmap`, so its value cannot depend on the others in a chunk, and
its convolutions run at full float32 precision. It is compiled with whatever it closes
over as constants: one already wrapped in `jax.jit` is compiled for this once and
reused, a plain one is traced afresh for every call.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from stylejax.checks import check_same_shape
from stylejax.image.regions import Labels, count_regions
from stylejax.typing import ScalarFn

Picture = Float[Array, "h w c"]


def value(fn: ScalarFn, picture: Picture) -> Float[Array, ""]:
    """The function on one picture, at full precision.

    Args:
      fn: pictures `b h w c` to one number each, `b` (or a scalar).
      picture: `h w c`.

    Returns:
      A scalar, float32 or wider.
    """
    with jax.default_matmul_precision("highest"):
        out = fn(picture[None])
    return out.reshape(()).astype(jnp.promote_types(out.dtype, jnp.float32))


def map_in_chunks(fn: Callable[..., Any], inputs: Any, *, chunk: int) -> Any:
    """`jax.lax.map` over chunks of equal size, so that `fn` is compiled once.

    Args:
      fn: an entry of `inputs` to a pytree of arrays.
      inputs: pytree of arrays (keys too) with one leading axis `n` in common.
      chunk: entries mapped at once, at least 1, which decides the memory.

    Returns:
      The results with a leading axis `n`.

    Raises:
      ValueError: a chunk that is no whole number of at least 1.

    Example:
      >>> map_in_chunks(lambda x: 2 * x, jnp.arange(5), chunk=2).tolist()
      [0, 2, 4, 6, 8]
    """
    if not isinstance(chunk, int | np.integer) or chunk < 1:
        raise ValueError(f"chunk: expected a whole number of at least 1, got {chunk}")
    num_inputs = len(jax.tree.leaves(inputs)[0])
    num_chunks = -(-num_inputs // int(chunk))
    width = -(-num_inputs // num_chunks)
    # The last entry again, as often as it takes: a remainder would compile `fn` twice.
    index = np.minimum(np.arange(num_chunks * width), num_inputs - 1)
    padded = jax.tree.map(lambda x: x[index], inputs)
    if width == 1:
        return jax.lax.map(fn, padded)
    results = jax.lax.map(fn, padded, batch_size=width)
    return jax.tree.map(lambda x: x[:num_inputs], results)


def compiled(core: Callable[..., Any], fn: Callable[..., Any], **options: Any) -> Any:
    """`core(fn, ...)` under `jax.jit`, remembered where `fn` is itself jitted.

    Args:
      core: a function of the module that calls; its first argument is `fn`.
      fn: what is measured or explained.
      **options: hashable, by name, as constants of the compiled program.

    Returns:
      A compiled function of the remaining arrays of `core`.
    """
    make = _jit_once if isinstance(fn, jax.stages.Wrapped) else _jit
    return make(core, fn, tuple(sorted(options.items())))


def in_chosen_regions(labels: Labels, chosen: Bool[Array, " k"]) -> Bool[Array, "h w"]:
    """Where the chosen regions are.

    Args:
      labels: `h w` whole numbers; those outside 0 to `k - 1` are never chosen.
      chosen: one truth value for each region.

    Returns:
      `h w`, true inside the chosen ones.

    Example:
      >>> in_chosen_regions(jnp.array([[0, 1, 2]]), jnp.array([False, True])).tolist()
      [[False, True, False]]
    """
    known = (labels >= 0) & (labels < len(chosen))
    return chosen[jnp.where(known, labels, 0)] & known


def checked_picture(
    image: Any, baseline: Any, attribution: Any
) -> tuple[Picture, Picture, Float[Array, "h w"]]:
    """A picture, its baseline and its map, once they fit each other.

    Args:
      image: one picture `h w c`, float.
      baseline: same shape.
      attribution: `h w c`, or `h w`.

    Returns:
      Picture and baseline, float32 or wider, and the map `h w`: the channels of a pixel
      are added up with their signs.

    Raises:
      ValueError: the shapes do not fit.
      TypeError: the picture is not float.
    """
    image = checked_image(image)
    check_same_shape(image, baseline, names=("image", "baseline"))
    shape = jnp.shape(attribution)
    if shape not in (image.shape, image.shape[:2]):
        raise ValueError(
            f"attribution: expected shape {image.shape} or {image.shape[:2]}, as the"
            f" picture, got {shape}"
        )
    totals = jnp.asarray(attribution, image.dtype)
    totals = totals.sum(axis=-1) if totals.ndim == 3 else totals
    return image, jnp.asarray(baseline, image.dtype), totals


def checked_image(image: Any) -> Picture:
    """One picture as a float array.

    Args:
      image: `h w c`, float.

    Returns:
      `h w c`, float32 or wider.

    Raises:
      ValueError: another rank.
      TypeError: not float.
    """
    if jnp.ndim(image) != 3:
        raise ValueError(
            f"image: expected one picture (h, w, c), got shape {jnp.shape(image)}; give"
            " the pictures of a batch one at a time, or use jax.vmap"
        )
    picture = jnp.asarray(image)
    if not jnp.issubdtype(picture.dtype, jnp.floating):
        raise TypeError(
            f"image: expected floats, got {picture.dtype}; convert with"
            " stylejax.image.color.to_float"
        )
    return picture.astype(jnp.promote_types(picture.dtype, jnp.float32))


def checked_labels(
    labels: Any, *, size_hw: tuple[int, ...], num_regions: int | None
) -> tuple[Labels, int]:
    """Labels of regions and how many there are.

    Args:
      labels: `h w` whole numbers from 0 to `num_regions - 1`; where they are traced,
        that is not looked at.
      size_hw: the size they must have.
      num_regions: their number; None reads it off the labels.

    Returns:
      The labels, and the number of regions.

    Raises:
      ValueError: another size, labels out of range, fewer than two regions, or a number
        that is needed.
      TypeError: no whole numbers.
    """
    labels = labels if hasattr(labels, "dtype") else np.asarray(labels)
    if jnp.shape(labels) != tuple(size_hw):
        raise ValueError(
            f"labels: expected shape {tuple(size_hw)}, as the picture, got"
            f" {jnp.shape(labels)}"
        )
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise TypeError(f"labels: expected whole numbers, got {labels.dtype}")
    if not isinstance(labels, jax.core.Tracer):
        num_regions = count_regions(labels, size_hw=size_hw, num_regions=num_regions)
    elif num_regions is None:
        raise ValueError(
            "num_regions: expected the number of regions, got None; under jax.jit"
            " it cannot be read off the labels"
        )
    if num_regions < 2:
        raise ValueError(f"labels: expected two regions or more, got {num_regions}")
    return jnp.asarray(labels), num_regions


def _jit(
    core: Callable[..., Any], fn: Callable[..., Any], options: tuple
) -> Callable[..., Any]:
    return jax.jit(functools.partial(core, fn, **dict(options)))


# Few, because each keeps alive the parameters its function closes over.
_jit_once = functools.lru_cache(maxsize=8)(_jit)
