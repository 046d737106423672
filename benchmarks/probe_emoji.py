"""Which layer of the shipped CycleGAN carries what: probes on its activations.

    python -m benchmarks.probe_emoji                  # both generators, all layers
    python -m benchmarks.probe_emoji --pictures=120   # a shorter look

Three factors are read by linear probes from each layer's channel moments (mean and
deviation over the positions; the means alone are the same after every residual block,
whose last norm takes the mean off what it adds): the emoji's group (people, food, …),
its mean hue as an angle (R2 of cosine and sine, weighted by nothing; greys are left
out), and the domain (flat or 3-D, from held-out pairs). Folds keep the two pictures of
one emoji together. Beside each score: the majority, the same
probe on the picture's own channel moments, and on the same layer of a network with
random parameters; and selectivity against a control task where there is one. Reading is
not using: for the hue, the two directions that a probe of the means finds are projected
out of each layer and the output's hue is read again, beside random directions. Every
other residual block is probed.

Prints one table and writes JSON.
"""

import json
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

import stylejax
from stylejax import api
from stylejax.cli.flags import refuse_arguments, run_app
from stylejax.data import emoji
from stylejax.explain.activations import activation_paths, edit, record
from stylejax.explain.probe_directions import project_out
from stylejax.explain.probe_report import probe_report
from stylejax.explain.probes import ridge_probe
from stylejax.explain.random_params import randomize_params
from stylejax.train.protocol import environment

_PICTURES = flags.DEFINE_integer("pictures", 400, "Training pictures for the group.")
_SIZE = flags.DEFINE_integer("size", 64, "Side of the pictures in pixels.")
_OUT = flags.DEFINE_string("out", "benchmarks/results/probe_emoji.json", "JSON.")

_BATCH = 16
_LEAST_IN_CLASS = 12


def shrunk(source, indices, size):
    """Pictures of a split, averaged down to `size` pixels."""
    images = np.stack([source[int(i)] for i in indices])
    factor = images.shape[1] // size
    shape = (len(images), size, factor, size, factor, 3)
    return images.reshape(shape).mean(axis=(2, 4)).astype(np.float32)


def hue(images):
    """The mean hue's cosine and sine, and how colourful each picture is."""
    red, green, blue = (images[..., i] for i in range(3))
    along = (red - (green + blue) / 2).mean(axis=(1, 2))
    across = (np.sqrt(3) / 2 * (green - blue)).mean(axis=(1, 2))
    strength = np.hypot(along, across)
    safe = np.maximum(strength, 1e-6)[:, None]
    return np.stack([along, across], axis=1) / safe, strength


def layers_of(model, direction, size):
    """The names of the layers that are probed: blocks, not what is inside them."""
    shape = jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
    names = activation_paths(lambda x: model.translate(x, direction=direction), shape)
    skipped = {f"block_{i}" for i in range(1, len(names), 2)}
    return [name for name in names if "/" not in name and name not in skipped]


def channel_moments(model, direction, names, images):
    """Layer -> (n, 2 d): each channel's mean over the positions, each deviation."""
    translate = record(lambda x: model.translate(x, direction=direction), names=names)

    @jax.jit
    def both(batch):
        found = translate(batch)[1]
        return {
            name: jnp.concatenate([x.mean(axis=(1, 2)), x.std(axis=(1, 2))], axis=1)
            for name, x in found.items()
        }

    parts = []
    for begin in range(0, len(images), _BATCH):
        batch = images[begin : begin + _BATCH]
        padded = np.pad(batch, ((0, _BATCH - len(batch)), (0, 0), (0, 0), (0, 0)))
        found = both(padded)
        parts.append({k: np.asarray(v)[: len(batch)] for k, v in found.items()})
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def moments(images):
    """The baseline that needs no network: each channel's mean and deviation."""
    return np.concatenate([images.mean(axis=(1, 2)), images.std(axis=(1, 2))], axis=1)


def tasks(data, direction, pictures, size):
    """Factor -> (pictures, labels, names of the emoji)."""
    domain = "a" if direction == "AtoB" else "b"
    source = getattr(data, f"train_{domain}")
    labels = data.labels[f"train_{domain}"]
    chosen = np.random.default_rng(0).permutation(len(source))[:pictures]
    images = shrunk(source, chosen, size)
    groups = labels["group"][chosen]
    counts = {name: int((groups == name).sum()) for name in np.unique(groups)}
    kept = np.array([counts[name] >= _LEAST_IN_CLASS for name in groups])
    angles, strength = hue(images)
    colourful = strength > np.quantile(strength, 0.25)
    number = np.arange(len(images))
    pairs = np.arange(len(data.test_a))
    both = np.concatenate(
        [shrunk(data.test_a, pairs, size), shrunk(data.test_b, pairs, size)]
    )
    side = np.array(["flat"] * len(pairs) + ["solid"] * len(pairs))
    return {
        "group": (images[kept], groups[kept], number[kept]),
        "hue": (images[colourful], angles[colourful], number[colourful]),
        "domain": (both, side, np.concatenate([pairs, pairs])),
    }


def study(model, random, direction, data):
    """Rows of one generator: factor by layer."""
    size = _SIZE.value
    names = layers_of(model, direction, size)
    rows = []
    for factor, (images, labels, groups) in tasks(
        data, direction, _PICTURES.value, size
    ).items():
        trained, untrained = (
            channel_moments(m, direction, names, images) for m in (model, random)
        )
        for name in names:
            report = probe_report(
                trained[name],
                labels,
                groups=groups,
                baselines={"moments": moments(images), "random": untrained[name]},
                name=f"{factor} from {name}",
                num_controls=1,
            )
            entry = row(direction, factor, name, report)
            if factor == "hue":
                means = trained[name][:, : trained[name].shape[1] // 2]
                probe = ridge_probe(means, labels, l2=10.0)
                entry["used"] = removal(model, direction, name, probe, images)
            rows.append(entry)
            print(report.summary(), entry.get("used", ""), flush=True)
    return rows


def removal(model, direction, name, probe, images, *, draws=8, pictures=24):
    """How far the output's hue turns without the probe's directions, and random ones.

    Radians, averaged over pictures; the random figure is the mean and the largest.
    """
    images = images[:pictures]

    @jax.jit
    def turned(directions):
        def without(x):
            flat = project_out(x.reshape(-1, x.shape[-1]), directions, center=center)
            return flat.reshape(x.shape)

        run = edit(
            lambda x: model.translate(x, direction=direction), edits={name: without}
        )
        return run(images)

    center = probe.center
    plain, _ = hue(np.asarray(model.translate(images, direction=direction)))

    def angle(directions):
        found, _ = hue(np.asarray(turned(directions)))
        return float(np.arccos(np.clip((plain * found).sum(axis=1), -1, 1)).mean())

    shape = probe.normals.shape
    keys = jax.random.split(jax.random.key(0), draws)
    random = [angle(jax.random.normal(key, shape)) for key in keys]
    return {
        "turn": angle(probe.normals),
        "random_mean": float(np.mean(random)),
        "random_max": float(np.max(random)),
        "draws": draws,
    }


def row(direction, factor, name, report):
    """What is written of one probe."""
    return {
        "direction": direction,
        "factor": factor,
        "layer": name,
        "metric": report.metric,
        "score": report.score,
        "std": report.std,
        "interval": [float(v) for v in report.interval[:2]],
        "majority": report.majority,
        "moments": report.baselines["moments"].score,
        "random_network": report.baselines["random"].score,
        "selectivity": None
        if np.isnan(report.selectivity)
        else float(report.selectivity),
        "control_note": report.control_note,
        "examples": report.num_examples,
        "features": report.num_features,
        "converged": bool(np.all(report.converged)),
    }


def main(argv):
    """Probes, prints and writes."""
    refuse_arguments(argv)
    began = time.monotonic()
    model = stylejax.load("emoji")
    random = api.Translator(
        model.method, model.config, randomize_params(jax.random.key(0), model.params)
    )
    data = emoji.load_emoji()
    rows = [
        entry
        for direction in ("AtoB", "BtoA")
        for entry in study(model, random, direction, data)
    ]
    best = {}
    for entry in rows:
        key = f"{entry['direction']} {entry['factor']}"
        if key not in best or entry["score"] > best[key]["score"]:
            best[key] = entry
    for key, entry in best.items():
        print(
            f"{key}: best in {entry['layer']}, {entry['metric']} {entry['score']:.3f}"
        )
    report = {
        "command": "python -m benchmarks.probe_emoji",
        "environment": environment(),
        "pictures": _PICTURES.value,
        "size": _SIZE.value,
        "seconds": round(time.monotonic() - began),
        "rows": rows,
    }
    path = Path(_OUT.value)
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_app(main)
