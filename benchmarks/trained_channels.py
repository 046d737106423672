"""Trained cycles that hide what they lose, and trained ones that need not: told apart?

    python -m benchmarks.trained_channels                        # 4 of each kind
    python -m benchmarks.trained_channels --models=2 --steps=60    # a shorter look

After Chu, Zhmoginov and Sandler 2017: in A a box and its ground have a colour each, in
B all is grey. B cannot hold the colours, yet the cycle loss asks for them back. Three
kinds of small CycleGANs are trained together:

  plain  as usual: only a hidden message satisfies the loss
  noisy  the same, with noise of 0.1 on the translation before its way back
  grey   honest: the cycle in A is compared in grey, which B can hold

Then, for held-out pictures of A:

  truth    how much of A's colours the cycle returns, and how much the way back makes of
           the visible part alone: the translation in grey without fine structure
  hidden   `stylejax.explain.stego`: hidden share, interval, verdict; by default up to 4
           grey levels are exchanged, and once more up to 16, which can be seen
  noise    error of the cycle, clean and after noise of 3/256

Prints and writes JSON.
"""

import json
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from stylejax.cli.flags import refuse_arguments, run_app
from stylejax.explain.cycle_statistics import cycle_statistics
from stylejax.explain.detection import roc_auc
from stylejax.explain.stego import VERDICTS, stego_report
from stylejax.image.filters import gaussian_blur
from stylejax.train.protocol import environment
from tests.explain import small_gans as gans

_MODELS = flags.DEFINE_integer("models", 4, "Cycles of each kind.", lower_bound=2)
_STEPS = flags.DEFINE_integer("steps", 600, "Training steps.", lower_bound=1)
_PICTURES = flags.DEFINE_integer("pictures", 16, "Held-out pictures.", lower_bound=2)
_SEED = flags.DEFINE_integer("seed", 0, "Of everything random.")
_OUT = flags.DEFINE_string("out", "benchmarks/results/trained_channels.json", "JSON.")
_SHEET = flags.DEFINE_string("sheet", "", "A .npy file for a few inputs and outputs.")

BATCH, WEIGHT = 4, 10.0
# Noise before the way back, and whether the cycle in A is compared in grey.
KINDS = {"plain": (0.0, 0.0), "noisy": (0.1, 0.0), "grey": (0.0, 1.0)}
# Chosen after a first look at the plain models: their messages have about 10 levels.
WIDE = 16 / 255


def draw_a(key, count):
    """Pictures in which box and ground have a random hue each."""
    key, hues = jax.random.split(key)
    angle = jax.random.uniform(hues, (count, 2, 1), maxval=2 * np.pi)
    shift = np.array([0, 2 * np.pi / 3, 4 * np.pi / 3], np.float32)
    return gans.boxes(key, count, 1 + 0.6 * jnp.cos(angle - shift[None, None]))


def draw_b(key, count):
    """Grey pictures of the same kind, with grain in each channel."""
    return gans.boxes(key, count, jnp.ones((count, 2, 3)))


def loss(params, key, case):
    """Of one model on fresh pictures."""
    keys, (noise, in_grey) = jax.random.split(key, 3), case

    def between(x):
        return x + noise * jax.random.normal(keys[2], x.shape)

    def difference(x, y):
        colors, greys = x - y, (x - y).mean(axis=-1, keepdims=True)
        return jnp.mean(jnp.abs(jnp.where(in_grey > 0, greys, colors)))

    real_a, real_b = draw_a(keys[0], BATCH), draw_b(keys[1], BATCH)
    return gans.cycle_loss(
        params, real_a, real_b, weight=WEIGHT, between=between, difference=difference
    )


def chroma(images):
    """What tells the channels apart."""
    return images - images.mean(axis=-1, keepdims=True)


def explained(found, truth):
    """Share of the colours' variance that is returned, at most 1."""
    left = jnp.sum(jnp.square(found - truth))
    return 1 - left / jnp.sum(jnp.square(truth))


@jax.jit
def measure(key, params, images):
    """What the detector looks at, the truth, and a few pictures."""

    def forward(x):
        return gans.generate(params["forward"], x)

    def backward(x):
        return gans.generate(params["backward"], x)

    statistics = cycle_statistics(key, forward, backward, images)
    wide = cycle_statistics(key, forward, backward, images, limit=WIDE)
    middle = forward(images)
    cycled = backward(middle)
    grey = jnp.broadcast_to(middle.mean(axis=-1, keepdims=True), middle.shape)
    visible = backward(gaussian_blur(grey, 1.5))
    coarse = gaussian_blur(middle, 1.5)
    truth = {
        "returned": explained(chroma(cycled), chroma(images)),
        "returned_of_visible": explained(chroma(visible), chroma(images)),
        "grey_error": gans.absolute(grey, images.mean(axis=-1, keepdims=True)),
        "coarse_tint": jnp.sqrt(jnp.mean(jnp.square(chroma(coarse)))),
        "fine": jnp.sqrt(jnp.mean(jnp.square(middle - coarse))),
        "fine_above_limit": jnp.mean(jnp.abs(middle - coarse) > 4 / 255),
    }
    return (statistics, wide), truth, jnp.stack([images, middle, cycled, visible])


def row_of(key, params, images):
    """The figures of one model, and its pictures."""
    statistics, truth, pictures = measure(key, params, images)
    report, wide = (stego_report(s) for s in statistics)
    noisy = report.effects["uniform"]
    row = {
        "hidden_share": report.hidden_share,
        "interval": [float(v) for v in report.interval[:2]],
        "verdict": report.verdict,
        "wide_share": wide.hidden_share,
        "wide_interval": [float(v) for v in wide.interval[:2]],
        "wide_verdict": wide.verdict,
        "share": report.share,
        "reference": report.reference,
        "clean_error": report.clean_error,
        "noisy_error": noisy.error,
        "noisy_ratio": noisy.ratio,
        "sensitivity_share": report.sensitivity_share,
        "energy_share": report.energy_share,
    }
    return row | {k: float(v) for k, v in truth.items()}, np.asarray(pictures)


def summary(rows):
    """Of each kind, and how well the hidden share tells plain from grey cycles."""
    result = {}
    pair = [r for r in rows if r["kind"] != "noisy"]
    for name in ("hidden_share", "wide_share"):
        shares, labels = [r[name] for r in pair], [r["kind"] == "plain" for r in pair]
        found = roc_auc(shares, labels)
        result[f"auc_{name}"] = [found.auc, *map(float, found.interval[:2])]
    for kind in KINDS:
        mine = [r for r in rows if r["kind"] == kind]
        result[kind] = {
            which: {v: sum(r[which] == v for r in mine) for v in VERDICTS}
            for which in ("verdict", "wide_verdict")
        }
        names = ("returned", "hidden_share", "wide_share", "clean_error", "noisy_error")
        for name in names:
            result[kind][name] = float(np.mean([r[name] for r in mine]))
    return result


def show(rows):
    """A table for people."""
    heads = ("returned", "visible", "hidden", "low", "high", "wide", "clean", "noisy")
    print("kind   " + "".join(f"{h:>9}" for h in heads) + "  verdict, wide verdict")
    for r in rows:
        values = (r["returned"], r["returned_of_visible"], r["hidden_share"])
        values += (*r["interval"], r["wide_share"], r["clean_error"], r["noisy_error"])
        line = f"{r['kind']:7}" + "".join(f"{v:9.3f}" for v in values)
        print(f"{line}  {r['verdict']}, {r['wide_verdict']}")


def main(argv):
    """Trains, asks, prints and writes."""
    refuse_arguments(argv)
    began, count = time.monotonic(), _MODELS.value
    kinds = [kind for kind in KINDS for _ in range(count)]
    cases = jnp.array([KINDS[kind] for kind in kinds])
    key = jax.random.key(_SEED.value)
    params, final = gans.train(key, cases, loss=loss, steps=_STEPS.value)
    trained = time.monotonic()
    images = draw_a(jax.random.fold_in(key, 10**6), _PICTURES.value)
    rows, sheets = [], []
    for i, kind in enumerate(kinds):
        one = jax.tree.map(lambda leaf, i=i: leaf[i], params)
        row, pictures = row_of(jax.random.key(i), one, images)
        rows.append({"kind": kind, "loss": float(final[i])} | row)
        sheets.append(pictures[:, :6])
    report = {
        "command": "python -m benchmarks.trained_channels",
        "environment": environment(),
        "flags": {f.name: f.value for f in (_MODELS, _STEPS, _PICTURES, _SEED)},
        "summary": summary(rows),
        "rows": rows,
        "train_seconds": round(trained - began),
        "seconds": round(time.monotonic() - began),
    }
    show(rows)
    print(json.dumps(report["summary"], indent=1))
    if _SHEET.value:
        np.save(_SHEET.value, np.concatenate(sheets))
    path = Path(_OUT.value)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_app(main)
