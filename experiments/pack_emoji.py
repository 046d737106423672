"""Packs the emoji folders into the archives that `stylejax.data.emoji` ships.

One uncompressed zip a split, one lossless WebP a picture, fixed time stamps: running it
again on the same pictures gives the same bytes. The licence and the labels go beside.

    python -m experiments.pack_emoji --source=fluent_emoji
"""

import shutil
import zipfile
from pathlib import Path

import numpy as np
from absl import app, flags

from stylejax.data import emoji
from stylejax.image import files

SOURCE = flags.DEFINE_string(
    "source", None, "folder with trainA … testB", required=True
)
OUT = flags.DEFINE_string("out", None, "target folder; default: inside the package")


def encode(path: Path) -> bytes:
    """The picture as lossless WebP bytes, checked pixel by pixel."""
    pixels = files.read(path, compact=True)
    data = files.to_bytes(pixels, suffix=".webp", quality=75, lossless=True)
    if not np.array_equal(files.from_bytes(data, compact=True), pixels):
        raise AssertionError(f"{path} did not survive lossless packing")
    return data


def pack(folder: Path, archive: Path) -> int:
    """The number of pictures of `folder` written to `archive`, sorted by name."""
    paths = sorted(folder.glob("*.png"))
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as packed:
        for path in paths:
            stamp = zipfile.ZipInfo(path.stem + ".webp", (1980, 1, 1, 0, 0, 0))
            packed.writestr(stamp, encode(path))
    return len(paths)


def main(argv):
    """Packs the four splits and reports their sizes."""
    del argv
    source = Path(SOURCE.value)
    out = Path(OUT.value) if OUT.value else emoji.assets_folder()
    out.mkdir(parents=True, exist_ok=True)
    for split in emoji.SPLITS:
        archive = out / f"{split}.zip"
        count = pack(source / split, archive)
        print(f"{archive}: {count} pictures, {archive.stat().st_size / 1e6:.2f} MB")
    shutil.copyfile(source / "LICENSE.txt", out / "LICENSE.txt")
    shutil.copyfile(source / "labels.csv", out / "labels.csv")


if __name__ == "__main__":
    app.run(main)
