"""Which form of a convolution a CPU takes.

The rules are from `python -m benchmarks.conv_forms` on two x86-64 cores (2026-11): it
times every form at the shapes of the networks here and says where a rule misses the
fastest. The tables of jax 0.10.2 and 0.12.0 ask for the same rules. Run it where jax or
the machine has changed.
"""

import os
from collections.abc import Sequence

import numpy as np

from stylejax.nn.kernel_gradients import Padding

SWITCH = "STYLEJAX_CONV"
"""Environment variable: "xla" takes XLA's own convolution on CPUs as well."""

# Fewer products must pay for transforms of input and output, which weigh as 1 /
# channels, and of the kernel, which weighs as 1 / tiles.
WINOGRAD_CHANNELS = 128
WINOGRAD_TILES = 0.03  # of 4 x 4 outputs, for each channel
WINOGRAD_TILES_4 = 0.05  # from where tiles of 4 x 4 are faster than those of 2 x 2
GRADIENT_TILES = 0.12
GRADIENT_TILES_2 = 0.03  # the same, from where tiles of 2 x 2 pay
LEAST_WORK = 2**24  # multiplications below which a gradient is left to XLA
LEAST_CHANNELS = 16


def is_off() -> bool:
    """Whether the environment asks for XLA's own convolution.

    Returns:
      True where STYLEJAX_CONV is "xla".
    """
    return os.environ.get(SWITCH) == "xla"


def _tiles(batch: int, height: int, width: int) -> int:
    """Tiles of 4 x 4 outputs."""
    return batch * -(-height // 4) * -(-width // 4)


def forward_form(
    shape: Sequence[int],
    kernel_shape: Sequence[int],
    *,
    stride: int,
    padding: Padding,
    dilation: int,
    turned: bool,
) -> str:
    """How a CPU computes a convolution in float32.

    Args:
      shape: of the input, `b h w c`.
      kernel_shape: `kh kw c o`; `kh kw o c` if turned.
      stride: of the convolution.
      padding: zeros on each side.
      dilation: of the input.
      turned: whether the kernel is turned.

    Returns:
      "padding", XLA's own as it is; "row", XLA's own on a padded copy with one row
      more; "winograd4" or "winograd2", by the side of the tiles of outputs.
    """
    size = tuple(kernel_shape[:2])
    is_padded = any(map(any, padding))
    if stride > 1 or dilation > 1 or size == (1, 1) or (is_padded and size[0] % 2 == 0):
        return "padding"
    if size != (3, 3) or min(kernel_shape[2:]) < WINOGRAD_CHANNELS:
        return "row"
    # The adjoint takes its tiles from what it is given.
    added = (0, 0) if turned else (sum(p) - 2 for p in padding)
    sides = (n + more for n, more in zip(shape[1:3], added, strict=True))
    share = _tiles(shape[0], *sides) / max(kernel_shape[2:])
    if share < WINOGRAD_TILES:
        return "row"
    return "winograd4" if share >= WINOGRAD_TILES_4 else "winograd2"


def gradient_form(
    shape: Sequence[int],
    output_shape: Sequence[int],
    *,
    size: Sequence[int],
    stride: int,
    dilation: int,
) -> str:
    """How a CPU computes the gradient by the kernel.

    Args:
      shape: of the input, `b h w c`.
      output_shape: `b h' w' o`.
      size: (kh, kw).
      stride: of the convolution.
      dilation: of its input.

    Returns:
      "xla"; "winograd4" or "winograd2", by the side of the tiles of outputs; "places"
      or "rows", a product for each place or each row of the kernel.
    """
    channels = (shape[-1], output_shape[-1])
    # A dilated input has fewer positions than the output, and they alone count.
    positions = int(np.prod(min(shape[:3], output_shape[:3], key=np.prod)))
    work = positions * int(np.prod(size)) * int(np.prod(channels))
    if work < LEAST_WORK:
        return "xla"
    if channels[0] < LEAST_CHANNELS and max(size) > 4 and stride == dilation == 1:
        return "rows"
    if min(channels) < LEAST_CHANNELS or max(size) > 4:
        return "xla"
    if stride > 1 and dilation > 1:
        return "xla"
    if tuple(size) == (3, 3) and stride == dilation == 1:
        share = _tiles(*output_shape[:3]) / max(channels)
        if share >= GRADIENT_TILES_2:
            return "winograd4" if share >= GRADIENT_TILES else "winograd2"
    return "places"
