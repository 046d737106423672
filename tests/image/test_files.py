"""Every kind of picture comes in right, and every bad file ends in one clear line."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from stylejax.image import files

H, W = 6, 5


@pytest.fixture
def rgb(generator):
    return generator.integers(0, 256, (H, W, 3), dtype=np.uint8)


@pytest.fixture
def grey(generator):
    return generator.integers(0, 256, (H, W), dtype=np.uint8)


def saved(path, image, **options):
    image.save(path, **options)
    return path


def scaled(pixels):
    return np.asarray(pixels, np.float32) / np.float32(255)


def png(width, height, *, data=b"", kind=2, depth=8):
    """A PNG with any header and any body."""

    def chunk(name, body):
        checksum = struct.pack(">I", zlib.crc32(name + body))
        return struct.pack(">I", len(body)) + name + body + checksum

    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def one_line(error, *parts):
    message = str(error.value)
    assert "\n" not in message
    for part in parts:
        assert part in message, message


# --- kinds of pictures


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".ppm", ".webp", ".tga"])
def test_rgb_comes_back_exactly(tmp_path, rgb, suffix):
    options = {"lossless": True} if suffix == ".webp" else {}
    path = saved(tmp_path / f"x{suffix}", Image.fromarray(rgb), **options)
    image = files.read(path)
    assert image.dtype == np.float32 and image.flags.c_contiguous
    np.testing.assert_array_equal(image, scaled(rgb))


def test_eight_bit_grey_fills_three_channels(tmp_path, grey):
    image = files.read(saved(tmp_path / "x.png", Image.fromarray(grey)))
    np.testing.assert_array_equal(image, scaled(np.stack([grey] * 3, -1)))


def test_one_bit_is_black_and_white(tmp_path, grey):
    bits = grey > 127
    image = files.read(saved(tmp_path / "x.png", Image.fromarray(bits)))
    np.testing.assert_array_equal(image[..., 1], bits.astype(np.float32))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bit_grey_keeps_its_precision(tmp_path, generator, suffix):
    deep = generator.integers(0, 65536, (H, W), dtype=np.uint16)
    deep[0, :2] = 1000, 1001  # one level at 8 bits
    image = files.read(saved(tmp_path / f"x{suffix}", Image.fromarray(deep)))
    np.testing.assert_allclose(image[..., 0], deep / 65535, rtol=1e-6)
    assert image[0, 0, 0] != image[0, 1, 0]


def test_sixteen_bit_pgm_has_the_same_scale(tmp_path):
    (tmp_path / "x.pgm").write_bytes(b"P5 2 1 65535\n" + struct.pack(">HH", 1, 65535))
    image = files.read(tmp_path / "x.pgm")
    np.testing.assert_allclose(image[0, :, 0], [1 / 65535, 1.0], rtol=1e-6)


def test_sixteen_bit_colour_is_read(tmp_path):
    body = b"\x00" + struct.pack(">6H", 0, 32768, 65535, 65535, 0, 32768)
    (tmp_path / "x.png").write_bytes(png(2, 1, data=body, depth=16))
    image = files.read(tmp_path / "x.png")
    expected = [[0, 0.5, 1], [1, 0, 0.5]]
    np.testing.assert_allclose(image[0], expected, atol=1 / 255)


def test_sixteen_bit_transparent_grey_becomes_white(tmp_path):
    deep = np.array([[500, 60000, 1000]], np.uint16)
    path = saved(tmp_path / "x.png", Image.fromarray(deep), transparency=1000)
    image = files.read(path)
    np.testing.assert_allclose(image[0, :, 0], [500 / 65535, 60000 / 65535, 1.0])


def test_float_picture_in_range_passes(tmp_path, generator):
    values = generator.random((H, W), np.float32)
    image = files.read(saved(tmp_path / "x.tif", Image.fromarray(values)))
    np.testing.assert_array_equal(image[..., 2], values)


def test_alpha_is_laid_onto_white(tmp_path, generator):
    rgba = generator.integers(0, 256, (H, W, 4), dtype=np.uint8)
    image = files.read(saved(tmp_path / "x.png", Image.fromarray(rgba)))
    alpha = rgba[..., 3:] / 255
    expected = rgba[..., :3] / 255 * alpha + 1 - alpha
    np.testing.assert_allclose(image, expected, atol=1e-6)


def test_masks_are_laid_onto_black(tmp_path):
    """A white shape on nothing is a mask of the shape."""
    rgba = np.full((4, 6, 4), 255, np.uint8)
    rgba[:, 3:, 3] = 0
    path = saved(tmp_path / "x.png", Image.fromarray(rgba))
    found = files.read(path, background=0.0)
    np.testing.assert_array_equal(found[..., 0], [[1, 1, 1, 0, 0, 0]] * 4)
    assert files.read(path).min() == 1


def test_grey_with_alpha_is_laid_onto_white(tmp_path, generator):
    pair = generator.integers(0, 256, (H, W, 2), dtype=np.uint8)
    image = files.read(saved(tmp_path / "x.png", Image.fromarray(pair)))
    alpha = pair[..., 1] / 255
    expected = pair[..., 0] / 255 * alpha + 1 - alpha
    np.testing.assert_allclose(image[..., 0], expected, atol=1e-6)


def test_opaque_alpha_costs_nothing(tmp_path, rgb):
    opaque = np.concatenate([rgb, np.full((H, W, 1), 255, np.uint8)], -1)
    path = saved(tmp_path / "x.png", Image.fromarray(opaque))
    compact = files.read(path, compact=True)
    assert compact.dtype == np.uint8
    np.testing.assert_array_equal(compact, rgb)


def test_transparent_colour_key_becomes_white(tmp_path, rgb):
    rgb[0, 0] = 1, 2, 3
    path = saved(tmp_path / "x.png", Image.fromarray(rgb), transparency=(1, 2, 3))
    image = files.read(path)
    np.testing.assert_array_equal(image[0, 0], [1, 1, 1])
    np.testing.assert_allclose(image[1:], scaled(rgb[1:]), atol=1e-6)


def palette_picture():
    image = Image.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.putdata([0, 1, 2])
    return image


@pytest.mark.parametrize("suffix", [".png", ".gif", ".bmp"])
def test_palette(tmp_path, suffix):
    image = files.read(saved(tmp_path / f"x{suffix}", palette_picture()))
    np.testing.assert_array_equal(image[0], np.eye(3, dtype=np.float32))


@pytest.mark.parametrize(
    ("suffix", "transparency"), [(".png", 1), (".gif", 1), (".png", b"\xff\x00\xff")]
)
def test_palette_with_transparency_becomes_white(tmp_path, suffix, transparency):
    path = tmp_path / f"x{suffix}"
    saved(path, palette_picture(), transparency=transparency)
    expected = [[1, 0, 0], [1, 1, 1], [0, 0, 1]]
    np.testing.assert_array_equal(files.read(path)[0], expected)


def test_palette_with_half_transparency_is_blended(tmp_path):
    path = tmp_path / "x.png"
    saved(path, palette_picture(), transparency=b"\xff\x80\xff")
    expected = [1 - 128 / 255, 1, 1 - 128 / 255]
    np.testing.assert_allclose(files.read(path)[0, 1], expected, atol=1e-6)


def test_animation_gives_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (W, H), colour) for colour in ("red", "blue")]
    path = tmp_path / "x.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(files.read(path)[0, 0], [1, 0, 0])


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_cmyk(tmp_path, suffix):
    inks = np.zeros((16, 16, 4), np.uint8)
    inks[:, :8, 0] = 255  # cyan takes the red away
    path = saved(tmp_path / f"x{suffix}", Image.fromarray(inks, mode="CMYK"))
    image = files.read(path)
    np.testing.assert_allclose(image[8, 2], [0, 1, 1], atol=0.05)
    np.testing.assert_allclose(image[8, 13], [1, 1, 1], atol=0.05)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
def test_exif_orientation_is_applied(tmp_path, rgb, orientation, suffix):
    image = Image.fromarray(rgb)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if suffix == ".webp" else {}
    path = saved(tmp_path / f"x{suffix}", image, exif=exif, **options)
    image.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(files.read(path), scaled(expected))
    assert files.size(path) == expected.shape[:2]


def test_exif_orientation_of_a_photo(tmp_path):
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[:, :16] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise: the left side comes to the top
    path = saved(tmp_path / "x.jpg", Image.fromarray(pixels), exif=exif)
    image = files.read(path)
    assert image.shape == (32, 16, 3) == (*files.size(path), 3)
    assert image[:12].min() > 0.9 and image[20:].max() < 0.1


def test_unreadable_exif_costs_nothing(tmp_path, rgb):
    path = saved(tmp_path / "x.png", Image.fromarray(rgb), exif=b"Exif\0\0broken")
    np.testing.assert_array_equal(files.read(path), scaled(rgb))


def test_bytes_and_path_agree(tmp_path, rgb):
    path = saved(tmp_path / "x.png", Image.fromarray(rgb))
    image = files.from_bytes(path.read_bytes())
    np.testing.assert_array_equal(image, files.read(str(path)))


# --- bad files


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        files.read(tmp_path / "gone.png")
    one_line(error, "gone.png", "check the path")


def test_folder_instead_of_file(tmp_path):
    with pytest.raises(files.ImageFileError) as error:
        files.read(tmp_path)
    one_line(error, str(tmp_path), "name a file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open every file")
def test_forbidden_file(tmp_path, rgb):
    path = saved(tmp_path / "x.png", Image.fromarray(rgb))
    path.chmod(0)
    with pytest.raises(files.ImageFileError) as error:
        files.read(path)
    one_line(error, "x.png", "permissions")


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"\x89PNG\r\n"])
def test_not_an_image(tmp_path, content):
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(files.ImageFileError) as error:
        files.read(tmp_path / "x.png")
    one_line(error, "x.png", "remove it")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".gif", ".bmp"])
@pytest.mark.parametrize("part", [0.3, 0.7])
def test_truncated_image(tmp_path, generator, suffix, part):
    noise = generator.integers(0, 256, (40, 40, 3), dtype=np.uint8)
    path = saved(tmp_path / f"x{suffix}", Image.fromarray(noise))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(files.ImageFileError) as error:
        files.read(path)
    one_line(error, f"x{suffix}", "remove it")


def test_broken_data(tmp_path, generator):
    noise = generator.integers(0, 256, (40, 40, 3), dtype=np.uint8)
    path = saved(tmp_path / "x.png", Image.fromarray(noise))
    content = bytearray(path.read_bytes())
    content[100:400] = bytes(300)
    path.write_bytes(content)
    with pytest.raises(files.ImageFileError) as error:
        files.read(path)
    one_line(error, "broken", "x.png", "replace or remove")


def test_decompression_bomb_is_refused_by_its_header(tmp_path):
    (tmp_path / "bomb.png").write_bytes(png(100_000, 100_000))
    for reader in (files.read, files.size):
        with pytest.raises(files.ImageFileError) as error:
            reader(tmp_path / "bomb.png")
        one_line(error, "too large", "bomb.png", "scale it down")


def test_pixel_limit_is_ours_to_set(tmp_path, rgb):
    path = saved(tmp_path / "x.png", Image.fromarray(rgb))
    files.read(path, max_pixels=H * W)
    with pytest.raises(files.ImageFileError) as error:
        files.read(path, max_pixels=H * W - 1)
    one_line(error, "x.png", f"{W} x {H}", f"limit of {H * W - 1}")


@pytest.mark.parametrize("value", [-0.5, 2.0, np.nan, np.inf])
def test_float_values_out_of_range(tmp_path, value):
    values = np.full((H, W), value, np.float32)
    path = saved(tmp_path / "x.tif", Image.fromarray(values))
    with pytest.raises(files.ImageFileError) as error:
        files.read(path)
    one_line(error, "x.tif", "convert it")


def test_errors_name_bytes():
    with pytest.raises(files.ImageFileError, match="'upload 3'"):
        files.from_bytes(b"no image", name="upload 3")


# --- writing and resizing


@pytest.mark.parametrize("channels", [1, 3])
def test_write_and_read_back(tmp_path, generator, channels):
    pixels = generator.integers(0, 256, (H, W, channels), dtype=np.uint8)
    path = files.write(tmp_path / "new" / "x.png", scaled(pixels))
    np.testing.assert_array_equal(
        files.read(path), scaled(np.broadcast_to(pixels, (H, W, 3)))
    )
    assert [p.name for p in path.parent.iterdir()] == ["x.png"]


def test_write_clips_and_rounds(tmp_path):
    image = np.array([[[-1.0, 0.5, 2.0]]])
    path = files.write(tmp_path / "x.png", image)
    np.testing.assert_array_equal(np.asarray(Image.open(path))[0, 0], [0, 128, 255])


def test_write_jpeg_quality(tmp_path, rgb):
    image = np.kron(scaled(rgb), np.ones((8, 8, 1), np.float32))
    sizes = {
        quality: files.write(tmp_path / "x.jpg", image, quality=quality).stat().st_size
        for quality in (30, 95)
    }
    assert sizes[30] < sizes[95]
    np.testing.assert_allclose(files.read(tmp_path / "x.jpg"), image, atol=0.1)


def test_failed_write_leaves_the_old_file(tmp_path, rgb, monkeypatch):
    path = files.write(tmp_path / "x.png", rgb)
    before = path.read_bytes()

    def full(self, data):
        with self.open("wb") as stream:
            stream.write(data[:9])
        raise OSError("disk full")

    monkeypatch.setattr(files.Path, "write_bytes", full)
    with pytest.raises(OSError, match="disk full"):
        files.write(path, 255 - rgb)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["x.png"]


@pytest.mark.parametrize(
    ("name", "image", "part"),
    [
        ("x.doc", np.zeros((2, 2, 3)), "'.doc'"),
        ("x", np.zeros((2, 2, 3)), ".png or .jpg"),
        ("x.png", np.zeros((1, 2, 2, 3)), "one image of a batch"),
        ("x.png", np.zeros((2, 2)), "(2, 2)"),
        ("x.png", np.full((2, 2, 3), np.nan), "finite"),
    ],
)
def test_write_refuses(tmp_path, name, image, part):
    with pytest.raises(ValueError) as error:
        files.write(tmp_path / name, image)
    one_line(error, part)


def test_png_bytes_round_trip(rgb):
    data = files.to_png_bytes(rgb)
    assert Image.open(io.BytesIO(data)).format == "PNG"
    np.testing.assert_array_equal(files.from_bytes(data), scaled(rgb))


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".BMP"])
def test_bytes_of_lossless_formats(generator, suffix):
    noise = generator.integers(0, 256, (30, 20, 3), dtype=np.uint8)
    data = files.to_bytes(noise, suffix=suffix, lossless=True)
    np.testing.assert_array_equal(files.from_bytes(data, compact=True), noise)


def test_resize_keeps_constants_and_ramps(generator):
    flat = np.full((7, 9, 3), 0.3, np.float32)
    np.testing.assert_allclose(files.resize_bicubic(flat, (5, 4)), 0.3, atol=1e-6)
    ramp = np.broadcast_to(np.arange(64, dtype=np.float32)[None, :, None], (8, 64, 3))
    half = files.resize_bicubic(ramp, (8, 32))
    inner = slice(4, -4)
    expected = np.arange(32) * 2 + 0.5
    np.testing.assert_allclose(half[4, inner, 0], expected[inner], atol=1e-3)
    assert half.dtype == np.float32


def test_resize_averages_what_it_shrinks():
    stripes = np.zeros((32, 32, 3), np.float32)
    stripes[:, ::2] = 1.0
    small = files.resize_bicubic(stripes, (8, 8))
    np.testing.assert_allclose(small[2:-2, 2:-2], 0.5, atol=0.02)


def test_resize_treats_channels_alike_and_apart(generator):
    image = generator.random((9, 7, 3), np.float32)
    resized = files.resize_bicubic(image, (5, 11))
    assert resized.shape == (5, 11, 3)
    turned = files.resize_bicubic(image[..., ::-1], (5, 11))
    np.testing.assert_array_equal(turned, resized[..., ::-1])


def test_resize_to_the_same_size_changes_nothing(generator):
    image = generator.random((4, 6, 3), np.float32)
    np.testing.assert_array_equal(files.resize_bicubic(image, (4, 6)), image)
