"""Which files are pictures: folders searched in depth, globs, names given outright."""

import glob
import os
from collections.abc import Iterable
from pathlib import Path

# What Pillow reads without outside programs; its stubs (.h5, .grib, .mpg) are not here.
IMAGE_SUFFIXES = frozenset(
    ".apng .avif .avifs .blp .bmp .bw .cur .dcx .dds .dib .fit .fits .flc .fli .ftc"
    " .ftu .gbr .gif .icb .icns .ico .im .j2c .j2k .jfif .jp2 .jpc .jpe .jpeg .jpf .jpg"
    " .jpx .msp .pbm .pcd .pcx .pfm .pgm .png .pnm .ppm .psd .pxr .qoi .ras .rgb .rgba"
    " .sgi .tga .tif .tiff .vda .vst .webp .xbm .xpm".split()
)


def list_images(paths) -> list[Path]:
    """Every image file named by files, folders (searched in depth) and globs, sorted.

    Hidden files and folders are passed over; a file named outright is taken whatever
    its suffix.

    Args:
      paths: One path, folder or glob, or several of them in a sequence.

    Returns:
      Paths without repetition, sorted within each entry of `paths`.

    Raises:
      FileNotFoundError: An entry does not exist or holds no image.
    """
    entries = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    found: dict[Path, None] = {}
    for entry in entries:
        path = Path(entry).expanduser()
        if path.is_dir():
            matches = sorted(_walk(path))
        elif path.exists():
            matches = [path]
        else:
            matches = sorted(_glob(str(path)))
        if not matches:
            problem = (
                "no image in folder" if path.is_dir() else "no such file or folder:"
            )
            raise FileNotFoundError(
                f"{problem} {str(entry)!r}; name a picture, a folder with pictures"
                " or a glob"
            )
        found.update(dict.fromkeys(matches))
    return list(found)


def _walk(folder: Path) -> Iterable[Path]:
    """Images below a folder; linked folders are followed once, hidden ones are not."""
    seen = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            if _is_image_name(name):
                yield Path(root, name)


def _glob(pattern: str) -> Iterable[Path]:
    for match in map(Path, glob.glob(pattern, recursive=True)):
        if match.is_dir():
            yield from _walk(match)
        elif _is_image_name(match.name):
            yield match


def _is_image_name(name: str) -> bool:
    return (
        not name.startswith(".") and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES
    )
