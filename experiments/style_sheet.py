"""Paints every content in every style and puts all into one sheet, with curves.

    python -m experiments.style_sheet --content=a.jpg --content=b.jpg \
        --style=c.jpg --style=d.jpg --size=384 --workdir=runs/sheet --out=sheet.jpg

A painted picture stays in --workdir: killed, the same command goes on. Beside --out a
JSON file says what each loss was after every `check_every` steps.
"""

import dataclasses
import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from absl import flags

import stylejax
from stylejax.cli.flags import (
    config_from_flags,
    define_flags,
    refuse_arguments,
    run_app,
)
from stylejax.image import files, panel
from stylejax.image.resize import fit_longer_side
from stylejax.methods.gatys import GatysConfig
from stylejax.train.protocol import environment

_CONTENT = flags.DEFINE_multi_string("content", [], "Content pictures: the columns.")
_STYLE = flags.DEFINE_multi_string("style", [], "Style pictures: the rows.")
_SIZE = flags.DEFINE_integer("size", 384, "Longer side of the painted pictures.")
_THUMB = flags.DEFINE_integer("cell", 320, "Longer side of a cell of the sheet.")
_WORKDIR = flags.DEFINE_string("workdir", "runs/sheet", "Where painted pictures stay.")
_OUT = flags.DEFINE_string("out", "runs/sheet/sheet.jpg", "The sheet.")
define_flags(GatysConfig)


def main(argv):
    """Returns 0 once the sheet and its JSON are written."""
    refuse_arguments(argv)
    config = config_from_flags(GatysConfig)
    rows, runs = [[None, *map(cell, _CONTENT.value)]], []
    for style in _STYLE.value:
        row = [cell(style)]
        for content in _CONTENT.value:
            name = f"{Path(content).stem}--{Path(style).stem}"
            runs.append(paint(content, style, Path(_WORKDIR.value) / name, config))
            row.append(cell(f"{_WORKDIR.value}/{name}.png"))
        rows.append(row)
    files.write(_OUT.value, panel.grid(rows), quality=85)
    card = {
        **environment(),
        "size": _SIZE.value,
        "config": dataclasses.asdict(config),
        "runs": runs,
    }
    text = json.dumps(card, indent=1) + "\n"
    Path(_OUT.value).with_suffix(".json").write_text(text, encoding="utf-8")
    return 0


def cell(path):
    """A picture as large as a cell of the sheet."""
    image = fit_longer_side(jnp.asarray(files.read(path))[None], _THUMB.value)
    return np.asarray(image)[0]


def paint(content, style, place, config):
    """The losses of one picture, painted unless it is there already."""
    record = place.with_suffix(".json")
    if not record.exists():
        losses = []
        painted = stylejax.stylize(
            files.read(content),
            files.read(style),
            config=config,
            size=_SIZE.value,
            on_progress=lambda p: losses.append(
                [p.scale, p.iteration, float(p.loss[0])]
            ),
        )
        files.write(place.with_suffix(".png"), np.asarray(painted))
        entry = {"content": Path(content).name, "style": Path(style).name}
        record.write_text(json.dumps(entry | {"losses": losses}), encoding="utf-8")
    return json.loads(record.read_text(encoding="utf-8"))


if __name__ == "__main__":
    run_app(main)
