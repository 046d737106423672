"""What `stylejax explain` draws, and where it goes."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stylejax import explain
from stylejax.explain.regions import RegionMaps
from stylejax.explain.targets import Box
from stylejax.image import panel
from stylejax.image.regions import grid_regions

_SHOWN_SIDE = 256


def paths(place: Path, with_regions: bool) -> list[Path]:
    """The files of one picture's explanation.

    Args:
        place: where the picture itself would go.
        with_regions: whether there is a sheet of regions.

    Returns:
        The drawing (.png), the numbers (.json), and the sheet (-regions.png).

    Example:
        >>> [p.name for p in paths(Path("out/cat.jpg"), True)]
        ['cat.png', 'cat.json', 'cat-regions.png']
    """
    found = [place.with_suffix(".png"), place.with_suffix(".json")]
    if with_regions:
        found.append(place.with_name(f"{place.stem}-regions.png"))
    return found


def attributions(
    image: np.ndarray,
    output: np.ndarray,
    answers: Sequence[tuple[str, Box | None, explain.Attribution]],
    *,
    method: str,
) -> np.ndarray:
    """The picture, its translation with the target framed, and the map, a row a target.

    Args:
        image: (h, w, 3) in [0, 1].
        output: its translation.
        answers: names of targets, their boxes, and what explains them.
        method: what made the maps.

    Returns:
        (h', w', 3) in [0, 1].
    """
    scale = max(1, _SHOWN_SIDE // max(image.shape[:2]))
    rows, words = [], []
    for name, box, answer in answers:
        framed = output if box is None else panel.draw_box(output, box)
        values = np.asarray(answer.map).sum(axis=-1)
        rows.append([image, framed, panel.signed_overlay(image, values)])
        # Full strength of the overlay is the 99th percentile of the sizes.
        top = float(np.percentile(np.abs(values), 99))
        words.append(
            f"{name} by {method}: {answer.summary()}; full colour at {top:.2g} a pixel"
        )
    figure = panel.grid(
        rows,
        column_titles=["input", "output, target framed", "red raises it, blue lowers"],
        scale=scale,
    )
    return panel.caption(figure, "\n".join(words))


def region_sheet(
    image: np.ndarray, found: RegionMaps, grid: tuple[int, int]
) -> np.ndarray:
    """For each cell of the input, what it contributed to each pixel of the output.

    Args:
        image: (h, w, 3) in [0, 1].
        found: what each region contributed.
        grid: rows and columns of the cells.

    Returns:
        (h', w', 3) in [0, 1]: a grid of maps laid out as the cells, each with its cell
        framed, all on one scale.
    """
    height, width = image.shape[:2]
    labels = grid_regions((height, width), rows=grid[0], columns=grid[1])
    maps = np.asarray(found.maps).sum(axis=-1)
    output = np.asarray(found.output).clip(0, 1)
    # One scale for all: the strongest cell's 99th percentile.
    top = max(float(np.percentile(np.abs(part), 99)) for part in maps)
    cells = []
    for label, part in enumerate(maps):
        y, x = np.nonzero(labels == label)
        box = (int(x.min()), int(y.min()), int(np.ptp(x)) + 1, int(np.ptp(y)) + 1)
        overlay = overlay_at(output, part, top=top)
        cells.append(panel.draw_box(overlay, box) if part.size > 1 else overlay)
    rows = [cells[i : i + grid[1]] for i in range(0, len(cells), grid[1])]
    scale = max(1, _SHOWN_SIDE // (2 * max(height, width)))
    sheet = panel.grid(rows, scale=scale)
    text = (
        "What the framed cell of the input contributed to each pixel of the output (red"
        f" brighter, blue darker; one scale). {found.summary()}"
    )
    return panel.caption(sheet, text)


def overlay_at(image: np.ndarray, values: np.ndarray, *, top: float) -> np.ndarray:
    """A signed overlay whose full strength is a value given.

    Args:
        image: (h, w, 3) in [0, 1].
        values: (h, w).
        top: the size that is drawn at full strength.

    Returns:
        (h, w, 3) in [0, 1].
    """
    strongest = np.abs(values).max()
    if strongest == 0 or top == 0:
        return panel.signed_overlay(image, np.zeros_like(values))
    # The overlay's own scale is the map's largest value: blend back to the common one.
    clipped = np.clip(values, -top, top)
    drawn = panel.signed_overlay(image, clipped, percentile=100)
    plain = panel.signed_overlay(image, np.zeros_like(values))
    share = np.abs(clipped).max() / top
    return plain + (drawn - plain) * share


def finite(value: float) -> float | None:
    """The number, or None where it is not one: JSON knows no NaN.

    Args:
        value: any float.

    Returns:
        The same, or None.

    Example:
        >>> finite(float("nan")), finite(1.5)
        (None, 1.5)
    """
    return value if math.isfinite(value) else None
