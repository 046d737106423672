"""Changes of a picture that hardly anybody sees: noise, rounding, JPEG, a soft blur.

An honest translator barely minds them. One that hides a message in its output loses it:
that is how `stylejax.explain.stego` finds out.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from stylejax.checks import check_image, check_positive
from stylejax.image.filters import gaussian_blur
from stylejax.typing import Image, Key

PERTURBATIONS = ("uniform", "gaussian", "rounding", "jpeg", "low_pass")
"""Names of what `invisible_changes` returns."""

# Annex K of the JPEG standard (ITU-T T.81, 1992), the tables of nearly every encoder.
_LUMINANCE = """
    16 11 10 16  24  40  51  61   12 12 14 19  26  58  60  55
    14 13 16 24  40  57  69  56   14 17 22 29  51  87  80  62
    18 22 37 56  68 109 103  77   24 35 55 64  81 104 113  92
    49 64 78 87 103 121 120 101   72 92 95 98 112 100 103  99
"""
_CHROMINANCE = """
    17 18 24 47 99 99 99 99   18 21 26 66 99 99 99 99
    24 26 56 99 99 99 99 99   47 66 99 99 99 99 99 99
    99 99 99 99 99 99 99 99   99 99 99 99 99 99 99 99
    99 99 99 99 99 99 99 99   99 99 99 99 99 99 99 99
"""
_BLOCK = 8
# JFIF's Y, Cb and Cr (Rec. 601, full range), as columns.
_YCBCR = np.array(
    [
        [0.299, -0.168735892, 0.5],
        [0.587, -0.331264108, -0.418687589],
        [0.114, 0.5, -0.081312411],
    ]
)
_OFFSET = np.array([0.0, 128.0, 128.0], np.float32)


def round_to_8_bits(images: Image) -> Image:
    """The pictures as an 8-bit file would keep them.

    Args:
      images: (b, h, w, c), in [0, 1]; values outside are clipped.

    Returns:
      Same shape, multiples of 1/255 in [0, 1].

    Example:
      >>> float(255 * round_to_8_bits(jnp.full((1, 1, 1, 3), 0.5))[0, 0, 0, 0])
      128.0
    """
    return jnp.round(255 * jnp.clip(images, 0, 1)) / 255


def jpeg(images: Image, *, quality: int = 75) -> Image:
    """The pictures as a JPEG file would keep them, without the file.

    8-bit colours, Y Cb Cr, 8 x 8 cosine transforms, the standard's tables scaled as
    libjpeg does. Colour keeps its resolution (4:4:4), where most cameras halve it.
    What is lossless in a file, its entropy code, is left out. Not differentiable:
    rounding has no slope.

    Args:
      images: (b, h, w, 3), in [0, 1]; values outside are clipped.
      quality: from 1 to 100, as in other programs.

    Returns:
      Same shape, multiples of 1/255 in [0, 1].

    Raises:
      ValueError: no batch of RGB pictures, or a quality out of range.

    Example:
      >>> jpeg(jnp.ones((1, 8, 8, 3)))[0, 0, 0].tolist()
      [1.0, 1.0, 1.0]

    Reference:
      Wallace 1992, "The JPEG still picture compression standard".
    """
    check_image(images)
    if not 1 <= quality <= 100:
        raise ValueError(f"quality: expected a number from 1 to 100, got {quality}")
    b, h, w, _ = images.shape
    fill = [(0, 0), (0, -h % _BLOCK), (0, -w % _BLOCK), (0, 0)]
    pixels = jnp.pad(255 * round_to_8_bits(images), fill, mode="edge")
    rows, columns = pixels.shape[1] // _BLOCK, pixels.shape[2] // _BLOCK
    signal = jnp.round(_mix(pixels, _YCBCR) + _OFFSET[None, None, None]) - 128
    blocks = signal.reshape(b, rows, _BLOCK, columns, _BLOCK, 3)
    table = _tables(quality)[None, None]
    levels = jnp.round(_transform(blocks, dct_matrix(_BLOCK)) / table)
    restored = _transform(levels * table, dct_matrix(_BLOCK).T)
    signal = jnp.clip(jnp.round(restored.reshape(pixels.shape) + 128), 0, 255)
    colors = _mix(signal - _OFFSET[None, None, None], np.linalg.inv(_YCBCR))
    return round_to_8_bits(colors[:, :h, :w] / 255)


def invisible_changes(
    key: Key,
    images: Image,
    *,
    epsilon: float = 3 / 256,
    num_draws: int = 4,
    quality: int = 75,
    sigma: float = 1.0,
) -> dict[str, Float[Array, "d b h w c"]]:
    """The pictures, changed in each of the ways of `PERTURBATIONS`.

    Args:
      key: of the noise.
      images: (b, h, w, 3), in [0, 1].
      epsilon: uniform noise reaches to plus and minus this, Gaussian noise has it as
        its standard deviation. Noisy pictures are clipped to [0, 1].
      num_draws: draws of each kind of noise.
      quality: of the JPEG.
      sigma: of the blur, in pixels.

    Returns:
      By name, (d, b, h, w, 3): `num_draws` draws of noise, one of everything else.

    Raises:
      ValueError: no batch of RGB pictures, or numbers out of range.

    Reference:
      Chu, Zhmoginov and Sandler 2017, "CycleGAN, a master of steganography", who found
      that noise of 3/256 breaks the recovery.
    """
    check_image(images)
    check_positive(epsilon, name="epsilon")
    check_positive(num_draws, name="num_draws")
    shape = (num_draws, *images.shape)
    uniform_key, gaussian_key = jax.random.split(key)
    uniform = jax.random.uniform(uniform_key, shape, minval=-1.0, maxval=1.0)
    gaussian = jax.random.normal(gaussian_key, shape)
    return {
        "uniform": jnp.clip(images[None] + epsilon * uniform, 0, 1),
        "gaussian": jnp.clip(images[None] + epsilon * gaussian, 0, 1),
        "rounding": round_to_8_bits(images)[None],
        "jpeg": jpeg(images, quality=quality)[None],
        "low_pass": gaussian_blur(images, sigma)[None],
    }


def dct_matrix(size: int) -> np.ndarray:
    """The orthonormal cosine transform: row k is the cosine of k / (2 size) cycles.

    Args:
      size: number of samples.

    Returns:
      float32 (size, size); times its transpose it is one.

    Example:
      >>> dct_matrix(1).tolist()
      [[1.0]]
    """
    k, n = np.arange(size)[:, None], np.arange(size)[None]
    matrix = np.sqrt(2 / size) * np.cos(np.pi * (n + 0.5) * k / size)
    matrix[0] /= np.sqrt(2)
    return matrix.astype(np.float32)


def _transform(
    blocks: Float[Array, "b i y j x c"], matrix: np.ndarray
) -> Float[Array, "b i y j x c"]:
    return jnp.einsum(
        "uy,biyjxc,vx->biujvc", matrix, blocks, matrix, precision="highest"
    )


def _mix(pixels: Image, matrix: np.ndarray) -> Image:
    return jnp.einsum(
        "bhwc,cd->bhwd", pixels, matrix.astype(np.float32), precision="highest"
    )


def _tables(quality: int) -> Float[np.ndarray, "y 1 x c"]:
    """Steps of the three channels, as libjpeg scales them."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    base = [
        np.array(text.split(), np.int64).reshape(_BLOCK // 2, 2, _BLOCK)
        for text in (_LUMINANCE, _CHROMINANCE)
    ]
    luminance, chrominance = (
        np.clip((table.reshape(_BLOCK, _BLOCK) * scale + 50) // 100, 1, 255)
        for table in base
    )
    steps = np.stack([luminance, chrominance, chrominance], axis=-1)
    return steps[:, None].astype(np.float32)
