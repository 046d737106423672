"""Where a map's energy lies: inside a box, around a point, spread or gathered.

A map is `h w` numbers of at least 0, such as a gradient's energy or an attribution's
absolute values. Everything is worked out on the host in float64, once for a map.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from stylejax.explain.targets import Box

EnergyMap = Float[np.ndarray, "h w"]


def energy_inside(energy: EnergyMap, box: Box) -> float:
    """The share of a map's sum that lies inside a box.

    Args:
      energy: `h w`, not negative, as of `effective_field`.
      box: (x, y, w, h) in pixels, as of `receptive_field.cell_box`.

    Returns:
      A number in [0, 1]; exactly 1 if all outside is 0, NaN if the whole map is.

    Raises:
      ValueError: no map, or negative numbers.

    Example:
      >>> energy_inside(np.array([[3.0, 1.0]]), (0, 0, 1, 1))
      0.75
    """
    energy = _checked(energy)
    x, y, w, h = box
    part = (slice(max(y, 0), y + h), slice(max(x, 0), x + w))
    inside, total = np.zeros_like(energy), energy.sum()
    inside[part] = energy[part]
    # Summed as a whole map, in the same order as the total: 1 is exact.
    return float(inside.sum() / total) if total > 0 else float("nan")


def centroid(energy: EnergyMap) -> tuple[float, float]:
    """The mean position of a map's energy.

    Args:
      energy: `h w`, not negative.

    Returns:
      (row, column), in pixels from the middle of the first; NaN if the map is all 0.

    Raises:
      ValueError: no map, or negative numbers.

    Example:
      >>> centroid(np.array([[0.0, 1.0, 1.0]]))
      (0.0, 1.5)
    """
    energy = _checked(energy)
    total = energy.sum()
    if total == 0:
        return float("nan"), float("nan")
    rows, columns = np.indices(energy.shape)
    return float((rows * energy).sum() / total), float((columns * energy).sum() / total)


def energy_radii(
    energy: EnergyMap,
    *,
    shares: Sequence[float] = (0.5, 0.9, 0.95, 0.99),
    center: tuple[float, float] | None = None,
) -> dict[float, float]:
    """The radius of the circle that holds each share of a map's energy.

    Args:
      energy: `h w`, not negative.
      shares: of the sum, each in (0, 1].
      center: (row, column) of the circle's middle; by default the `centroid`.

    Returns:
      For each share the least distance in pixels within which the middles of pixels
      hold at least as much (to rounding); NaN if the map is all 0.

    Raises:
      ValueError: no map, negative numbers, or a share outside (0, 1].

    Example:
      >>> energy_radii(np.array([[1.0, 8.0, 1.0]]), shares=(0.8, 1.0))
      {0.8: 0.0, 1.0: 1.0}
    """
    energy = _checked(energy)
    if not all(0 < share <= 1 for share in shares):
        raise ValueError(f"shares: expected numbers in (0, 1], got {tuple(shares)}")
    total = energy.sum()
    if total == 0:
        return dict.fromkeys(shares, float("nan"))
    row, column = centroid(energy) if center is None else center
    rows, columns = np.indices(energy.shape)
    # Rounded, so that pixels at one distance are taken together.
    distances = np.hypot(rows - row, columns - column).round(6).ravel()
    radii, ring = np.unique(distances, return_inverse=True)
    held = np.cumsum(np.bincount(ring, weights=energy.ravel())) / total
    return {s: float(radii[np.argmax(held >= s * (1 - 1e-9))]) for s in shares}


def diffusion_index(energy: EnergyMap) -> float:
    """How widely a map is spread: `(1 - G) * 100`, with the Gini coefficient `G`.

    Args:
      energy: `h w`, not negative. Published values are of absolute attributions:
        compare maps of the same power and size only.

    Returns:
      100 where all pixels are alike, `100 / (h w)` where one has everything; NaN if the
      map is all 0.

    Raises:
      ValueError: no map, or negative numbers.

    Example:
      >>> diffusion_index(np.array([[0.0, 0.0, 0.0, 1.0]]))
      25.0

    Reference: Gu and Dong, "Interpreting Super-Resolution Networks with Local
      Attribution Maps", 2021. Their code adds 1e-7 to every value, we nothing.
    """
    values = np.sort(_checked(energy).ravel())
    total, n = values.sum(), values.size
    if total == 0:
        return float("nan")
    gini = ((2 * np.arange(1, n + 1) - n - 1) * values).sum() / (n * total)
    return float((1 - gini) * 100)


def _checked(energy: EnergyMap) -> np.ndarray:
    energy = np.asarray(energy, np.float64)
    if energy.ndim != 2 or not np.isfinite(energy).all() or (energy < 0).any():
        raise ValueError(
            "energy: expected a map (h, w) of finite numbers of at least 0, got shape"
            f" {energy.shape}; sum the channels and take absolute values or squares"
        )
    return energy
