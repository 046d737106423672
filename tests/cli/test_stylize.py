"""`stylejax stylize`: files in, files out, and every mistake in one line."""

import dataclasses
import io
import json
import types

import jax
import numpy as np
import pytest
from PIL import Image, ImageCms

from stylejax import stylizers
from stylejax.cli import main, stylize
from stylejax.image import files
from stylejax.methods import feedforward, slim, style_attention
from stylejax.methods.control import StyleControl
from tests.methods.tiny_networks import CONFIGS, save_vgg

GOOD = ["in/a.png", "--style=style.png"]


@pytest.fixture
def folder(tmp_path, generator, monkeypatch, tiny_gatys):
    """in/a.png, in/deep/b.jpg, style.png; and a network that paints in no time."""
    config = dataclasses.replace(
        tiny_gatys, num_iterations=2, check_every=2, optimizer="adam"
    )
    monkeypatch.setattr(stylize, "_config", lambda options: config)
    for name, size in {
        "in/a.png": (20, 30),
        "in/deep/b.jpg": (26, 18),
        "style.png": (24, 24),
        "other.png": (18, 32),
    }.items():
        files.write(tmp_path / name, generator.random((*size, 3)))
    files.write(tmp_path / "black.png", np.zeros((8, 8, 3), np.float32))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def status(*arguments):
    """The exit status; Gatys paints, unless another method is asked for."""
    given = [str(x) for x in arguments]
    if not any(x.startswith("--method") for x in given):
        given.append("--method=gatys")
    try:
        return main.main(["stylize", *given])
    except SystemExit as ended:
        return ended.code


def test_a_folder_keeps_its_names_and_aspects(folder, capsys):
    assert status("in", "--style=style.png", "--size=16", "--out=out", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert [entry["size"] for entry in report["stylized"]] == [[16, 11], [11, 16]]
    assert files.read("out/a.png").shape == (11, 16, 3)
    assert files.read("out/deep/b.jpg").shape == (16, 11, 3)


def test_zero_keeps_the_size_and_out_may_be_a_file(folder):
    command = ["in/a.png", "--style=style.png", "--size=0", "--out=painted.png"]
    assert status(*command) == 0
    assert files.read("painted.png").shape == (20, 30, 3)


def test_nothing_is_replaced_without_force(folder, capsys):
    files.write("out.png", np.zeros((3, 3, 3)))
    command = ["in/a.png", "--style=style.png", "--size=16", "--out=out.png"]
    assert status(*command) == 2
    assert "out.png exists" in capsys.readouterr().err
    assert files.read("out.png").shape == (3, 3, 3)
    assert status(*command, "--force") == 0
    assert files.read("out.png").shape == (11, 16, 3)


def test_an_input_is_not_replaced_even_with_force(folder, capsys):
    before = files.read("in/a.png")
    command = ["in/a.png", "--style=style.png", "--out=in/a.png", "--force"]
    assert status(*command) == 2
    assert "would replace an input" in capsys.readouterr().err
    np.testing.assert_array_equal(files.read("in/a.png"), before)


@pytest.mark.parametrize("role", ["style", "mask", "keep"])
def test_other_inputs_are_not_replaced_even_with_force(role, folder, capsys):
    given = {"style": "style.png", "mask": "other.png", "keep": "other.png"}
    flag = f"--{role}={given[role]}"
    command = ["in/a.png", "--style=style.png", flag, f"--out={given[role]}", "--force"]
    before = files.read(given[role])
    assert status(*command) == 2
    assert "would replace an input" in capsys.readouterr().err
    np.testing.assert_array_equal(files.read(given[role]), before)


def test_an_account_costs_no_file(folder, capsys):
    command = ["in/a.png", "--style=style.png", "--size=16", "--out=out", "--explain"]
    files.write("out/a-account.png", np.zeros((3, 3, 3)))
    assert status(*command) == 2
    assert "a-account.png exists" in capsys.readouterr().err
    assert files.read("out/a-account.png").shape == (3, 3, 3)
    files.write("in/a.jpg", np.zeros((9, 9, 3)))
    assert status(*command, "in/a.jpg", "--force") == 2
    assert "written twice" in capsys.readouterr().err


def test_nothing_is_painted_that_could_not_be_written(folder, capsys, monkeypatch):
    monkeypatch.setattr(stylize, "_paint", None)
    (folder / "taken").write_text("")
    (folder / "folder.png" / "a.png").mkdir(parents=True)
    command = ["in/a.png", "--style=style.png", "--force"]
    for out, message in {
        "taken": "cannot write into 'taken'",
        "taken/deeper": "cannot write into 'taken/deeper'",
        "folder.png": "is a folder",
        "picture.gif": "expected a folder or one of .bmp",
    }.items():
        assert status(*command, f"--out={out}") == 2
        assert message in capsys.readouterr().err


def test_a_content_that_goes_away_while_it_is_painted_costs_nothing(
    folder, monkeypatch
):
    paint = stylize._paint

    def paint_and_remove(content, styles, control, options, job, *rest):
        job.source.unlink()
        return paint(content, styles, control, options, job, *rest)

    monkeypatch.setattr(stylize, "_paint", paint_and_remove)
    assert status(*GOOD, "--size=16", "--out=out.png") == 0
    assert files.read("out.png").shape == (11, 16, 3)


def test_home_is_understood_where_results_go(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder / "home"))
    assert status(*GOOD, "--size=16", "--out=~/a.png") == 0
    assert (folder / "home" / "a.png").exists()


def test_from_standard_input_to_standard_output(folder, monkeypatch, capsysbinary):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pixels = files.read("in/a.png")
    data = files.to_bytes(pixels, suffix=".png", icc_profile=profile)
    stdin = types.SimpleNamespace(buffer=io.BytesIO(data))
    monkeypatch.setattr("sys.stdin", stdin)
    assert status("-", "--style=style.png", "--size=16", "--out=-") == 0
    written = capsysbinary.readouterr().out
    assert files.from_bytes(written).shape == (11, 16, 3)
    assert files.icc_profile(written) == profile


def test_masks_several_styles_and_the_account(folder, capsys):
    left = np.zeros((10, 10, 3))
    left[:, :5] = 1
    files.write("left.png", left)
    files.write("right.png", 1 - left)
    styles = ["--style=style.png", "--style=other.png"]
    masks = ["--mask=left.png", "--mask=right.png"]
    command = ["in/a.png", *styles, *masks, "--size=24", "--out=out", "--json"]
    assert status(*command, "--explain") == 0
    (entry,) = json.loads(capsys.readouterr().out)["stylized"]
    assert entry["gradient_sum_error"] < 1e-5
    assert entry["loss_sum_error"] < 1e-5
    named = {name for name in entry["loss"] if name.startswith("style/relu1_1")}
    assert named == {
        "style/relu1_1/style/mask_style",
        "style/relu1_1/other/mask_other",
    }
    drawn = files.read(entry["account"])
    assert drawn.std() > 0.05


def test_what_is_to_be_kept_is_kept(folder):
    keep = np.zeros((20, 30, 3))
    keep[:, :15] = 1
    files.write("keep.png", keep)
    command = ["in/a.png", "--style=style.png", "--size=0", "--out=out.png"]
    assert status(*command, "--keep=keep.png") == 0
    change = np.abs(files.read("out.png") - files.read("in/a.png"))
    assert change[:, :15].max() <= 1.01 / 255
    assert change[:, 15:].mean() > 0.002


@pytest.mark.parametrize("kind", ["luminance", "colors"])
def test_automatic_masks(kind, folder):
    styles = ["--style=style.png", "--style=other.png"]
    command = ["in/a.png", *styles, f"--auto_mask={kind}", "--size=16", "--out=o.png"]
    assert status(*command) == 0


def test_profile_and_orientation_come_out_right(folder):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    turned = Image.fromarray(np.zeros((20, 30, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save("turned.jpg", icc_profile=profile, exif=exif)
    command = ["turned.jpg", "--style=style.png", "--size=30", "--out=out.jpg"]
    assert status(*command) == 0
    with Image.open("out.jpg") as found:
        assert found.size == (20, 30)
        assert found.getexif().get(0x0112, 1) == 1
        assert found.info["icc_profile"] == profile


def test_profiles_of_other_colour_spaces_are_left_out(folder):
    grey = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    grey[16:20] = b"GRAY"
    Image.new("L", (8, 8)).save("grey.png", icc_profile=bytes(grey))
    assert files.icc_profile("grey.png") is None
    assert files.icc_profile("in/a.png") is None


def test_a_broken_picture_stops_or_is_skipped(folder, capsys):
    (folder / "in" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    command = ["in", "--style=style.png", "--size=16", "--out=out"]
    assert status(*command) == 2
    assert "broken.png" in capsys.readouterr().err
    assert not (folder / "out").exists()  # a.png, which comes before, is not painted
    assert status(*command, "--on_bad_image=skip", "--force") == 0
    assert "skipped" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected pictures to paint"),
        (["in/a.png"], "expected --style"),
        (["nothing.png", "--style=style.png"], "nothing.png"),
        (["in/a.png", "--style=nothing.png"], "nothing.png"),
        (["in/a.png", "--style=style.png", "--strength=2"], "strength"),
        (["in/a.png", "--style=style.png", "--stroke_scale=0"], "stroke_scale"),
        (
            ["in/a.png", "--style=style.png", "--style_weight=1", "--style_weight=1"],
            "one",
        ),
        (
            ["in/a.png", "--style=style.png", "--style=other.png", "--mask=style.png"],
            "--mask",
        ),
        (["in", "--style=style.png", "--out=one.png"], "name a folder"),
        (["-", "in/a.png", "--style=style.png"], "expected - alone"),
        (["in/a.png", "--style=style.png", "--out=-", "--json"], "drop --json"),
        (["in/a.png", "--style=style.png", "--color=sepia"], "color"),
        ([*GOOD, "--mask=black.png"], "black all over"),
        ([*GOOD, "--mask=style.png", "--auto_mask=colors"], "drop one"),
        ([*GOOD, "--stroke_scale=inf"], "stroke_scale"),
        ([*GOOD, f"--seed={2**70}"], "seed"),
        ([*GOOD, "--size=1"], "use larger pictures"),
        (["in/a.png", "--style=in"], "the folder"),
        (["in/a.png", "--style=style.png", "--size=-4"], "size"),
        (["", "--style=style.png"], "got an empty name"),
        ([*GOOD, "--out="], "got an empty name"),
        ([*GOOD, "--snapshots=style.png"], "cannot write into 'style.png'"),
    ],
)
def test_mistakes_end_in_one_line(arguments, message, folder, capsys):
    assert status(*arguments) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "Traceback" not in error
    assert error.count("\n") == 0


def test_deeper_weights_add_a_style_layer(tiny_gatys):
    options = stylize.Options(optimizer="adam", num_iterations=7)
    config = stylize._config(options)
    assert config.style_layers == ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
    assert (config.optimizer, config.num_iterations) == ("adam", 7)
    with pytest.raises(ValueError, match="relu4_2"):
        stylize._config(stylize.Options(features=tiny_gatys.features))


def test_snapshots_show_the_way(folder):
    command = ["in/a.png", "--style=style.png", "--size=16", "--out=o.png"]
    assert status(*command, "--snapshots=way") == 0
    (snapshot,) = (folder / "way").iterdir()
    assert snapshot.name == "o-0-0002.png"
    np.testing.assert_allclose(files.read(snapshot), files.read("o.png"), atol=1 / 254)


def test_snapshots_cost_no_file(folder, capsys):
    files.write("way/o-0-0002.png", np.zeros((3, 3, 3)))
    files.write("way/on-0-0002.png", np.zeros((3, 3, 3)))
    command = [*GOOD, "--size=16", "--out=o.png", "--snapshots=way"]
    assert status(*command) == 2
    assert "o-0-0002.png exists; choose another --snaps" in capsys.readouterr().err
    assert files.read("way/o-0-0002.png").shape == (3, 3, 3)
    assert status(*command, "--force") == 0
    assert files.read("way/o-0-0002.png").shape == (11, 16, 3)
    assert files.read("way/on-0-0002.png").shape == (3, 3, 3)


def test_snapshots_of_pictures_of_one_name_are_told_apart(folder):
    files.write("in/deep/a.png", files.read("in/a.png"))
    command = ["in", "--style=style.png", "--size=16", "--snapshots=way"]
    assert status(*command) == 0
    found = sorted(path.name for path in (folder / "way").iterdir())
    assert found == ["a-0-0002.png", "a-2-0-0002.png", "b-0-0002.png"]


def test_a_picture_too_thin_stops_or_is_skipped(folder, capsys):
    files.write("in/thin.png", np.full((1, 200, 3), 0.5, np.float32))
    command = ["in", "--style=style.png", "--size=16", "--out=out"]
    assert status(*command) == 2
    assert "in/thin.png: " in capsys.readouterr().err
    assert not (folder / "out").exists()
    assert status(*command, "--on_bad_image=skip", "--json") == 0
    found = capsys.readouterr()
    assert len(json.loads(found.out)["stylized"]) == 2
    assert "skipped: in/thin.png: " in found.err


def test_masks_of_other_proportions_are_said_to_be_stretched(folder, capsys):
    files.write("wide.png", np.ones((10, 30, 3), np.float32))
    files.write("like.png", np.ones((40, 60, 3), np.float32))
    command = [*GOOD, "--size=16", "--force"]
    assert status(*command, "--mask=wide.png") == 0
    assert "note: wide.png has other proportions" in capsys.readouterr().err
    assert status(*command, "--mask=like.png", "--keep=like.png") == 0
    found = capsys.readouterr()
    assert "note:" not in found.err
    assert "1 picture in stylized" in found.out


@pytest.fixture
def network(folder):
    """A file of a small untrained slim network."""
    config = dataclasses.replace(CONFIGS["slim"], features=save_vgg(folder))
    params = slim.painting_params(slim.init(jax.random.key(0), config))
    model = stylizers.Stylizer("slim", config, params)
    return model.save(folder / "slim.safetensors", dtype="float32")


def test_a_trained_network_paints_a_folder_and_is_read_once(
    folder, network, monkeypatch
):
    loads = []

    def load(name):
        loads.append(name)
        return stylizers.load(name)

    trained = ["--method=slim", f"--checkpoint={network}", "--size=0", "--out=out"]
    monkeypatch.setattr(stylize, "stylizers", types.SimpleNamespace(load=load))
    assert status("in", "--style=style.png", *trained) == 0
    assert files.read("out/a.png").shape == (20, 30, 3)
    assert files.read("out/deep/b.jpg").shape == (26, 18, 3)
    assert len(loads) == 1
    expected = stylizers.load(network).stylize(
        files.read("in/a.png")[None], [files.read("style.png")[None]]
    )
    assert np.abs(files.read("out/a.png") - expected[0]).max() < 0.005


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--method=slim", "--checkpoint=none.safetensors"], "none.safetensors"),
        (["--method=slim", "--checkpoint=oil"], "no shipped checkpoint is called"),
        (["--method=slim", "--explain"], "belongs to gatys and style_attention"),
        (["--method=slim", "--snapshots=way"], "belongs to gatys"),
        (["--checkpoint=slim.safetensors"], "belongs to trained networks"),
        (["--method=adain", "--checkpoint=slim.safetensors"], "method 'adain'"),
    ],
)
def test_mistakes_with_trained_networks_are_one_line(
    folder, network, capsys, flags, text
):
    assert status(*GOOD, *flags) == 2
    captured = capsys.readouterr()
    assert text in captured.err
    assert captured.err.count("\n") == 1
    assert not (folder / "stylized" / "a.png").exists()


@pytest.fixture
def named_network(folder):
    """A file of a small untrained network that knows two styles by name."""
    config = feedforward.FeedforwardConfig(
        styles=("waves", "dots"),
        width=4,
        num_blocks=1,
        features=save_vgg(folder, arch="vgg16"),
    )
    params = feedforward.init(jax.random.key(0), config).params
    spread = np.random.default_rng(3)
    params = jax.tree.map(lambda x: x + spread.normal(0, 0.3, x.shape), params)
    model = stylizers.Stylizer("feedforward", config, {"generator": params})
    return model.save(folder / "named.safetensors", dtype="float32")


def test_styles_are_names_where_the_network_knows_them(folder, named_network):
    command = ["in/a.png", "--method=feedforward", f"--checkpoint={named_network}"]
    names = ["--style=waves", "--style=dots", "--style_weight=3", "--style_weight=1"]
    assert status(*command, *names, "--size=0", "--out=mixed.png") == 0
    content, model = files.read("in/a.png")[None], stylizers.load(named_network)
    control = StyleControl(style_weights=(3.0, 1.0))
    mixed = model.stylize(content, ["waves", "dots"], control=control)
    assert np.abs(files.read("mixed.png") - mixed[0]).max() < 0.005
    single = model.stylize(content, ["waves"])
    assert np.abs(single - mixed).max() > 0.02


def test_an_unknown_name_is_said_before_anything_is_painted(
    folder, named_network, capsys
):
    command = ["in", "--method=feedforward", f"--checkpoint={named_network}"]
    assert status(*command, "--style=style.png") == 2
    assert "knows waves, dots; got 'style.png'" in capsys.readouterr().err
    assert not (folder / "stylized").exists()


def test_attention_is_drawn_beside_the_picture(folder, capsys):
    config = dataclasses.replace(CONFIGS["style_attention"], features=save_vgg(folder))
    state = style_attention.init(jax.random.key(0), config)
    params = style_attention.painting_params(state)
    model = stylizers.Stylizer("style_attention", config, params)
    path = model.save(folder / "attention.safetensors", dtype="float32")
    command = [*GOOD, "--method=style_attention", f"--checkpoint={path}", "--size=0"]
    assert status(*command, "--explain", "--json", "--out=out") == 0
    (entry,) = json.loads(capsys.readouterr().out)["stylized"]
    assert entry["row_sum_error"] < 1e-5
    assert files.read(entry["account"]).std() > 0.05
