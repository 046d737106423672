"""Writes the generators of a training as one half-precision .safetensors file.

    python -m experiments.export_translator --workdir=runs/emoji --step=best \
        --out=stylejax/pretrained/assets/emoji.safetensors

It prints how far half precision moves the outputs on the training's test pictures.
"""

import numpy as np
from absl import flags

import stylejax
from stylejax.cli.flags import refuse_arguments, run_app
from stylejax.data import sources
from stylejax.train.evaluate import make_evaluator

_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of a training.", required=True)
_STEP = flags.DEFINE_string("step", "", "A step, or best; empty for the newest.")
_OUT = flags.DEFINE_string("out", None, "The file to write.", required=True)
_DATASET = flags.DEFINE_string("dataset", "emoji", "Test pictures to compare on.")


def main(argv):
    """Returns 0 after the file is written and the difference printed."""
    refuse_arguments(argv)
    step = int(_STEP.value) if _STEP.value.isdigit() else _STEP.value or None
    model = stylejax.load(_WORKDIR.value, step=step)
    path = model.save(_OUT.value)
    shipped = stylejax.load(path)
    dataset = sources.load(_DATASET.value)
    evaluator = make_evaluator(dataset, image_size=model.config.image_size)
    for direction in ("AtoB", "BtoA"):
        outputs = [
            evaluator.translate(lambda x, d: m.translate(x, direction=d), direction)  # noqa: B023
            for m in (model, shipped)
        ]
        difference = 255 * np.abs(outputs[0] - outputs[1])
        print(
            f"{direction}: half precision moves outputs by {difference.mean():.4f} on"
            f" average, {difference.max():.3f} at most (0..255, {len(outputs[0])}"
            " pictures)"
        )
    print(f"wrote {path}, {path.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    run_app(main)
