"""How far a style leaks out of its region, of networks that paint.

    python -m benchmarks.region_leak --photos=PHOTOS --paintings=PAINTINGS \
        --method=slim --method=adain

The left half of every held-out photograph is painted in one held-out painting, the
right half in another. Leak: the right half is painted in a third, and the left
half's change (RMS) is given as a share of the right half's; the same of what is more
than 16 and 32 pixels from the border. Nearer to its own, of the picture: a half's
distance to its own painting (VGG-16, relative Gram distance within the half) over that
to the other half's, mean, and the share of halves where it is below 1. Writes JSON.
"""

import json
from pathlib import Path

import jax
import numpy as np
from absl import flags

from benchmarks.worlds import held_out
from stylejax import stylizers
from stylejax.cli.flags import refuse_arguments, run_app
from stylejax.data.style_pictures import read_names
from stylejax.losses import style as style_losses
from stylejax.methods import FIXED
from stylejax.methods.control import StyleControl
from stylejax.pretrained import vgg
from stylejax.train.protocol import environment

_PHOTOS = flags.DEFINE_string("photos", None, "Folder of contents.", required=True)
_PAINTINGS = flags.DEFINE_string("paintings", None, "Folder of styles.", required=True)
_HELD_OUT = flags.DEFINE_string(
    "held_out", "experiments/configs/style_held_out.txt", "Names of both, a line each."
)
_NAMED = flags.DEFINE_string(
    "named",
    "experiments/configs/feedforward_styles.txt",
    "What networks of fixed styles call the paintings.",
)
_METHODS = flags.DEFINE_multi_string("method", ["slim"], "Shipped names or files.")
_SIZE = flags.DEFINE_integer("size", 256, "Longer side in pixels.", lower_bound=128)
_OUT = flags.DEFINE_string("out", "benchmarks/results/region_leak.json", "JSON.")

MARGINS = (0, 16, 32)
_TAPS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")


def halves(picture):
    """Masks (2, h, w) of the left and the right half."""
    h, w = picture.shape[1:3]
    left = np.zeros((h, w), np.float32)
    left[:, : w // 2] = 1.0
    return np.stack([left, 1.0 - left])


def leaks(first, second):
    """Margin -> the left half's change as a share of the right half's."""
    squares = np.mean(np.square(first - second)[0], axis=-1)
    middle = squares.shape[1] // 2
    found = {}
    for margin in MARGINS:
        left, right = squares[:, : middle - margin], squares[:, middle + margin :]
        found[margin] = float(np.sqrt(left.mean() / right.mean()))
    return found


def own_over_other(feature_fn, picture, styles):
    """Of both halves, the distance to the own style over that to the other."""
    maps, goals = feature_fn(picture), [feature_fn(style) for style in styles]

    def distance(mask, goal):
        grams = (
            (
                style_losses.gram_matrix(maps[tap], mask=mask[None]),
                style_losses.gram_matrix(goal[tap]),
            )
            for tap in _TAPS
        )
        found = [style_losses.relative_gram_distance(*pair)[0] for pair in grams]
        return float(np.mean(found))

    left, right = halves(picture)
    return [
        distance(left, goals[0]) / distance(left, goals[1]),
        distance(right, goals[1]) / distance(right, goals[0]),
    ]


def measure(name, photos, paintings, feature_fn):
    """The figures of a network on all photographs."""
    model = stylizers.load(name)
    known = {file: style for style, file in read_names(_NAMED.value).items()}
    order, rows, nearer = list(paintings), [], []
    for i, content in enumerate(photos.values()):
        a, b, c = (order[(i + k) % len(order)] for k in range(3))

        def paint(*chosen, content=content):
            styles = [
                known[x] if model.method in FIXED else paintings[x] for x in chosen
            ]
            control = StyleControl(masks=halves(content))
            return np.asarray(model.stylize(content, styles, control=control))

        first, second = paint(a, b), paint(a, c)
        rows.append(leaks(first, second))
        nearer += own_over_other(feature_fn, first, [paintings[a], paintings[b]])
    return {
        "leak": {str(m): float(np.mean([row[m] for row in rows])) for m in MARGINS},
        "largest_leak": {str(m): max(row[m] for row in rows) for m in MARGINS},
        "own_over_other": float(np.mean(nearer)),
        "nearer_to_its_own": float(np.mean(np.less(nearer, 1.0))),
    }


def main(argv):
    """Returns 0 after the table is printed and the JSON written."""
    refuse_arguments(argv)
    photos, paintings = held_out.sized(
        _HELD_OUT.value, _PHOTOS.value, _PAINTINGS.value, size=_SIZE.value
    )
    feature_fn = jax.jit(vgg.features("vgg16", _TAPS))
    rows = {}
    for name in _METHODS.value:
        rows[name] = measure(name, photos, paintings, feature_fn)
        print(name, json.dumps(rows[name]), flush=True)
    report = {
        "command": "python -m benchmarks.region_leak",
        **environment(),
        "size": _SIZE.value,
        "photos": list(photos),
        "paintings": list(paintings),
        "methods": rows,
    }
    Path(_OUT.value).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    run_app(main)
