"""Labels against pixels: every factor is measured from the picture alone."""

import math

import numpy as np
import pytest
from scipy import ndimage

from stylejax.data.shape_drawing import (
    COUNTS,
    SHAPES,
    TEXTURES,
    Content,
    Style,
    object_mask,
    pure_colour,
    render,
    stroke_ink,
)

WARM = Style(hue=0.08, frequency=6.0, orientation=0.6, texture="stripes")
COOL = Style(hue=0.6, frequency=9.5, orientation=2.1, texture="dashes")
# Area of one object of scale 1, worked out by hand.
AREA = {
    "disc": math.pi,
    "ring": math.pi * (1 - 0.25),
    "square": 2.0,
    "triangle": 3 * math.sqrt(3) / 4,
    "star": 5 * 0.5 * math.sin(math.pi / 5),
    "cross": 2 * (1.88 * 0.66) - 0.66**2,
}


def measured_hues(image):
    """Hue of every pixel by the usual hexagon formula, independent of the renderer."""
    red, green, blue = np.moveaxis(image.astype(np.float64), -1, 0)
    high, low = image.max(-1), image.min(-1)
    chroma = high.astype(np.float64) - low
    sector = np.select(
        [red == high, green == high],
        [(green - blue) / chroma, 2 + (blue - red) / chroma],
        4 + (red - green) / chroma,
    )
    return np.mod(sector / 6, 1)


def measured_objects(image):
    """Object pixels by their lack of white: the smallest channel of every pixel."""
    return image.min(-1) < 0.4


def measured_strokes(image):
    """(frequency, orientation) of the strongest background wave, by a windowed FFT."""
    size, padded = image.shape[0], 8 * image.shape[0]
    grey = image.mean(-1, dtype=np.float64)
    background = ~ndimage.binary_dilation(measured_objects(image), iterations=2)
    wave = np.where(background, grey - grey[background].mean(), 0)
    window = np.hanning(size)[:, None] * np.hanning(size)[None, :]
    power = np.abs(np.fft.rfft2(wave * window, (padded, padded)))
    fy = np.fft.fftfreq(padded, 1 / size)[:, None]
    fx = np.fft.rfftfreq(padded, 1 / size)[None, :]
    row, column = np.unravel_index(power.argmax(), power.shape)
    fy, fx = fy[row, 0], fx[0, column]
    # The wave vector (fx, fy) points across the strokes and y points down.
    return math.hypot(fx, fy), math.atan2(fx, fy) % math.pi


@pytest.mark.parametrize("hue", [0.0, 0.08, 0.25, 0.5, 0.68, 0.9])
def test_every_pixel_has_the_hue_of_the_style(hue):
    content = Content("star", x=0.4, y=0.6, scale=0.14, count=3)
    image = render(content, Style(hue, 7.0, 1.0, "waves"), size=48)
    error = np.abs(measured_hues(image) - hue)
    assert np.minimum(error, 1 - error).max() < 1e-5


@pytest.mark.parametrize("texture", TEXTURES)
@pytest.mark.parametrize(
    ("frequency", "degrees"), [(4, 15), (6, 60), (8, 105), (11, 150)]
)
def test_strokes_have_frequency_and_orientation_of_the_style(
    texture, frequency, degrees
):
    style = Style(0.55, frequency, math.radians(degrees), texture)
    content = Content("square", x=0.55, y=0.45, scale=0.14, count=3)
    measured, orientation = measured_strokes(render(content, style, size=64))
    assert measured == pytest.approx(frequency, abs=0.2)
    assert math.degrees(orientation) == pytest.approx(degrees, abs=3)


def test_textures_differ():
    inks = [stroke_ink(Style(0, 6.0, 0.7, texture), size=32) for texture in TEXTURES]
    gaps = [np.abs(a - b).mean() for i, a in enumerate(inks) for b in inks[:i]]
    assert min(gaps) > 0.08


def test_horizontal_strokes_run_horizontally():
    ink = stroke_ink(Style(0, 4.0, 0.0, "stripes"), size=32)
    assert np.abs(np.diff(ink, axis=1)).max() < 1e-5
    assert ink[:, 0].std() > 0.3


@pytest.mark.parametrize("style", [WARM, COOL], ids=["warm", "cool"])
@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_objects_have_place_count_and_area_of_the_content(shape, count, style):
    content = Content(shape, x=0.41, y=0.62, scale=0.13, count=count)
    size = 128
    objects = measured_objects(render(content, style, size=size))
    assert ndimage.label(objects, np.ones((3, 3)))[1] == count
    y, x = (np.argwhere(objects) + 0.5).mean(axis=0) / size
    assert (x, y) == (pytest.approx(0.41, abs=0.005), pytest.approx(0.62, abs=0.005))
    area = AREA[shape] * content.scale**2 * count
    assert objects.mean() == pytest.approx(area, rel=0.06)


@pytest.mark.parametrize("shape", SHAPES)
def test_mask_covers_the_exact_area(shape):
    content = Content(shape, x=0.5, y=0.5, scale=0.3, count=1)
    covered = object_mask(content, size=256).mean(dtype=np.float64)
    assert covered == pytest.approx(AREA[shape] * 0.3**2, rel=0.005)


@pytest.mark.parametrize("shape", ["triangle", "star"])
def test_tips_point_up(shape):
    mask = object_mask(Content(shape, 0.5, 0.5, 0.4, 1), size=100)
    widths = mask.sum(axis=1)
    assert mask[5:9].max() == 0 and 0 < widths[13] < widths[30]
    assert widths[95] == 0


@pytest.mark.parametrize("style", [WARM, COOL], ids=["warm", "cool"])
def test_antialiased_pictures_agree_across_sizes(style):
    content = Content("star", x=0.45, y=0.55, scale=0.14, count=3)
    large = render(content, style, size=512)
    small = render(content, style, size=64)
    averaged = large.reshape(64, 8, 64, 8, 3).mean(axis=(1, 3))
    assert np.abs(averaged - small).mean() < 0.006
    assert np.abs(averaged - small).max() < 0.2
    # The check has teeth: point sampling fails it.
    assert np.abs(large[4::8, 4::8] - averaged).max() > 0.25


def test_pictures_are_float32_in_range():
    image = render(Content("cross", 0.5, 0.5, 0.1, 2), COOL, size=40)
    assert image.dtype == np.float32 and image.shape == (40, 40, 3)
    assert image.min() >= 0 and image.max() <= 1


def test_pure_colours_of_the_wheel():
    wheel = [pure_colour(k / 6).tolist() for k in range(6)]
    red, yellow, green = [1, 0, 0], [1, 1, 0], [0, 1, 0]
    assert wheel == [red, yellow, green, [0, 1, 1], [0, 0, 1], [1, 0, 1]]


@pytest.mark.parametrize(
    ("content", "style", "size", "message"),
    [
        (Content("blob", 0.5, 0.5, 0.1, 1), WARM, 8, "shape: expected one of disc"),
        (Content("disc", 0.5, 0.5, 0.1, 9), WARM, 8, "count: expected one of 1, 2, 3"),
        (Content("disc", 0.5, 0.5, 0.1, 1), Style(0, 5, 0, "oil"), 8, "texture: "),
        (Content("disc", 0.5, 0.5, 0.1, 1), WARM, 0, "size: expected a number above"),
    ],
)
def test_impossible_pictures_end_in_one_line(content, style, size, message):
    with pytest.raises(ValueError, match=message) as error:
        render(content, style, size=size)
    assert "\n" not in str(error.value)
