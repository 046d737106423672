"""The picture that a unit, a channel or a direction answers most, by optimisation.

Its spectrum is what is optimised (`stylejax.explain.spectral_pictures`), and it is
shifted, scaled and rotated a little at random before every step, so that what is found
does not hang on single pixels. Its contrast is fixed: more contrast would else be the
easiest way to a higher response.

A comparison belongs to the result. An optimum that the best of some photographs, or of
noise of the same contrast, reaches as well shows nothing about the network.

Reference: Olah, Mordvintsev and Schubert, "Feature Visualization", 2017. We fix the
  contrast, do all geometry in one bilinear resampling, and compare.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from stylejax.checks import check_image, check_positive
from stylejax.explain.spectral_pictures import (
    Shape,
    draw_spectra,
    pink_noise,
    to_pictures,
)
from stylejax.metrics.perturbation import map_in_chunks
from stylejax.typing import Image, Key, ScalarFn

Picture = Float[Array, "h w c"]

# Small against what Adam's steps add up to: what no gradient reaches turns grey.
_START = 0.1
_GREY = 0.5
_CHUNK = 8


@dataclasses.dataclass(frozen=True)
class Transformations:
    """What happens to the picture at random before each step, all at once.

    Attributes:
      shift: largest shift along each axis, as a share of the side.
      scale: smallest and largest magnification.
      degrees: largest angle of rotation, either way.
    """

    shift: float = 0.06
    scale: tuple[float, float] = (0.9, 1.1)
    degrees: float = 10.0

    def __call__(self, key: Key, picture: Picture) -> Picture:
        """The picture shifted, scaled and rotated about its middle.

        Args:
          key: draws all numbers uniformly.
          picture: `h w c`.

        Returns:
          `h w c`, bilinear; what comes from outside the picture is grey, 0.5.
        """
        if self == NO_TRANSFORMATIONS:
            return picture
        keys = jax.random.split(key, 3)
        low, high = self.scale
        size = jnp.array(picture.shape[:2], jnp.float32)
        shift = self.shift * size * jax.random.uniform(keys[0], (2,), minval=-1.0)
        zoom = jax.random.uniform(keys[1], minval=low, maxval=high)
        angle = np.deg2rad(self.degrees) * jax.random.uniform(keys[2], minval=-1.0)
        return _resampled(picture, shift=shift, zoom=zoom, angle=angle)


MILD_TRANSFORMATIONS = Transformations()
"""Shifts by 6 % of a side, scales by 10 %, rotations by 10 degrees."""

NO_TRANSFORMATIONS = Transformations(shift=0.0, scale=(1.0, 1.0), degrees=0.0)
"""The picture as it is."""


@dataclasses.dataclass(frozen=True, eq=False)
class FeatureVisualization:
    """A picture made for an objective, and how it compares.

    Attributes:
      picture: `h w c` in [0, 1].
      value: the objective on it, untransformed.
      curve: the objective on the transformed picture before each step.
      noise_values: the objective on noise of the same spectrum and contrast.
      sample_values: the objective on the pictures that were given, maybe none.
    """

    picture: jax.Array
    value: float
    curve: np.ndarray
    noise_values: np.ndarray
    sample_values: np.ndarray

    @property
    def best_other(self) -> float:
        """The highest objective among noise and given pictures."""
        return float(np.concatenate([self.noise_values, self.sample_values]).max())

    def summary(self) -> str:
        """The comparison in one line.

        Returns:
          Text without a line break.
        """
        text = (
            f"objective {self.value:.4g} after {len(self.curve)} steps; best of"
            f" {len(self.noise_values)} noise pictures {self.noise_values.max():.4g}"
        )
        if len(self.sample_values) == 0:
            return text
        best = self.sample_values.max()
        return f"{text}, of {len(self.sample_values)} given pictures {best:.4g}"


def feature_objective(
    features_fn: Callable[[Image], Array],
    *,
    direction: int | ArrayLike,
    position: tuple[int, int] | str | None = None,
) -> ScalarFn:
    """The objective "as much as possible of this unit, channel or direction".

    Args:
      features_fn: pictures in [0, 1] to an activation `b h w u` or `b u`.
      direction: a channel's index, or a vector `u` such as a probe's, whose length
        does not matter.
      position: (row, column), `"center"`, or None for the mean over all positions: a
        unit at one place shows its receptive field, a channel everywhere a texture.

    Returns:
      A function from pictures to one number each, in the activation's unit. It raises
      ValueError where the activation has no such direction or position.

    Example:
      >>> red = feature_objective(lambda x: x, direction=0)
      >>> red(jnp.ones((1, 2, 2, 3))).tolist()
      [1.0]
    """

    def objective(images: Image) -> jax.Array:
        x = features_fn(images)
        along = _along(x, direction)
        if x.ndim == 2:
            return along
        if position is None:
            return along.mean(axis=(1, 2))
        row, column = _place(along.shape[1:], position)
        return along[:, row, column]

    return objective


def visualize_feature(
    key: Key,
    objective: ScalarFn,
    *,
    shape: Shape,
    num_steps: int = 256,
    learning_rate: float = 0.05,
    contrast: float = 0.2,
    decay: float = 1.0,
    colors: ArrayLike | None = None,
    transformations: Transformations = MILD_TRANSFORMATIONS,
    samples: Image | None = None,
    num_noise: int = 16,
) -> FeatureVisualization:
    """The picture for which an objective is highest, found by gradient ascent.

    Args:
      key: draws the start, the transformations and the noise to compare with.
      objective: pictures `b h w c` in [0, 1] to one number each (or a scalar), see
        `feature_objective`.
      shape: height, width and channels of the picture.
      num_steps: of Adam.
      learning_rate: of Adam.
      contrast: standard deviation of the picture about grey.
      decay: the amplitudes are scaled by `1 / f^decay`.
      colors: `c c`, axes of colour, see `spectral_pictures.to_pictures`.
      transformations: before each step; `NO_TRANSFORMATIONS` for none.
      samples: pictures `n h w c` in [0, 1] to compare with, photographs say.
      num_noise: noise pictures to compare with.

    Returns:
      A `FeatureVisualization`. The same key gives the same picture.

    Raises:
      ValueError: a number out of range, an objective that is not one number, samples of
        another size.

    Reference: Olah et al. 2017, see the head of this module.
    """
    check_positive(num_steps, name="num_steps")
    check_positive(num_noise, name="num_noise")
    check_positive(contrast, name="contrast")
    _check_objective(objective, shape)
    given = _checked_samples(samples, shape)
    start_key, ascent_key, noise_key = jax.random.split(key, 3)
    # A jitted objective is compiled for this once; a plain one may have changed.
    make = _make_once if isinstance(objective, jax.stages.Wrapped) else _make
    ascend, evaluate = make(objective, num_steps, transformations, shape)
    start = _START * draw_spectra(start_key, number=1, shape=shape)
    options: dict[str, Any] = {"contrast": contrast, "decay": decay, "colors": colors}
    picture, curve = ascend(ascent_key, start, learning_rate, options)
    noise = pink_noise(noise_key, number=num_noise, shape=shape, **options)
    values = np.asarray(evaluate(jnp.concatenate([picture[None], noise, given])))
    return FeatureVisualization(
        picture=picture,
        value=float(values[0]),
        curve=np.asarray(curve),
        noise_values=values[1 : 1 + num_noise],
        sample_values=values[1 + num_noise :],
    )


def _make(
    objective: ScalarFn, num_steps: int, transformations: Transformations, shape: Shape
) -> tuple[Callable, Callable]:
    """The compiled ascent, and the compiled objective of a batch of pictures."""

    def value(picture: Picture) -> jax.Array:
        with jax.default_matmul_precision("highest"):
            return objective(picture[None]).reshape(()).astype(jnp.float32)

    def loss(spectrum: Array, key: Key, options: dict[str, Any]) -> jax.Array:
        (picture,) = to_pictures(spectrum, shape=shape, **options)
        return -value(transformations(key, picture))

    @jax.jit
    def ascend(
        key: Key, spectrum: Array, learning_rate: ArrayLike, options: dict[str, Any]
    ) -> tuple[Picture, Array]:
        optimizer = optax.adam(learning_rate)

        def step(carry: Any, key: Key) -> tuple[Any, jax.Array]:
            spectrum, state = carry
            lost, gradient = jax.value_and_grad(loss)(spectrum, key, options)
            updates, state = optimizer.update(gradient, state)
            return (optax.apply_updates(spectrum, updates), state), -lost

        keys = jax.random.split(key, num_steps)
        carry = (spectrum, optimizer.init(spectrum))
        (spectrum, _), curve = jax.lax.scan(step, carry, keys)
        return to_pictures(spectrum, shape=shape, **options)[0], curve

    evaluate = jax.jit(lambda p: map_in_chunks(value, p, chunk=_CHUNK))
    return ascend, evaluate


# Few, because each keeps alive the parameters its objective closes over.
_make_once = functools.lru_cache(maxsize=4)(_make)


def _resampled(picture: Picture, *, shift: Array, zoom: Array, angle: Array) -> Picture:
    cosine, sine = jnp.cos(angle), jnp.sin(angle)
    turn = jnp.array([[cosine, -sine], [sine, cosine]]) / zoom
    size = picture.shape[:2]
    middle = (jnp.array(size, jnp.float32) - 1)[:, None, None] / 2
    at = jnp.stack(jnp.meshgrid(*map(jnp.arange, size), indexing="ij")) - middle
    at = jnp.tensordot(turn, at, axes=1, precision="highest")
    at = at + middle + shift[:, None, None]
    sample = functools.partial(
        jax.scipy.ndimage.map_coordinates,
        coordinates=list(at),
        order=1,
        mode="constant",
        cval=_GREY,
    )
    return jax.vmap(sample, in_axes=-1, out_axes=-1)(picture)


def _along(x: Array, direction: int | ArrayLike) -> Array:
    """The activation along a direction of its last axis."""
    if x.ndim not in (2, 4):
        raise ValueError(
            f"features_fn: expected (b, h, w, u) or (b, u), got shape {x.shape}"
        )
    size = x.shape[-1]
    if jnp.ndim(direction) == 0:
        if not 0 <= int(direction) < size:  # type: ignore[arg-type]
            raise ValueError(
                f"direction: expected a channel of 0 to {size - 1}, got {direction}"
            )
        return x[..., int(direction)]  # type: ignore[arg-type]
    vector = jnp.asarray(direction, x.dtype)
    if vector.shape != (size,):
        raise ValueError(
            f"direction: expected a channel's index or a vector of shape ({size},), got"
            f" shape {vector.shape}"
        )
    return jnp.matmul(x, vector / jnp.linalg.norm(vector), precision="highest")


def _place(size: tuple[int, ...], position: tuple[int, int] | str) -> tuple[int, ...]:
    if position == "center":
        return tuple(side // 2 for side in size)
    if isinstance(position, str) or len(position) != 2:
        raise ValueError(
            f"position: expected (row, column), 'center' or None, got {position!r}"
        )
    if not all(0 <= p < side for p, side in zip(position, size, strict=True)):
        raise ValueError(
            f"position: expected a place in a map of {size}, got {tuple(position)}"
        )
    return tuple(position)


def _check_objective(objective: ScalarFn, shape: Shape) -> None:
    out = jax.eval_shape(objective, jax.ShapeDtypeStruct((1, *shape), jnp.float32))
    got = getattr(out, "shape", type(out).__name__)
    if got not in ((), (1,)):
        raise ValueError(
            "objective: expected one number for a batch of one picture, shape (1,) or"
            f" (), got {got}; choose a part of it with feature_objective"
        )


def _checked_samples(samples: Image | None, shape: Shape) -> Image:
    if samples is None:
        return jnp.zeros((0, *shape))
    check_image(samples, name="samples", channels=None)
    if samples.shape[1:] != shape:
        raise ValueError(
            f"samples: expected pictures of shape {shape}, got {samples.shape[1:]};"
            " resize them with stylejax.image.resize"
        )
    return jnp.asarray(samples, jnp.float32)
