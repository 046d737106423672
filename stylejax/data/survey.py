"""Looks at folders of pictures before they become a data set: what to keep, and why.

`named_splits` or `cut_splits` list the files, `survey` reads each once and decides,
`Survey.summary` says it in JSON and `contact_sheet` shows it. Nothing is changed on
disk; `two_domain_builder` writes what is kept.
"""

import dataclasses
import random
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from stylejax.data import duplicates, inspection, sources
from stylejax.image import files, panel

Splits = Mapping[str, Mapping[str, Path]]


@dataclasses.dataclass(frozen=True)
class SurveyConfig:
    """What a picture must be to be kept.

    Attributes:
      min_size: least pixels of the shorter side; 0 accepts all.
      drop: duplicates to drop: none of them (they are reported), the exact ones, or
        also the near ones. Of train and test, the one in train goes.
      max_bits: near duplicates: most bits between the perceptual hashes, of 64.
      max_difference: near duplicates: most mean difference of the thumbnails, 0 to 1.
    """

    min_size: int = 0
    drop: Literal["none", "exact", "near"] = "none"
    max_bits: int = 10
    max_difference: float = 0.03


@dataclasses.dataclass(frozen=True)
class Survey:
    """What was found and what is kept.

    Args:
      splits: all files, split -> name -> file.
      kept: the files to use, the same way.
      paired: whether testA[i] and testB[i] bear the same name, suffixes aside.
      broken: `trainA/x.png` -> why it cannot be read.
      too_small: `trainA/x.png` -> (height, width).
      dropped: duplicates left out, `trainA/x.png`.
      unpartnered: test pictures left out because their partner is.
      places: the (split, name) that the numbers in `found` stand for.
      found: the duplicates.
    """

    splits: Splits
    kept: dict[str, dict[str, Path]]
    paired: bool
    broken: dict[str, str]
    too_small: dict[str, tuple[int, int]]
    dropped: list[str]
    unpartnered: list[str]
    places: list[tuple[str, str]]
    found: duplicates.Duplicates

    def summary(self) -> dict:
        """Everything that was found, as plain JSON values."""
        near = [
            self._group((pair.first, pair.second))
            | {"bits": pair.num_bits, "difference": round(pair.difference, 5)}
            for pair in self.found.near
        ]
        return {
            "paired": self.paired,
            "found": {split: len(paths) for split, paths in self.splits.items()},
            "kept": {split: len(paths) for split, paths in self.kept.items()},
            "broken": self.broken,
            "too_small": {name: list(size) for name, size in self.too_small.items()},
            "dropped": self.dropped,
            "unpartnered": self.unpartnered,
            "exact_duplicates": [self._group(group) for group in self.found.exact],
            "near_duplicates": near,
            "equal_across_domains": [
                self._group(group) for group in self.found.across_domains
            ],
        }

    def _group(self, group: Iterable[int]) -> dict:
        members = [self.places[place] for place in group]
        parts = {_is_test(split) for split, _ in members}
        names = [f"{split}/{name}" for split, name in members]
        return {"files": names, "train_and_test": len(parts) > 1}

    def path(self, place: int) -> Path:
        """The file that a number in `found` stands for."""
        split, name = self.places[place]
        return self.splits[split][name]


def named_splits(root: Path | str) -> dict[str, dict[str, Path]]:
    """Returns the files of a folder with trainA and trainB, perhaps testA and testB.

    Args:
      root: the folder.

    Returns:
      Split -> name of each picture below its folder -> file, sorted by name.

    Raises:
      FileNotFoundError: if trainA or trainB is missing, or a folder holds no picture.
    """
    folders = {split: Path(root).expanduser() / split for split in sources.FOLDERS}
    for split in sources.FOLDERS[:2]:
        if not folders[split].is_dir():
            raise FileNotFoundError(
                f"no folder {split} in {str(root)!r}; put each domain's pictures into"
                " trainA and trainB, or name two folders"
            )
    return {s: _named_files(f) for s, f in folders.items() if f.is_dir()}


def cut_splits(
    folder_a: Path | str,
    folder_b: Path | str,
    *,
    test_fraction: float = 0.1,
    seed: int = 0,
) -> dict[str, dict[str, Path]]:
    """Returns the files of two folders, a random share of each set aside as the test.

    Folders with the same names (suffixes aside) are cut alike: their test is paired.

    Args:
      folder_a: pictures of domain A.
      folder_b: pictures of domain B.
      test_fraction: share of each folder for the test, in [0, 1).
      seed: which pictures these are.

    Returns:
      Split -> name -> file, sorted by name; without testA and testB if the share is 0.

    Raises:
      FileNotFoundError: if a folder is missing or holds no picture.
      ValueError: if the share is out of range or leaves a domain no training picture.
    """
    if not 0 <= test_fraction < 1:
        raise ValueError(f"test_fraction: expected 0 to below 1, got {test_fraction}")
    splits: dict[str, dict[str, Path]] = {}
    for domain, folder in (("A", folder_a), ("B", folder_b)):
        named = _named_files(Path(folder).expanduser())
        shuffled = random.Random(seed).sample(list(named), len(named))
        test = set(shuffled[: round(test_fraction * len(named))])
        if len(test) == len(named):
            raise ValueError(
                f"test_fraction: {test_fraction} leaves nothing to train on of the"
                f" {len(named)} picture(s) in {str(folder)!r}; lower it"
            )
        splits[f"train{domain}"] = {n: p for n, p in named.items() if n not in test}
        if test:
            splits[f"test{domain}"] = {n: p for n, p in named.items() if n in test}
    return {split: splits[split] for split in sources.FOLDERS if split in splits}


def survey(
    splits: Splits,
    config: SurveyConfig,
    *,
    progress: Callable[[list], Iterable] = iter,
) -> Survey:
    """Returns what is broken, too small or double in the splits, and what to keep.

    Args:
      splits: split -> name -> file.
      config: what a picture must be.
      progress: wraps the list of pictures while they are read, as tqdm does.

    Returns:
      The survey; pictures of `kept` stand in the order of `splits`.
    """
    prints: dict[tuple[str, str], inspection.Fingerprint] = {}
    broken, too_small = {}, {}
    for split, name in progress([(s, n) for s, paths in splits.items() for n in paths]):
        try:
            print_ = inspection.fingerprint(files.read(splits[split][name]))
        except files.ImageFileError as error:
            broken[f"{split}/{name}"] = str(error)
            continue
        if inspection.too_small(print_.size_hw, min_size=config.min_size):
            too_small[f"{split}/{name}"] = print_.size_hw
        else:
            prints[split, name] = print_
    places = list(prints)
    found = duplicates.find_duplicates(
        list(prints.values()),
        [split[-1] for split, _ in places],
        max_bits=config.max_bits,
        max_difference=config.max_difference,
    )
    dropped = _to_drop(found, places, config.drop)
    kept = {
        split: {n: p for n, p in paths.items() if (split, n) in prints}
        for split, paths in splits.items()
    }
    for split, name in dropped:
        del kept[split][name]
    paired = _stems(splits, "testA") == _stems(splits, "testB") != []
    unpartnered = _drop_unpartnered(kept) if paired else []
    names = [f"{split}/{name}" for split, name in dropped]
    return Survey(
        splits, kept, paired, broken, too_small, names, unpartnered, places, found
    )


def contact_sheet(survey: Survey, *, height: int = 96, columns: int = 8) -> np.ndarray:
    """Returns one picture of the set: some of every split, then duplicates in pairs.

    Args:
      survey: what was found.
      height: of each thumbnail in pixels.
      columns: thumbnails in a row.

    Returns:
      float32 (h, w, 3) in [0, 1]. Rows "equal" and "alike" show up to twelve pairs of
      each kind, the most alike first, "A = B" pictures that are in both domains.
    """
    rows = []
    for paths in survey.kept.values():
        every = list(paths.values())
        chosen = np.linspace(0, len(every) - 1, min(columns, len(every))).round()
        rows.append([_thumbnail(every[int(i)], height) for i in chosen])
    labels = [f"{split} {len(paths)}" for split, paths in survey.kept.items()]
    sheets = [panel.grid(rows, labels=labels)]
    rows, labels = [], []
    for kind, pairs in _pairs_by_kind(survey).items():
        shown = [_side_by_side(survey, pair, height) for pair in pairs[:12]]
        for start in range(0, len(shown), columns // 2):
            rows.append(shown[start : start + columns // 2])
            labels.append(f"{kind} {len(pairs)}" if start == 0 else "")
    if rows:
        sheets.append(panel.grid(rows, labels=labels, padding=8))
    return panel.grid([[sheet] for sheet in sheets], padding=0)


def _pairs_by_kind(survey: Survey) -> dict[str, list[tuple[int, ...]]]:
    near = sorted(survey.found.near, key=lambda pair: pair.difference)
    return {
        "equal": [tuple(group[:2]) for group in survey.found.exact],
        "alike": [(pair.first, pair.second) for pair in near],
        "A = B": [tuple(group[:2]) for group in survey.found.across_domains],
    }


def _side_by_side(survey: Survey, pair: tuple[int, ...], height: int) -> np.ndarray:
    thumbnails = [_thumbnail(survey.path(place), height) for place in pair]
    return np.concatenate(thumbnails, axis=1)


def _named_files(folder: Path) -> dict[str, Path]:
    return {
        path.relative_to(folder).as_posix(): path for path in files.list_images(folder)
    }


def _is_test(split: str) -> bool:
    return split.startswith("test")


def _to_drop(found, places, kinds: str) -> list[tuple[str, str]]:
    if kinds == "none":
        return []
    ranks = [not _is_test(split) for split, _ in places]
    pairs = duplicates.pairs_of(found, near=kinds == "near")
    return [places[place] for place in duplicates.surplus(pairs, ranks)]


def _stem(name: str) -> str:
    return str(Path(name).with_suffix(""))


def _stems(splits: Splits, split: str) -> list[str]:
    return [_stem(name) for name in splits.get(split, ())]


def _drop_unpartnered(kept: dict[str, dict[str, Path]]) -> list[str]:
    """Takes the test pictures without partner out of `kept`, and names them."""
    both = set(_stems(kept, "testA")) & set(_stems(kept, "testB"))
    gone = []
    for split in ("testA", "testB"):
        for name in [name for name in kept[split] if _stem(name) not in both]:
            del kept[split][name]
            gone.append(f"{split}/{name}")
    return gone


def _thumbnail(path: Path, height: int) -> np.ndarray:
    image = files.read(path)
    width = round(image.shape[1] * height / image.shape[0])
    return files.resize_bicubic(image, (height, min(2 * height, max(1, width))))
