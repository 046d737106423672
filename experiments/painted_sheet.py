"""Pictures painted by one trained network, in a sheet: contents by styles.

    python -m experiments.painted_sheet --model=feedforward --content=a.jpg \
        --style=great_wave --style=auvers --size=384 --out=sheet.png

Styles are names where the network knows some, and pictures elsewhere.
"""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
from absl import flags

from stylejax import stylizers
from stylejax.cli.flags import refuse_arguments, run_app
from stylejax.image import files, panel
from stylejax.image.resize import fit_longer_side
from stylejax.methods import FIXED

_MODEL = flags.DEFINE_string("model", "feedforward", "Name, file or training.")
_CONTENT = flags.DEFINE_multi_string("content", [], "Content pictures: the rows.")
_STYLE = flags.DEFINE_multi_string("style", [], "Styles: the columns.")
_SIZE = flags.DEFINE_integer("size", 384, "Longer side of the painted pictures.")
_CELL = flags.DEFINE_integer("cell", 256, "Longer side of a cell of the sheet.")
_OUT = flags.DEFINE_string("out", "runs/painted.png", "The sheet.")


def main(argv):
    """Returns 0 once the sheet is written."""
    refuse_arguments(argv)
    model = stylizers.load(_MODEL.value)
    is_fixed = model.method in FIXED
    styles = [s if is_fixed else sized(s) for s in _STYLE.value]
    titles = [Path(s).stem for s in _STYLE.value]
    rows = [] if is_fixed else [[None, *map(cell, styles)]]
    for path in _CONTENT.value:
        content = sized(path)
        painted = [model.stylize(content, [style]) for style in styles]
        rows.append([cell(content), *map(cell, painted)])
    sheet = panel.grid(rows, column_titles=["content", *titles])
    files.write(_OUT.value, sheet, quality=85)
    return 0


def sized(path):
    """A picture `1 h w 3` whose longer side is --size."""
    return fit_longer_side(jnp.asarray(files.read(path))[None], _SIZE.value)


def cell(picture):
    """A picture as large as a cell of the sheet."""
    return np.asarray(fit_longer_side(picture, _CELL.value))[0].clip(0, 1)


if __name__ == "__main__":
    run_app(main)
