"""Contents and styles: what is trained on, what is held out."""

import numpy as np
import pytest

from stylejax.data import style_pictures
from stylejax.data.sources import ArraySource
from stylejax.data.style_pictures import JoinedSource, StylePictures
from stylejax.image import files


@pytest.fixture
def folders(tmp_path, generator):
    for folder, names in (("photos", "abc"), ("paintings", "xyz"), ("tests", "pq")):
        for name in names:
            path = tmp_path / folder / f"{name}.png"
            path.parent.mkdir(exist_ok=True)
            files.write(path, generator.random((20, 24, 3), np.float32))
    (tmp_path / "list.txt").write_text("# tests\np.png\ny.png  # a painting\n\n")
    return tmp_path


def test_held_out_pictures_are_tests_and_not_trained_on(folders):
    data = style_pictures.load(
        StylePictures(
            content=str(folders / "photos"),
            style=str(folders / "paintings"),
            textures=6,
            style_repeats=2,
            test_content=str(folders / "tests"),
            held_out=str(folders / "list.txt"),
        )
    )
    assert data.train_a.names == ["a.png", "b.png", "c.png"]
    assert data.train_b.names[:4] == ["x.png", "z.png", "x.png", "z.png"]
    assert len(data.train_b) == 10
    assert data.train_b[5].shape == (256, 256, 3)
    assert data.test_a.names == ["p.png"]
    assert data.test_b.names == ["y.png"]


def test_styles_of_a_list_keep_its_order_and_names(folders):
    (folders / "styles.txt").write_text("late: z.png\nearly: y.png  # held out too\n")
    data = style_pictures.load(
        StylePictures(
            content=str(folders / "photos"),
            style=str(folders / "paintings"),
            test_content=str(folders / "tests"),
            held_out=str(folders / "list.txt"),
            named=str(folders / "styles.txt"),
        )
    )
    assert style_pictures.stems(data.train_b) == ("late", "early")
    assert data.test_a.names == ["p.png"]
    shown = files.read(folders / "paintings" / "z.png")
    np.testing.assert_array_equal(data.train_b[0], shown)
    for text, message in {
        "late: z.jpg": "no style picture is called 'z.jpg'",
        "late": "expected `name: file`",
        "a: x.png\na: y.png": "each name once",
    }.items():
        (folders / "styles.txt").write_text(text)
        with pytest.raises(ValueError, match=message):
            style_pictures.load(
                StylePictures(
                    content=str(folders / "photos"),
                    style=str(folders / "paintings"),
                    named=str(folders / "styles.txt"),
                )
            )


def test_mistakes_are_named(folders):
    photos, paintings = str(folders / "photos"), str(folders / "paintings")
    with pytest.raises(ValueError, match="style: expected a folder"):
        style_pictures.load(StylePictures(content=photos))
    with pytest.raises(FileNotFoundError, match="no such folder"):
        style_pictures.load(StylePictures(content=photos, style="nowhere"))
    (folders / "wrong.txt").write_text("q.jpg\n")
    with pytest.raises(ValueError, match="no picture is called 'q.jpg'"):
        style_pictures.load(
            StylePictures(photos, paintings, held_out=str(folders / "wrong.txt"))
        )


def test_joined_sources(generator):
    x = generator.random((3, 4, 4, 3)).astype(np.float32)
    first, second = ArraySource(x, names="abc"), ArraySource(x[::-1], names="def")
    both = JoinedSource([first, second])
    assert both.names == list("abcdef")
    np.testing.assert_array_equal(both[3], x[2])
    with pytest.raises(IndexError, match="below 6"):
        both[6]
    assert len(JoinedSource([])) == 0
