"""Whether the half-precision VGG that ships paints what the full one paints.

    python -m benchmarks.half_precision --content=photo.jpg --style=painting.jpg

Repeat both flags for several pairs. The whole network is read from STYLEJAX_WEIGHTS.
Features: relative error of every map the default loss looks at. Stylisation: both sets
of weights paint with Adam from the same start; compared are the loss, judged by the
full weights, and the pictures, beside how far two runs of the full weights lie apart
whose starts differ by noise of half a grey level. Prints a line for each pair, writes
JSON.
"""

import dataclasses
import json
import os
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from absl import flags

import stylejax
from stylejax.cli.flags import refuse_arguments, run_app
from stylejax.image import files
from stylejax.image.resize import fit_longer_side
from stylejax.losses import terms
from stylejax.methods import gatys
from stylejax.methods.control import StyleControl
from stylejax.train.protocol import environment

_CONTENT = flags.DEFINE_multi_string("content", [], "Content pictures.")
_STYLE = flags.DEFINE_multi_string("style", [], "Style pictures, one for each content.")
_SIZE = flags.DEFINE_integer("size", 128, "Longer side in pixels.")
_STEPS = flags.DEFINE_integer("num_iterations", 100, "Steps of each run.")
_OUT = flags.DEFINE_string("out", "benchmarks/results/half_precision.json", "JSON.")

FILE = "vgg16_imagenet_notop.safetensors"
HALF_A_LEVEL = 0.5 / 255


def measure(content, style, half, full):
    """The figures of one pair."""
    maps = [gatys.features(config)(content[None]) for config in (half, full)]
    errors = {
        tap: float(jnp.linalg.norm(maps[0][tap] - goal) / jnp.linalg.norm(goal))
        for tap, goal in maps[1].items()
    }
    noisy = dataclasses.replace(full, noise=HALF_A_LEVEL)
    painted = [
        np.asarray(stylejax.stylize(content, style, config=config))
        for config in (half, full, noisy)
    ]
    judge = gatys.features(full)
    targets = gatys.make_targets(
        jnp.asarray(content)[None],
        [jnp.asarray(style)[None]],
        config=full,
        control=StyleControl(),
        feature_fn=judge,
    )
    losses = [
        float(
            terms.total(
                gatys.loss_terms(
                    jnp.asarray(x)[None], targets, config=full, feature_fn=judge
                )
            )[0]
        )
        for x in painted
    ]
    return {
        "largest_feature_error": max(errors.values()),
        "feature_errors": errors,
        "loss_over_full": losses[0] / losses[1],
        "change_255": float(255 * np.abs(painted[0] - painted[1]).mean()),
        "change_by_noise_255": float(255 * np.abs(painted[2] - painted[1]).mean()),
    }


def main(argv):
    """Returns 0 after the table is printed and the JSON written."""
    refuse_arguments(argv)
    half = gatys.GatysConfig(optimizer="adam", num_iterations=_STEPS.value)
    whole = str(Path(os.environ.get("STYLEJAX_WEIGHTS", "")) / FILE)
    full = dataclasses.replace(half, features=whole)
    rows = []
    for paths in zip(_CONTENT.value, _STYLE.value, strict=True):
        content, style = (
            np.asarray(fit_longer_side(files.read(p)[None], _SIZE.value))[0]
            for p in paths
        )
        row = {"content": Path(paths[0]).name, "style": Path(paths[1]).name}
        rows.append(row | measure(content, style, half, full))
        print(json.dumps(rows[-1]), flush=True)
    result = {
        "pairs": len(rows),
        "largest_feature_error": max(row["largest_feature_error"] for row in rows),
        "mean_change_255": float(np.mean([row["change_255"] for row in rows])),
        "mean_change_by_noise_255": float(
            np.mean([row["change_by_noise_255"] for row in rows])
        ),
        "rows": rows,
        "size": _SIZE.value,
        "num_iterations": _STEPS.value,
        **environment(),
    }
    Path(_OUT.value).parent.mkdir(parents=True, exist_ok=True)
    Path(_OUT.value).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    run_app(main)
