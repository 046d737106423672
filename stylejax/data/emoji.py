"""The shipped data set: Fluent emoji, A flat drawings, B 3-D renderings, all on white.

654 and 710 training pictures of 128 x 128 (no emoji in both: truly unpaired) and 101
test pairs, losslessly packed (MIT, see `assets/emoji/LICENSE.txt`). `labels.csv` keeps
each picture's name and group (smileys, people, animals, food, …).
"""

import csv
import zipfile
from pathlib import Path

import numpy as np

from stylejax.data import sources
from stylejax.image import files

SPLITS = ("trainA", "trainB", "testA", "testB")
LABEL_COLUMNS = ("group", "subgroup", "short_name", "unicode_name", "codepoints")


class EmojiSource:
    """The pictures of one split, decoded when first asked for and then kept (uint8)."""

    def __init__(self, archive: Path):
        with zipfile.ZipFile(archive) as packed:
            members = packed.namelist()
            self._encoded = [packed.read(member) for member in members]
        self.names = [Path(member).stem for member in members]
        self._decoded: list[np.ndarray | None] = [None] * len(members)

    def __len__(self) -> int:
        return len(self._encoded)

    def __getitem__(self, index: int) -> np.ndarray:
        """The picture: float32 `128 128 3` in [0, 1]."""
        pixels = self._decoded[index]
        if pixels is None:
            pixels = files.from_bytes(
                self._encoded[index], name=self.names[index], compact=True
            )
            self._decoded[index] = pixels
        return files.as_float(pixels)


def load_emoji() -> sources.TwoDomainDataset:
    """The shipped emoji set; needs nothing outside the package.

    Returns:
      A `TwoDomainDataset`: `test_a[i]` and `test_b[i]` are the same emoji, and
      `labels["test_a"]["group"][i]` is its group (so for every split).
    """
    folder = assets_folder()
    opened = {split: EmojiSource(folder / f"{split}.zip") for split in SPLITS}
    return sources.TwoDomainDataset(
        name="emoji",
        train_a=opened["trainA"],
        train_b=opened["trainB"],
        test_a=opened["testA"],
        test_b=opened["testB"],
        paired=True,
        labels=_labels(folder / "labels.csv", opened),
    )


def assets_folder() -> Path:
    """The folder inside the package that holds the packed set.

    Returns:
      Its path; `LICENSE.txt` lies in it.
    """
    return Path(__file__).parent / "assets" / "emoji"


def _labels(path: Path, opened: dict[str, EmojiSource]) -> dict:
    with path.open(newline="", encoding="utf-8") as stream:
        rows = {row["file"]: row for row in csv.DictReader(stream)}
    labels = {}
    for split, source in opened.items():
        of_split = [rows[f"{split}/{name}.png"] for name in source.names]
        labels[sources.field_of_split(split)] = {
            column: np.array([row[column] for row in of_split])
            for column in LABEL_COLUMNS
        }
    return labels
