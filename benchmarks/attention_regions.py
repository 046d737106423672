"""Does attention say which parts of a style make a patch of the painted picture?

    python -m benchmarks.attention_regions --photos=PHOTOS --paintings=PAINTINGS \
        --model=style_attention

Painted picture and style are cut into a grid. Attention: how much of their weight the
positions of an output region give to each region of the style. Region attribution:
integrated gradients of the output region's mean by the style's pixels, from a blurred
style, of either sign; and occlusion, how far the region's pixels move (RMS) once a
region of the style is blurred. Spearman's correlation over the style's regions, mean
over output regions and pairs; the permutation test shuffles the style's regions. Beside
it the same with the attention of *another* output region: what is left there is that
some parts of a style matter everywhere. Writes JSON.
"""

import functools
import json
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from benchmarks.worlds import held_out
from stylejax import stylizers
from stylejax.cli.flags import refuse_arguments, run_app
from stylejax.explain.attention_agreement import rank_agreement
from stylejax.explain.baselines import blur_baseline
from stylejax.explain.regions import region_table
from stylejax.image import files, resize
from stylejax.image.regions import grid_regions, region_masks
from stylejax.methods import fusing, style_attention
from stylejax.methods.control import StyleControl
from stylejax.train.protocol import environment

_PHOTOS = flags.DEFINE_string("photos", None, "Folder of contents.", required=True)
_PAINTINGS = flags.DEFINE_string("paintings", None, "Folder of styles.", required=True)
_HELD_OUT = flags.DEFINE_string(
    "held_out", "experiments/configs/style_held_out.txt", "Names of both, a line each."
)
_MODEL = flags.DEFINE_string("model", "style_attention", "Name, file or training.")
_SIZE = flags.DEFINE_integer("size", 128, "Side of the squares.")
_GRID = flags.DEFINE_integer("grid", 4, "Regions to a side, of output and style.")
_STEPS = flags.DEFINE_integer("num_steps", 8, "Nodes of the integrated gradients.")
_PAIRS = flags.DEFINE_integer("pairs", 12, "Photographs by paintings, drawn.")
_OUT = flags.DEFINE_string("out", "benchmarks/results/attention_regions.json", "JSON.")


def square(path):
    """The middle of a picture, `1 s s 3`."""
    picture = jnp.asarray(files.read(path))[None]
    side = min(picture.shape[1:3])
    top, left = ((n - side) // 2 for n in picture.shape[1:3])
    cut = picture[:, top : top + side, left : left + side]
    return resize.resize(cut, (_SIZE.value, _SIZE.value)).clip(0.0, 1.0)


def attention_by_region(model, content, style):
    """Tap -> (m, k): weight that output regions give to the style's regions."""
    found, side = {}, _GRID.value
    for tap, rows in style_attention.attention_of(
        model.params, content, style, config=model.config, at_most=_SIZE.value**2
    ).items():
        of = {
            name: cells(places, side)
            for name, places in (("from", rows.queries), ("to", rows.keys))
        }
        weights = np.asarray(rows.rows[0], np.float64)
        found[tap] = (of["from"] / of["from"].sum(0)).T @ weights @ of["to"]
    return found


def cells(places, side):
    """Places in pixels to 0 and 1: (n, side * side)."""
    row, column = np.asarray((places + 0.5) * side // _SIZE.value, int).T
    return np.eye(side * side)[row * side + column]


def effects(model, content, style):
    """Name -> (m, k): what the style's regions do to the output's."""
    side = _GRID.value
    labels = grid_regions(content.shape[1:3], rows=side, columns=side)
    plan = fusing.plan(StyleControl(), 1, content.shape[1:3])

    def paint(pictures):
        goals = style_attention.encode_style(
            model.params, pictures, config=model.config
        )
        return style_attention.predict(
            model.params, content, [goals], plan, config=model.config, partial=False
        )

    table = region_table(
        paint,
        style[0],
        labels=labels,
        output_labels=labels,
        num_steps=_STEPS.value,
        mode="reverse",
        chunk=4,
    )
    masks = region_masks(labels, num_regions=side * side)[..., None]
    blurred, show = blur_baseline(style[0]), jax.jit(paint)
    whole, moved = show(style), []
    for mask in masks:
        change = jnp.square(show(style + mask * (blurred - style)) - whole)[0]
        moved.append(jnp.sqrt(jnp.mean(change[None] * masks, axis=(1, 2, 3))))
    return {
        "attribution": np.abs(np.asarray(table.table)).T,
        "occlusion": np.stack(moved, axis=1),
    }, float(jnp.max(table.errors / jnp.sum(jnp.abs(table.table), axis=0)))


def main(argv):
    """Compares, prints and writes."""
    refuse_arguments(argv)
    began = time.monotonic()
    photos, paintings = held_out.paths(_HELD_OUT.value, _PHOTOS.value, _PAINTINGS.value)
    model = stylizers.load(_MODEL.value)
    attention, told, errors = {}, {}, []
    for i in range(_PAIRS.value):
        content, style = (square(x[i % len(x)]) for x in (photos, paintings))
        for tap, x in attention_by_region(model, content, style).items():
            attention.setdefault(tap, []).append(x)
        found, error = effects(model, content, style)
        errors.append(error)
        for name, x in found.items():
            told.setdefault(name, []).append(x)
        print(
            f"pair {i + 1}: attribution adds up within {error:.1e} of its size",
            flush=True,
        )
    attention["both"] = [sum(x) / len(x) for x in zip(*attention.values(), strict=True)]
    rows = []
    agree = functools.partial(rank_agreement, jax.random.key(0))
    for tap, given in attention.items():
        for name, effect in told.items():
            theirs = np.concatenate(effect).astype(np.float32)
            mine = np.concatenate(given).astype(np.float32)
            # The row of the region half a picture away.
            others = np.concatenate(
                [np.roll(x, len(x) // 2 + _GRID.value // 2, axis=0) for x in given]
            ).astype(np.float32)
            own, other = agree(mine, theirs), agree(others, theirs)
            rows.append(
                {
                    "attention": tap,
                    "effect": name,
                    "spearman": own.mean,
                    "p": own.p_value,
                    "spearman_of_another_region": other.mean,
                    "rows": len(mine),
                }
            )
            print(json.dumps(rows[-1]), flush=True)
    report = {
        "command": "python -m benchmarks.attention_regions",
        **environment(),
        "model": _MODEL.value,
        "flags": {
            n: flags.FLAGS[n].value for n in ("size", "grid", "pairs", "num_steps")
        },
        "largest_relative_error": max(errors),
        "rows": rows,
        "seconds": round(time.monotonic() - began),
    }
    text = json.dumps(report, indent=1) + "\n"
    Path(_OUT.value).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    run_app(main)
