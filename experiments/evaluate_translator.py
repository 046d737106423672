"""Scores a translator on a paired test set and writes numbers and a grid.

    python -m experiments.evaluate_translator --model=emoji --dataset=emoji \
        --out=benchmarks/results/emoji

`stylejax evaluate` tells more; this is what the release criteria ask for, with a grid.
Beside the distances to the true partners it trains a small classifier to tell true
pictures of a domain from ours (0.5: it cannot); classifier and translator saw other
pictures than those it is asked about.
"""

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import flags

import stylejax
from stylejax.cli.flags import refuse_arguments, run_app
from stylejax.data import sources
from stylejax.image import files, panel
from stylejax.train import two_sample
from stylejax.train.evaluate import make_evaluator
from stylejax.train.protocol import environment
from stylejax.train.scorecard import paired_scorecard

_MODEL = flags.DEFINE_string("model", "emoji", "Shipped name, file or training folder.")
_STEP = flags.DEFINE_string(
    "step", "", "Of a training: a step, or best; empty: newest."
)
_DATASET = flags.DEFINE_string("dataset", "emoji", "A data set with paired tests.")
_SIZE = flags.DEFINE_integer("size", 0, "Side in pixels; 0: that of the training.")
_OUT = flags.DEFINE_string("out", "", "Prefix of the .json and .png written.")
_SEED = flags.DEFINE_integer("seed", 0, "Of bootstrap, classifier and grid.")
_CLASSIFY = flags.DEFINE_bool("classify", True, "Train the classifiers as well.")


def main(argv):
    """Returns 0 after the card is printed and, with --out, written."""
    refuse_arguments(argv)
    step = int(_STEP.value) if _STEP.value.isdigit() else _STEP.value or None
    model = stylejax.load(_MODEL.value, step=step)
    dataset = sources.load(_DATASET.value)
    size = _SIZE.value or model.config.image_size
    evaluator = make_evaluator(dataset, image_size=size)

    def translate(images, direction):
        return model.translate(images, direction=direction)

    card: dict[str, Any] = paired_scorecard(evaluator, translate, seed=_SEED.value)
    if _CLASSIFY.value:
        train = two_sample.training_pictures(dataset, image_size=size)
        key = jax.random.key(_SEED.value)
        found = two_sample.translation_accuracy(key, train, evaluator, translate)
        for direction, accuracies in found.items():
            card[direction] |= accuracies
    where = environment()
    card |= {
        "model": _MODEL.value,
        "dataset": dataset.name,
        "size": size,
        "date": where["date"],
        "device": where["device"],
    }
    text = json.dumps(card, indent=2)
    print(text)
    if _OUT.value:
        Path(_OUT.value).parent.mkdir(parents=True, exist_ok=True)
        Path(f"{_OUT.value}.json").write_text(text + "\n", encoding="utf-8")
        files.write(f"{_OUT.value}.png", grid(evaluator, translate))
    return 0


def grid(evaluator, translate, *, num_columns=6, scale=2):
    """Rows flat, ours, true 3-D of evenly spread test pictures."""
    count = len(evaluator.test_a)
    chosen = np.linspace(0, count - 1, num_columns + 2)[1:-1].astype(int)
    ours = evaluator.translate(translate, "AtoB")
    rows = [list(x[chosen]) for x in (evaluator.test_a, ours, evaluator.test_b)]
    return panel.grid(rows, labels=["input", "ours", "true"], scale=scale)


if __name__ == "__main__":
    run_app(main)
