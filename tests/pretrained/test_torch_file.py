"""PyTorch files, real ones and hostile ones."""

import collections
import io
import os
import pickle
import time
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from stylejax.pretrained import torch_file
from tests.goldens import vgg_goldens

GOLDENS = Path(vgg_goldens.__file__).parent
FILES = pytest.mark.parametrize("name", ["torch_zip.pth", "torch_legacy.pth"])


@FILES
def test_tensors_are_those_that_were_saved(name):
    found = torch_file.read(GOLDENS / name)
    table = np.arange(24, dtype=np.float32).reshape(4, 6)
    np.testing.assert_array_equal(found["half"], table.astype(np.float16))
    assert found["half"].dtype == np.float16
    rounded = table.astype(ml_dtypes.bfloat16).astype(np.float32)
    np.testing.assert_array_equal(found["bfloat16"], rounded)
    np.testing.assert_array_equal(found["double"], table.astype(np.float64))
    np.testing.assert_array_equal(found["view"], table.T[1:4, ::2])
    np.testing.assert_array_equal(found["parameter"], table[0])
    assert found["scalar"] == 5
    assert found["empty"].shape == (0, 3)
    assert not any("epoch" in key or "optimizer" in key for key in found)


@FILES
def test_nested_state_dicts_keep_their_key_in_the_names(name):
    found = torch_file.read(GOLDENS / name)
    prefix = "state_dict."
    weights = {k.removeprefix(prefix): v for k, v in found.items() if prefix in k}
    expected = vgg_goldens.weights("vgg11", True)
    assert set(weights) == set(expected)
    for key, array in expected.items():
        assert weights[key].shape == array.shape


def test_both_layouts_hold_the_same():
    one, two = (torch_file.read(GOLDENS / f"torch_{k}.pth") for k in ("zip", "legacy"))
    assert set(one) == set(two)
    for key, array in one.items():
        np.testing.assert_array_equal(array, two[key])


class Call:
    """Pickles as a call of `function(*arguments)`."""

    def __init__(self, function, *arguments):
        self.parts = function, arguments

    def __reduce__(self):
        return self.parts


def archive(path, tree, *, entries=(), compression=zipfile.ZIP_STORED):
    data = tree if isinstance(tree, bytes) else pickle.dumps(tree, protocol=2)
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr("archive/data.pkl", data)
        for name, content in entries:
            file.writestr(f"archive/{name}", content)
    return path


def refusal(path):
    with pytest.raises(ValueError, match="as PyTorch weights: ") as caught:
        torch_file.read(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (os.system, "system"),
        (eval, "eval"),
        (getattr, "getattr"),
        (collections.defaultdict, "defaultdict"),
    ],
)
def test_code_is_refused_before_it_runs(tmp_path, function, name):
    mark = tmp_path / "ran"
    bomb = Call(function, f"touch {mark}")
    text = refusal(archive(tmp_path / "bomb.pth", {"a": bomb}))
    assert f".{name}, which no file of weights needs" in text
    assert not mark.exists()
    (tmp_path / "old.pth").write_bytes(pickle.dumps(bomb, protocol=2))
    assert name in refusal(tmp_path / "old.pth")
    assert not mark.exists()


def tensor_pickle(shape, strides, count=6, offset=0, key="0"):
    """The data.pkl of {"x": tensor} as PyTorch writes it, with any numbers in it."""

    class Storage:
        pass

    class Rebuild:
        def __reduce__(self):
            arguments = (Storage(), offset, shape, strides, False, None)
            return collections.OrderedDict, arguments

    class Pickler(pickle.Pickler):
        def persistent_id(self, item):
            if isinstance(item, Storage):
                return ("storage", collections.Counter, key, "cpu", count)
            return None

    stream = io.BytesIO()
    Pickler(stream, protocol=2).dump({"x": Rebuild()})
    data = stream.getvalue()
    data = data.replace(
        b"ccollections\nOrderedDict\n", b"ctorch._utils\n_rebuild_tensor_v2\n"
    )
    return data.replace(b"ccollections\nCounter\n", b"ctorch\nFloatStorage\n")


def sound(path, *, data=None, **numbers):
    numbers = {"shape": (2, 3), "strides": (3, 1)} | numbers
    content = np.arange(6, dtype="<f4").tobytes() if data is None else data
    return archive(path, tensor_pickle(**numbers), entries=[("data/0", content)])


def test_a_pickle_made_by_hand_is_read(tmp_path):
    found = torch_file.read(sound(tmp_path / "a.pth"))
    np.testing.assert_array_equal(found["x"], np.arange(6.0).reshape(2, 3))
    found = torch_file.read(sound(tmp_path / "b.pth", shape=(3,), strides=(2,)))
    np.testing.assert_array_equal(found["x"], [0.0, 2.0, 4.0])


@pytest.mark.parametrize(
    ("numbers", "reason"),
    [
        ({"shape": (3, 3)}, "reaches beyond its bytes"),
        ({"offset": 1}, "reaches beyond its bytes"),
        ({"shape": (10**12,), "strides": (0,)}, "reaches beyond its bytes"),
        ({"strides": (3, -1)}, "without a sound shape"),
        ({"shape": (-2, 3)}, "without a sound shape"),
        ({"strides": (1,)}, "without a sound shape"),
        ({"shape": ("a", 3)}, "without a sound shape"),
        ({"count": 10**15}, "is cut short"),
        ({"count": -1}, "a storage of -1 numbers"),
        ({"key": "7"}, "archive/data/7 is missing"),
        ({"key": "../0"}, "is missing"),
        ({"data": b"\0" * 20}, "is cut short"),
    ],
)
def test_tensors_that_are_not_in_the_file_are_refused(tmp_path, numbers, reason):
    assert reason in refusal(sound(tmp_path / "a.pth", **numbers))


def test_many_names_of_one_storage_do_not_fill_the_memory(tmp_path):
    def views(count):
        one = tensor_pickle((1 << 18,), (1,), count=1 << 18)
        head, item = b"\x80\x02}q\x00", one[one.index(b"X\x01") + 6 : one.rindex(b"s")]
        named = b"".join(
            b"X\x04\x00\x00\x00%04d" % i + item + b"s" for i in range(count)
        )
        return head + named + b"."

    content = [("data/0", bytes(4 << 18))]
    found = torch_file.read(archive(tmp_path / "a.pth", views(4), entries=content))
    assert [x.shape for x in found.values()] == [(1 << 18,)] * 4
    text = refusal(archive(tmp_path / "b.pth", views(40), entries=content))
    assert "its tensors claim 41943040 bytes, more than fit" in text


def test_compressed_entries_are_refused(tmp_path):
    path = tmp_path / "a.pth"
    content = [("data/0", bytes(1 << 20))]
    archive(
        path,
        tensor_pickle((2, 3), (3, 1)),
        entries=content,
        compression=zipfile.ZIP_DEFLATED,
    )
    assert "is compressed, which PyTorch never does" in refusal(path)


def nested(depth):
    tree = {}
    for _ in range(depth):
        tree = {"a": tree}
    return tree


@pytest.mark.parametrize("tree", [[1, 2], "text", nested(20)])
def test_what_is_no_dictionary_of_tensors_is_refused(tmp_path, tree):
    refusal(archive(tmp_path / "a.pth", tree))


def test_a_dictionary_within_itself_is_refused(tmp_path):
    tree = {}
    tree["a"] = tree
    assert "deep" in refusal(archive(tmp_path / "a.pth", tree))


@FILES
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path, name, share):
    data = (GOLDENS / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(data[: int(share * len(data))])
    refusal(path)


@pytest.mark.parametrize("data", [b"", b"not a pickle", b"PK\x03\x04 no zip", b"\x80"])
def test_other_files_are_refused(tmp_path, data):
    path = tmp_path / "a.pth"
    path.write_bytes(data)
    refusal(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no such weights file: .*a\.pth"):
        torch_file.read(tmp_path / "a.pth")


DOUBLED = b")" + b"2\x86" * 45  # a tuple of a tuple twice, 45 times over
BOMBS = {
    "a key": b"\x80\x02}(" + DOUBLED + b"K\x01u.",
    "one key": b"\x80\x02}" + DOUBLED + b"K\x01s.",
    "a key of DICT": b"\x80\x02(" + DOUBLED + b"K\x01d.",
    "the kind of a reference": b"\x80\x02(" + DOUBLED + b"K\x00K\x00K\x00K\x00tQ.",
    "a set": b"\x80\x04\x8f(" + DOUBLED + b"\x90.",
    "a frozen set": b"\x80\x04(" + DOUBLED + b"\x91.",
    "pairs": b"\x80\x02ccollections\nOrderedDict\n](" + DOUBLED + b"K\x01\x86e\x85R.",
}


@pytest.mark.parametrize("data", BOMBS.values(), ids=BOMBS)
def test_what_takes_for_ever_to_hash_is_refused_at_once(tmp_path, data):
    began = time.monotonic()
    refusal(archive(tmp_path / "bomb.pth", data))
    assert time.monotonic() - began < 5


def test_dictionaries_that_name_each_other_over_and_over_are_refused(tmp_path):
    tree = {}
    for _ in range(7):
        tree = {f"k{i}": tree for i in range(60)}
    text = refusal(archive(tmp_path / "bomb.pth", tree))
    assert "more than 1000000 entries" in text
