"""Drawing from which parts of a style some patches of a painted picture come."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from stylejax.cli import account
from stylejax.explain.attention import attention_map
from stylejax.image import files, panel
from stylejax.image.resize import fit_longer_side, resize
from stylejax.methods import control as controls
from stylejax.methods import style_attention
from stylejax.methods.control import StyleControl
from stylejax.methods.style_attention import AttentionRows
from stylejax.stylizers import Stylizer

# Content positions looked at, on an even grid, of which one in each quarter is drawn.
_QUERIES = 256
_CELL = 192
_MARK = 12
_COLORS = ((1.0, 0.85, 0.0), (0.0, 0.9, 0.9), (1.0, 0.3, 1.0), (0.5, 1.0, 0.2))


def explain(
    painted: np.ndarray,
    content: np.ndarray,
    styles: Sequence[np.ndarray],
    control: StyleControl,
    model: Stylizer,
    target: Path,
    *,
    names: Sequence[str],
) -> dict[str, Any]:
    """Where four patches of a painted picture come from, written and drawn.

    The patches stand in the middle of the picture's quarters. Each row of the drawing
    belongs to one of them and one style: what attracts more than its share is red.

    Args:
        painted: (h, w, 3) in [0, 1].
        content: (h', w', 3), as it came.
        styles: the style pictures.
        control: what it was painted with.
        model: of style_attention, that painted it.
        target: the painted picture's file; the drawing goes beside it.
        names: of the styles.

    Returns:
        Dictionary with `account` (a PNG's name), `row_sum_error` (of all rows looked
        at) and `attention`: a dictionary for each patch, style and depth.
    """
    original = jnp.asarray(content)[None]
    if original.shape[1:3] != painted.shape[:2]:
        original = resize(original, painted.shape[:2]).clip(0.0, 1.0)
    rows, entries, error = [], [], 0.0
    for style, name in zip(styles, names, strict=True):
        picture = jnp.asarray(style)[None]
        found = style_attention.attention_of(
            model.params,
            original,
            picture,
            config=model.config,
            control=control,
            at_most=_QUERIES,
        )
        seen = np.asarray(controls.prepare_style(picture, original, control))[0]
        sums = [np.asarray(x.rows).sum(-1) for x in found.values()]
        error = max(error, *(float(np.abs(x - 1).max()) for x in sums))
        for number, at in enumerate(quarters(painted.shape[:2])):
            marked = _marked(painted, at, _COLORS[number])
            words = Path(name).stem.replace("_", " ")  # so that they wrap
            row = [panel.caption(marked, f"painted in {words}")]
            for tap, attention in found.items():
                entry = nearest(attention, at)
                row.append(_drawn(seen, attention, entry["query"], tap))
                entries.append({"style": name, "tap": tap} | entry)
            rows.append(row)
    drawing = account.drawing_path(target)
    files.write(drawing, panel.grid(rows))
    return {"account": str(drawing), "row_sum_error": error, "attention": entries}


def quarters(size_hw: tuple[int, ...]) -> list[tuple[float, float]]:
    """Row and column of the middles of a picture's quarters.

    Args:
        size_hw: height and width in pixels.

    Returns:
        Four pairs.

    Example:
        >>> quarters((8, 4))
        [(2.0, 1.0), (2.0, 3.0), (6.0, 1.0), (6.0, 3.0)]
    """
    height, width = size_hw
    return [(i * height / 4, j * width / 4) for i in (1, 3) for j in (1, 3)]


def nearest(found: AttentionRows, at: tuple[float, float]) -> dict[str, Any]:
    """What the query nearest to a place attends to.

    Args:
        found: rows of one picture.
        at: row and column in pixels.

    Returns:
        Dictionary: `query` (its number), `at` (x, y of its patch), `num_keys`,
        `effective_keys` (exp of the row's entropy, between 1 and `num_keys`), and
        `top`: (x, y, weight) of the five keys with most weight.
    """
    distance = np.abs(np.asarray(found.queries) - np.asarray(at)[None]).sum(axis=1)
    query = int(distance.argmin())
    weights = np.asarray(found.rows[0, query], np.float64)
    entropy = -(weights * np.log(np.maximum(weights, 1e-30))).sum()
    keys = np.asarray(found.keys)
    return {
        "query": query,
        "at": [float(v) for v in np.asarray(found.queries)[query][::-1]],
        "num_keys": len(weights),
        "effective_keys": float(np.exp(entropy)),
        "top": [
            [float(keys[i, 1]), float(keys[i, 0]), float(weights[i])]
            for i in np.argsort(-weights, kind="stable")[:5]
        ],
    }


def _marked(
    painted: np.ndarray, at: tuple[float, float], color: tuple[float, float, float]
) -> np.ndarray:
    """The picture as large as a cell, with a box around a place."""
    shown = np.asarray(fit_longer_side(jnp.asarray(painted)[None], _CELL))[0]
    scale = shown.shape[0] / painted.shape[0], shown.shape[1] / painted.shape[1]
    top, left = (
        int(np.clip(v * s - _MARK / 2, 0, max(side - _MARK, 0)))
        for v, s, side in zip(at, scale, shown.shape[:2], strict=True)
    )
    width, height = (min(_MARK, side) for side in (shown.shape[1], shown.shape[0]))
    box = (left, top, width, height)
    # A black rim, so that the box is seen in a picture of its own colour too.
    shown = panel.draw_box(shown, box, line_color=(0.0, 0.0, 0.0), width=4)
    return panel.draw_box(shown, box, line_color=color, width=2)


def _drawn(style: np.ndarray, found: AttentionRows, query: int, tap: str) -> np.ndarray:
    """The style in grey, red where a query looks more than at any place."""
    shown = np.asarray(fit_longer_side(jnp.asarray(style)[None], _CELL))[0]
    keys = np.asarray(found.keys)
    grid = len(np.unique(keys[:, 0])), len(np.unique(keys[:, 1]))
    weights = jnp.asarray(found.rows)[:1, None, query : query + 1]
    times = np.asarray(attention_map(weights, size_hw=shown.shape[:2], grid_hw=grid))[0]
    picture = panel.signed_overlay(shown.clip(0, 1), np.maximum(times - 1, 0))
    return panel.caption(picture, f"{tap}: up to {times.max():.0f} times its share")
