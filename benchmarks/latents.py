"""What can be read off the content vectors of an encoder-decoder, and what is rendered.

    python -m benchmarks.latents --shapes=runs/latent        # a run or a .safetensors
    python -m benchmarks.latents --shapes=… --emoji=…

Shapes: held-out contents, each drawn in both domains. Linear probes read every factor
of the content and the domain off the vectors, folds keeping a content together; beside
them probes on pixels and on an untrained network. The domain must be at chance, also
where products of two numbers are read. Then the style is swapped, and the picture is
held against the exact target. Where scale is the same line but for a shift for each
shape and each count shows a probe that is told both. Emoji: the group from training
pictures, the domain from the 101 pairs. Prints tables, writes JSON and, beside it,
pictures.
"""

import json
import time
from pathlib import Path

import jax
import numpy as np
from absl import flags

import stylejax
from stylejax.cli.flags import refuse_arguments, run_app
from stylejax.data import emoji, shapes
from stylejax.explain.probe_report import probe_report
from stylejax.image import files, panel
from stylejax.methods import autoencoder
from stylejax.metrics.pixel import bootstrap_interval
from stylejax.train.protocol import environment

_SHAPES = flags.DEFINE_string("shapes", "", "Model of the shapes.")
_EMOJI = flags.DEFINE_string("emoji", "", "Model of the emoji.")
_SPREAD = flags.DEFINE_float("spread", 0.0, "Of the styles, as in the training.")
_CONTENTS = flags.DEFINE_integer("contents", 500, "Held-out contents of the shapes.")
_PICTURES = flags.DEFINE_integer("pictures", 654, "Emoji for the group.")
_OUT = flags.DEFINE_string("out", "benchmarks/results/latents.json", "JSON.")

CONTENT = ("shape", "x", "y", "scale", "count")
STYLE = ("hue", "frequency", "orientation", "texture")
GOAL = 0.9
_BATCH, _LEAST_IN_CLASS, _SHOWN = 50, 12, 8


def encoder(config):
    """Parameters and pictures to content vectors, in batches."""
    jitted = jax.jit(lambda p, x: autoencoder.encode(p, x, config=config))

    def encode(params, images):
        parts = np.split(images, range(_BATCH, len(images), _BATCH))
        return np.concatenate([np.asarray(jitted(params, x)) for x in parts])

    return encode


def untrained(config):
    """Parameters of a network that learnt nothing."""
    state = autoencoder.init(jax.random.key(1000), config)
    return autoencoder.generator_params(state, use_ema=False)


def products(vectors):
    """The standardised numbers, and the products of any two of them."""
    z = (vectors - vectors.mean(axis=0)) / (vectors.std(axis=0) + 1e-6)
    i, j = np.triu_indices(z.shape[1])
    return np.concatenate([z, z[:, i] * z[:, j]], axis=1)


def pixels(images, side):
    """Pictures averaged down to `side`, in one row each."""
    n, size = images.shape[:2]
    shape = (n, side, size // side, side, size // side, 3)
    return images.reshape(shape).mean(axis=(2, 4)).reshape(n, -1)


def shrunk(source, indices, size):
    """Pictures of a source, averaged down to `size` pixels."""
    images = np.stack([source[int(i)] for i in indices])
    return pixels(images, size).reshape(len(images), size, size, 3)


def moments(images):
    """Each channel's mean and deviation."""
    return np.concatenate([images.mean(axis=(1, 2)), images.std(axis=(1, 2))], axis=1)


def known(number):
    """The number; None where there is none: JSON knows no NaN."""
    return None if np.isnan(number) else number


def row(kind, report):
    """What is written of one probe."""
    reached = abs(report.score - report.majority) <= 2 * report.std
    if kind == "content":
        reached = report.score >= GOAL
    if kind == "told":
        reached = None
    if kind == "group":
        reached = all(report.score > b.score for b in report.baselines.values())
    print(f"{kind}: {report.summary()}; as wanted: {reached}", flush=True)
    return {
        "factor": report.name,
        "kind": kind,
        "metric": report.metric,
        "score": report.score,
        "std": report.std,
        "interval": [float(v) for v in report.interval[:2]],
        "chance": report.majority,
        "baselines": {k: v.score for k, v in report.baselines.items()},
        "control": known(report.control),
        "selectivity": known(report.selectivity),
        "examples": report.num_examples,
        "converged": bool(report.converged),
        "as_wanted": reached if reached is None else bool(reached),
    }


def shape_tables(source):
    """Probes and swaps of a model of the shapes."""
    model = stylejax.load(source)
    config, count = model.config, _CONTENTS.value
    data = shapes.load_shapes(
        size=config.image_size, num_test=count, spread=_SPREAD.value
    )
    a, b = (np.stack([s[i] for i in range(count)]) for s in (data.test_a, data.test_b))
    images, scene = np.concatenate([a, b]), np.tile(np.arange(count), 2)
    encode = encoder(config)
    vectors = encode(model.params, images)
    baselines = {
        "pixels": pixels(images, 16),
        "untrained": encode(untrained(config), images),
    }
    labels = data.labels["test_a"]
    rows = [
        row(
            "content",
            probe_report(
                vectors,
                np.tile(labels[name], 2),
                groups=scene,
                baselines=baselines,
                name=name,
            ),
        )
        for name in CONTENT
    ]
    rows.append(row("told", told_scale(vectors, labels, scene)))
    side = np.repeat(["A", "B"], count)
    for name, features in (("domain", vectors), ("domain, 2nd", products(vectors))):
        found = probe_report(
            features, side, groups=scene, baselines=baselines, name=name
        )
        rows.append(row("style", found))
    if _SPREAD.value:
        rows += [
            row("style", probe_report(vectors[:count], labels[name], name=name))
            for name in STYLE
        ]
    sheet("shapes", model, a[:_SHOWN], b[:_SHOWN])
    return {"model": source, "spread": _SPREAD.value, "probes": rows} | swaps(
        model, a, b
    )


def told_scale(vectors, labels, groups):
    """A probe of the scale that sees the vectors, which shape it is and how many."""
    told = np.concatenate(
        [np.eye(n.max() + 1)[n] for n in (labels["shape"], labels["count"])], axis=1
    )
    told = np.tile(told, (2, 1))
    return probe_report(
        np.concatenate([vectors, told], axis=1),
        np.tile(labels["scale"], 2),
        groups=groups,
        baselines={"told alone": told},
        name="scale, shape and count told",
    )


def sheet(name, model, a, b):
    """Writes pictures of A, in their own and in B's style, and what B's should be."""
    latent = encoder(model.config)(model.params, a)
    own, swapped = (
        np.asarray(autoencoder.render(model.params, latent, s, config=model.config))
        for s in autoencoder.DOMAINS
    )
    columns = {"A": a, "A drawn": own, "B drawn": swapped, "B": b}
    rows = list(zip(*columns.values(), strict=True))
    picture = panel.grid(rows, column_titles=list(columns), scale=2)
    files.write(Path(_OUT.value).with_name(f"latent_{name}.png"), picture)


def swaps(model, a, b):
    """L1 on 0..255 of the swapped style to the exact target, beside other answers."""
    found = {}
    for direction, given, goal in (("AtoB", a, b), ("BtoA", b, a)):
        parts = np.split(given, range(_BATCH, len(given), _BATCH))
        painted = np.concatenate(
            [np.asarray(model.translate(x, direction=direction)) for x in parts]
        )
        answers = {
            "swapped": painted,
            "mean picture": np.broadcast_to(goal.mean(axis=0), goal.shape),
            "another content": np.roll(goal, 1, axis=0),
            "unchanged": given,
        }
        found[direction] = {}
        for name, picture in answers.items():
            missed = 255 * np.abs(picture - goal).mean(axis=(1, 2, 3))
            interval = bootstrap_interval(missed, seed=0)
            found[direction][name] = [float(missed.mean()), *map(float, interval[:2])]
            print(f"{direction}, {name}: L1 {missed.mean():.2f} of 255", flush=True)
    return {"swap_l1": found, "pairs": len(a)}


def emoji_tables(source):
    """Probes of a model of the emoji."""
    model, data = stylejax.load(source), emoji.load_emoji()
    size, encode = model.config.image_size, encoder(model.config)
    random = untrained(model.config)
    rows = []
    for domain in "ab":
        pictures = getattr(data, f"train_{domain}")
        groups = data.labels[f"train_{domain}"]["group"]
        counts = {name: int((groups == name).sum()) for name in np.unique(groups)}
        kept = [i for i, name in enumerate(groups) if counts[name] >= _LEAST_IN_CLASS]
        kept = kept[: _PICTURES.value]
        images = shrunk(pictures, kept, size)
        baselines = {
            "pixels": pixels(images, 8),
            "moments": moments(images),
            "untrained": encode(random, images),
        }
        found = probe_report(
            encode(model.params, images),
            groups[kept],
            baselines=baselines,
            name=f"group, domain {domain.upper()}",
        )
        rows.append(row("group", found))
    pairs = np.arange(len(data.test_a))
    images = np.concatenate(
        [shrunk(s, pairs, size) for s in (data.test_a, data.test_b)]
    )
    baselines = {"moments": moments(images), "untrained": encode(random, images)}
    found = probe_report(
        encode(model.params, images),
        np.repeat(["A", "B"], len(pairs)),
        groups=np.tile(pairs, 2),
        baselines=baselines,
        name="domain",
    )
    rows.append(row("style", found))
    a, b = images[: len(pairs)], images[len(pairs) :]
    sheet("emoji", model, a[:_SHOWN], b[:_SHOWN])
    return {"model": source, "probes": rows} | swaps(model, a, b)


def main(argv):
    """Probes, renders, prints and writes."""
    refuse_arguments(argv)
    began = time.monotonic()
    report = {"command": "python -m benchmarks.latents", "environment": environment()}
    if _SHAPES.value:
        report["shapes"] = shape_tables(_SHAPES.value)
    if _EMOJI.value:
        report["emoji"] = emoji_tables(_EMOJI.value)
    report["seconds"] = round(time.monotonic() - began)
    text = json.dumps(report, indent=1) + "\n"
    Path(_OUT.value).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    run_app(main)
