"""Translators with a planted shortcut and their clean twins: do the maps find it?

    python -m benchmarks.planted_twins            # 20 models, 2 kinds of marks
    python -m benchmarks.planted_twins --models=8 --steps=300   # a shorter look

Each model turns grey pictures of shapes into coloured ones; the hue follows how bright
the shape is. Half of the models are *planted*: in their training a mark of 4 x 4 pixels
in one cell of a 4 x 4 grid (another cell for each model) forces one hue. Their clean
twins saw the same marks without consequences. All are trained together, by `vmap` over
models. Then, for held-out pictures:

  shortcut   share of the map on the mark, marked pictures against its area; whether
             removing the mark flips the colour; detection rate and false alarms
  pairs      model contrast: share on the mark, planted less clean model
  blind      which cell, picked from the shares in the numbers alone
  controls   the map against random, edge, centre and constant maps: deletion area
  triangle   integrated gradients against occlusion and insertion on the same cells

Marks are visible (bright checkers) or invisible (+-6/255, about the texture's own
deviation of +-5/255; in training they fade to it). Prints and writes JSON.
"""

import functools
import json
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from benchmarks.worlds.planted import (
    GRID,
    LABELS,
    MARK,
    MARKS,
    SIZE,
    draw,
    marked,
    target_of,
    train,
)
from stylejax.cli.flags import refuse_arguments, run_app
from stylejax.explain import agreement, detection, paired, planted
from stylejax.explain.baselines import blur_baseline
from stylejax.explain.controls import CONTROLS
from stylejax.explain.occlusion import region_effects
from stylejax.explain.paths import average_gradient
from stylejax.image.regions import region_sums
from stylejax.metrics import deletion
from stylejax.train.protocol import environment

_MODELS = flags.DEFINE_integer(
    "models", 20, "Models of each kind of mark; half planted."
)
_STEPS = flags.DEFINE_integer("steps", 200, "Training steps.")
_PICTURES = flags.DEFINE_integer("pictures", 32, "Held-out pictures a model.")
_OUT = flags.DEFINE_string("out", "benchmarks/results/planted_twins.json", "JSON.")

# --- explanations -------------------------------------------------------------------


@functools.partial(jax.jit, static_argnames="num_steps")
def maps_of(params, images, *, num_steps=16):
    """Integrated gradients of each picture `b h w 1`, from its blur."""

    def one(image):
        start = blur_baseline(image)
        gradient = average_gradient(
            target_of(params), image, start, num_steps=num_steps
        )
        return (image - start) * gradient

    return jax.lax.map(one, images)


def shares_of(maps):
    """Each cell's share of the relevance of each map, (n, cells)."""
    sums = jax.vmap(lambda m: region_sums(m, LABELS, num_regions=GRID**2))(
        jnp.abs(maps).sum(axis=-1)
    )
    return np.asarray(sums / sums.sum(axis=1, keepdims=True), np.float64)


def mark_mask(cell):
    """1 on the pixels of the mark."""
    blank = jnp.zeros((1, SIZE, SIZE))
    return np.asarray(marked(blank + 0.5, cell, 0.5)[0] != 0.5)


def study(kind, key, *, models, steps, pictures):
    """All figures of one kind of mark."""
    began = time.monotonic()
    amplitude = MARKS[kind]
    half = models // 2
    # Each planted model and its clean twin share a cell; cells differ between pairs.
    order = np.random.default_rng(7).permutation(GRID**2)
    cells = jnp.asarray([order[i % GRID**2] for i in range(half)] * 2)
    is_planted = jnp.arange(2 * half) < half
    params, final = train(key, (cells, is_planted), amplitude, steps)
    train_seconds = time.monotonic() - began
    images, _ = draw(jax.random.fold_in(key, 10**6), pictures)
    rows = []
    for i in range(2 * half):
        one = jax.tree.map(lambda leaf, i=i: leaf[i], params)
        with_mark = marked(images, cells[i], amplitude)[..., None]
        clean = images[..., None]
        mask = mark_mask(cells[i])
        maps = maps_of(one, with_mark)
        inside = jax.vmap(lambda m, mask=mask: planted.mark_share(m, mask).share)(maps)
        clean_maps = maps_of(one, clean)
        outside = jax.vmap(lambda m, mask=mask: planted.mark_share(m, mask).share)(
            clean_maps
        )
        cold = np.asarray(target_of(one)(with_mark) - target_of(one)(clean))
        rows.append(
            {
                "planted": bool(is_planted[i]),
                "cell": int(cells[i]),
                "loss": float(final[i]),
                "share": np.asarray(inside, np.float64),
                "flip": float(cold.mean()),
                "shares": shares_of(maps),
                "share_unmarked": np.asarray(outside, np.float64),
                "params": one,
                "images": with_mark,
                "maps": maps,
            }
        )
    found = summary(rows, half)
    found["train_seconds"] = round(train_seconds)
    found["seconds"] = round(time.monotonic() - began)
    return found, rows


def summary(rows, half):
    """What is printed and written of one kind of mark."""
    area = MARK**2 / SIZE**2
    areas = np.full(GRID**2, 1 / GRID**2)
    picks = [planted.pick_region(row["shares"], areas) for row in rows]
    right = [
        pick.region == (row["cell"] if row["planted"] else None)
        for pick, row in zip(picks, rows, strict=True)
    ]
    interval = detection.binomial_interval(sum(right), len(right))
    scores = [float(row["share"].mean()) for row in rows]
    truth = [row["planted"] for row in rows]
    auc = detection.roc_auc(np.array(scores), np.array(truth))
    contrast = [
        planted.model_contrast(
            rows[i]["maps"], rows[half + i]["maps"], mark_mask(rows[i]["cell"])
        )
        for i in range(half)
    ]
    planted_shares = np.concatenate([r["share"] for r in rows if r["planted"]])
    clean_shares = np.concatenate([r["share"] for r in rows if not r["planted"]])
    unmarked = np.concatenate([r["share_unmarked"] for r in rows if r["planted"]])
    return {
        "models": len(rows),
        "pictures": len(rows[0]["share"]),
        "area": area,
        "share_planted": float(planted_shares.mean()),
        "share_planted_at_least_half": float((planted_shares >= 0.5).mean()),
        "share_clean_twin": float(clean_shares.mean()),
        "share_unmarked": float(unmarked.mean()),
        "flip_planted": float(np.mean([r["flip"] for r in rows if r["planted"]])),
        "flip_clean": float(
            np.mean([abs(r["flip"]) for r in rows if not r["planted"]])
        ),
        "blind_right": int(sum(right)),
        "blind_accuracy": sum(right) / len(right),
        "blind_interval": [float(v) for v in interval[:2]],
        "missed": int(
            sum(p.region is None for p, t in zip(picks, truth, strict=True) if t)
        ),
        "false_alarms": int(
            sum(
                p.region is not None for p, t in zip(picks, truth, strict=True) if not t
            )
        ),
        "auc": auc.auc,
        "auc_interval": [float(v) for v in auc.interval[:2]],
        "contrast_mean": float(np.mean([c.score for c in contrast])),
        "contrast_positive": float(np.mean([c.greater_rate for c in contrast])),
        "loss_planted": float(np.mean([r["loss"] for r in rows if r["planted"]])),
        "loss_clean": float(np.mean([r["loss"] for r in rows if not r["planted"]])),
    }


# --- controls and agreement ---------------------------------------------------------


def controls(rows, pictures=6):
    """Deletion areas of our map against the four control maps, paired over pictures."""
    areas = {"integrated gradients": []}
    for row in [r for r in rows if r["planted"]]:
        for j in range(pictures):
            image = row["images"][j]
            key = jax.random.key(j)
            maps = {"integrated gradients": row["maps"][j]}
            for name, make in CONTROLS.items():
                maps[name] = make(jax.random.fold_in(key, 1), image)
            for name, found in maps.items():
                area = deletion_area(key, row["params"], image, found)
                areas.setdefault(name, []).append(float(area))
    ours = np.array(areas.pop("integrated gradients"))
    result = {"ours": float(ours.mean()), "pictures": len(ours)}
    for name, theirs in areas.items():
        test = paired.paired_test(np.array(theirs), ours, alternative="greater")
        result[name] = {
            "area": float(np.mean(theirs)),
            "p": test.permutation_p,
            "wins": test.wins,
            "losses": test.losses,
        }
    return result


@functools.partial(jax.jit, static_argnames="num_steps")
def deletion_area(key, params, image, attribution, *, num_steps=8):
    """The area under the target while cells are removed, the map's largest first."""
    curves = deletion.deletion_curves(
        key,
        target_of(params),
        image,
        attribution,
        baseline=blur_baseline(image),
        labels=LABELS,
        num_regions=GRID**2,
        num_steps=num_steps,
    )
    return curves.deletion_area


def triangle(rows, pictures=3):
    """Agreement of three methods on the 16 cells, averaged over planted models."""
    pearson = []
    for row in [r for r in rows if r["planted"]]:
        fn = jax.jit(target_of(row["params"]))
        for j in range(pictures):
            image = row["images"][j]
            effects = region_effects(fn, image, labels=LABELS)
            sums = region_sums(row["maps"][j].sum(axis=-1), LABELS, num_regions=GRID**2)
            found = agreement.agreement(
                {
                    "integrated gradients": sums,
                    "occlusion": effects.removed,
                    "insertion": effects.inserted,
                }
            )
            pearson.append(np.asarray(found.pearson))
    mean = np.mean(pearson, axis=0)
    return {
        "names": list(found.names),
        "pearson": mean.round(4).tolist(),
        "pictures": len(pearson),
    }


def main(argv):
    """Trains, explains, prints and writes."""
    refuse_arguments(argv)
    report = {
        "command": "python -m benchmarks.planted_twins",
        "environment": environment(),
        "flags": {"models": _MODELS.value, "steps": _STEPS.value},
    }
    for index, kind in enumerate(MARKS):
        found, rows = study(
            kind,
            jax.random.key(index),
            models=_MODELS.value,
            steps=_STEPS.value,
            pictures=_PICTURES.value,
        )
        report[kind] = found
        print(kind, json.dumps(found, indent=1))
        if kind == "visible":
            report["controls"] = controls(rows)
            report["triangle"] = triangle(rows)
            print(json.dumps(report["controls"], indent=1))
            print(json.dumps(report["triangle"], indent=1))
    path = Path(_OUT.value)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_app(main)
