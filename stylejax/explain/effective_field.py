"""Effective receptive fields: how much each pixel moves an output, measured.

The closed form of `stylejax.explain.receptive_field` says which pixels *can* reach an
output through the convolutions; the gradients say which ones do, and how much passes
outside of the closed form because a normalisation pools over the whole picture. Without
such layers the share inside is exactly 1; with them it is less, and the projection of a
discriminator's cells onto pixels carries that share with it.

A function maps pictures `b h w c` to pictures `b h' w' c'` or to cells `b h' w'`. It is
given one picture at a time, so nothing passes from one picture to another. Measures of
the maps (radius, centroid, diffusion) are in `stylejax.explain.energy_maps`.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from stylejax.checks import check_choice
from stylejax.explain.energy_maps import energy_inside
from stylejax.explain.receptive_field import Layer, cell_box, output_size
from stylejax.explain.targets import Box
from stylejax.metrics.perturbation import compiled, map_in_chunks
from stylejax.typing import Image

CellFn = Callable[[jax.Array], jax.Array]
"""Pictures `b h w c` in, pictures `b h' w' c'` or cells `b h' w'` out."""

Cell = tuple[int, int]
"""(row, column) of an output."""


class CellProjection(NamedTuple):
    """Values of cells, each shared by the pixels that its convolutions see.

    Attributes:
      map: `h w`, mean of the values of the cells that see a pixel, in their unit; NaN
        where no cell does.
      coverage: `h w`, number of cells that see a pixel.
      shares: share of gradient energy inside the closed form, of each cell it was
        measured for, in [0, 1]; empty if it was not.
    """

    map: np.ndarray
    coverage: np.ndarray
    shares: np.ndarray

    def summary(self) -> str:
        """How far the projection can be trusted, in one line.

        Returns:
          Text without a line break.
        """
        if not self.shares.size:
            return (
                "closed-form projection; the share of gradient energy inside the cells'"
                " boxes was not measured (see closed_form_shares)"
            )
        return (
            f"closed-form projection; {self.shares.mean():.1%} of the gradient energy"
            f" lies inside the cells' boxes (least {self.shares.min():.1%}, measured"
            f" for {self.shares.size} cells); the rest comes from elsewhere in the"
            " picture"
        )


def effective_field(
    fn: CellFn,
    images: Image,
    *,
    box: Box,
    channel: int | None = None,
    power: int = 2,
    chunk: int = 16,
) -> Float[Array, "h w"]:
    """How much each pixel moves the outputs inside a box, mean over the pictures.

    `E_p = mean_b sum_o sum_c |dF_o / dx_pc|^power` over the box's outputs `o` and the
    input's channels `c`. Each output has its own backward pass: the gradient of their
    sum would let outputs cancel.

    Args:
      fn: pictures to pictures or cells; differentiable.
      images: `b h w c`, in the range that `fn` expects.
      box: (x, y, w, h) of outputs; one pixel or cell is (x, y, 1, 1).
      channel: the output's channel; by default all are taken.
      power: 2 for energy, 1 for absolute values.
      chunk: backward passes at once, which decides the memory.

    Returns:
      `h w`, not negative, in the output's unit per unit of input, to the `power`.

    Raises:
      ValueError: a box outside of the output, a wrong channel or power.

    Reference: Luo et al., "Understanding the Effective Receptive Field in Deep
      Convolutional Neural Networks", 2016. They average the gradients of one output;
      we their squares, which cannot cancel between pictures.
    """
    images = jnp.asarray(images)
    out = _output_shape(fn, images)
    x, y, w, h = box
    if min(x, y) < 0 or min(w, h) < 1 or x + w > out[1] or y + h > out[0]:
        raise ValueError(
            f"box: expected x,y,w,h inside the output, {out[1]} wide and {out[0]} high,"
            f" got {x},{y},{w},{h}"
        )
    if channel is not None and not 0 <= channel < out[2]:
        raise ValueError(f"channel: expected 0 to {out[2] - 1}, got {channel}")
    channels = range(out[2]) if channel is None else [channel]
    places = np.indices((h, w, len(channels))).reshape(3, -1).T
    places = places + np.array([y, x, channels[0]])
    check_choice(power, choices=(1, 2), name="power")
    energies = _energies(fn, images, places, power=power, chunk=chunk)
    return jnp.sum(energies, axis=0)


def closed_form_shares(
    fn: CellFn,
    images: Image,
    *,
    layers: Iterable[Layer],
    cells: Sequence[Cell],
    chunk: int = 16,
) -> np.ndarray:
    """The share of gradient energy inside the closed-form box of each of some cells.

    Args:
      fn: pictures to cells `b rows columns` or `b rows columns c`, a stack of `layers`
        with anything in between.
      images: `b h w c`; energies are means over them.
      layers: (kernel, stride, padding) of each convolution, input side first.
      cells: (row, column) of each output to look at; a few are enough.
      chunk: backward passes at once, which decides the memory.

    Returns:
      One number for each cell, in [0, 1]; exactly 1 if nothing comes from outside.

    Raises:
      ValueError: no cells, one that the layers do not have, or layers that give
        another number of cells than `fn`.
    """
    images = jnp.asarray(images)
    layers, out = list(layers), _output_shape(fn, images)
    size_hw = (images.shape[1], images.shape[2])
    expected = tuple(output_size(layers, input_size=side) for side in size_hw)
    if out[:2] != expected:
        raise ValueError(
            f"layers: expected those of fn, with {out[0]} x {out[1]} outputs, got"
            f" {expected[0]} x {expected[1]}; list every convolution"
        )
    if not len(cells):
        raise ValueError("cells: expected at least one (row, column), got none")
    boxes = [cell_box(layers, cell=cell, size_hw=size_hw) for cell in cells]
    places = [(*cell, channel) for cell in cells for channel in range(out[2])]
    energies = _energies(fn, images, np.array(places), power=2, chunk=chunk)
    maps = np.asarray(energies, np.float64).reshape(len(cells), out[2], *size_hw).sum(1)
    return np.array([energy_inside(m, b) for m, b in zip(maps, boxes, strict=True)])


def project_cells(
    cell_values: Float[Array, "rows columns"],
    layers: Iterable[Layer],
    size_hw: tuple[int, int],
    *,
    shares: Sequence[float] | np.ndarray = (),
) -> CellProjection:
    """The values of a patch discriminator's cells as a map over the picture.

    Each pixel has the mean of the cells whose closed-form boxes hold it: what the
    convolutions alone can justify. With a live normalisation a part of what moves a
    cell lies elsewhere; `shares` keeps the measured figure with the map.

    Args:
      cell_values: `rows columns`, such as logits.
      layers: (kernel, stride, padding) of each convolution, input side first.
      size_hw: height and width of the picture in pixels.
      shares: what `closed_form_shares` gave for this network, for the summary.

    Returns:
      `CellProjection`, NumPy float64.

    Raises:
      ValueError: not as many cells as the layers give for this size.

    Example:
      >>> project_cells(np.array([[1.0, 3.0]]), [(2, 1, 0)], (2, 3)).map[0].tolist()
      [1.0, 2.0, 3.0]
    """
    layers, values = list(layers), np.asarray(cell_values, np.float64)
    expected = tuple(output_size(layers, input_size=side) for side in size_hw)
    if values.shape != expected:
        raise ValueError(
            f"cell_values: expected {expected}, the cells of a picture of"
            f" {size_hw[0]} x {size_hw[1]}, got shape {values.shape}"
        )
    rows = np.zeros((expected[0], size_hw[0]))
    columns = np.zeros((expected[1], size_hw[1]))
    for i in range(expected[0]):
        _, y, _, h = cell_box(layers, cell=(i, 0), size_hw=size_hw)
        rows[i, y : y + h] = 1
    for j in range(expected[1]):
        x, _, w, _ = cell_box(layers, cell=(0, j), size_hw=size_hw)
        columns[j, x : x + w] = 1
    coverage = np.outer(rows.sum(axis=0), columns.sum(axis=0))
    total = rows.T @ values @ columns
    mean = np.where(coverage > 0, total / np.maximum(coverage, 1), np.nan)
    return CellProjection(mean, coverage, np.asarray(shares, np.float64))


def _output_shape(fn: CellFn, images: Image) -> tuple[int, int, int]:
    """Height, width and channels of what `fn` makes of one picture."""
    if jnp.ndim(images) != 4:
        raise ValueError(
            f"images: expected shape (b, h, w, c), got {jnp.shape(images)}"
        )
    one = jax.ShapeDtypeStruct((1, *images.shape[1:]), images.dtype)
    shape = jax.eval_shape(fn, one).shape
    if len(shape) not in (3, 4) or shape[0] != 1:
        raise ValueError(
            "fn: expected pictures (1, h, w, c) or cells (1, h, w) for one picture,"
            f" got shape {shape}"
        )
    return (*shape[1:3], shape[3] if len(shape) == 4 else 1)


def _energies(
    fn: CellFn, images: Image, places: np.ndarray, *, power: int, chunk: int
) -> Float[Array, "q h w"]:
    """One map for each of the outputs (row, column, channel), mean over pictures."""
    images = images.astype(jnp.promote_types(images.dtype, jnp.float32))
    compute = compiled(_mean_energies, fn, power=power, chunk=chunk)
    return compute(images, jnp.asarray(places))


def _mean_energies(
    fn: CellFn, images: jax.Array, places: jax.Array, *, power: int, chunk: int
) -> jax.Array:
    def run(picture: jax.Array) -> jax.Array:
        with jax.default_matmul_precision("highest"):
            out = fn(picture[None])[0]
        return out.reshape(*out.shape[:2], -1)

    def add_picture(total: jax.Array, image: jax.Array) -> tuple[jax.Array, None]:
        out, pull = jax.vjp(run, image)

        def energy(place: jax.Array) -> jax.Array:
            one = jnp.zeros_like(out).at[place[0], place[1], place[2]].set(1)
            return jnp.sum(jnp.abs(pull(one)[0]) ** power, axis=-1)

        return total + map_in_chunks(energy, places, chunk=chunk), None

    start = jnp.zeros((places.shape[0], *images.shape[1:3]), images.dtype)
    return jax.lax.scan(add_picture, start, images)[0] / images.shape[0]
