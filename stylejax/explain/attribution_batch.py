"""Integrated gradients of many pictures at once, on one device or on a mesh of them.

`attribution.integrated_gradients` looks at its numbers on the way: it refines the path
and warns. What is here is one pure function of arrays, to be compiled, mapped over
targets, and spread over the devices of a mesh by the shardings of its arguments:

    rows = NamedSharding(mesh, PartitionSpec("data"))
    attribute = jax.jit(lambda x, y: batch_attribution(fn, x, y))
    found = attribute(jax.device_put(images, rows), jax.device_put(baselines, rows))

No picture's map depends on another picture, so the devices exchange nothing.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from stylejax.checks import check_image, check_same_shape
from stylejax.explain.completeness import FLOOR
from stylejax.explain.paths import average_gradients
from stylejax.explain.pictures import Picture, scalar_at
from stylejax.typing import Image, PerExample, ScalarFn


class BatchAttribution(NamedTuple):
    """The attributions of a batch, a pytree of arrays.

    Attributes:
      map: (b, h, w, c), signed contributions in the target's unit.
      target: (b,), at the pictures.
      target_baseline: (b,), at the baselines.
      sum: (b,), of each map.
      absolute_error: (b,), `|sum - (target - target_baseline)|`.
      relative_error: (b,), of the change; NaN where that is a thousandth of the target
        or less, as in `completeness.Attribution`.
      error_map: (b, h, w, c), the difference to a rule on half the nodes.
    """

    map: Float[Array, "b h w c"]
    target: PerExample
    target_baseline: PerExample
    sum: PerExample
    absolute_error: PerExample
    relative_error: PerExample
    error_map: Float[Array, "b h w c"]


def batch_attribution(
    fn: ScalarFn,
    images: Image,
    baselines: Image,
    *,
    num_steps: int = 32,
    rule: str = "gauss_legendre",
    chunk: int | None = None,
) -> BatchAttribution:
    """Integrated gradients of each picture, and how well they add up.

    Args:
      fn: pictures `b h w c` to one number each, `b` (or a scalar); it is only given
        batches of one, so that no picture's value depends on another.
      images: (b, h, w, c), where the paths end.
      baselines: (b, h, w, c), where they start, such as
        `jax.vmap(baselines.blur_baseline)(images)`.
      num_steps: nodes of the rule.
      rule: a name in `quadrature.RULES`.
      chunk: points of each picture's path differentiated at once; the memory is that
        of `b * chunk` pictures, and the same for any `num_steps`.

    Returns:
      A `BatchAttribution`. Pure: it may be jitted, vmapped over whatever `fn` closes
      over, sharded over pictures, and differentiated. Sums are in float32.

    Raises:
      ValueError: shapes that do not fit, a wrong rule, number of nodes or chunk.
      TypeError: pictures that are not float.

    Example:
      >>> cubes = lambda x: (x**3).sum(axis=(1, 2, 3))
      >>> images = jnp.ones((2, 4, 4, 3))
      >>> found = batch_attribution(cubes, images, 0 * images, num_steps=4)
      >>> [round(float(total), 3) for total in found.sum]
      [48.0, 48.0]

    Reference: as `attribution.integrated_gradients`.
    """
    check_image(images, name="images", channels=None)
    check_same_shape(images, baselines, names=("images", "baselines"))

    def one(image: Picture, baseline: Picture) -> BatchAttribution:
        both = average_gradients(
            fn, image, baseline, num_steps=num_steps, rule=rule, chunk=chunk
        )
        fine, coarse = (image - baseline)[None] * both
        ends = scalar_at(fn, image), scalar_at(fn, baseline)
        change = ends[0] - ends[1]
        total = fine.sum()
        error = jnp.abs(total - change)
        largest = jnp.maximum(*map(jnp.abs, ends))
        is_known = jnp.abs(change) > FLOOR * largest
        return BatchAttribution(
            map=fine,
            target=ends[0],
            target_baseline=ends[1],
            sum=total,
            absolute_error=error,
            relative_error=jnp.where(
                is_known, error / jnp.where(is_known, jnp.abs(change), 1), jnp.nan
            ),
            error_map=jnp.abs(fine - coarse),
        )

    return jax.vmap(one)(jnp.asarray(images), jnp.asarray(baselines))
