"""One stylisation in four pictures: content, style, painted, and which layer pulls.

    python -m experiments.style_four --content=photo.jpg --style=painting.jpg \
        --painted=painted.png --layer=relu3_1 --out=four.png

The last is the layer's share of the pull of all terms around each pixel of the picture
that `stylejax stylize` painted with its default settings: black where it is least, pale
yellow where it is most.
"""

import jax.numpy as jnp
import numpy as np
from absl import flags

from stylejax.cli import account
from stylejax.cli.flags import refuse_arguments, run_app
from stylejax.image import files, panel
from stylejax.image.resize import fit_longer_side
from stylejax.methods.control import StyleControl
from stylejax.methods.gatys import GatysConfig

_CONTENT = flags.DEFINE_string("content", None, "Content picture.", required=True)
_STYLE = flags.DEFINE_string("style", None, "Style picture.", required=True)
_PAINTED = flags.DEFINE_string("painted", None, "Painted picture.", required=True)
_LAYER = flags.DEFINE_string("layer", "relu3_1", "Whose share is drawn.")
_SIZE = flags.DEFINE_integer("cell", 320, "Longer side of each picture.")
_OUT = flags.DEFINE_string("out", "four.png", "The picture of four.")


def main(argv):
    """Returns 0 once the picture is written."""
    refuse_arguments(argv)
    content, style, painted = (
        files.read(path) for path in (_CONTENT.value, _STYLE.value, _PAINTED.value)
    )
    found = account.of_picture(
        painted, content, [style], StyleControl(), GatysConfig(), names=["style"]
    )
    share = found.by("layer").shares(sigma=account.BLUR)[_LAYER.value]
    print(
        f"loss {found.total:.5g}, the terms sum to it to {found.value_error:.1e}, the"
        f" gradients to {found.gradient_error:.1e}"
    )
    cells = [content, style, painted, panel.heatmap(share)]
    cells = [
        np.asarray(fit_longer_side(jnp.asarray(x)[None], _SIZE.value))[0] for x in cells
    ]
    titles = ["photograph", "painting", "painted", f"pull of {_LAYER.value}"]
    files.write(_OUT.value, panel.grid([cells], column_titles=titles))
    return 0


if __name__ == "__main__":
    run_app(main)
