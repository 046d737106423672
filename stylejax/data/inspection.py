"""What is kept of a picture to compare it with thousands of others. Pure functions.

Two pictures with equal digests have the same 8-bit pixels, whatever their files. Two
that look alike have perceptual hashes a few bits apart and thumbnails that differ
little; `duplicates.py` says how few and how little.
"""

import dataclasses
import hashlib

import numpy as np

from stylejax import checks

_HASH_SIDE, _HASH_BANDS = 32, 8
_THUMBNAIL_SIDE = 16
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclasses.dataclass(frozen=True)
class Fingerprint:
    """The digest, perceptual hash, thumbnail and size of one picture.

    Args:
      digest: SHA-256 of the 8-bit pixels and their shape, hexadecimal.
      bits: 64-bit perceptual hash.
      thumbnail: float32 (16, 16, 3) in [0, 1].
      size_hw: height and width of the picture in pixels.
    """

    digest: str
    bits: int
    thumbnail: np.ndarray
    size_hw: tuple[int, int]


def fingerprint(image: np.ndarray) -> Fingerprint:
    """Returns the fingerprint of a picture.

    Args:
      image: float (h, w, 3) in [0, 1].

    Returns:
      Its digest, perceptual hash, thumbnail and size.

    Raises:
      ValueError: if the image is not of shape (h, w, 3).
    """
    image = np.asarray(image, np.float32)
    checks.check_image(image[None])
    pixels = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    digest = hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()
    height, width = image.shape[:2]
    small = shrink(image, side=_THUMBNAIL_SIDE)
    return Fingerprint(digest, perceptual_hash(image), small, (height, width))


def perceptual_hash(image: np.ndarray) -> int:
    """Returns 64 signs of a picture's low frequencies as one integer.

    The luminance is averaged down to 32 x 32 and transformed by the cosine transform
    (DCT-II); of its lowest 8 x 8 coefficients each gives one bit: above their median.

    Args:
      image: float (h, w, 3) in [0, 1].

    Returns:
      An integer in [0, 2**64); pictures that look alike differ in few bits.

    Reference: the scheme known as pHash (Zauner, 2010), with area averaging.
    """
    grey = shrink(image @ _LUMA, side=_HASH_SIDE)
    basis = _cosines(_HASH_SIDE)[:_HASH_BANDS]
    # Rounded, so that a flat picture hashes alike whatever the rounding noise.
    coefficients = np.round(basis @ grey @ basis.T, 4).ravel()
    above = coefficients > np.median(coefficients[1:])
    return int.from_bytes(np.packbits(above).tobytes(), "big")


def shrink(image: np.ndarray, *, side: int) -> np.ndarray:
    """Returns a picture averaged into side x side equal areas.

    Args:
      image: float (h, w) or (h, w, c), any size.
      side: number of areas along each axis.

    Returns:
      float32 (side, side) or (side, side, c).
    """
    rows = _shrink_rows(np.asarray(image, np.float64), side)
    return _shrink_rows(rows.swapaxes(0, 1), side).swapaxes(0, 1).astype(np.float32)


def too_small(size_hw: tuple[int, int], *, min_size: int) -> bool:
    """Returns whether the shorter side of a picture falls below a limit.

    Args:
      size_hw: height and width in pixels.
      min_size: least number of pixels of the shorter side; 0 accepts all.

    Returns:
      True if the picture is too small.
    """
    return min(size_hw) < min_size


def _shrink_rows(image: np.ndarray, side: int) -> np.ndarray:
    """Means over `side` equal bands of the first axis, through a running sum.

    No matrix product: on a busy machine BLAS's threads cost 40 ms a call (2026-11).
    """
    length = image.shape[0]
    total = np.cumsum(image, axis=0)
    total = np.concatenate([np.zeros_like(total[:1]), total, total[-1:]])
    edges = np.linspace(0, length, side + 1)
    whole = np.floor(edges).astype(int)
    part = (edges - whole).reshape(-1, *[1] * (image.ndim - 1))
    at_edges = total[whole] + part * (total[whole + 1] - total[whole])
    return np.diff(at_edges, axis=0) * (side / length)


def _cosines(side: int) -> np.ndarray:
    """The orthonormal DCT-II matrix, (side, side), lowest frequency first."""
    k, n = np.arange(side)[:, None], np.arange(side)[None, :]
    matrix = np.cos(np.pi * k * (2 * n + 1) / (2 * side)) * np.sqrt(2 / side)
    matrix[0] /= np.sqrt(2)
    return matrix.astype(np.float32)
