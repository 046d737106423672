"""Loss curves of both optimisers, L-BFGS and Adam, from one start.

    python -m experiments.gatys_curves --content=a.jpg --style=c.jpg --size=256

The i-th content (repeat both flags) is painted in the i-th style, at one scale. A step
costs one gradient, whichever the optimiser; they step in turns, so that a busy machine
slows both. Writes JSON: of each the loss (L-BFGS: the least so far) and its own seconds
after each gradient, compilation not counted. `experiments.draw_curves` draws it.
"""

import dataclasses
import functools
import json
import os
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from stylejax.cli.flags import (
    config_from_flags,
    define_flags,
    refuse_arguments,
    run_app,
)
from stylejax.image import files
from stylejax.image.resize import fit_longer_side
from stylejax.methods import gatys
from stylejax.methods.control import StyleControl
from stylejax.methods.gatys import GatysConfig
from stylejax.train.minimize import OPTIMIZERS
from stylejax.train.protocol import environment

_CONTENT = flags.DEFINE_multi_string("content", [], "Content pictures.")
_STYLE = flags.DEFINE_multi_string("style", [], "Style pictures, one for each.")
_SIZE = flags.DEFINE_integer("size", 256, "Longer side of the painted pictures.")
_OUT = flags.DEFINE_string("out", "benchmarks/results/gatys_curves.json", "JSON file.")
define_flags(GatysConfig, exclude=["optimizer"])


def main(argv):
    """Returns 0 once the curves are written."""
    refuse_arguments(argv)
    if not 0 < len(_CONTENT.value) == len(_STYLE.value):
        raise ValueError("expected as many --content as --style, one or more of each")
    config = config_from_flags(GatysConfig)
    config.check()
    runs = []
    for pair in zip(_CONTENT.value, _STYLE.value, strict=True):
        content, style = (jnp.asarray(files.read(path))[None] for path in pair)
        content = fit_longer_side(content, _SIZE.value)
        run: dict = {"content": Path(pair[0]).name, "style": Path(pair[1]).name}
        run |= descend(content, style, config)
        print(*(run[name]["loss"][-1] for name in OPTIMIZERS), flush=True)
        runs.append(run)
    cpus = len(os.sched_getaffinity(0))
    card = {**environment(), "cpus": cpus, "size": _SIZE.value}
    card |= {"config": dataclasses.asdict(config), "runs": runs}
    Path(_OUT.value).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    return 0


def descend(content, style, config):
    """By optimiser, its loss and the seconds it took so far after each gradient."""
    feature_fn = gatys.features(config)
    targets = gatys.make_targets(
        content, [style], config=config, control=StyleControl(), feature_fn=feature_fn
    )
    steps: dict = {}
    states: dict = {}
    found: dict = {}
    for name in OPTIMIZERS:
        options = {"config": dataclasses.replace(config, optimizer=name)}
        options |= {"feature_fn": feature_fn, "targets": targets, "num_steps": 1}
        steps[name] = functools.partial(gatys.advance, **options)
        states[name] = jax.vmap(gatys.minimizer(options["config"]).init)(content)
        jax.block_until_ready(steps[name](states[name]))
        found[name] = {"loss": [], "seconds": []}
    for _ in range(config.num_iterations):
        for name, curve in found.items():
            began = time.perf_counter()
            states[name] = steps[name](states[name])
            curve["loss"].append(float(states[name].value[0]))
            curve["seconds"].append(time.perf_counter() - began)
    for curve in found.values():
        curve["seconds"] = [round(x, 3) for x in np.cumsum(curve["seconds"]).tolist()]
    return found


if __name__ == "__main__":
    run_app(main)
