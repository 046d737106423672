"""Writes what a trained stylising network paints with as one half-precision file.

    python -m experiments.export_stylizer --workdir=runs/slim --step=best \
        --content=photo.jpg --style=painting.jpg --out=slim.safetensors

Several --workdir, of trainings of which each went on from the one before: the average
of their weights. It prints how far half precision moves the painted picture.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from stylejax import stylizers
from stylejax.cli.flags import refuse_arguments, run_app
from stylejax.image import files

_WORKDIRS = flags.DEFINE_multi_string(
    "workdir", None, "Folder of a training; several: their average.", required=True
)
_STEP = flags.DEFINE_string("step", "", "A step, or best; empty for the newest.")
_CONTENT = flags.DEFINE_string("content", None, "A picture to paint.", required=True)
_STYLE = flags.DEFINE_string("style", None, "A picture to paint it in.", required=True)
_OUT = flags.DEFINE_string("out", None, "The file to write.", required=True)


def main(argv):
    """Returns 0 after the file is written and the difference printed."""
    refuse_arguments(argv)
    step = int(_STEP.value) if _STEP.value.isdigit() else _STEP.value or None
    models = [stylizers.load(workdir, step=step) for workdir in _WORKDIRS.value]
    average = jax.tree.map(
        lambda *x: np.mean(np.stack(x), axis=0), *(m.params for m in models)
    )
    model = dataclasses.replace(models[-1], params=average)
    path = model.save(_OUT.value)
    content, style = (
        jnp.asarray(files.read(x))[None] for x in (_CONTENT.value, _STYLE.value)
    )
    painted = [
        np.asarray(m.stylize(content, [style])) for m in (model, stylizers.load(path))
    ]
    difference = 255 * np.abs(painted[0] - painted[1])
    print(
        f"half precision moves the picture by {difference.mean():.4f} on average,"
        f" {difference.max():.3f} at most (0..255)"
    )
    print(f"wrote {path}, {path.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    run_app(main)
