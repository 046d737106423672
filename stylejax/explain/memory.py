"""How much memory an explanation takes, asked of the compiler before it runs."""

import functools
from typing import Any

import jax
import numpy as np

from stylejax.explain.paths import average_gradient
from stylejax.explain.pictures import Picture, check_function
from stylejax.typing import ScalarFn


def temporary_bytes(
    fn: ScalarFn, image: Picture, *, num_steps: int, chunk: int | None = None
) -> int:
    """What XLA sets aside for integrated gradients, besides arguments and results.

    Compiles, and runs nothing. It does not grow with `num_steps`, but with `chunk`.

    Args:
      fn: pictures `b h w c` to one number each, `b` (or a scalar); differentiable.
      image: `h w c`, of which only the shape and dtype are used.
      num_steps: nodes of the rule.
      chunk: points differentiated at once.

    Returns:
      Bytes.

    Raises:
      ValueError: `fn` gives no single number, or a wrong number.
    """
    shape: Any = jax.ShapeDtypeStruct(np.shape(image), np.dtype("float32"))
    check_function(fn, shape)
    averaged = functools.partial(average_gradient, fn, num_steps=num_steps, chunk=chunk)
    compiled = jax.jit(averaged).lower(shape, shape).compile()
    analysis: Any = compiled.memory_analysis()
    return int(analysis.temp_size_in_bytes)


def chunk_within(
    fn: ScalarFn, image: Picture, *, max_bytes: int, num_steps: int = 32
) -> int:
    """The largest chunk of points whose gradients fit into a budget.

    Two compilations, of chunks of one and of two, say what each further point adds.

    Args:
      fn: pictures `b h w c` to one number each, `b` (or a scalar); differentiable.
      image: `h w c`, of which only the shape and dtype are used.
      max_bytes: what XLA may set aside.
      num_steps: nodes of the rule; a chunk is never larger.

    Returns:
      A number from 1 to `num_steps`, for the option `chunk`.

    Raises:
      ValueError: not even one point fits.
    """
    one, two = (
        temporary_bytes(fn, image, num_steps=max(num_steps, 2), chunk=c) for c in (1, 2)
    )
    if one > max_bytes:
        raise ValueError(
            f"max_bytes: expected at least {one} ({one / 2**20:.0f} MiB), which one"
            f" gradient needs, got {max_bytes}; use a smaller picture"
        )
    each = max(two - one, 1)
    return int(min(num_steps, 1 + (max_bytes - one) // each))
