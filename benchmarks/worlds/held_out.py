"""The pictures that stylising networks are judged by."""

from pathlib import Path

import jax.numpy as jnp

from stylejax.data.style_pictures import read_list
from stylejax.image import files
from stylejax.image.resize import fit_longer_side

_LEFT_OUT = ("mst_wave.jpg",)  # the second scan of a work that is there


def paths(names_file, photos, paintings):
    """Files of a list that lie in either folder: photographs, and paintings."""
    names = [name for name in read_list(names_file) if name not in _LEFT_OUT]
    return [
        [Path(folder) / name for name in names if (Path(folder) / name).is_file()]
        for folder in (photos, paintings)
    ]


def sized(names_file, photos, paintings, *, size):
    """The same as pictures `1 h w 3` by file name, their longer side `size`."""
    return [
        {
            path.name: fit_longer_side(jnp.asarray(files.read(path))[None], size)
            for path in found
        }
        for found in paths(names_file, photos, paintings)
    ]
