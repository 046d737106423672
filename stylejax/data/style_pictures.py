"""Data sets for stylising networks: contents are domain A, styles are domain B.

    load(StylePictures("photos", "paintings", textures=600, held_out="tests.txt"))

Pictures named in `held_out` are kept from training and are the tests.
"""

import bisect
import dataclasses
import itertools
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stylejax.data.bad_images import Subset
from stylejax.data.sources import (
    ArraySource,
    FolderSource,
    Pictures,
    TwoDomainDataset,
)
from stylejax.data.textures import TextureSource


class JoinedSource:
    """Several sources, one after the other."""

    def __init__(self, sources: Sequence[Pictures]):
        self._sources = list(sources)
        self._ends = list(itertools.accumulate(len(s) for s in self._sources))
        self.names = [n for s in self._sources for n in getattr(s, "names", ())]

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: int) -> np.ndarray:
        """The picture: float32 `h w 3` in [0, 1]."""
        if not 0 <= index < len(self):
            raise IndexError(f"expected an index below {len(self)}, got {index}")
        which = bisect.bisect_right(self._ends, index)
        return self._sources[which][index - (self._ends[which - 1] if which else 0)]


def read_list(path: str | os.PathLike) -> list[str]:
    """The file names in a list, one a line; empty lines and # comments do not count.

    Args:
      path: text file.

    Returns:
      Names.

    Raises:
      FileNotFoundError: there is no such file.
    """
    lines = Path(path).expanduser().read_text(encoding="utf-8").splitlines()
    return [text for line in lines if (text := line.partition("#")[0].strip())]


def read_names(path: str | os.PathLike) -> dict[str, str]:
    """The styles in a list: `name: file.jpg` a line.

    Args:
      path: text file, as `read_list` reads it.

    Returns:
      File by name, in the order of the list.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: a line without a name or file, or a name that is there twice.
    """
    found: dict[str, str] = {}
    for line in read_list(path):
        name, _, file = (part.strip() for part in line.partition(":"))
        if not name or not file or name in found:
            raise ValueError(
                f"{os.fspath(path)}: expected `name: file`, each name once, got"
                f" {line!r}"
            )
        found[name] = file
    return found


@dataclasses.dataclass(frozen=True)
class StylePictures:
    """Where contents and styles come from.

    Attributes:
      content: folder of content pictures.
      style: folder of style pictures.
      textures: drawn textures beside them, see `stylejax.data.textures`.
      style_repeats: how often a style picture counts for each texture.
      test_content: folder of the contents of tests; empty takes `content`.
      held_out: text file with the names of the tests, one a line; they are not
        trained on. Empty for none.
      named: text file with the style pictures that are trained on and what to call
        them, `name: file.jpg` a line, in this order, held out or not. Empty takes all
        of the folder that are not held out.
    """

    content: str = ""
    style: str = ""
    textures: int = 0
    style_repeats: int = 1
    test_content: str = ""
    held_out: str = ""
    named: str = ""


def load(pictures: StylePictures) -> TwoDomainDataset:
    """Contents and styles for training, and those that are kept from it.

    Args:
      pictures: where they come from.

    Returns:
      A `TwoDomainDataset`; tests are unpaired, and empty where none are held out.

    Raises:
      FileNotFoundError: a folder or list that is missing, or has no pictures.
      ValueError: no folder, or a name that is held out and in neither folder.
    """
    for name in ("content", "style"):
        if not getattr(pictures, name):
            raise ValueError(f"{name}: expected a folder of pictures; set --{name}")
    contents, styles = FolderSource(pictures.content), FolderSource(pictures.style)
    test_content = pictures.test_content
    tests = FolderSource(test_content) if test_content else contents
    held_out = read_list(pictures.held_out) if pictures.held_out else []
    known = {Path(n).name for s in (contents, styles, tests) for n in s.names}
    missing = [name for name in held_out if name not in known]
    if missing:
        raise ValueError(f"held_out: no picture is called {missing[0]!r}")
    painted = Subset(styles, _kept(styles, held_out) * pictures.style_repeats)
    if pictures.named:
        painted = _named(styles, read_names(pictures.named))
    folders = ",".join(Path(x).name for x in (pictures.content, pictures.style))
    return TwoDomainDataset(
        name=f"styles:{folders},textures={pictures.textures}",
        train_a=Subset(contents, _kept(contents, held_out)),
        train_b=JoinedSource([painted, TextureSource(pictures.textures)]),
        test_a=_tests(tests, held_out),
        test_b=_tests(styles, held_out),
    )


def stems(source: Pictures) -> tuple[str, ...]:
    """The names of pictures without folder and suffix.

    Args:
      source: has `names`, where they are known.

    Returns:
      One name a picture; () where they are not known.
    """
    return tuple(Path(name).stem for name in getattr(source, "names", ()))


def _named(source: FolderSource, files: dict[str, str]) -> Subset:
    """The styles of a list, under their names."""
    known = {Path(name).name: i for i, name in enumerate(source.names)}
    for file in files.values():
        if file not in known:
            raise ValueError(f"named: no style picture is called {file!r}")
    found = Subset(source, [known[file] for file in files.values()])
    found.names = list(files)
    return found


def _kept(source: FolderSource, held_out: Sequence[str]) -> list[int]:
    return [i for i in range(len(source)) if not _is(source, i, held_out)]


def _tests(source: FolderSource, held_out: Sequence[str]) -> Pictures:
    chosen = [i for i in range(len(source)) if _is(source, i, held_out)]
    return Subset(source, chosen) if chosen else ArraySource([])


def _is(source: FolderSource, index: int, names: Sequence[str]) -> bool:
    return Path(source.names[index]).name in names
