"""Receptive fields in closed form, for stacks of convolutions.

What comes out is the *theoretical* field: pixels outside it cannot reach the cell
through the convolutions. Layers that pool over the whole picture are not convolutions:
with a live instance norm every output cell depends on every pixel through the norm's
mean and variance, so the true dependence is global. The closed form is then the part
that the convolutions carry; it is exact with the norms off or their statistics frozen.
"""

import dataclasses
from collections.abc import Iterable

Layer = tuple[int, int, int]
"""(kernel, stride, padding) of one convolution; padding is what each side gets."""


@dataclasses.dataclass(frozen=True)
class ReceptiveField:
    """What one output cell of a stack of convolutions sees, along either axis.

    Attributes:
      size: side of the square of pixels that one cell sees.
      stride: pixels between the squares of neighbouring cells.
      start: first pixel of cell 0's square; negative where it begins in the padding.
    """

    size: int
    stride: int
    start: int


def _checked(layers: Iterable[Layer]) -> list[Layer]:
    checked = list(layers)
    for i, layer in enumerate(checked):
        whole = len(layer) == 3 and all(v == int(v) for v in layer)
        if not whole or layer[1] < 1 or not 0 <= layer[2] < layer[0]:
            raise ValueError(
                f"layer {i}: expected (kernel, stride, padding) in whole numbers with"
                f" stride >= 1 and 0 <= padding < kernel, got {tuple(layer)}"
            )
    return checked


def theoretical_receptive_field(layers: Iterable[Layer]) -> ReceptiveField:
    """The receptive field of a stack of convolutions.

    `size = 1 + sum_l (kernel_l - 1) prod_{m<l} stride_m`. With a live instance norm in
    the stack the true dependence is global, see the head of this module.

    Args:
      layers: (kernel, stride, padding) of each convolution, input side first.

    Returns:
      Size, stride and start in pixels of the input.

    Raises:
      ValueError: a layer that is not three whole numbers in range.

    Example:
      >>> patch = [(4, 2, 1)] * 3 + [(4, 1, 1)] * 2
      >>> theoretical_receptive_field(patch)
      ReceptiveField(size=70, stride=8, start=-23)

    Reference: Araujo, Norris and Sim, "Computing Receptive Fields of Convolutional
      Neural Networks", 2019.
    """
    size, stride, start = 1, 1, 0
    for kernel, step, padding in _checked(layers):
        size += (kernel - 1) * stride
        start -= padding * stride
        stride *= step
    return ReceptiveField(size=size, stride=stride, start=start)


def output_size(layers: Iterable[Layer], *, input_size: int) -> int:
    """The number of output cells along an axis of `input_size` pixels.

    Args:
      layers: (kernel, stride, padding) of each convolution, input side first.
      input_size: pixels along the axis.

    Returns:
      The number of cells, at least 1.

    Raises:
      ValueError: the picture is too small for the stack.

    Example:
      >>> output_size([(4, 2, 1)] * 3 + [(4, 1, 1)] * 2, input_size=256)
      30
    """
    size = input_size
    for kernel, stride, padding in _checked(layers):
        size = (size + 2 * padding - kernel) // stride + 1
        if size < 1:
            raise ValueError(
                f"expected a picture large enough for the convolutions, got"
                f" {input_size} pixels, of which no output cell is left"
            )
    return size


def cell_box(
    layers: Iterable[Layer], *, cell: tuple[int, int], size_hw: tuple[int, int]
) -> tuple[int, int, int, int]:
    """The pixels that one output cell sees, as a box clipped to the picture.

    Args:
      layers: (kernel, stride, padding) of each convolution, input side first.
      cell: (row, column) of the output cell.
      size_hw: height and width of the input in pixels.

    Returns:
      (x, y, w, h) in pixels, inside the picture. With a live instance norm the cell
      depends on the rest of the picture as well, see the head of this module.

    Raises:
      ValueError: the cell is not in the output, or the picture is too small.

    Example:
      >>> patch = [(4, 2, 1)] * 3 + [(4, 1, 1)] * 2
      >>> cell_box(patch, cell=(0, 15), size_hw=(256, 256))
      (97, 0, 70, 47)
    """
    layers = _checked(layers)
    rows, columns = (output_size(layers, input_size=side) for side in size_hw)
    if not (0 <= cell[0] < rows and 0 <= cell[1] < columns):
        raise ValueError(
            f"cell: expected (row, column) inside the {rows} x {columns} output of a"
            f" {size_hw[0]} x {size_hw[1]} picture, got {tuple(cell)}"
        )
    y, h = _span(layers, cell[0], size_hw[0])
    x, w = _span(layers, cell[1], size_hw[1])
    return x, y, w, h


def _span(layers: list[Layer], index: int, side: int) -> tuple[int, int]:
    """First pixel and number of pixels of a cell, walking back through the layers.

    Each layer clips by its own size: what an inner layer pads with is no pixel.
    """
    first = last = index
    for depth in reversed(range(len(layers))):
        kernel, stride, padding = layers[depth]
        size = output_size(layers[:depth], input_size=side)
        first = max(first * stride - padding, 0)
        last = min(last * stride - padding + kernel, size) - 1
    return first, last - first + 1
