"""Masks of regions: from lightness and from clusters of colour, which add up to 1.

Made on the host, once for a picture: NumPy in, NumPy out, `k h w` in [0, 1].
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.cluster import vq

from stylejax.checks import check_positive
from stylejax.image import lab

Picture = Float[np.ndarray, "h w 3"]
Masks = Float[np.ndarray, "k h w"]

# More pixels do not move the clusters' middles.
_MAX_SAMPLES = 20_000


def from_luminance(image: Picture, *, count: int = 2, softness: float = 8.0) -> Masks:
    """Masks of equally large bands of lightness, the darkest first.

    Args:
      image: (h, w, 3), values in [0, 1].
      count: k.
      softness: width of the edges between bands, in units of L* (0 … 100).

    Returns:
      (k, h, w), float32, which sum to 1 at each pixel.

    Raises:
      ValueError: no such picture or count.
    """
    lightness = _lab(image)[..., 0]
    check_positive(count, name="count")
    levels = np.quantile(lightness, np.arange(1, count) / count)
    width = max(softness, 1e-3)
    above = [np.clip((lightness - level) / width + 0.5, 0, 1) for level in levels]
    ends = [np.ones_like(lightness), np.zeros_like(lightness)]
    edges = np.stack([ends[0], *above, ends[1]])  # they fall from one to the next
    return (edges[:-1] - edges[1:]).astype(np.float32)


def from_colors(image: Picture, *, count: int = 3, seed: int = 0) -> Masks:
    """Masks of clusters of colour (k-means in L*a*b*), the largest first.

    Args:
      image: (h, w, 3), values in [0, 1].
      count: k.
      seed: of the clustering.

    Returns:
      (k, h, w), float32, 0 or 1, which sum to 1 at each pixel. A picture of
      fewer colours gives empty masks.

    Raises:
      ValueError: no such picture or count.
    """
    check_positive(count, name="count")
    pixels = _lab(image).reshape(-1, 3).astype(np.float64)
    generator = np.random.default_rng(seed)
    chosen = generator.choice(
        len(pixels), min(len(pixels), _MAX_SAMPLES), replace=False
    )
    sample = pixels[chosen]
    distinct = min(count, len(np.unique(sample.round(3), axis=0)))
    centres, _ = vq.kmeans2(sample, distinct, minit="++", rng=generator, missing="warn")
    nearest, _ = vq.vq(pixels, centres)
    sizes = np.bincount(nearest, minlength=count)
    order = np.argsort(-sizes, kind="stable")
    shape = np.shape(image)[:2]
    return np.stack([(nearest == i).reshape(shape) for i in order]).astype(np.float32)


def _lab(image: Picture) -> np.ndarray:
    array = np.asarray(image, np.float32)
    if array.ndim != 3 or array.shape[-1] != 3:
        raise ValueError(
            f"image: expected one picture of shape (h, w, 3), got {array.shape}"
        )
    return np.asarray(lab.to_lab(jnp.asarray(array)[None]))[0]
