"""Averages the weights of translators that were tuned from one start.

    python -m experiments.average_translators --model=runs/a --model=b.safetensors \
        --out=average.safetensors

What two tunings have in common stays, what only one of them made up is halved. A model
that is named twice weighs twice. It helps where the networks come from the same
parameters, and means nothing where they do not.

Reference: Wortsman et al. 2022, https://arxiv.org/abs/2203.05482.
"""

import os

import jax
import numpy as np
from absl import flags

import stylejax
from stylejax import trees
from stylejax.api import Translator
from stylejax.cli.flags import refuse_arguments, run_app

_MODELS = flags.DEFINE_multi_string(
    "model", [], "Shipped name, file, or training folder[@step]; repeat it."
)
_OUT = flags.DEFINE_string("out", None, "The file to write.", required=True)


def main(argv):
    """Returns 0 after the average is written."""
    refuse_arguments(argv)
    if len(_MODELS.value) < 2:
        raise ValueError("--model: expected two models or more; repeat the flag")
    models = [load(text) for text in _MODELS.value]
    average = average_params([m.params for m in models], names=_MODELS.value)
    path = Translator(models[0].method, models[0].config, average).save(_OUT.value)
    print(f"wrote {path}, the average of {', '.join(_MODELS.value)}")
    return 0


def load(text):
    """The model that "name", "folder" or "folder@step" stands for."""
    name, at, step = text.rpartition("@")
    if not at or os.path.exists(text):
        return stylejax.load(text)
    return stylejax.load(name, step=int(step) if step.isdigit() else step or None)


def average_params(params, *, names):
    """The mean of every leaf; refuses networks that are not the same."""
    for name, other in zip(names[1:], params[1:], strict=True):
        difference = trees.difference(params[0], other, limit=1)
        if difference:
            raise ValueError(
                f"expected networks like those of {names[0]!r} in {name!r}, got"
                f" {difference.splitlines()[0]}"
            )
    return jax.tree.map(lambda *leaves: np.mean(np.stack(leaves), axis=0), *params)


if __name__ == "__main__":
    run_app(main)
