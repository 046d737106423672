"""Image files in, arrays out, and back: the only door to Pillow's readers and writers.

Whatever Pillow opens comes out as float32 RGB in [0, 1]: EXIF orientation applied,
transparency laid onto white, 16-bit greys kept at their precision, grey, CMYK and
palette pictures converted. What it cannot read ends in one clear line naming the file.
"""

import contextlib
import io
import os
from pathlib import Path

import numpy as np
from PIL import Image as PILImage

from stylejax.image.decoding import as_float as as_float
from stylejax.image.decoding import range_problem, to_rgb
from stylejax.image.listing import IMAGE_SUFFIXES as IMAGE_SUFFIXES
from stylejax.image.listing import list_images as list_images

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


def read(
    path,
    *,
    max_pixels: int = MAX_PIXELS,
    compact: bool = False,
    background: float = 1.0,
) -> np.ndarray:
    """The picture in a file as RGB.

    Transparent pixels are laid onto a background, the EXIF orientation is applied, and
    of an animation the first frame is taken. Colour profiles are ignored. Grey pictures
    keep 16 bits; Pillow itself opens 16-bit *colour* at 8 bits.

    Args:
      path: The file.
      max_pixels: More pixels than this are refused before anything is decoded. Pillow
        has the same limit by itself and warns from half of it.
      compact: Give uint8 in 0..255 where that loses nothing (`as_float` turns it into
        what would have been returned).
      background: Grey behind transparent pixels: 1 is white, 0 black.

    Returns:
      float32 `h w 3` in [0, 1], contiguous; with `compact` perhaps uint8.

    Raises:
      FileNotFoundError: There is no such file.
      ImageFileError: Broken, truncated, too large, or not an image at all.
    """
    with _opened(path) as stream:
        pixels = _decode(stream, str(path), max_pixels, background)
    return pixels if compact else as_float(pixels)


def from_bytes(
    data: bytes,
    *,
    name: str = "bytes",
    max_pixels: int = MAX_PIXELS,
    compact: bool = False,
) -> np.ndarray:
    """The picture encoded in `data`, as `read` gives it.

    Args:
      data: A whole image file.
      name: What errors call it.
      max_pixels: See `read`.
      compact: See `read`.

    Returns:
      float32 `h w 3` in [0, 1]; with `compact` perhaps uint8.

    Raises:
      ImageFileError: Broken, truncated, too large, or not an image at all.
    """
    pixels = _decode(io.BytesIO(data), name, max_pixels, 1.0)
    return pixels if compact else as_float(pixels)


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
    with _opened(path) as stream, _header(stream, str(path), max_pixels) as image:
        width, height = image.size
        # Pillow has already turned the size of a TIFF, but of nothing else.
        turned = _orientation(image) >= 5 and image.format != "TIFF"
    return (width, height) if turned else (height, width)


def icc_profile(source) -> bytes | None:
    """The colour profile of the RGB picture in a file.

    Args:
      source: The file's path, or its bytes.

    Returns:
      The profile, to be written with pixels that `read` gave; None where there is none
      or it is of another colour space (grey, CMYK) that `read` has left.

    Raises:
      FileNotFoundError: There is no such file.
      ImageFileError: Not an image, or too large.
    """
    is_path = not isinstance(source, bytes)
    opened = _opened(source) if is_path else contextlib.nullcontext(io.BytesIO(source))
    name = str(source) if is_path else "bytes"
    with opened as stream, _header(stream, name, MAX_PIXELS) as image:
        profile = image.info.get("icc_profile")
    if not profile or profile[16:20] != b"RGB ":
        return None
    return profile


def write(path, image, *, quality: int = 95, icc_profile: bytes | None = None) -> Path:
    """The path of the 8-bit picture just written, in the format of its suffix.

    The file appears under its name only once it is complete; parent folders are made.

    Args:
      path: Where to; the suffix (.png, .jpg, .webp …) names the format.
      image: `h w 3` or `h w 1`, float in [0, 1] (clipped) or uint8.
      quality: Of lossy formats, 1 to 95.
      icc_profile: The colour profile to put into the file.

    Returns:
      The path, as a `Path`.

    Raises:
      ValueError: The suffix is unknown or the array is no picture.
    """
    path = Path(path)
    data = to_bytes(image, suffix=path.suffix, quality=quality, icc_profile=icc_profile)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(data)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def to_png_bytes(image) -> bytes:
    """The picture as the bytes of an 8-bit PNG file.

    Args:
      image: See `to_bytes`.

    Returns:
      The encoded bytes.

    Raises:
      ValueError: The array is no picture.
    """
    return to_bytes(image, suffix=".png")


def to_bytes(
    image,
    *,
    suffix: str,
    quality: int = 95,
    lossless: bool = False,
    icc_profile: bytes | None = None,
) -> bytes:
    """The picture as the bytes of an 8-bit image file.

    Args:
      image: `h w 3` or `h w 1`, float in [0, 1] (clipped) or uint8.
      suffix: Names the format: ".png", ".jpg", ".webp" …
      quality: Of lossy formats, 1 to 95.
      lossless: Keep every pixel in WebP too (there `quality` is then effort).
      icc_profile: The colour profile to put into the file, where its format has a
        place for one.

    Returns:
      The encoded bytes.

    Raises:
      ValueError: The suffix is unknown or the array is no picture.
    """
    picture = _to_pil(image)
    kind = PILImage.registered_extensions().get(suffix.lower())
    if kind not in PILImage.SAVE:
        raise ValueError(
            f"expected a picture's suffix such as .png or .jpg, got {suffix!r}; rename"
            " the file"
        )
    options: dict[str, dict] = {
        "JPEG": {"subsampling": 0},
        "WEBP": {"lossless": lossless},
    }
    stream = io.BytesIO()
    if icc_profile is not None:
        options.setdefault(kind, {})["icc_profile"] = icc_profile
    picture.save(stream, kind, quality=quality, **options.get(kind, {}))
    return stream.getvalue()


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


@contextlib.contextmanager
def _opened(path):
    """The file as a stream; what hinders that as one line."""
    path = Path(path).expanduser()
    if path.is_dir():
        raise ImageFileError(
            f"expected an image file, got the folder {str(path)!r}; name a file in it"
        )
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        raise FileNotFoundError(
            f"no such image file: {str(path)!r}; check the path"
        ) from None
    except OSError as error:
        raise ImageFileError(
            f"cannot open {str(path)!r} ({error.strerror}); check its permissions"
        ) from None
    with stream:
        yield stream


def _header(stream, name: str, max_pixels: int) -> PILImage.Image:
    """The picture with only its header read, refused where it is too large."""
    try:
        image = PILImage.open(stream)
    except (PILImage.DecompressionBombError, PILImage.DecompressionBombWarning):
        raise _too_large(name, "more pixels than Pillow's limit") from None
    except PILImage.UnidentifiedImageError:
        raise ImageFileError(
            f"not an image that Pillow knows: {name!r}; remove it or convert it to PNG"
        ) from None
    except Exception as error:
        raise _broken(name, error) from None
    if image.width * image.height > max_pixels:
        pixels = f"{image.width} x {image.height} pixels, more than the limit"
        raise _too_large(name, f"{pixels} of {max_pixels}")
    return image


def _decode(stream, name: str, max_pixels: int, background: float) -> np.ndarray:
    with _header(stream, name, max_pixels) as image:
        try:
            image.load()
            pixels = to_rgb(image, background=background)
            orientation = _orientation(image)
        except ImageFileError:
            raise
        except MemoryError:
            found = f"{image.width} x {image.height} pixels, more than memory holds"
            raise _too_large(name, found) from None
        except Exception as error:  # decoders raise anything on broken data
            raise _broken(name, error) from None
    problem = range_problem(pixels)
    if problem:
        raise ImageFileError(f"{problem} in {name!r}; convert it to 8- or 16-bit PNG")
    return np.ascontiguousarray(_ORIENT.get(orientation, lambda x: x)(pixels))


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


def _too_large(name: str, pixels: str) -> ImageFileError:
    return ImageFileError(
        f"image too large: {name!r} has {pixels}; scale it down or remove it"
    )
