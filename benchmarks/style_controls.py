"""What each control of `StyleControl` does, measured on pairs of pictures.

    python -m benchmarks.style_controls --content=… --style=…    (repeat both flags)

The i-th content is painted in the i-th style. Strength: style distance (Gram, relative
to the unchanged content's) at five values, which should fall. Content weight: the mean
absolute change where it says keep, at most 2/255. Luminance: the mean chroma error, at
most 3. Regions: how much closer to its own style each half comes than to the other's.
Prints one table and writes JSON.
"""

import dataclasses
import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from absl import flags

import stylejax
from stylejax.cli.flags import refuse_arguments, run_app
from stylejax.image import files, lab
from stylejax.image.resize import fit_longer_side
from stylejax.losses import style as style_losses
from stylejax.methods import gatys
from stylejax.train.protocol import environment

_CONTENT = flags.DEFINE_multi_string("content", [], "Content pictures.")
_STYLE = flags.DEFINE_multi_string("style", [], "Style pictures.")
_SIZE = flags.DEFINE_integer("size", 96, "Longer side in pixels.")
_STEPS = flags.DEFINE_integer("num_iterations", 40, "Steps of each run.")
_OUT = flags.DEFINE_string("out", "benchmarks/results/style_controls.json", "JSON.")

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)


def distance(image, style, config, mask=None):
    """The mean over layers of the Gram distance, each relative to the style's size."""
    feature_fn = gatys.features(config)
    maps, goal = feature_fn(image[None]), feature_fn(style[None])
    found = []
    for layer in config.style_layers:
        own = style_losses.gram_matrix(maps[layer], mask=mask)
        wanted = style_losses.gram_matrix(goal[layer])
        size = jnp.mean(jnp.square(wanted))
        found.append(float(style_losses.gram_distance(own, wanted)[0] / size))
    return float(np.mean(found))


def measure(content, style, other, config):
    """The figures of one pair; `other` is the style of the right half."""

    def paint(styles=style, **options):
        control = stylejax.StyleControl(**options)
        return stylejax.stylize(content, styles, control=control, config=config)

    half = np.zeros(content.shape[:2], np.float32)
    half[:, : content.shape[1] // 2] = 1
    strengths = [distance(paint(strength=s), style, config) for s in STRENGTHS]
    kept = np.abs(np.asarray(paint(content_weight=half)) - content)[half > 0]
    colours = {
        name: float(lab.chroma_error(paint(color=name)[None], content[None])[0])
        for name in ("style", "luminance")
    }
    masks = np.stack([half, 1 - half])
    parted = paint([style, other], masks=masks)
    left, right = (
        [distance(parted, x, config, mask=mask[None]) for x in (style, other)]
        for mask in masks
    )
    return {
        "style_distance": [d / strengths[0] for d in strengths],
        "monotone": bool(np.all(np.diff(strengths) < 0)),
        "kept_change_255": float(255 * kept.mean()),
        "chroma_error": colours,
        "left_own_over_other": left[0] / left[1],
        "right_own_over_other": right[1] / right[0],
    }


def main(argv):
    """Returns 0 after the table is printed and the JSON written."""
    refuse_arguments(argv)
    config = gatys.GatysConfig(num_iterations=_STEPS.value)
    contents, styles = (
        [
            np.asarray(fit_longer_side(files.read(p)[None], _SIZE.value))[0]
            for p in paths
        ]
        for paths in (_CONTENT.value, _STYLE.value)
    )
    rows = []
    for i, (content, style) in enumerate(zip(contents, styles, strict=True)):
        row = {"content": Path(_CONTENT.value[i]).name}
        row["style"] = Path(_STYLE.value[i]).name
        other = styles[(i + 1) % len(styles)]
        row |= measure(content, style, other, config)
        rows.append(row)
        print(json.dumps(row), flush=True)
    result = {
        "pairs": len(rows),
        "monotone": sum(row["monotone"] for row in rows),
        "largest_kept_change_255": max(row["kept_change_255"] for row in rows),
        "mean_chroma_error": {
            name: float(np.mean([row["chroma_error"][name] for row in rows]))
            for name in ("style", "luminance")
        },
        "strengths": STRENGTHS,
        "rows": rows,
        "size": _SIZE.value,
        "config": dataclasses.asdict(config),
        **environment(),
    }
    Path(_OUT.value).parent.mkdir(parents=True, exist_ok=True)
    Path(_OUT.value).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    run_app(main)
