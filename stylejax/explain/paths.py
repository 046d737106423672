"""Values and gradients of a scalar function along a path, at constant memory.

A function maps pictures `b h w c` to one number each, `b`, or to one scalar. It is only
ever given batches of one picture, mapped by `jax.vmap`, so its value on a picture
cannot depend on the others in a chunk. Its convolutions run at full float32 precision,
also where the device's default is lower: an explanation is checked to many digits.

The function is compiled with whatever it closes over as constants. A function already
wrapped in `jax.jit` is compiled for this once and reused on the next picture of that
size; a plain one is traced afresh for every path, since what it closes over may have
changed in between.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from stylejax.explain.quadrature import nodes_and_weights
from stylejax.typing import ScalarFn

Picture = Float[Array, "h w c"]
Block = tuple[np.ndarray, np.ndarray]

PROBES = (0.1, 0.25, 0.5)
"""Where `StraightPath.values` looks between the two ends."""

# Points held at once: by default at most this many, fewer when the picture is large
# (two of 256 x 256), and never more with more steps.
_CHUNK, _CHUNK_PIXELS = 16, 2 * 256 * 256


def average_gradient(
    fn: ScalarFn,
    image: Picture,
    baseline: Picture,
    *,
    num_steps: int = 32,
    rule: str = "gauss_legendre",
    chunk: int | None = None,
) -> Picture:
    """The gradient of a scalar function averaged along a straight path.

    `sum_k w_k dF/dx(x' + alpha_k (x - x'))`: integrated gradients before the
    multiplication with `x - x'`. Pure: it may be jitted, vmapped and differentiated,
    and checks nothing that needs values.

    Args:
      fn: pictures `b h w c` to one number each, `b` (or a scalar).
      image: the path's end `x`, `h w c`.
      baseline: the path's start `x'`, `h w c`.
      num_steps: nodes of the rule.
      rule: a name in `quadrature.RULES`.
      chunk: points differentiated at once, which alone decides the memory; by default
        16, fewer for pictures of more than 90 x 90 pixels.

    Returns:
      `h w c`, the target's unit per unit of the picture.

    Raises:
      ValueError: a wrong rule, number of nodes or chunk.
    """
    chunk = _checked_chunk(chunk, image.shape, num_steps)
    ((nodes, weights),) = _blocks(rule, num_steps, width=_width(num_steps, chunk))
    return _weighted_gradient(fn, image, baseline, nodes, weights)


class StraightPath:
    """A scalar function on the straight path from a baseline to a picture, compiled.

    Attributes:
      image: the path's end, `h w c`.
      baseline: the path's start, `h w c`.
      rule: the name of the quadrature rule.
    """

    def __init__(
        self,
        fn: ScalarFn,
        image: Picture,
        baseline: Picture,
        *,
        num_steps: int,
        rule: str,
        chunk: int | None,
    ) -> None:
        """Sizes the compiled scan for `num_steps` nodes; arguments as above."""
        self.image, self.baseline = image, baseline
        chunk = _checked_chunk(chunk, image.shape, num_steps)
        self.rule, self._width = rule, _width(num_steps, chunk)
        # Refuses a wrong rule or number before anything is compiled.
        _blocks(rule, num_steps, width=self._width)
        compiled = _jit_once if isinstance(fn, jax.stages.Wrapped) else _jit
        self._values, self._gradient = compiled(fn)

    def values(self) -> list[float]:
        """The function at the baseline, at each of `PROBES`, and at the picture.

        Returns:
          Five Python floats, in this order.
        """
        return self._values(self.image, self.baseline).tolist()

    def average_gradient(self, *, num_steps: int) -> Picture:
        """The gradient averaged over the nodes of the rule.

        Args:
          num_steps: number of nodes. More than the path was sized for run as several
            calls of the same compiled scan: nothing is compiled again.

        Returns:
          `h w c`, as `average_gradient`.
        """
        blocks = _blocks(self.rule, num_steps, width=self._width)
        parts = [self._gradient(self.image, self.baseline, *block) for block in blocks]
        return functools.reduce(jnp.add, parts)


def _value(fn: ScalarFn, picture: Picture) -> jax.Array:
    with jax.default_matmul_precision("highest"):
        out = fn(picture[None])
    return out.reshape(()).astype(jnp.promote_types(out.dtype, jnp.float32))


def _between(image: Picture, baseline: Picture, alpha: jax.Array) -> Picture:
    # Written so that alpha 0 and 1 give the ends exactly.
    return (1 - alpha) * baseline + alpha * image


def _path_values(fn: ScalarFn, image: Picture, baseline: Picture) -> jax.Array:
    alphas = jnp.asarray((0.0, *PROBES, 1.0), image.dtype)
    return jax.lax.map(lambda a: _value(fn, _between(image, baseline, a)), alphas)


def _weighted_gradient(
    fn: ScalarFn,
    image: Picture,
    baseline: Picture,
    nodes: jax.typing.ArrayLike,
    weights: jax.typing.ArrayLike,
) -> Picture:
    """Sum of weighted gradients; nodes and weights are (chunks, points of a chunk)."""
    value_at = functools.partial(_value, fn)

    @jax.vmap
    def gradients(alpha: jax.Array) -> Picture:
        return jax.grad(value_at)(_between(image, baseline, alpha))

    def add_chunk(total: Picture, chunk: tuple[Array, Array]) -> tuple[Picture, None]:
        alphas, shares = chunk
        part = jnp.tensordot(shares, gradients(alphas), axes=1, precision="highest")
        return total + part, None

    chunks = (jnp.asarray(nodes, image.dtype), jnp.asarray(weights, image.dtype))
    return jax.lax.scan(add_chunk, jnp.zeros_like(image), chunks)[0]


def _jit(fn: ScalarFn) -> tuple[Callable[..., jax.Array], Callable[..., jax.Array]]:
    values = jax.jit(functools.partial(_path_values, fn))
    return values, jax.jit(functools.partial(_weighted_gradient, fn))


# Few, because each keeps alive the parameters its function closes over.
_jit_once = functools.lru_cache(maxsize=4)(_jit)


def _checked_chunk(chunk: int | None, shape: tuple[int, ...], num_steps: int) -> int:
    if chunk is None:
        fitting = _CHUNK_PIXELS // (shape[0] * shape[1])
        return max(1, min(_CHUNK, fitting, num_steps))
    if not isinstance(chunk, int | np.integer) or chunk < 1:
        raise ValueError(f"chunk: expected a whole number of at least 1, got {chunk}")
    return int(chunk)


def _width(num_steps: int, chunk: int) -> tuple[int, int]:
    """(chunks, points of a chunk) that hold `num_steps` with the least padding."""
    num_chunks = max(1, -(-num_steps // chunk))
    return num_chunks, -(-num_steps // num_chunks)


def _blocks(rule: str, num_steps: int, *, width: tuple[int, int]) -> list[Block]:
    """Nodes and weights in as many blocks of `width` as it takes, padded."""
    nodes, weights = nodes_and_weights(rule, num_steps=num_steps)
    num_blocks = -(-num_steps // (width[0] * width[1]))
    padding = num_blocks * width[0] * width[1] - num_steps
    # The last node again, not a fixed one: a padded point must be as finite as a real.
    nodes = np.pad(nodes, (0, padding), mode="edge").reshape(num_blocks, *width)
    weights = np.pad(weights, (0, padding)).reshape(num_blocks, *width)
    return list(zip(nodes, weights, strict=True))
