"""Image files in, arrays out, and back: the only door to Pillow's readers and writers.

Whatever Pillow opens comes out as float32 RGB in [0, 1]: EXIF orientation applied,
transparency laid onto white, 16-bit greys kept at their precision, grey, CMYK and
palette pictures converted. What it cannot read ends in one clear line naming the file.
"""

import glob
import io
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image as PILImage

# What Pillow reads without outside programs; its stubs (.h5, .grib, .mpg …) are left out.
IMAGE_SUFFIXES = frozenset(
    ".apng .avif .avifs .blp .bmp .bw .cur .dcx .dds .dib .fit .fits .flc .fli .ftc .ftu"
    " .gbr .gif .icb .icns .ico .im .j2c .j2k .jfif .jp2 .jpc .jpe .jpeg .jpf .jpg .jpx"
    " .msp .pbm .pcd .pcx .pfm .pgm .png .pnm .ppm .psd .pxr .qoi .ras .rgb .rgba .sgi"
    " .tga .tif .tiff .vda .vst .webp .xbm .xpm".split()
)

MAX_PIXELS = 178_956_970  # Pillow's own limit against decompression bombs

_EXIF_ORIENTATION = 0x0112
_ORIENT = {
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
    8: lambda x: np.rot90(x, 1),
}


class ImageFileError(ValueError):
    """A file that is no readable image; the message is one line with a remedy."""


def read(path, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """The picture in a file as RGB.

    Transparent pixels are laid onto white, the EXIF orientation is applied, and of an
    animation the first frame is taken. Colour profiles are ignored. Grey pictures keep
    16 bits; Pillow itself opens 16-bit *colour* at 8 bits.

    Args:
      path: The file.
      max_pixels: More pixels than this are refused before anything is decoded. Pillow's
        own limit (`PIL.Image.MAX_IMAGE_PIXELS`, twice that value) holds as well.

    Returns:
      float32 `h w 3` in [0, 1], contiguous.

    Raises:
      FileNotFoundError: There is no such file.
      ImageFileError: Broken, truncated, too large, or not an image at all.
    """
    return as_float(read_compact(path, max_pixels=max_pixels))


def read_compact(path, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """The picture as `read` gives it, in the smallest type that loses nothing.

    Args:
      path: The file.
      max_pixels: See `read`.

    Returns:
      `h w 3`: uint8 in 0..255, or float32 in [0, 1] where 8 bits do not suffice
      (16-bit and float pictures, and those with transparency).

    Raises:
      FileNotFoundError: There is no such file.
      ImageFileError: Broken, truncated, too large, or not an image at all.
    """
    path = _existing_file(path)
    with path.open("rb") as stream:
        return _decode(stream, str(path), max_pixels)


def from_bytes(data: bytes, *, name: str = "bytes", max_pixels: int = MAX_PIXELS):
    """The picture encoded in `data`, as `read` gives it.

    Args:
      data: A whole image file.
      name: What errors call it.
      max_pixels: See `read`.

    Returns:
      float32 `h w 3` in [0, 1].

    Raises:
      ImageFileError: Broken, truncated, too large, or not an image at all.
    """
    return as_float(_decode(io.BytesIO(data), name, max_pixels))


def as_float(image: np.ndarray) -> np.ndarray:
    """The picture as float32 in [0, 1]: uint8 is divided by 255, floats pass.

    Args:
      image: uint8 or float array of any shape.

    Returns:
      float32, the same shape.
    """
    if image.dtype == np.uint8:
        return image.astype(np.float32) / np.float32(255)
    return np.asarray(image, np.float32)


def size(path, *, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """Height and width of the picture in a file, read from its header alone.

    Args:
      path: The file.
      max_pixels: See `read`.

    Returns:
      (height, width) as displayed, that is with the EXIF orientation applied.

    Raises:
      FileNotFoundError: There is no such file.
      ImageFileError: Not an image, or too large.
    """
    path = _existing_file(path)
    with path.open("rb") as stream, _open(stream, str(path), max_pixels) as image:
        width, height = image.size
        turned = _orientation(image) >= 5
    return (width, height) if turned else (height, width)


def write(path, image, *, quality: int = 95) -> Path:
    """The path of the 8-bit picture just written, in the format of its suffix.

    The file appears under its name only once it is complete; parent folders are made.

    Args:
      path: Where to; the suffix (.png, .jpg, .webp …) names the format.
      image: `h w 3` or `h w 1`, float in [0, 1] (clipped) or uint8.
      quality: Of lossy formats, 1 to 95.

    Returns:
      The path, as a `Path`.

    Raises:
      ValueError: The suffix is unknown or the array is no picture.
    """
    path = Path(path)
    picture = _to_pil(image)
    kind = PILImage.registered_extensions().get(path.suffix.lower())
    if kind not in PILImage.SAVE:
        raise ValueError(
            f"expected a file name ending in .png or .jpg, got {str(path)!r}; rename it"
        )
    options = {"quality": quality} if kind in ("JPEG", "WEBP") else {}
    if kind == "JPEG":
        options["subsampling"] = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as stream:
            picture.save(stream, kind, **options)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def to_png_bytes(image) -> bytes:
    """The picture as the bytes of an 8-bit PNG file.

    Args:
      image: `h w 3` or `h w 1`, float in [0, 1] (clipped) or uint8.

    Returns:
      The encoded bytes.

    Raises:
      ValueError: The array is no picture.
    """
    stream = io.BytesIO()
    _to_pil(image).save(stream, "PNG")
    return stream.getvalue()


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


def resize_bicubic(image, size_hw: tuple[int, int]) -> np.ndarray:
    """The picture at another size: antialiased bicubic, in float throughout.

    Args:
      image: float `h w c`, any range.
      size_hw: The new (height, width), in pixels.

    Returns:
      float32 `h' w' c`. Not clipped: bicubic overshoots at edges by a few percent.
    """
    image = np.asarray(image, np.float32)
    height, width = size_hw
    if image.shape[:2] == (height, width):
        return image
    resized = [
        PILImage.fromarray(np.ascontiguousarray(image[..., channel])).resize(
            (width, height), PILImage.Resampling.BICUBIC
        )
        for channel in range(image.shape[-1])
    ]
    return np.stack([np.asarray(channel, np.float32) for channel in resized], axis=-1)


def _existing_file(path) -> Path:
    path = Path(path).expanduser()
    if path.is_dir():
        raise ImageFileError(f"expected an image file, got the folder {str(path)!r}")
    if not path.exists():
        raise FileNotFoundError(f"no such image file: {str(path)!r}; check the path")
    return path


def _open(stream, name: str, max_pixels: int) -> PILImage.Image:
    """The picture with only its header read, refused where it is too large."""
    try:
        image = PILImage.open(stream)
    except (PILImage.DecompressionBombError, PILImage.DecompressionBombWarning):
        raise _too_large(name, f"more than {MAX_PIXELS}", max_pixels) from None
    except PILImage.UnidentifiedImageError:
        raise ImageFileError(
            f"not an image that Pillow knows: {name!r}; remove it or convert it to PNG"
        ) from None
    except Exception as error:
        raise _broken(name, error) from None
    if image.width * image.height > max_pixels:
        raise _too_large(name, f"{image.width} x {image.height}", max_pixels)
    return image


def _decode(stream, name: str, max_pixels: int) -> np.ndarray:
    with _open(stream, name, max_pixels) as image:
        try:
            image.load()
            pixels = _rgb(image)
            orientation = _orientation(image)
        except ImageFileError:
            raise
        except MemoryError:
            raise _too_large(
                name, f"{image.width} x {image.height}", "memory"
            ) from None
        except Exception as error:  # decoders raise anything on broken data
            raise _broken(name, error) from None
    problem = _range_problem(pixels)
    if problem:
        raise ImageFileError(f"{problem} in {name!r}; convert it to 8- or 16-bit PNG")
    return np.ascontiguousarray(_ORIENT.get(orientation, lambda x: x)(pixels))


def _rgb(image: PILImage.Image) -> np.ndarray:
    """uint8 or float32 `h w 3` from a decoded picture of any mode."""
    mode = image.mode
    if mode.startswith("I;16") or mode in ("I", "F"):
        grey = np.asarray(image).astype(np.float32)
        if mode != "F":
            grey = grey / np.float32(65535)
        return np.repeat(grey[..., None], 3, axis=-1)
    transparent = mode in ("LA", "La", "PA", "RGBA", "RGBa")
    if transparent or "transparency" in image.info:
        if mode not in ("RGBA", "RGBa"):
            image = image.convert("LA" if mode == "La" else mode).convert("RGBA")
        pixels = np.asarray(image.convert("RGBA"), np.float32) / np.float32(255)
        alpha = pixels[..., 3:]
        return pixels[..., :3] * alpha + (np.float32(1) - alpha)
    return np.asarray(image.convert("RGB"))


def _range_problem(pixels: np.ndarray) -> str | None:
    if pixels.dtype == np.uint8:
        return None
    if not np.isfinite(pixels).all():
        return "NaN or infinity"
    low, high = float(pixels.min()), float(pixels.max())
    if low < 0 or high > 1:
        return "float values outside [0, 1] or integers beyond 16 bits"
    return None


def _orientation(image: PILImage.Image) -> int:
    try:
        return int(image.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # an unreadable tag must not cost the picture
        return 1


def _to_pil(image) -> PILImage.Image:
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[-1] not in (1, 3):
        raise ValueError(
            f"expected one picture of shape (h, w, 3) or (h, w, 1), got {image.shape};"
            " pass one image of a batch at a time"
        )
    if image.dtype != np.uint8:
        if not np.isfinite(image).all():
            raise ValueError("expected finite values in [0, 1], got NaN or infinity")
        image = np.rint(np.clip(image.astype(np.float32), 0, 1) * 255).astype(np.uint8)
    return PILImage.fromarray(image[..., 0] if image.shape[-1] == 1 else image)


def _broken(name: str, error: Exception) -> ImageFileError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return ImageFileError(
        f"broken or truncated image: {name!r} ({reason[:120]}); replace or remove it"
    )


def _too_large(name: str, pixels: str, limit) -> ImageFileError:
    return ImageFileError(
        f"image too large: {name!r} has {pixels} pixels, the limit is {limit};"
        " scale it down or remove it"
    )


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
