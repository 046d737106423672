"""What goes together among the flags of `stylejax stylize`."""

import pytest

from stylejax.cli import stylize_options
from stylejax.cli.messages import UsageError
from stylejax.cli.stylize_options import Options


@pytest.mark.parametrize(
    ("method", "is_drawn"),
    [
        ("gatys", True),
        ("style_attention", True),
        ("slim", False),
        ("feedforward", False),
    ],
)
def test_only_some_methods_draw_how_a_picture_came_about(method, is_drawn):
    options = Options(style=("a.png",), method=method, explain=True)
    if is_drawn:
        stylize_options.check(options, ["b.png"])
    else:
        with pytest.raises(
            UsageError, match=f"got --method={method}; set --method=gatys"
        ):
            stylize_options.check(options, ["b.png"])


@pytest.mark.parametrize(
    "given",
    [
        {"features": "vgg19"},
        {"num_iterations": 9},
        {"optimizer": "adam"},
        {"snapshots": "way"},
    ],
)
def test_what_only_gatys_obeys_is_refused_elsewhere(given):
    (name,) = given
    with pytest.raises(UsageError, match=f"--{name} belongs to gatys"):
        stylize_options.check(Options(style=("a.png",), **given), ["b.png"])
    options = Options(style=("a.png",), method="gatys", **given)
    stylize_options.check(options, ["b.png"])


def test_styles_are_files_unless_the_network_knows_them_by_name():
    options = Options(style=("a.png", "b.png"), mask=("m.png",), keep="k.png")
    assert stylize_options.style_files(options) == ["a.png", "b.png"]
    assert stylize_options.mask_files(options) == ["m.png", "k.png"]
    named = Options(style=("waves",), method="feedforward")
    assert stylize_options.style_files(named) == []


def test_a_style_known_by_name_says_which_method_knows_it(tmp_path, monkeypatch):
    named = Options(style=("great_wave",), method="slim")
    with pytest.raises(UsageError, match="set --method=feedforward or name a file"):
        stylize_options.check(named, ["b.png"])
    stylize_options.check(Options(style=("no_such_style",)), ["b.png"])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "great_wave").write_bytes(b"")  # a file goes before a name
    stylize_options.check(named, ["b.png"])
