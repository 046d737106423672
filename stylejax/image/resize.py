"""Changing the size of pictures on the device: resampling, padding and cropping back.

The host-side twin for single pictures while data is read is in `image/files.py`.
"""

import jax
import jax.numpy as jnp

from stylejax.checks import check_choice, check_positive
from stylejax.typing import Image

# "bicubic" is Keys' kernel with a = -0.5: Pillow's, not PyTorch's (a = -0.75).
_METHODS = {
    "nearest": "nearest",
    "bilinear": "linear",
    "bicubic": "cubic",
    "lanczos": "lanczos3",
}
# No memory holds more; XLA ends the process where a size overflows (jax 0.10, 2026-11).
_MAX_PIXELS = 2**32


def resize(
    image: Image,
    size_hw: tuple[int, ...],
    *,
    method: str = "bicubic",
    antialias: bool = True,
) -> Image:
    """The image resampled to `size_hw`; the aspect is not kept.

    Args:
      image: (..., h, w, c), any range.
      size_hw: new height and width, in pixels.
      method: "nearest", "bilinear", "bicubic" or "lanczos".
      antialias: widen the kernel when shrinking, as Pillow always does.

    Returns:
      (..., *size_hw, c). Not clipped: bicubic and lanczos overshoot at sharp edges.

    Raises:
      ValueError: for an unknown method or a size that is not positive or beyond all
        memory.

    Example:
      >>> resize(jnp.ones((1, 8, 6, 3)), (4, 5)).shape
      (1, 4, 5, 3)
    """
    check_choice(method, choices=tuple(_METHODS), name="method")
    height, width = size_hw
    check_positive(height, name="height")
    check_positive(width, name="width")
    if height * width > _MAX_PIXELS:
        raise ValueError(
            f"expected a size of at most {_MAX_PIXELS} pixels, got {height} x {width}"
        )
    shape = (*image.shape[:-3], height, width, image.shape[-1])
    return jax.image.resize(image, shape, _METHODS[method], antialias=antialias)


def fit_longer_side(images: Image, size: int) -> Image:
    """The pictures with their longer side of this length, the aspect kept.

    Args:
      images: (b, h, w, 3), values in [0, 1].
      size: in pixels.

    Returns:
      (b, h', w', 3) in [0, 1].

    Example:
      >>> fit_longer_side(jnp.ones((1, 30, 40, 3)), 20).shape
      (1, 15, 20, 3)
    """
    height, width = images.shape[1:3]
    scale = size / max(height, width)
    size_hw = (max(1, round(scale * height)), max(1, round(scale * width)))
    if size_hw == (height, width):
        return images
    return jnp.clip(resize(images, size_hw), 0.0, 1.0)


def pyramid_sizes(
    size_hw: tuple[int, ...], *, min_side: int, factor: float = 2.0
) -> list[tuple[int, ...]]:
    """The sizes of a pyramid, the smallest first and the picture's own last.

    Args:
      size_hw: of the picture.
      min_side: no scale's longer side is below this, unless the picture's own is.
      factor: sides of a scale over those of the one before.

    Returns:
      (height, width) of each scale.

    Raises:
      ValueError: a factor that does not shrink.

    Example:
      >>> pyramid_sizes((300, 400), min_side=128)
      [(150, 200), (300, 400)]
    """
    check_positive(min_side, name="min_side")
    if not factor > 1:
        raise ValueError(f"factor: expected a number above 1, got {factor}")
    sizes, shrink = [tuple(size_hw)], factor
    while max(size_hw) / shrink >= min_side:
        sizes.insert(0, tuple(max(1, round(n / shrink)) for n in size_hw))
        shrink *= factor
    return sizes


def pad_to_multiple(image: Image, multiple: int) -> tuple[Image, tuple[int, int]]:
    """The image padded so that both sides are multiples, and its size before.

    Rows are added at the bottom and columns at the right, as reflections (the border
    itself is not repeated). A side too short for one reflection repeats its border.

    Args:
      image: (..., h, w, c), any range.
      multiple: the number both sides shall be multiples of, in pixels.

    Returns:
      The padded image, and `(h, w)` as `crop_to` wants it.

    Raises:
      ValueError: if `multiple` is not positive.

    Example:
      >>> padded, size = pad_to_multiple(jnp.ones((1, 5, 8, 3)), 4)
      >>> padded.shape, size
      ((1, 8, 8, 3), (5, 8))
    """
    check_positive(multiple, name="multiple")
    height, width = image.shape[-3:-1]
    padded = _pad_end(image, -height % multiple, axis=image.ndim - 3)
    padded = _pad_end(padded, -width % multiple, axis=image.ndim - 2)
    return padded, (height, width)


def crop_to(image: Image, size_hw: tuple[int, ...]) -> Image:
    """The top left part of the image: the inverse of `pad_to_multiple`.

    Args:
      image: (..., h, w, c), any range.
      size_hw: height and width to keep, in pixels.

    Returns:
      (..., *size_hw, c).

    Raises:
      ValueError: if the image is smaller than `size_hw`.

    Example:
      >>> crop_to(jnp.ones((1, 8, 8, 3)), (5, 8)).shape
      (1, 5, 8, 3)
    """
    height, width = size_hw
    if height > image.shape[-3] or width > image.shape[-2]:
        raise ValueError(
            f"image: expected at least {height}x{width}, got "
            f"{image.shape[-3]}x{image.shape[-2]}; pad it or ask for a smaller crop"
        )
    return image[..., :height, :width, :]


def _pad_end(image: Image, amount: int, *, axis: int) -> Image:
    if amount == 0:
        return image
    widths = [(0, 0)] * image.ndim
    widths[axis] = (0, amount)
    mode = "reflect" if amount < image.shape[axis] else "edge"
    return jnp.pad(image, widths, mode=mode)
