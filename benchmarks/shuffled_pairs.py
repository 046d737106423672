"""Data randomisation: do maps change where there was nothing to learn?

    python -m benchmarks.shuffled_pairs

The models of a pair see pictures of one kind (those of `benchmarks/worlds/planted.py`,
unmarked); one learns the colour that belongs to each picture, the other that of another
picture, so that nothing in its input helps. An explainer that shows what was learned
must give the two different maps (Adebayo et al. 2018), whether they started from the
same parameters or from others; one that draws the picture's edges gives them the same
and must fail. Prints and writes JSON.
"""

import json
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from benchmarks.worlds import planted as world
from stylejax.cli.flags import refuse_arguments, run_app
from stylejax.explain.baselines import blur_baseline
from stylejax.explain.controls import sobel_explainer
from stylejax.explain.paths import average_gradient
from stylejax.explain.randomization import compare_maps
from stylejax.train.protocol import environment

_PAIRS = flags.DEFINE_integer("pairs", 4, "Pairs of models.")
_STEPS = flags.DEFINE_integer("steps", 200, "Training steps.")
_PICTURES = flags.DEFINE_integer("pictures", 16, "Held-out pictures.")
_OUT = flags.DEFINE_string("out", "benchmarks/results/shuffled_pairs.json", "JSON.")


def loss(params, key, is_shuffled, amplitude):
    """The loss of `world`, without marks; colours of other pictures if shuffled."""
    images, grey = world.draw(key, world.BATCH)
    grey = jnp.where(is_shuffled, jnp.roll(grey, world.BATCH // 2), grey)
    goal = world.painted(images, grey, jnp.zeros(world.BATCH, bool))
    return jnp.mean((world.translate(params, images[..., None]) - goal) ** 2)


def gradient(params, image):
    """The plain gradient of the target."""
    return jax.grad(lambda x: world.target_of(params)(x[None])[0])(image)


def integrated(params, image):
    """Integrated gradients from the blur."""
    start = blur_baseline(image)
    target = world.target_of(params)
    return (image - start) * average_gradient(target, image, start, num_steps=16)


EXPLAINERS = {
    "gradient": (gradient, False),
    "integrated gradients": (integrated, True),
    "edges (no explainer)": (sobel_explainer, False),
}


def learnt(params, images, grey):
    """Correlation of the painted coldness with the one that belongs to the picture."""
    found = np.asarray(world.target_of(params)(images))
    return float(np.corrcoef(found, np.asarray(grey))[0, 1])


def compared(name, chosen, images, reference):
    """Figures of one explainer: maps of true models against those of shuffled ones."""
    explain_fn, multiplied = EXPLAINERS[name]
    checks = [
        compare_maps(
            explain_fn, *pair, images, reference=reference, multiplied=multiplied
        )
        for pair in chosen
    ]
    print(name, checks[0].summary())
    return {
        "passes": sum(check.passes for check in checks),
        "of": len(checks),
        "signed": float(np.mean([c.stages[-1].signed.mean for c in checks])),
        "absolute": float(np.mean([c.stages[-1].absolute.mean for c in checks])),
        "reference": float(np.mean([c.reference.absolute.mean for c in checks])),
    }


def main(argv):
    """Trains, compares, prints and writes."""
    refuse_arguments(argv)
    began = time.monotonic()
    pairs = _PAIRS.value
    is_shuffled = jnp.arange(2 * pairs) >= pairs
    starts = jax.vmap(world.init)(jax.random.split(jax.random.key(2), pairs))
    params, final = world.train(
        jax.random.key(3),
        (is_shuffled,),
        1.0,
        _STEPS.value,
        loss_fn=loss,
        params=jax.tree.map(lambda x: jnp.concatenate([x, x]), starts),
    )
    images, grey = world.draw(jax.random.key(10**6), _PICTURES.value)
    images = images[..., None]
    starts = jax.vmap(blur_baseline)(images)
    models = [jax.tree.map(lambda x, i=i: x[i], params) for i in range(2 * pairs)]
    report = {
        "command": "python -m benchmarks.shuffled_pairs",
        "environment": environment(),
        "flags": {name: flags.FLAGS[name].value for name in ("pairs", "steps")},
        "pictures": len(images),
        "loss": float(final[:pairs].mean()),
        "loss_shuffled": float(final[pairs:].mean()),
        "learnt": [learnt(model, images, grey) for model in models[:pairs]],
        "learnt_shuffled": [learnt(model, images, grey) for model in models[pairs:]],
        "explainers": {},
    }
    for start, shift in {"same start": 0, "another start": 1}.items():
        for name in EXPLAINERS:
            chosen = [
                (models[i], models[pairs + (i + shift) % pairs]) for i in range(pairs)
            ]
            found = compared(name, chosen, images, images - starts)
            report["explainers"][f"{name}, {start}"] = found
    report["seconds"] = round(time.monotonic() - began)
    print(json.dumps(report, indent=1))
    path = Path(_OUT.value)
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_app(main)
