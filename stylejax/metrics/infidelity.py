"""Infidelity and sensitivity: is the map the function's slope, and does it hold still?

Infidelity asks a map *per unit of the picture*, such as a gradient or
`stylejax.explain.paths.average_gradient`: a change `I` of the picture should change the
function by `<I, map>`. A map that is already multiplied by `x - x'` is a claim about
removal: measure it with `stylejax.metrics.faithfulness`.

Both are pure: they may be jitted and vmapped. How the functions are called is said in
`stylejax.metrics.perturbation`. Nothing is normalised or made positive.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from stylejax.checks import check_positive, check_same_shape
from stylejax.metrics.correlation import normal_quantile
from stylejax.metrics.perturbation import (
    Picture,
    checked_image,
    compiled,
    map_in_chunks,
    value,
)
from stylejax.typing import Key, ScalarFn

ExplainFn = Callable[[Picture], Array]
"""One picture `h w c` in, its map out; pure, so that it can be jitted and vmapped."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class Infidelity:
    """How badly a map predicts changes of the function; arrays without axes.

    Attributes:
      mean: `mean (<I, map> - (f(x) - f(x - I)))^2`, in the function's unit squared; 0
        is perfect.
      low: lower end of the 95 % interval over the random changes, by normal theory.
      high: upper end.
      relative: `mean` over the mean of `(f(x) - f(x - I))^2`: what a map of zeros has
        is 1. NaN where the function does not change.
    """

    mean: Float[Array, ""]
    low: Float[Array, ""]
    high: Float[Array, ""]
    relative: Float[Array, ""]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class Sensitivity:
    """How far a map moves when its picture is disturbed; arrays without axes.

    `||A(x + d) - A(x)|| / ||A(x)||`, over random `d`: infinite for a map that was zero.

    Attributes:
      maximum: the largest of the samples, a lower bound of the true maximum.
      mean: their mean.
      low: lower end of the 95 % interval of the mean, by normal theory.
      high: upper end.
    """

    maximum: Float[Array, ""]
    mean: Float[Array, ""]
    low: Float[Array, ""]
    high: Float[Array, ""]


def infidelity(
    key: Key,
    fn: ScalarFn,
    image: Picture,
    slope: Picture,
    *,
    noise: float,
    baseline: Picture | None = None,
    num_samples: int = 100,
    chunk: int = 16,
) -> Infidelity:
    """The mean squared error of a map's predictions of the function's changes.

    `mean (<I, slope> - (f(x) - f(x - I)))^2` over random `I`.

    Args:
      key: random key of the changes.
      fn: pictures `b h w c` to one number each, `b`.
      image: one picture `x`, `h w c`.
      slope: its map per unit of the picture, `h w c`, not multiplied by `x - x'`.
      noise: standard deviation of Gaussian noise `e`, in the picture's unit.
      baseline: None makes small changes, `I = e`; a picture `x'` large ones,
        `I = x - (x' + e)`.
      num_samples: how many changes, at least 2.
      chunk: pictures evaluated at once, which decides the memory.

    Returns:
      An `Infidelity`; NaN in `relative` where the function does not change.

    Raises:
      ValueError: a wrong shape or number.
      TypeError: a picture that is not float.

    Reference: Yeh et al., "On the (In)fidelity and Sensitivity of Explanations", 2019,
      with their Gaussian noise and their noisy baseline.
    """
    image = checked_image(image)
    check_same_shape(image, slope, names=("image", "slope"))
    large = baseline is not None
    start = baseline if large else jnp.zeros_like(image)
    check_same_shape(image, start, names=("image", "baseline"))
    if not noise >= 0 or num_samples < 2:
        raise ValueError(
            "expected noise of at least 0 and two samples or more, got noise"
            f" {noise} and num_samples {num_samples}"
        )
    measure = compiled(
        _infidelity, fn, large=large, num_samples=num_samples, chunk=chunk
    )
    arrays = (jnp.asarray(a, image.dtype) for a in (slope, start, noise))
    return measure(key, image, *arrays)


def sensitivity(
    key: Key,
    explain_fn: ExplainFn,
    image: Picture,
    *,
    radius: float,
    num_samples: int = 50,
    chunk: int = 4,
) -> Sensitivity:
    """How far a map moves when its picture gets uniform noise, largest and mean.

    Args:
      key: random key of the noise.
      explain_fn: one picture `h w c` to its map, of any shape.
      image: the picture, `h w c`.
      radius: the noise is uniform in `[-radius, radius]`, in the picture's unit; the
        disturbed picture is not clipped.
      num_samples: how many draws, at least 2.
      chunk: maps made at once, which decides the memory.

    Returns:
      A `Sensitivity`.

    Raises:
      ValueError: a wrong shape or number.
      TypeError: a picture that is not float.

    Reference: Yeh et al. 2019. Theirs is not divided by the map's length; so divided,
      maps of different functions can be compared.
    """
    image = checked_image(image)
    check_positive(radius, name="radius")
    if num_samples < 2:
        raise ValueError(f"num_samples: expected two or more, got {num_samples}")
    measure = compiled(_sensitivity, explain_fn, num_samples=num_samples, chunk=chunk)
    return measure(key, image, jnp.asarray(radius, image.dtype))


def _infidelity(
    fn: ScalarFn,
    key: Key,
    image: Picture,
    slope: Picture,
    start: Picture,
    noise: Array,
    *,
    large: bool,
    num_samples: int,
    chunk: int,
) -> Infidelity:
    def change(sample: tuple[Key, Array]) -> tuple[Array, Array]:
        key, is_whole = sample
        small = noise * jax.random.normal(key, image.shape, image.dtype)
        difference = image - (start + small) if large else small
        difference = jnp.where(is_whole, 0, difference)
        predicted = jnp.vdot(difference, slope, precision="highest")
        return predicted, value(fn, image - difference)

    # The whole picture by the same program: it is compiled once, and rounds alike.
    samples = jax.random.split(key, num_samples + 1), jnp.arange(num_samples + 1) == 0
    predicted, values = map_in_chunks(change, samples, chunk=chunk)
    predicted, changes = predicted[1:], values[0] - values[1:]
    errors = jnp.square(predicted - changes)
    mean, low, high = _mean_interval(errors)
    size = jnp.mean(jnp.square(changes))
    relative = mean / jnp.where(size > 0, size, jnp.nan)
    return Infidelity(mean, jnp.maximum(low, 0), high, relative)


def _sensitivity(
    explain_fn: ExplainFn,
    key: Key,
    image: Picture,
    radius: Array,
    *,
    num_samples: int,
    chunk: int,
) -> Sensitivity:
    with jax.default_matmul_precision("highest"):
        before = explain_fn(image)

        def move(key: Key) -> Array:
            noise = jax.random.uniform(
                key, image.shape, image.dtype, minval=-1.0, maxval=1.0
            )
            after = explain_fn(image + radius * noise)
            return jnp.linalg.norm(jnp.ravel(after - before))

        distances = map_in_chunks(move, jax.random.split(key, num_samples), chunk=chunk)
    moved = distances / jnp.linalg.norm(jnp.ravel(before))
    mean, low, high = _mean_interval(moved)
    return Sensitivity(moved.max(), mean, jnp.maximum(low, 0), high)


def _mean_interval(samples: Float[Array, " n"]) -> tuple[Array, Array, Array]:
    mean = samples.mean()
    error = samples.std(ddof=1) / jnp.sqrt(jnp.asarray(len(samples), samples.dtype))
    reach = normal_quantile(0.95) * error
    return mean, mean - reach, mean + reach
