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

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from stylejax.explain.cancellation import PROBES
from stylejax.explain.pictures import Picture, scalar_at
from stylejax.explain.quadrature import coarser_weights, nodes_and_weights
from stylejax.typing import ScalarFn

Block = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class Piece:
    """The gradient integrated over a piece of a path, and how well it adds up there.

    Attributes:
      start: where it begins, 0 at the baseline.
      stop: where it ends, 1 at the picture.
      values: the function at both, in this order.
      gradients: `2 h w c`, by the rule and by its coarser one.
      num_steps: nodes.
      error: sum of the contributions minus the change of the function.
    """

    start: float
    stop: float
    values: tuple[float, float]
    gradients: jax.Array
    num_steps: int
    error: float


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
    return average_gradients(
        fn, image, baseline, num_steps=num_steps, rule=rule, chunk=chunk
    )[0]


def average_gradients(
    fn: ScalarFn,
    image: Picture,
    baseline: Picture,
    *,
    num_steps: int = 32,
    rule: str = "gauss_legendre",
    chunk: int | None = None,
) -> Float[Array, "2 h w c"]:
    """The `average_gradient` by two rules: their difference says how sure it is.

    Args:
      fn: as in `average_gradient`, like all that follow.
      image: the path's end.
      baseline: the path's start.
      num_steps: nodes of the rule.
      rule: a name in `quadrature.RULES`.
      chunk: points differentiated at once.

    Returns:
      `2 h w c`: by the rule, and by the coarser one on half its nodes (the same again
      where there is no half). Pure.

    Raises:
      ValueError: a wrong rule, number of nodes or chunk.
    """
    chunk = checked_chunk(chunk, shape=image.shape, num_steps=num_steps)
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
        """Sizes the compiled chunk for `num_steps` nodes; arguments as above."""
        self.image, self.baseline = image, baseline
        chunk = checked_chunk(chunk, shape=image.shape, num_steps=num_steps)
        # One chunk a call: inside a loop of the compiled program gradients of `jax.lax`
        # convolutions take 7 to 8 times as long on CPUs (benchmarks/loop_gradients.py).
        self.rule, self._width = rule, (1, _width(num_steps, chunk)[1])
        # Refuses a wrong rule or number before anything is compiled.
        _blocks(rule, num_steps, width=self._width)
        compiled = _jit_once if isinstance(fn, jax.stages.Wrapped) else _jit
        self._values, self._value, self._gradient = compiled(fn)

    def values(self) -> list[float]:
        """The function at the baseline, at each of `PROBES`, and at the picture.

        Returns:
          Five Python floats, in this order.
        """
        return self._values(self.image, self.baseline).tolist()

    def value_at(self, alpha: float) -> float:
        """The function at one point of the path.

        Args:
          alpha: 0 is the baseline, 1 the picture.

        Returns:
          A Python float.
        """
        return float(self._value(self.image, self.baseline, alpha))

    def piece(
        self, start: float, stop: float, *, values: tuple[float, float], num_steps: int
    ) -> Piece:
        """The gradient integrated over a piece of the path, and its error.

        Args:
          start: where the piece begins, 0 at the baseline.
          stop: where it ends, 1 at the picture.
          values: the function at both.
          num_steps: nodes.

        Returns:
          A `Piece`.
        """
        gradients = self.average_gradients(num_steps=num_steps, start=start, stop=stop)
        contributions = np.asarray((self.image - self.baseline) * gradients[0])
        total = contributions.sum(dtype=np.float64)
        error = float(total) - (values[1] - values[0])
        return Piece(start, stop, values, gradients, num_steps, error)

    def average_gradients(
        self, *, num_steps: int, start: float = 0.0, stop: float = 1.0
    ) -> Float[Array, "2 h w c"]:
        """The gradient integrated over a piece of the path, by two rules.

        Args:
          num_steps: number of nodes. They run as calls of one compiled chunk: another
            number compiles nothing again.
          start: where the piece begins, 0 at the baseline.
          stop: where it ends, 1 at the picture.

        Returns:
          `2 h w c`: by the rule, as `average_gradient`, and by the coarser one on half
          its nodes (the same again where there is no half).
        """
        blocks = _blocks(self.rule, num_steps, width=self._width)
        length = stop - start
        parts = [
            self._gradient(
                self.image, self.baseline, start + length * nodes, length * weights
            )
            for nodes, weights in blocks
        ]
        return functools.reduce(jnp.add, parts)


def _between(image: Picture, baseline: Picture, alpha: jax.Array) -> Picture:
    # Written so that alpha 0 and 1 give the ends exactly.
    return (1 - alpha) * baseline + alpha * image


def _path_values(fn: ScalarFn, image: Picture, baseline: Picture) -> jax.Array:
    alphas = jnp.asarray((0.0, *PROBES, 1.0), image.dtype)
    return jax.lax.map(lambda a: scalar_at(fn, _between(image, baseline, a)), alphas)


def _path_value(
    fn: ScalarFn, image: Picture, baseline: Picture, alpha: jax.Array
) -> jax.Array:
    return scalar_at(fn, _between(image, baseline, jnp.asarray(alpha, image.dtype)))


def _weighted_gradient(
    fn: ScalarFn,
    image: Picture,
    baseline: Picture,
    nodes: jax.typing.ArrayLike,
    weights: jax.typing.ArrayLike,
) -> Float[Array, "r h w c"]:
    """Sums of weighted gradients, one for each of `r` rules.

    Nodes are (chunks, points of a chunk), weights (chunks, points of a chunk, r).
    """
    value_at = functools.partial(scalar_at, fn)

    @jax.vmap
    def gradients(alpha: jax.Array) -> Picture:
        return jax.grad(value_at)(_between(image, baseline, alpha))

    def add_chunk(total: Picture, chunk: tuple[Array, Array]) -> tuple[Picture, None]:
        alphas, shares = chunk
        part = jnp.tensordot(shares.T, gradients(alphas), axes=1, precision="highest")
        return total + part, None

    chunks = (jnp.asarray(nodes, image.dtype), jnp.asarray(weights, image.dtype))
    start = jnp.zeros((chunks[1].shape[-1], *image.shape), image.dtype)
    return jax.lax.scan(add_chunk, start, chunks)[0]


def _jit(fn: ScalarFn) -> tuple[Callable[..., jax.Array], ...]:
    bodies = (_path_values, _path_value, _weighted_gradient)
    return tuple(jax.jit(functools.partial(body, fn)) for body in bodies)


# Few, because each keeps alive the parameters its function closes over.
_jit_once = functools.lru_cache(maxsize=4)(_jit)


def checked_chunk(chunk: int | None, *, shape: tuple[int, ...], num_steps: int) -> int:
    """How many points are held at once.

    Args:
      chunk: what the caller asked for, or None.
      shape: of the picture, `h w c`.
      num_steps: how many points there are.

    Returns:
      `chunk`, or by default 16, fewer for pictures of more than 90 x 90 pixels.

    Raises:
      ValueError: `chunk` is no whole number of at least 1.

    Example:
      >>> checked_chunk(None, shape=(256, 256, 3), num_steps=32)
      2
    """
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
    """Nodes and weights in as many blocks of `width` as it takes, padded.

    The weights have a last axis of two: the rule, and its coarser one.
    """
    nodes, fine = nodes_and_weights(rule, num_steps=num_steps)
    coarse = coarser_weights(rule, num_steps=num_steps)
    weights = np.stack([fine, fine if coarse is None else coarse], axis=-1)
    num_blocks = -(-num_steps // (width[0] * width[1]))
    padding = num_blocks * width[0] * width[1] - num_steps
    # The last node again, not a fixed one: a padded point must be as finite as a real.
    nodes = np.pad(nodes, (0, padding), mode="edge").reshape(num_blocks, *width)
    weights = np.pad(weights, ((0, padding), (0, 0))).reshape(num_blocks, *width, 2)
    return list(zip(nodes, weights, strict=True))
