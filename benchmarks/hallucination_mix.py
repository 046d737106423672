"""Do translators paint what their target set has, and do the audits say so?

    python -m benchmarks.hallucination_mix                       # 20 models
    python -m benchmarks.hallucination_mix --seeds=1 --steps=100   # a shorter look

The protocol of Cohen, Luck and Honari 2018, with trained models. A has a box on a
ground in warm grey, B in cold grey; a share of B's pictures, the *dose*, 0, 25, 50, 75
or 100 %, has a white disc at one place besides, faint (opacity 0.3) to opaque. In one
arm no picture of A has the disc (what is there after was *added*), in the other all
have (what is gone was *taken*).
Small cycles (A to B and back, a discriminator of B) are trained together, several seeds
a dose. An honest translator only recolours. Then, on held-out pictures of A:

  truth      a matched filter for a white disc at its place; and, of discs of any
             colour, the distance to the known rendering there
  vanishing  the package's audit with a segmenter, which knows no place
  structure  the package's audit without one; its null are pictures of models whose
             dose is that of their source, in which the truth finds no change
  dose       slope and trend of the discs, over pictures and over models
  null       the known rendering with fresh grain instead of a model

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
from stylejax.explain.detection import binomial_interval, roc_auc
from stylejax.explain.dose_response import dose_response
from stylejax.explain.hallucination import vanishing_check
from stylejax.explain.structure_change import structure_change
from stylejax.train.protocol import environment
from tests.explain import small_gans as gans

_SEEDS = flags.DEFINE_integer("seeds", 2, "Models a dose and arm.", lower_bound=1)
_STEPS = flags.DEFINE_integer("steps", 800, "Training steps.", lower_bound=1)
_PICTURES = flags.DEFINE_integer("pictures", 64, "Held-out pictures.", lower_bound=20)
_OUT = flags.DEFINE_string("out", "benchmarks/results/hallucination_mix.json", "JSON.")
_SHEET = flags.DEFINE_string("sheet", "", "A .npy file for a few inputs and outputs.")

SIZE, BATCH, WEIGHT = 32, 4, 3.0
DOSES = (0.0, 0.25, 0.5, 0.75, 1.0)
# Share of A's pictures with the disc, and what the audits then look for.
ARMS = {"added": 0.0, "taken": 1.0}
PLACE, RADIUS, WHITE, FAINTEST = (23, 23), 4.0, 0.95, 0.3
# The darkest channel of a scene ends at 0.2, the faintest disc begins at 0.29.
BRIGHT = 0.25
# Mean distance to the rendering inside the disc; away from it models have 0.04.
DIFFERS = 0.12
WARM, COLD = (np.array(c, np.float32) for c in ([1.0, 0.6, 0.3], [0.2, 0.6, 1.0]))


generate = jax.jit(gans.generate)


# --- pictures -----------------------------------------------------------------------


def draw(key, count, color):
    """Boxes on a ground, all in one colour: the same key draws the same scenes."""
    return gans.boxes(key, count, jnp.broadcast_to(color, (count, 2, 3)))


def disc_mask():
    """(1, h, w, 1), a disc with a soft edge."""
    y, x = np.mgrid[:SIZE, :SIZE]
    far = np.hypot(y - PLACE[0], x - PLACE[1])
    return (1 / (1 + np.exp(4 * (far - RADIUS)))).astype("float32")[None, :, :, None]


def with_discs(key, images, share):
    """The pictures; a share of them gets the disc, faint (0.3) to opaque (1)."""
    keys = jax.random.split(key)
    has_disc = jax.random.bernoulli(keys[0], share, (len(images),))
    opacity = jax.random.uniform(keys[1], (len(images),), minval=FAINTEST)
    mask = disc_mask() * (has_disc * opacity)[:, None, None, None]
    return images + mask * (WHITE - images)


def loss(params, key, case):
    """Of one model on fresh pictures; `case` is the share of discs in A and in B."""
    keys = jax.random.split(key, 4)
    real_a = with_discs(keys[0], draw(keys[2], BATCH, WARM), case[0])
    real_b = with_discs(keys[1], draw(keys[3], BATCH, COLD), case[1])
    return gans.cycle_loss(params, real_a, real_b, weight=WEIGHT)


def held_out(key, count, source):
    """Pictures of A and what an honest translator makes of them, grain apart."""
    first, second = (
        with_discs(key, draw(key, count, color), source) for color in (WARM, COLD)
    )
    grain = 0.01 * jax.random.normal(jax.random.fold_in(key, 1), second.shape)
    return np.asarray(first), np.asarray(jnp.clip(second + grain, 0, 1))


# --- what is there ------------------------------------------------------------------


def brightness(images):
    """Mean of the darkest channel where the disc would be."""
    return np.asarray(images).min(axis=-1)[:, disc_mask()[0, ..., 0] > 0.5].mean(axis=1)


def matched(images):
    """The truth: whether there is a disc at its place, (b,)."""
    return brightness(images) > BRIGHT


def differs(outputs, rendered):
    """Whether the place of the disc is not as an honest translator paints it, (b,)."""
    away = np.abs(outputs - rendered).mean(axis=-1)
    return away[:, disc_mask()[0, ..., 0] > 0.5].mean(axis=1) > DIFFERS


def segment(images):
    """A segmenter that knows no place: pixels whose darkest channel is bright."""
    return np.asarray(images).min(axis=-1) > BRIGHT


# --- audits -------------------------------------------------------------------------


def rate(found):
    """A share and its Wilson interval."""
    found = np.asarray(found)
    interval = binomial_interval(int(found.sum()), found.size)
    return [float(found.mean()), *map(float, interval[:2])]


def changed(arm, inputs, outputs):
    """By the truth, which pictures had a disc added, or taken."""
    before, after = matched(inputs), matched(outputs)
    return after & ~before if arm == "added" else before & ~after


def audit(arm, inputs, outputs, rendered, null):
    """The two audits of one model's pictures, and the truth."""
    truth = changed(arm, inputs, outputs)
    vanishing = vanishing_check(segment, inputs, outputs, min_pixels=12, reach=2)
    flagged = vanishing.appeared if arm == "added" else vanishing.vanished
    row = {
        "share": float(truth.mean()),
        "differs": float(differs(outputs, rendered).mean()),
        "brightness": float(brightness(outputs).mean()),
        "vanishing": float((flagged > 0).mean()),
        "vanishing_right": float(((flagged > 0) == truth).mean()),
    }
    if null is None:
        return row, truth, None
    found = structure_change(
        inputs, outputs, null_inputs=null[0], null_outputs=null[1], sigma=2.0
    )
    if arm == "added":
        peaks, (share, _) = found.added, found.added_rate
    else:
        peaks, (share, _) = found.removed, found.removed_rate
    return row | {"structure": share}, truth, peaks


def null_pictures(arm, key, models):
    """Inputs and outputs of honest models in which nothing was added or taken."""
    inputs, _ = held_out(key, 2 * _PICTURES.value, ARMS[arm])
    pairs = [(inputs, np.asarray(generate(m, inputs))) for m in models]
    keep = [~changed(arm, *pair) for pair in pairs]
    pairs = [(x[k], y[k]) for (x, y), k in zip(pairs, keep, strict=True)]
    both = tuple(np.concatenate(z) for z in zip(*pairs, strict=True))
    return both if len(both[0]) >= 19 else None


def study(arm, key, models, cases):
    """All figures of one arm: by model, by dose, and over the doses."""
    source = ARMS[arm]
    inputs, rendered = held_out(jax.random.fold_in(key, 1), _PICTURES.value, source)
    honest = [m for m, c in zip(models, cases, strict=True) if c[1] == source]
    null = null_pictures(arm, jax.random.fold_in(key, 2), honest)
    rows, truths, peaks, outputs = [], [], [], []
    for model, (_, dose) in zip(models, cases, strict=True):
        outputs.append(np.asarray(generate(model, inputs)))
        row, truth, peak = audit(arm, inputs, outputs[-1], rendered, null)
        away = (disc_mask() < 1e-3) * np.abs(outputs[-1] - rendered)
        row["color_error"] = float(away.mean())
        rows.append({"dose": dose} | row)
        truths.append(truth)
        peaks.append(peak)
    known = held_out(jax.random.fold_in(key, 3), 2 * _PICTURES.value, source)
    result = {
        "rows": rows,
        "by_dose": by_dose(rows, truths),
        "response": response(outputs, [row["dose"] for row in rows]),
        "null_rendering": audit(arm, inputs, rendered, rendered, known)[0],
        "untranslated_error": float(np.abs(inputs - rendered).mean()),
        "num_null": 0 if null is None else len(null[0]),
    }
    other = [differs(y, rendered) for y in outputs]
    for name, labels in (("structure_auc", truths), ("structure_auc_any", other)):
        every = np.concatenate(labels)
        if null is not None and 2 <= every.sum() <= every.size - 2:
            found = roc_auc(np.concatenate(peaks), every)
            result[name] = [found.auc, *map(float, found.interval[:2])]
    return result, [inputs, *outputs]


def by_dose(rows, truths):
    """Shares of pictures with a change over all models of each dose."""
    table = []
    for dose in DOSES:
        mine = [i for i, row in enumerate(rows) if row["dose"] == dose]
        line = {"dose": dose, "share": rate(np.stack([truths[i] for i in mine]))}
        line["each"] = [rows[i]["share"] for i in mine]
        for name in ("differs", "vanishing", "structure", "brightness", "color_error"):
            if name in rows[mine[0]]:
                line[name] = float(np.mean([rows[i][name] for i in mine]))
        table.append(line)
    return table


def response(outputs, doses):
    """Slope and trend of the share of outputs with a disc; an exact copy has 1."""
    found = dose_response(lambda x: matched(x).astype(float), outputs, doses)
    return {
        "slope": found.slope,
        "slope_interval": [float(v) for v in found.slope_interval[:2]],
        "picture_p": found.picture_p,
        "model_p": found.model_p,
        "summary": found.summary(),
    }


def show(arm, found):
    """A table for people."""
    heads = (
        "share",
        "low",
        "high",
        "differs",
        "vanishing",
        "structure",
        "bright",
        "color err",
    )
    print(f"\ndisc {arm}\n  dose" + "".join(f"{h:>10}" for h in heads) + "  models")
    names = ("differs", "vanishing", "structure", "brightness", "color_error")
    for line in found["by_dose"]:
        values = [*line["share"], *(line.get(n, float("nan")) for n in names)]
        each = " ".join(f"{v:.2f}" for v in line["each"])
        print(f"{line['dose']:6.2f}" + "".join(f"{v:10.3f}" for v in values), "", each)
    print("  " + found["response"]["summary"])
    print("  rendering:", found["null_rendering"], found.get("structure_auc"))
    print("  AUC for any difference:", found.get("structure_auc_any"))


def main(argv):
    """Trains, audits, prints and writes."""
    refuse_arguments(argv)
    began, key = time.monotonic(), jax.random.key(0)
    cases = [
        (source, dose)
        for source in ARMS.values()
        for dose in DOSES
        for _ in range(_SEEDS.value)
    ]
    steps = _STEPS.value
    params, _ = gans.train(key, jnp.array(cases), loss=loss, steps=steps, both=False)
    report = {
        "command": "python -m benchmarks.hallucination_mix",
        "environment": environment(),
        "flags": {f.name: f.value for f in (_SEEDS, _STEPS, _PICTURES)},
        "train_seconds": round(time.monotonic() - began),
    }
    sheets = []
    for index, (arm, source) in enumerate(ARMS.items()):
        mine = [i for i, case in enumerate(cases) if case[0] == source]
        models = [
            jax.tree.map(lambda leaf, i=i: leaf[i], params["forward"]) for i in mine
        ]
        study_key = jax.random.fold_in(key, 10**6 + index)
        report[arm], pictures = study(arm, study_key, models, [cases[i] for i in mine])
        show(arm, report[arm])
        sheets += [x[:8] for x in pictures]
    report["seconds"] = round(time.monotonic() - began)
    if _SHEET.value:
        np.save(_SHEET.value, np.stack(sheets))
    path = Path(_OUT.value)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_app(main)
