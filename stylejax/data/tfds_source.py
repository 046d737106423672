"""Two-domain data sets prepared by tensorflow-datasets, read without TensorFlow.

Anything with the splits `trainA`, `trainB` (and `testA`, `testB`) and a feature `image`
that was prepared as array_record or parquet: tfds' own `cycle_gan/…` sets, and what
`experiments/prepare_dataset.py` writes. Only the encoded bytes come from tfds; they are
decoded by `stylejax.image.files` as every other picture of the house.
"""

import functools
import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from stylejax.data import sources
from stylejax.data.bad_images import BadImageReport
from stylejax.image import files

SPLITS = sources.FOLDERS
PREPARE_FOLDERS = "python -m experiments.prepare_dataset --input=FOLDER --out={out}"
PREPARE_CYCLE_GAN = (
    "pip install '.[prepare]' &&"
    " python -m experiments.prepare_cycle_gan_tfds --name={name} --data_dir={data_dir}"
)


class TfdsSource:
    """One split of a prepared data set, decoded when asked for.

    Args:
      builder: a tfds builder whose data lie on this machine.
      split: its split, tfds slices such as `trainA[:50%]` included.
    """

    def __init__(self, builder, split: str):
        import tensorflow_datasets as tfds

        self.split = split
        self._dataset = builder.info.name
        self._has_names = "file" in builder.info.features
        self._records = builder.as_data_source(
            split, decoders={"image": tfds.decode.SkipDecoding()}
        )

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> np.ndarray:
        """The picture: float32 `h w 3` in [0, 1]; raises `ImageFileError` if broken."""
        if not 0 <= index < len(self):
            raise IndexError(f"expected an index in [0, {len(self)}), got {index}")
        encoded = self._records[int(index)]["image"]
        return files.from_bytes(encoded, name=self.place(index))

    @functools.cached_property
    def names(self) -> list[str]:
        """The names of the pictures where the set keeps them, else their numbers."""
        if not self._has_names:
            return [f"{self.split}_{index:06d}" for index in range(len(self))]
        return [self._records[i]["file"].decode() for i in range(len(self))]

    def place(self, index: int) -> str:
        """What to call a picture in a message."""
        return f"{self._dataset}:{self.split}[{index}]"


def load_tfds(
    name_or_dir: str, *, data_dir=None, on_bad_image: str = "error"
) -> sources.TwoDomainDataset:
    """Returns a prepared tfds data set as two domains.

    Args:
      name_or_dir: `cycle_gan/horse2zebra`, `NAME[/CONFIG][:VERSION]` or any folder that
        holds a prepared data set, at its top or in sub-folders NAME/CONFIG/VERSION.
      data_dir: where named sets lie; None: $TFDS_DATA_DIR or ~/tensorflow_datasets.
      on_bad_image: "error" or "skip", see `stylejax.data.load`.

    Returns:
      A `TwoDomainDataset`; it is paired where the set says so.

    Raises:
      FileNotFoundError: if it is not prepared; the line says how to.
      ValueError: if it is no two-domain set or needs TensorFlow to be read.
    """
    directory = find_prepared(name_or_dir, data_dir=data_dir)
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(directory)
    _check_format(name_or_dir, builder, data_dir)
    missing = [split for split in SPLITS[:2] if split not in builder.info.splits]
    if missing or "image" not in (builder.info.features or {}):
        raise ValueError(
            f"tfds:{name_or_dir}: expected splits trainA and trainB with a feature"
            f" 'image', got splits {', '.join(builder.info.splits)} with features"
            f" {', '.join(builder.info.features or ['none'])}; prepare folders with:"
            f" {_command('', data_dir)}"
        )
    opened: dict[str, Any] = {
        sources.field_of_split(split): TfdsSource(builder, split)
        if split in builder.info.splits
        else sources.ArraySource([])
        for split in SPLITS
    }
    return sources.TwoDomainDataset(
        name=f"tfds:{name_or_dir}",
        paired=_is_paired(directory) and bool(opened["test_a"]),
        report=BadImageReport(on_bad_image),
        **opened,
    )


def find_prepared(name_or_dir: str, *, data_dir=None) -> Path:
    """Returns the folder of a prepared data set, the one with `dataset_info.json`.

    Args:
      name_or_dir: as for `load_tfds`.
      data_dir: as for `load_tfds`.

    Returns:
      The folder; of several versions of one set the newest.

    Raises:
      FileNotFoundError: if there is none; the line says how to prepare it.
      ValueError: if there are several data sets.
    """
    given = Path(name_or_dir).expanduser()
    named = _root(data_dir) / Path(*name_or_dir.replace(":", "/").split("/"))
    start = given if given.is_dir() else named
    # A set in its own folder may have a name, a configuration and a version above it.
    depths = ("", "*/", "*/*/", "*/*/*/") if start.is_dir() else ()
    found = [p.parent for d in depths for p in start.glob(d + "dataset_info.json")]
    if not found:
        raise FileNotFoundError(
            f"tfds:{name_or_dir} is not prepared: no dataset_info.json in or below"
            f" {start}; prepare it once with: {_command(name_or_dir, data_dir)}"
        )
    if len({path.parent for path in found}) > 1:
        raise ValueError(
            f"tfds:{name_or_dir}: expected one data set, found {len(found)}; name one,"
            f" for example tfds:{found[0]}"
        )
    return max(found, key=_version_of)


def prepare_cycle_gan(name: str, *, data_dir=None) -> Path:
    """Returns where an official `cycle_gan` set now lies, downloaded and prepared.

    The only place of the house that needs TensorFlow, because tfds' own code for these
    sets lists files with it (tensorflow-datasets 4.9.10, 2026-11). A set that is
    already prepared is left as it is.

    Args:
      name: `horse2zebra`, `apple2orange`, … or `cycle_gan/horse2zebra`.
      data_dir: where it goes; None: $TFDS_DATA_DIR or ~/tensorflow_datasets.

    Returns:
      The folder of the prepared set; `load("tfds:cycle_gan/NAME")` finds it.

    Raises:
      ValueError: if TensorFlow is missing or the name is unknown.
    """
    name = name.removeprefix("cycle_gan/")
    root = _root(data_dir)
    if importlib.util.find_spec("tensorflow") is None:
        raise ValueError(
            f"preparing cycle_gan/{name} needs TensorFlow this once: "
            + PREPARE_CYCLE_GAN.format(name=name, data_dir=root)
        )
    import tensorflow_datasets as tfds

    known = tfds.builder_cls("cycle_gan").builder_configs
    if name not in known:
        raise ValueError(f"name: expected one of {', '.join(known)}; got {name!r}")
    # The default, tfrecord, could only be read with TensorFlow.
    builder = tfds.builder(
        f"cycle_gan/{name}", data_dir=str(root), file_format="array_record"
    )
    builder.download_and_prepare()
    return find_prepared(f"cycle_gan/{name}", data_dir=root)


def _root(data_dir) -> Path:
    """The folder tfds keeps prepared sets in."""
    default = os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return Path(default if data_dir is None else data_dir).expanduser()


def _command(name: str, data_dir) -> str:
    """The command that prepares a data set of this name."""
    root = _root(data_dir)
    if name.startswith("cycle_gan/"):
        short = name.removeprefix("cycle_gan/").partition(":")[0]
        return PREPARE_CYCLE_GAN.format(name=short, data_dir=root)
    return PREPARE_FOLDERS.format(out=name if Path(name).is_dir() else root)


def _check_format(name: str, builder, data_dir) -> None:
    stored = {kind.value for kind in builder.info.available_file_formats()}
    if not stored & {"array_record", "parquet"}:
        raise ValueError(
            f"tfds:{name} is prepared as {', '.join(sorted(stored))}, which only"
            f" TensorFlow reads; remove {builder.data_dir} and prepare it as"
            f" array_record: {_command(name, data_dir)}"
        )


def _is_paired(directory: Path) -> bool:
    metadata = directory / "metadata.json"
    if not metadata.exists():
        return False
    return bool(json.loads(metadata.read_text(encoding="utf-8")).get("paired"))


def _version_of(directory: Path) -> tuple[int, ...]:
    parts = directory.name.split(".")
    return tuple(int(part) if part.isdigit() else -1 for part in parts)
