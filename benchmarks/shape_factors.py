"""A network with planted factors: do probes find these alone, and directions move them?

    python -m benchmarks.shape_factors                         # 2 seeds, 1 unplanted
    python -m benchmarks.shape_factors --steps=150 --pictures=240 --seeds=1   # a look

Pictures of the shapes world (domain A: warm hues, strokes over everything) become a
latent of 13 numbers, and the latent becomes a drawing of the content alone: the ink of
the objects, white on black. What the latent holds is known, because training asks for
it: orthogonal directions, drawn at random, are to carry

  planted    shape, x, y, scale, count: the drawing needs them
  unused     hue: planted too, but no drawing depends on it

Nothing asks for the others:

  left over  frequency, orientation, texture of the strokes
  removed    hue, after what the latents share with it was projected out
  absent     a number and a class for each content, drawn and never painted

Probes are fitted to held-out pictures, three styles of each content, whose folds keep
a content together. Then the latents are moved and drawn: x, y and size are measured in
the ink by formulas, beside random directions, and derivatives of the drawing are held
against the renderer's own. One more model is trained to draw and nothing else: what
there is to be read and moved where nothing was planted. Prints tables, writes JSON.
"""

import dataclasses
import json
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from benchmarks.worlds.factors import (
    ABSENT,
    CONTENT,
    GOAL,
    HALF,
    LATENT,
    MEASURED,
    MOVED,
    PLANT,
    SIZE,
    STYLE,
    STYLES,
    WALKS,
    absent_labels,
    decode,
    draw,
    encode,
    init,
    latents_of,
    measured,
    planted_directions,
    train,
)
from stylejax.cli.flags import refuse_arguments, run_app
from stylejax.data import shapes
from stylejax.explain.entanglement import entanglement, entanglement_band
from stylejax.explain.probe_directions import direction_effect, project_out
from stylejax.explain.probe_report import probe_report
from stylejax.train.protocol import environment

_STEPS = flags.DEFINE_integer("steps", 2500, "Training steps.")
_TRAIN = flags.DEFINE_integer("train_pictures", 16000, "Training pictures.")
_PICTURES = flags.DEFINE_integer("pictures", 1200, "Held-out pictures.")
_SEEDS = flags.DEFINE_integer("seeds", 2, "Models with planted factors.")
_OUT = flags.DEFINE_string("out", "benchmarks/results/shape_factors.json", "JSON.")

# --- probes -------------------------------------------------------------------------


def shared_direction(latents, values):
    """What latents share with a factor: their covariance with it, `d`.

    Once it is projected out, no linear read-out of these latents beats a constant.
    """
    return (values - values.mean()) @ (latents - latents.mean(axis=0))


def probes(latents, erased, test, random, planted, seed):
    """Rows of the table of probes, and the content factors' own reports."""
    images = test["images"]
    pixels = images.reshape(len(images), 16, 2, 16, 2, 3).mean(axis=(2, 4, 5))
    baselines = {"pixels": pixels.reshape(len(images), -1), "random network": random}
    labels = test["labels"] | absent_labels(test["scene"], seed)
    told = "planted" if planted else "drawn"
    kinds = dict.fromkeys(CONTENT, told) | dict.fromkeys(STYLE, "left over")
    kinds |= dict.fromkeys(ABSENT, "absent")
    if planted:
        kinds["hue"] = "unused"
    jobs = [(name, kind, latents) for name, kind in kinds.items()]
    jobs.append(("hue", "removed", erased))
    rows, reports = [], {}
    for name, kind, features in jobs:
        found = probe_report(
            features,
            labels[name],
            groups=test["scene"],
            baselines=baselines if name in (*CONTENT, "hue") else None,
            name=name,
        )
        rows.append(probe_row(name, kind, found))
        reports.setdefault(name, found)
        print(f"{kind}: {found.summary()}", flush=True)
    return rows, reports


def probe_row(name, kind, found):
    """What is written of one probe."""
    goal = None
    if kind == "planted":
        goal = found.score >= GOAL
    elif kind in {"removed", "absent"}:
        goal = abs(found.score - found.majority) <= 2 * found.std
    return {
        "factor": name,
        "kind": kind,
        "metric": found.metric,
        "score": found.score,
        "std": found.std,
        "interval": [float(v) for v in found.interval[:2]],
        "majority": found.majority,
        "baselines": {k: v.score for k, v in found.baselines.items()},
        "control": found.control,
        "selectivity": found.selectivity,
        "converged": bool(found.converged),
        "verdict": found.verdict,
        "as_expected": None if goal is None else bool(goal),
    }


# --- directions ---------------------------------------------------------------------


def steps_of(report, latents, labels, name):
    """Two steps in the latents that are to raise a factor by one.

    The probe's normal, as long as its own read-out says; and the latents' covariance
    with the factor, the mean way in which they vary with it.
    """
    weights = np.asarray(report.probe.weights)[:, 0]
    values = labels[name]
    along = shared_direction(latents, values) / (len(values) * values.var())
    return {"normal": weights / (weights @ weights), "covariance": along}


def derivative(pairs, name, picture):
    """The renderer's derivative by one factor, `n h w c`, by central differences."""
    found = []
    for content, style in pairs:
        ends = [
            dataclasses.replace(content, **{name: getattr(content, name) + h})
            for h in (-HALF, HALF)
        ]
        low, high = (picture(end, style) for end in ends)
        found.append((high - low) / (2 * HALF))
    return np.stack(found)


def cosines(a, b):
    """Cosine and share: how parallel `a` is to `b`, how much of `b` it has; means."""
    a, b = (np.asarray(v).reshape(len(v), -1) for v in (a, b))
    inner, square = (a * b).sum(axis=1), (b * b).sum(axis=1)
    cosine = inner / np.sqrt(square * (a * a).sum(axis=1))
    return {"cosine": float(cosine.mean()), "size": float((inner / square).mean())}


def agreement(params, test, chosen, latents, moves, name, key):
    """Derivatives of the drawing by one factor against the renderer's.

    `network`: of the whole network, along the renderer's derivative of the picture that
    goes in. The others: of the decoder, along a step of the latents.
    """
    pairs = [test["pairs"][i] for i in chosen]
    truth = derivative(
        pairs, name, lambda c, s: shapes.object_mask(c, size=SIZE)[..., None]
    )
    into = derivative(pairs, name, lambda c, s: shapes.render(c, s, size=SIZE))
    push = jax.jit(lambda z, v: jax.jvp(lambda u: decode(params, u), (z,), (v,))[1])
    through = jax.jit(
        lambda x, v: jax.jvp(lambda u: decode(params, encode(params, u)), (x,), (v,))[1]
    )
    found = {"network": cosines(through(test["images"][chosen], into), truth)}
    for label, move in moves.items():
        found[label] = cosines(push(latents, np.tile(move, (len(chosen), 1))), truth)
    random = jax.random.normal(key, (20, LATENT))
    rows = [
        cosines(push(latents, jnp.tile(r, (len(chosen), 1))), truth) for r in random
    ]
    found["random"] = float(np.mean([abs(r["cosine"]) for r in rows]))
    return found


def directions(params, test, latents, reports, seed, planted):
    """What moving the latents along x, y and scale does to the drawings."""
    chosen = np.arange(0, len(latents), STYLES)[:WALKS]
    start, labels = jnp.asarray(latents[chosen]), test["labels"]
    show = jax.jit(lambda z: decode(params, z[None])[0])
    keys = jax.random.split(jax.random.key(seed), 3)
    # The root of the area grows with the scale by its ratio to it.
    here = np.asarray(measured(test["ink"][..., None]))
    promised = {"x": 1.0, "y": 1.0}
    promised["scale"] = float((here[chosen, 2] / labels["scale"][chosen]).mean())
    found, moves, truth = {"effects": [], "agreement": {}}, {}, planted_directions(seed)
    for i, name in enumerate(MOVED):
        moves[name] = steps_of(reports[name], latents, labels, name)
        for kind, move in moves[name].items():
            length = np.linalg.norm(move)
            spread = (latents @ (move / length)).std()
            effect = direction_effect(
                keys[0],
                jax.jit(lambda p, i=i: measured(p)[:, i]),
                show,
                start,
                jnp.asarray(move),
                spread * np.linspace(-1, 1, 5),
                center=jnp.asarray(latents.mean(axis=0)),
            )
            print(f"{name}, {kind}: {effect.summary()}", flush=True)
            row = effect_row(name, kind, effect, effect.slope * length / promised[name])
            if planted:
                row["cosine_with_planted"] = float(truth[i] @ move / length)
            found["effects"].append(row)
        found["agreement"][name] = agreement(
            params, test, chosen, start, moves[name], name, keys[1]
        )
    amounts = jnp.array([-1.0, 0.0, 1.0])
    for kind in ("normal", "covariance"):
        rows = jnp.stack([labels[n].std() * moves[n][kind] for n in MOVED])
        told = entanglement(measured, show, start, rows, amounts)
        band = entanglement_band(
            keys[2], measured, show, start, rows, amounts, num_draws=100
        )
        found[f"entanglement of {kind}s"] = {
            "effects": told.effects.round(4).tolist(),
            "disentanglement": told.scores.disentanglement,
            "turned_at_random": [float(v) for v in band.disentanglement[:2]],
            "p": band.p_disentanglement,
        }
    return found


def effect_row(name, kind, effect, gain):
    """What is written of one direction; gain 1 is what the step is to do."""
    return {
        "factor": name,
        "direction": kind,
        "gain": float(gain),
        "spearman": effect.spearman,
        "z": effect.z,
        "p": effect.p_value,
        "removed": effect.removed,
        "removed_random": float(effect.random_removed.mean()),
        "p_removed": effect.p_removed,
    }


def picture_changes(params, latents, hue, reports, seed):
    """How far drawings move (RMS of ink) once a direction is projected out.

    Of hue what the latents share with it, of the content the probes' normals.
    """
    start, center = jnp.asarray(latents[::STYLES]), jnp.asarray(latents.mean(axis=0))
    show = jax.jit(decode)
    still = show(params, start)

    def change(row):
        moved = show(params, project_out(start, row, center=center))
        return float(jnp.sqrt(jnp.mean((moved - still) ** 2)))

    found = {"hue": change(hue)}
    found |= {name: change(reports[name].probe.normals[0]) for name in MOVED}
    drawn = [change(r) for r in jax.random.normal(jax.random.key(seed), (50, LATENT))]
    return found | {"random": float(np.mean(drawn)), "random_least": min(drawn)}


def nearest(test, drawn, name):
    """Which value of a class each drawing is nearest to, all else being as it was."""
    values = {"shape": shapes.SHAPES, "count": shapes.COUNTS}[name]
    found = []
    for (content, _), ink in zip(test["pairs"], np.asarray(drawn[..., 0]), strict=True):
        renderings = [
            shapes.object_mask(dataclasses.replace(content, **{name: v}), size=SIZE)
            for v in values
        ]
        found.append(np.square(np.stack(renderings) - ink[None]).sum((1, 2)).argmin())
    return np.array(values)[np.array(found)]


def painted(params, latents, test):
    """Whether drawings show the content: R2 of what is measured, classes by eye."""
    drawn = decode(params, jnp.asarray(latents))
    truth = np.asarray(measured(test["ink"][..., None]), np.float64)
    error = ((np.asarray(measured(drawn)) - truth) ** 2).mean(axis=0)
    found = dict(zip(MEASURED, 1 - error / truth.var(axis=0), strict=True))
    for name in ("shape", "count"):
        found[name] = (nearest(test, drawn, name) == test["labels"][name]).mean()
    return {name: float(v) for name, v in found.items()}


def swaps(params, latents, test, seed):
    """How often the class next in the list is drawn once its mean is swapped in.

    Each latent moves by the difference of the two classes' means; beside it moves of
    the same lengths in random directions.
    """
    found, rng = {}, np.random.default_rng(seed)
    for name, values in (("shape", shapes.SHAPES), ("count", shapes.COUNTS)):
        means = np.stack([latents[test["labels"][name] == v].mean(0) for v in values])
        old = np.array([values.index(v) for v in test["labels"][name]])
        new = (old + 1) % len(values)
        move = means[new] - means[old]
        length = np.linalg.norm(move, axis=1, keepdims=True)
        random = rng.normal(size=move.shape)
        random *= length / np.linalg.norm(random, axis=1, keepdims=True)
        found[name] = {}
        for label, step in (("means", move), ("random", random)):
            drawn = decode(params, jnp.asarray(latents + step, jnp.float32))
            hit = nearest(test, drawn, name) == np.array(values)[new]
            found[name][label] = float(hit.mean())
    return found


# --- the study ----------------------------------------------------------------------


def study(seed, data, test, *, planted):
    """All figures of one model."""
    began = time.monotonic()
    params, last = train(seed, data, _STEPS.value, PLANT if planted else 0.0)
    trained = time.monotonic() - began
    latents = latents_of(params, test["images"])
    known = latents_of(params, data["images"][:8000])
    hue = shared_direction(known, data["labels"]["hue"][:8000])
    center = jnp.asarray(known.mean(axis=0))
    erased = np.asarray(project_out(latents, hue, center=center))
    random = latents_of(init(jax.random.key(1000 + seed)), test["images"])
    rows, reports = probes(latents, erased, test, random, planted, seed)
    found = {
        "seed": seed,
        "planted": planted,
        "loss": last,
        "painted": painted(params, latents, test),
        "probes": rows,
        "directions": directions(params, test, latents, reports, seed, planted),
        "swaps": swaps(params, latents, test, seed),
        "picture_changes": picture_changes(params, latents, hue, reports, seed),
        "train_seconds": round(trained),
        "seconds": round(time.monotonic() - began),
    }
    show(found)
    return found


def show(found):
    """Prints the tables of one model."""
    print(f"\nseed {found['seed']}, planted {found['planted']}: {found['painted']}")
    for r in found["probes"]:
        others = "  ".join(f"{k} {v:.3f}" for k, v in r["baselines"].items())
        print(
            f"{r['kind']:10s}{r['factor']:15s}{r['metric']:9s}{r['score']:7.3f} ±"
            f" {r['std']:.3f}  chance {r['majority']:.3f}  selectivity"
            f" {r['selectivity']:6.3f}  {others}  {r['as_expected']}"
        )
    for r in found["directions"]["effects"]:
        numbers = [f"{k} {v:.3f}" for k, v in r.items() if isinstance(v, float)]
        print(f"{r['factor']:6s}{r['direction']:11s}", "  ".join(numbers))
    for part in ("agreement", "entanglement of normals", "entanglement of covariances"):
        print(part, json.dumps(found["directions"][part]))
    print(found["swaps"], found["picture_changes"], flush=True)


def main(argv):
    """Trains, probes, moves, prints and writes."""
    refuse_arguments(argv)
    began = time.monotonic()
    data = draw("train_a", _TRAIN.value, 1)
    test = draw("test", _PICTURES.value, STYLES)
    models = [study(s, data, test, planted=True) for s in range(_SEEDS.value)]
    models.append(study(0, data, test, planted=False))
    names = ("steps", "train_pictures", "pictures", "seeds")
    report = {
        "command": "python -m benchmarks.shape_factors",
        "environment": environment(),
        "flags": {name: flags.FLAGS[name].value for name in names},
        "seconds": round(time.monotonic() - began),
        "goal": GOAL,
        "measured": list(MEASURED),
        "models": models,
    }
    path = Path(_OUT.value)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_app(main)
