"""Writes two folders of pictures as one tfds data set, in array_record, from paths.

The result is an ordinary prepared data set: `tfds.builder_from_directory` reads it, and
so does `load("tfds:DIR")`. It has the splits and features of tfds' own `cycle_gan` sets
(`image`, `label` A or B) and the name of each picture (`file`). TensorFlow is not
needed: tfds asks for it only to encode arrays or to write tfrecord, and here it gets
encoded bytes and writes array_record (tensorflow-datasets 4.9.10, 2026-11).
"""

import contextlib
import dataclasses
import io
import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from stylejax.data import sources
from stylejax.image import files

SPLITS = sources.FOLDERS
# Two readers of one JPEG may round differently; more than this is another picture.
_ROUNDING = 2


@dataclasses.dataclass(frozen=True)
class Written:
    """What was written.

    Args:
      directory: the prepared data set: OUT/NAME/VERSION.
      reencoded: names (`trainA/x.tif`) of the pictures stored as 8-bit RGB PNG because
        other readers would not see in the file what `stylejax.image.files` sees.
    """

    directory: Path
    reencoded: tuple[str, ...]


def write_two_domain(
    splits: Mapping[str, Mapping[str, Path]],
    out_dir: Path | str,
    *,
    name: str = "two_domain",
    version: str = "1.0.0",
    paired: bool = False,
    description: str = "",
    license_text: str = "",
) -> Written:
    """Returns where the pictures now lie as a prepared tfds data set.

    A file that every reader understands (8-bit RGB or grey, upright) is stored byte for
    byte; any other (CMYK, palette, alpha, 16-bit, turned by EXIF) as 8-bit RGB PNG.

    Args:
      splits: for `trainA`, `trainB` and where they exist `testA`, `testB`: name of each
        picture -> its file. Their order is kept.
      out_dir: the folder that receives NAME/VERSION.
      name: name of the data set, lower case with underscores.
      version: three numbers, "1.0.0".
      paired: whether testA[i] and testB[i] show the same thing.
      description: one or more sentences about the pictures.
      license_text: what may be done with them.

    Returns:
      The directory, and which pictures were encoded anew.

    Raises:
      ValueError: on a bad name, version or set of splits, or an unreadable picture.
      FileExistsError: if that version is there already.
    """
    directory = new_directory(out_dir, name=name, version=version)
    _check(splits, paired)
    reencoded: list[str] = []
    builder_class = _builder_class(
        splits,
        {"name": name, "version": version},
        {"description": description or "Two domains of pictures.", "paired": paired}
        | {"license": license_text},
        reencoded,
    )
    with _quiet():
        builder = builder_class(
            data_dir=str(directory.parent.parent), file_format="array_record"
        )
        builder.download_and_prepare()
    return Written(directory, tuple(reencoded))


def verify_two_domain(
    directory: Path, splits: Mapping[str, Mapping[str, Path]]
) -> float:
    """Returns how far the pictures of a data set are from their files, at most.

    Every picture is read back through `load("tfds:…")` and compared with its file.

    Args:
      directory: the prepared data set.
      splits: what it was written from.

    Returns:
      The largest absolute difference of a pixel, in [0, 1]: 0 where files were stored
      byte for byte, up to half of 1/255 where more than 8 bits were rounded.

    Raises:
      ValueError: if a picture is missing, misnamed, of another size or differs by more.
    """
    dataset = sources.load(f"tfds:{directory}")
    largest = 0.0
    for split, paths in splits.items():
        source = getattr(dataset, sources.field_of_split(split))
        names = list(getattr(source, "names", []))
        if names != list(paths):
            raise ValueError(
                f"{directory}: expected {len(paths)} pictures in {split}, read back"
                f" {len(names)} or others; remove it and prepare it again"
            )
        for index, path in enumerate(paths.values()):
            ours, theirs = files.read(path), source[index]
            same = ours.shape == theirs.shape
            difference = float(np.abs(ours - theirs).max()) if same else np.inf
            if difference > 0.501 / 255:
                raise ValueError(
                    f"{directory}: {split}[{index}] is not the picture in {path}"
                    f" (difference {difference:.4f}); remove it and prepare it again"
                )
            largest = max(largest, difference)
    return largest


def new_directory(out_dir: Path | str, *, name: str, version: str) -> Path:
    """Returns where a data set of this name and version will lie; nothing is made.

    Args:
      out_dir: the folder that receives NAME/VERSION.
      name: name of the data set, lower case with underscores.
      version: three numbers, "1.0.0".

    Returns:
      OUT/NAME/VERSION.

    Raises:
      ValueError: on a bad name or version.
      FileExistsError: if it is there already.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ValueError(
            f"name: expected lower case letters, digits and underscores, got {name!r}"
        )
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise ValueError(f"version: expected three numbers as 1.0.0, got {version!r}")
    directory = Path(out_dir).expanduser() / name / version
    if directory.exists():
        raise FileExistsError(
            f"{directory} exists already; remove it, or choose another name or version"
        )
    return directory


def _check(splits, paired: bool) -> None:
    unknown = set(splits) - set(SPLITS)
    empty = [s for s in SPLITS[:2] if not splits.get(s)]
    if unknown or empty:
        raise ValueError(
            "splits: expected pictures for trainA and trainB, and testA and testB if"
            f" there are any; got {', '.join(sorted(splits)) or 'none'}"
            + (f" with nothing in {', '.join(empty)}" if empty else "")
        )
    tests = [len(splits.get(s, {})) for s in SPLITS[2:]]
    if paired and tests[0] != tests[1]:
        raise ValueError(
            f"paired: expected as many pictures in testA as in testB, got {tests[0]}"
            f" and {tests[1]}; drop those without partner"
        )


def _builder_class(splits, identity: dict, about: dict, reencoded: list[str]) -> type:
    """The tfds builder of these pictures; a class, because tfds wants one."""
    import tensorflow_datasets as tfds

    image = tfds.features.Image(shape=(None, None, 3))
    with tfds.core.registered.skip_registration():

        class TwoDomain(tfds.core.GeneratorBasedBuilder):
            """Pictures of two domains, unpaired in training."""

            name = identity["name"]
            VERSION = tfds.core.Version(identity["version"])

            def _info(self):
                return tfds.core.DatasetInfo(
                    builder=self,
                    description=about["description"],
                    license=about["license"] or None,
                    features=tfds.features.FeaturesDict(
                        {
                            "image": image,
                            "label": tfds.features.ClassLabel(names=["A", "B"]),
                            "file": tfds.features.Text(),
                        }
                    ),
                    supervised_keys=("image", "label"),
                    metadata=tfds.core.MetadataDict(paired=about["paired"]),
                    disable_shuffling=True,  # testA[i] stays the partner of testB[i]
                )

            def _split_generators(self, dl_manager):
                del dl_manager
                return {s: self._generate_examples(s) for s in SPLITS if splits.get(s)}

            def _generate_examples(self, split):
                for index, (file, path) in enumerate(splits[split].items()):
                    encoded, is_copy = stored_bytes(path, decode=image)
                    if not is_copy:
                        reencoded.append(f"{split}/{file}")
                    record = {"image": io.BytesIO(encoded), "label": split[-1]}
                    yield index, record | {"file": file}

    return TwoDomain


def stored_bytes(path: Path, *, decode) -> tuple[bytes, bool]:
    """Returns the bytes that stand for a picture in the data set.

    Args:
      path: the file.
      decode: the tfds image feature that other readers will decode with.

    Returns:
      The encoded picture, and whether it is the file itself, byte for byte.

    Raises:
      ValueError: if the file is no readable picture; the message names it.
    """
    ours = np.rint(files.read(path) * 255)
    encoded = Path(path).read_bytes()
    try:
        theirs = np.asarray(decode.decode_example_np(encoded), np.float32)
    except Exception:  # whatever another reader raises, the picture is encoded anew
        theirs = np.zeros(0, np.float32)
    if theirs.shape == ours.shape and np.abs(theirs - ours).max() <= _ROUNDING:
        return encoded, True
    return files.to_png_bytes(ours.astype(np.uint8)), False


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without tfds' bars, its note on OpenCV and its talk of a download."""
    import tensorflow_datasets as tfds

    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    tfds.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        tfds.enable_progress_bar()
        logger.setLevel(level)
