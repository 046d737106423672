"""How a picture becomes a training sample: resize, crop, flip. NumPy, on the host.

Every random function takes a `numpy.random.Generator` made for that one sample, so a
sample depends on nothing but its seed and its number.

Reference: Zhu et al. 2017 resize to 286 x 286 and crop 256 x 256; other crop sizes keep
that proportion here. Resizing is antialiased bicubic in float, clipped to [0, 1].
"""

import numpy as np

from stylejax.image import files

PREPROCESS = ("resize_and_crop", "scale_and_crop", "crop", "resize", "random_scale")


def load_size_for(image_size: int) -> int:
    """The side to resize to before cropping: 286 for 256, others in proportion.

    Args:
      image_size: Side of the crop, in pixels.

    Returns:
      Pixels.
    """
    return round(286 / 256 * image_size)


def resize_clipped(image: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """The picture at another size, in [0, 1].

    Args:
      image: float32 `h w 3` in [0, 1].
      size_hw: (height, width) in pixels.

    Returns:
      float32 `h' w' 3` in [0, 1].
    """
    if image.shape[:2] == tuple(size_hw):
        return image
    return np.clip(files.resize_bicubic(image, size_hw), 0.0, 1.0)


def prepare(image: np.ndarray, *, preprocess: str, image_size: int, load_size: int):
    """The picture before any chance enters (what a cache may keep).

    Args:
      image: float32 `h w 3` in [0, 1].
      preprocess: "resize_and_crop" resizes to a square of `load_size`, as the reference
        does; "scale_and_crop" brings the shorter side to `load_size` and keeps the
        proportions; "crop" leaves the size; "resize" makes a square of `image_size`;
        "random_scale" brings a shorter side above `load_size` down to it, for
        `random_scaled`.
      image_size: Side of the crop to be taken.
      load_size: Side before the crop.

    Returns:
      float32 `h' w' 3` in [0, 1], both sides at least `image_size` unless "crop".
    """
    if preprocess == "resize_and_crop":
        return resize_clipped(image, (load_size, load_size))
    if preprocess in ("scale_and_crop", "random_scale"):
        height, width = image.shape[:2]
        scale = load_size / min(height, width)
        if preprocess == "random_scale":
            scale = min(scale, 1.0)
        return resize_clipped(image, (round(height * scale), round(width * scale)))
    if preprocess == "resize":
        return resize_clipped(image, (image_size, image_size))
    return image


def random_crop_flip(generator, image: np.ndarray, *, image_size: int, flip: bool):
    """A square of the picture at a random place, mirrored half of the time.

    Args:
      generator: `numpy.random.Generator` of this sample; three draws are made whatever
        the sizes and `flip`, so options do not shift one another's chances.
      image: float32 `h w 3`, both sides at least `image_size`.
      image_size: Side of the square.
      flip: Whether to mirror at all.

    Returns:
      float32 `image_size image_size 3`, contiguous.
    """
    draws = generator.random(3)
    height, width = image.shape[:2]
    y = int(draws[0] * (height - image_size + 1))
    x = int(draws[1] * (width - image_size + 1))
    square = image[y : y + image_size, x : x + image_size]
    if flip and draws[2] < 0.5:
        square = square[:, ::-1]
    return np.ascontiguousarray(square)


def random_scaled(generator, image: np.ndarray, *, image_size: int) -> np.ndarray:
    """The picture at a random scale, from its own to that at which it just fits.

    So a square that is cut from it showed between all of the shorter side and
    `image_size` pixels; large and small are alike on a logarithmic scale.

    Args:
      generator: `numpy.random.Generator` of this sample; one draw is made.
      image: float32 `h w 3`, both sides at least `image_size`.
      image_size: side of the square that will be cut, in pixels.

    Returns:
      float32 `h' w' 3`, both sides at least `image_size`.
    """
    least = image_size / min(image.shape[:2])
    scale = least ** generator.random()
    height, width = (max(image_size, round(scale * n)) for n in image.shape[:2])
    return resize_clipped(image, (height, width))
