"""Draws what `experiments.gatys_curves` measured: losses over gradients and seconds.

    python -m experiments.draw_curves --curves=benchmarks/results/gatys_curves.json

The picture, a PNG of the same name, has a column of two charts for each pair.
"""

import json
from pathlib import Path

import numpy as np
from absl import flags

from stylejax.cli.flags import refuse_arguments, run_app
from stylejax.image import files, panel

_CURVES = flags.DEFINE_string("curves", None, "The JSON file.", required=True)

NAMES = {"lbfgs": "L-BFGS", "adam": "Adam"}
COLORS = {"lbfgs": (0.78, 0.16, 0.1), "adam": (0.05, 0.35, 0.75)}
# In pixels: margins, then the area between the axes.
LEFT, TOP, RIGHT, BOTTOM, WIDTH, HEIGHT = 82, 12, 20, 30, 380, 250


def main(argv):
    """Returns 0 once the picture is written."""
    refuse_arguments(argv)
    source = Path(_CURVES.value)
    runs = json.loads(source.read_text(encoding="utf-8"))["runs"]
    rows: list = [[], []]
    for run in runs:
        losses = {name: run[name]["loss"] for name in NAMES}
        counts = {name: 1 + np.arange(len(x)) for name, x in losses.items()}
        seconds = {name: run[name]["seconds"] for name in NAMES}
        rows[0].append(chart(counts, losses, "loss over gradients"))
        rows[1].append(chart(seconds, losses, "loss over seconds"))
    titles = [f"{Path(r['content']).stem} in\n{Path(r['style']).stem}" for r in runs]
    sheet = panel.grid(rows, column_titles=titles, padding=12, font_size=14)
    files.write(source.with_suffix(".png"), sheet)
    return 0


def chart(xs, losses, title):
    """Losses on a logarithmic axis over xs, by name, with labels."""
    shape = (TOP + HEIGHT + BOTTOM, LEFT + WIDTH + RIGHT, 3)
    sheet = np.ones(shape, np.float32)
    axes = sheet[TOP : TOP + HEIGHT, LEFT : LEFT + WIDTH]
    every = np.log10(np.concatenate(list(losses.values())))
    low, high, last = every.min() - 0.05, every.max() + 0.05, max(map(max, xs.values()))
    ticks = [m * 10.0**e for e in range(-9, 12) for m in (1, 2, 5)]
    for tick in ticks:
        row = round((high - np.log10(tick)) / (high - low) * (HEIGHT - 1))
        if 0 <= row < HEIGHT:
            axes[row] = 0.88
            write(sheet, f"{tick:,.9g}", LEFT - 6, TOP + row, (-1, -0.5))
    step = min(tick for tick in ticks if last / tick <= 8)
    for tick in np.arange(0, last + step / 99, step):
        column = min(round(tick / last * WIDTH), WIDTH - 1)
        axes[:, column] = 0.88
        write(sheet, f"{tick:g}", LEFT + column, TOP + HEIGHT + 4, (-0.5, 0))
    corner = LEFT + WIDTH - 8
    write(sheet, title, corner, TOP + 8, (-1, 0))
    for i, (name, x) in enumerate(xs.items(), start=1):
        write(sheet, NAMES[name], corner, TOP + 8 + 20 * i, (-1, 0), COLORS[name])
        heights = (high - np.log10(losses[name])) / (high - low) * (HEIGHT - 1)
        trace(axes, np.asarray(x) / last * (WIDTH - 1) + 1j * heights, COLORS[name])
    return sheet


def trace(axes, points, color):
    """Draws a smooth line through points, complex numbers: across + 1j * down."""
    rows, columns = np.indices(axes.shape[:2])
    distance = np.full(axes.shape[:2], np.inf)
    for start, way in zip(points, np.diff(points), strict=False):
        offset = columns + 1j * rows - start
        along = (offset * way.conjugate()).real / max(abs(way) ** 2, 1e-9)
        distance = np.minimum(distance, abs(offset - np.clip(along, 0, 1) * way))
    opacity = np.clip(1.7 - distance, 0, 1)[..., None]
    axes[:] = (1 - opacity) * axes + opacity * np.float32(color)


def write(sheet, text, x, y, shift, color=(0.1, 0.1, 0.1)):
    """Writes text on white at a point, shifted by shares of its width and height."""
    cell = [[np.ones((1, 1))]]
    ink = 1 - panel.grid(cell, column_titles=[text], padding=0, font_size=13)[:-1]
    top, left = round(y + shift[1] * len(ink)), round(x + shift[0] * ink.shape[1])
    place = sheet[top : top + len(ink), left : left + ink.shape[1]]
    place[:] = 1 - ink * (1 - np.float32(color))


if __name__ == "__main__":
    run_app(main)
