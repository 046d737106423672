"""`stylejax weights`: list, fetch, convert and verify, and what they refuse."""

import dataclasses
import json
import pickle
import sys

import jax
import numpy as np
import pytest
import safetensors.numpy

from stylejax import api, stylizers
from stylejax.cli import main, weights
from stylejax.methods import slim
from stylejax.pretrained import cache, inventory, safetensors_io, tensor_files, vgg
from tests.goldens import vgg_goldens
from tests.methods.tiny_networks import CONFIGS, save_vgg
from tests.pretrained import weights_shop


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """One small network to fetch from this machine, and a cache of its own."""
    with weights_shop.opened(tmp_path, monkeypatch) as found:
        yield found


def status(*arguments):
    try:
        return main.main(["weights", *map(str, arguments)])
    except SystemExit as ended:
        return ended.code


def refused(capsys, *arguments):
    """The one line a mistake ends in."""
    assert status(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("stylejax weights: ")
    assert captured.err.count("\n") == 1
    return captured.err


def result(capsys, *arguments):
    assert status(*arguments, "--json") == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return json.loads(captured.out)


def save(path, tensors, **texts):
    whole = {k: np.ascontiguousarray(v) for k, v in tensors.items()}
    path.write_bytes(safetensors.numpy.save(whole, metadata=texts or None))
    return path


def test_list_is_a_table_of_everything(shop, capsys):
    assert status("list") == 0
    lines = capsys.readouterr().out.splitlines()
    header, *_, vgg16, tiny, _, folder = lines
    emoji = next(line for line in lines if line.startswith("emoji"))
    assert header.split()[:5] == ["name", "network", "size", "hash", "here"]
    assert emoji.split()[:2] == ["emoji", "cyclegan"] and "Apache-2.0" in emoji
    assert "verified" in vgg16 and vgg16.endswith("ships")
    assert tiny.split()[:6] == ["tiny", "vgg11_bn", "0.1", "MiB", "unverified", "no"]
    assert tiny.endswith(shop.entry.address) and "see source" in tiny
    assert folder.endswith(str(shop.folder))
    columns = [line.index(word) for line, word in [(header, "here"), (tiny, "no ")]]
    assert columns[0] == columns[1]
    cache.fetch(shop.entry)
    found = result(capsys, "list")
    assert found["folder"] == str(shop.folder)
    row = found["weights"][-1]
    assert (row["name"], row["hash_state"], row["is_here"]) == ("tiny", "pinned", True)


def test_an_unknown_size_and_a_long_licence_fit_in_the_table():
    item = inventory.Item("a", "b", "c", 0.0, "", "unknown", "x" * 99, "d", False)
    cells = weights.table([item]).splitlines()[1].split()
    assert cells[2] == "?" and cells[5] == "x" * 39 + "…"


def test_fetch_verify_and_load_by_name(shop, capsys):
    assert "stylejax weights fetch tiny" in refused(capsys, "verify", "tiny")
    assert status("fetch", "tiny") == 0
    out = capsys.readouterr().out
    assert out.startswith("tiny: fetched; licence: see source\n")
    assert str(shop.folder / "tiny.pth") in out
    assert status("fetch", "tiny") == 0
    assert "was here already" in capsys.readouterr().out
    found = result(capsys, "verify", "tiny")
    assert (found["network"], found["hash_state"]) == ("vgg11_bn", "pinned")
    assert vgg.load("tiny").arch == "vgg11"
    assert len(shop.told.requests) == 1


def test_fetch_as_json(shop, capsys):
    found = result(capsys, "fetch", "tiny", "vgg16")["fetched"]
    assert [x["name"] for x in found] == ["tiny", "vgg16"]
    assert [x["is_new"] for x in found] == [True, False]
    assert found[0]["sha256"] == cache.digest(found[0]["path"])


def test_offline_is_one_line_with_the_address_and_the_place(shop, capsys):
    shop.offers(address="http://127.0.0.1:9/tiny.pth")
    text = refused(capsys, "fetch", "tiny")
    assert "http://127.0.0.1:9/tiny.pth" in text
    assert str(shop.folder / "tiny.pth") in text


def test_a_cut_or_wrong_download_is_one_line(shop, capsys):
    shop.told.cut_after = 1000
    assert "ended after 1000 of 57968 bytes" in refused(capsys, "fetch", "tiny")
    shop.told.cut_after = None
    assert status("fetch", "tiny") == 0
    capsys.readouterr()
    path = shop.folder / "tiny.pth"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    for action in ("fetch", "verify"):
        assert "expected SHA-256" in refused(capsys, action, "tiny")


def test_a_name_is_refused_before_others_are_fetched(shop, capsys):
    assert "no weights 'vgg99'" in refused(capsys, "fetch", "tiny", "vgg99")
    assert shop.told.requests == []


@pytest.mark.parametrize("batch_norm", [False, True])
def test_convert_gives_the_reference_features(tmp_path, capsys, batch_norm):
    source = save(tmp_path / "a.safetensors", vgg_goldens.weights("vgg16", batch_norm))
    out = tmp_path / "new" / "b.safetensors"
    found = result(capsys, "convert", source, out, "--preprocessing=none")
    assert found["network"] == ("vgg16_bn" if batch_norm else "vgg16")
    assert "preprocessing none" in found["holds"]
    assert (found["output"], found["sha256"]) == (str(out), cache.digest(out))
    weights = vgg.load(out)
    maps = vgg.feature_fn(weights, ["relu4_3"])(vgg_goldens.image())
    expected = vgg_goldens.maps("vgg16", batch_norm)["relu4_3"]
    np.testing.assert_allclose(maps["relu4_3"], expected, rtol=1e-4, atol=1e-5)
    metadata = safetensors_io.read_metadata(out)
    assert metadata["source_sha256"] == cache.digest(source)


@pytest.mark.parametrize(
    ("name", "flags", "preprocessing"),
    [
        ("features.{}", [], "torch"),
        ("module.features.{}", ["--naming=torchvision"], "torch"),
        ("features.{}", ["--preprocessing=caffe_rgb"], "caffe_rgb"),
        ("features.{}", ["--arch=vgg11", "--dtype=float16"], "torch"),
    ],
)
def test_preprocessing_goes_with_the_weights(
    tmp_path, capsys, name, flags, preprocessing
):
    theirs = vgg_goldens.weights("vgg11", False)
    tensors = {name.format(k.removeprefix("features.")): v for k, v in theirs.items()}
    source = save(tmp_path / "a.safetensors", tensors)
    out = tmp_path / "b.safetensors"
    found = result(capsys, "convert", source, f"--out={out}", *flags)
    assert vgg.load(out).preprocessing == preprocessing
    half = "--dtype=float16" in flags
    assert found["dtype"] == ("float16" if half else "float32")
    stored = {array.dtype for array in tensor_files.read(out).values()}
    assert stored == {np.dtype(found["dtype"])}


def test_convert_takes_what_was_fetched_with_its_credit(shop, tmp_path, capsys):
    cache.fetch(shop.entry)
    out = tmp_path / "tiny.safetensors"
    assert status("convert", "tiny", out) == 0
    assert str(out) in capsys.readouterr().out
    found = vgg.load(out)
    assert (found.notice, found.preprocessing) == ("made up", "none")
    assert status("verify", out) == 0
    text = capsys.readouterr().out
    assert "is in order" in text and "vgg11_bn: taps up to relu5_2" in text


def test_verify_knows_translators(small_model, tmp_path, capsys):
    found = result(capsys, "verify", small_model[0])
    assert (found["network"], found["holds"]) == ("cyclegan", "translates AtoB, BtoA")
    assert found["num_tensors"] > 10
    assert result(capsys, "verify", "emoji")["network"] == "cyclegan"
    tensors, metadata = safetensors_io.read_tensors(small_model[0])
    texts = {k: json.dumps(v) for k, v in metadata.items()}
    name = next(iter(tensors))
    tensors[name] = tensors[name] * np.nan
    path = save(tmp_path / "nan.safetensors", tensors, **texts)
    assert f"in {name}; get it again" in refused(capsys, "verify", path)
    del tensors[name]
    path = save(tmp_path / "less.safetensors", tensors, **texts)
    assert f"missing {name}" in refused(capsys, "verify", path)


@pytest.mark.parametrize(
    "texts",
    [
        {},
        {"method": '"cyclegan"'},
        {"method": '"magic"', "config": "{}"},
        {"method": '"cyclegan"', "config": "[1]"},
        {"method": '"cyclegan"', "config": '{"ngf": "wide"}'},
        {"method": '{"a": 1}', "config": "{}"},
    ],
)
def test_a_hostile_translator_is_one_line(tmp_path, capsys, texts):
    texts = {"format": json.dumps(api.FORMAT), **texts}
    path = save(tmp_path / "a.safetensors", {"a": np.zeros(2)}, **texts)
    assert "cannot load" in refused(capsys, "verify", path)


class Bomb:
    """Runs a command where a pickle is trusted."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        import os

        return os.system, (f"touch {self.mark}",)


HOSTILE = {
    "bomb.pth": lambda mark: pickle.dumps({"features.0.weight": Bomb(mark)}, 2),
    "cut.pth": lambda mark: weights_shop.GOLDEN.read_bytes()[:40_000],
    "empty.pth": lambda mark: b"",
    "a.safetensors": lambda mark: b"\xff" * 64,
    "b.safetensors": lambda mark: (10**9).to_bytes(8, "little") + b"{}",
    "c.h5": lambda mark: b"\x89HDF\r\n\x1a\n" + b"\xff" * 64,
    "d.onnx": lambda mark: b"\xff" * 64,
    "e.zip": lambda mark: b"PK",
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("action", ["verify", "convert"])
def test_a_hostile_file_is_one_line_and_runs_nothing(tmp_path, capsys, name, action):
    mark, out = tmp_path / "ran", tmp_path / "out.safetensors"
    path = tmp_path / name
    path.write_bytes(HOSTILE[name](mark))
    text = refused(capsys, action, path, *([out] if action == "convert" else []))
    assert name in text
    assert not mark.exists() and not out.exists()


def test_other_networks_and_numbers_are_not_converted(tmp_path, capsys):
    tensors = dict(vgg_goldens.weights("vgg11", False))
    out = tmp_path / "out.safetensors"
    path = save(tmp_path / "a.safetensors", {"layer1.weight": np.zeros(3)})
    assert "expected the names of a VGG" in refused(capsys, "convert", path, out)
    path = save(tmp_path / "a.safetensors", tensors)
    text = refused(capsys, "convert", path, out, "--arch=vgg16")
    assert "not the weights of a vgg16: missing conv1_2/bias" in text
    tensors["features.0.bias"] = np.full_like(tensors["features.0.bias"], 1e6)
    path = save(tmp_path / "a.safetensors", tensors)
    text = refused(capsys, "convert", path, out, "--dtype=float16")
    assert "not finite in float16" in text
    assert not out.exists()
    assert status("convert", path, out) == 0


def test_an_input_is_never_replaced(tmp_path, capsys):
    path = save(tmp_path / "a.safetensors", vgg_goldens.weights("vgg11", False))
    before = path.read_bytes()
    (tmp_path / "link.safetensors").symlink_to(path)
    for out in (path, tmp_path / "link.safetensors"):
        assert "would replace the input" in refused(capsys, "convert", path, out)
    assert path.read_bytes() == before


def test_a_missing_extra_is_one_line(tmp_path, capsys, monkeypatch):
    (tmp_path / "a.h5").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "h5py", None)
    text = refused(capsys, "verify", tmp_path / "a.h5")
    assert "pip install 'stylejax[convert]'" in text


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "expected one of list, fetch, convert, verify; got nothing; usage: "),
        (["get"], "got get"),
        (["list", "x"], "list takes no arguments"),
        (["fetch"], "expected a name to fetch: adain, emoji, feedforward, slim"),
        (["fetch", "tiny", "--out=x"], "--out belongs to convert"),
        (["verify"], "verify takes one file or name, got 0"),
        (["verify", "a", "b"], "got 2"),
        (
            ["verify", "a.pth"],
            "expected a file or one of adain, emoji, feedforward, slim",
        ),
        (["verify", "."], "expected a file or one of adain"),
        (["verify", "vgg16", "--naming=caffe"], "naming: expected one of stylejax"),
        (["verify", "vgg16", "--arch=vgg12"], "arch: expected one of vgg11"),
        (["verify", "vgg16", "--preprocessing=x"], "preprocessing: expected one of"),
        (["convert", "a.pth"], "got 1 names"),
        (["convert", "a", "b", "--out=c"], "got 3 names"),
        (["convert", "vgg16", "b.npz"], "ending in .safetensors, got 'b.npz'"),
        (["convert", "a.pth", "b.safetensors"], "expected a file or one of"),
        (["convert", "vgg16", "b.safetensors", "--dtype=int8"], "float32|float16"),
    ],
)
def test_mistakes_end_in_one_line(shop, tmp_path, monkeypatch, capsys, arguments, text):
    monkeypatch.chdir(tmp_path)
    assert text in refused(capsys, *arguments)
    assert shop.told.requests == []


def test_verify_knows_stylizers(tmp_path, capsys):
    vgg_file = save_vgg(tmp_path)
    config = dataclasses.replace(CONFIGS["slim"], features=vgg_file)
    state = slim.init(jax.random.key(0), config)
    model = stylizers.Stylizer("slim", config, slim.painting_params(state))
    path = model.save(tmp_path / "slim.safetensors")
    found = result(capsys, "verify", path)
    assert found["network"] == "slim"
    assert found["holds"] == "paints a content in a style"
    assert status("verify", path) == 0
    capsys.readouterr()
    model = dataclasses.replace(model, config=dataclasses.replace(config, width=8))
    path = model.save(tmp_path / "wrong.safetensors")
    assert "do not fit" in refused(capsys, "verify", path)
