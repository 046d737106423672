"""Weight files of every kind: the same tensors, and one line for a bad file."""

import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from stylejax.pretrained import tensor_files
from tests.goldens import vgg_goldens

GOLDENS = Path(vgg_goldens.__file__).parent
TENSORS = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.float16([0.5, 1.5]),
}


def write_safetensors(path):
    path.write_bytes(safetensors.numpy.save(TENSORS))


def write_hdf5(path):
    h5py = pytest.importorskip("h5py", reason="needs the extra convert")
    with h5py.File(path, "w") as file:
        for name, array in TENSORS.items():
            file.create_dataset(name, data=array, compression="gzip")


def write_onnx(path):
    onnx = pytest.importorskip("onnx", reason="needs the extra convert")
    made = [onnx.numpy_helper.from_array(x, name) for name, x in TENSORS.items()]
    graph = onnx.helper.make_graph([], "weights", [], [], made)
    onnx.save(onnx.helper.make_model(graph), path)


WRITERS = {".safetensors": write_safetensors, ".h5": write_hdf5, ".onnx": write_onnx}


@pytest.mark.parametrize("ending", WRITERS)
def test_tensors_are_those_that_were_saved(tmp_path, ending):
    path = tmp_path / f"weights{ending}"
    WRITERS[ending](path)
    found = tensor_files.read(path)
    assert set(found) == set(TENSORS)
    for name, array in TENSORS.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


def test_pytorch_files_are_read_by_their_ending():
    found = tensor_files.read(GOLDENS / "torch_zip.pth")
    assert found["half"].shape == (4, 6)


@pytest.mark.parametrize("ending", WRITERS)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.7])
def test_a_truncated_file_ends_in_one_line(tmp_path, ending, share):
    path = tmp_path / f"weights{ending}"
    WRITERS[ending](path)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    if ending == ".onnx" and share == 0.0:
        assert tensor_files.read(path) == {}  # an empty message is a sound one
        return
    with pytest.raises(ValueError, match="(cannot read|broken) .*weights") as caught:
        tensor_files.read(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("<Q", 1 << 60) + b"{}",
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 8) + b"not json",
        safetensors.numpy.save(TENSORS).replace(b'"F32"', b'"F99"'),
        safetensors.numpy.save(TENSORS).replace(b"[2,3]", b"[9,3]"),
        struct.pack("<Q", 58)
        + b'{"a":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}0',
    ],
    ids=[
        *("huge header", "no dictionary", "no JSON", "unknown dtype", "wrong shape"),
        "dtype that NumPy lacks",
    ],
)
def test_hostile_safetensors_end_in_one_line(tmp_path, data):
    path = tmp_path / "a.safetensors"
    path.write_bytes(data)
    with pytest.raises(ValueError, match="broken or no .safetensors") as caught:
        tensor_files.read(path)
    assert "\n" not in str(caught.value)


def test_hdf5_that_claims_more_than_it_holds_is_refused(tmp_path):
    h5py = pytest.importorskip("h5py", reason="needs the extra convert")
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("w", shape=(1 << 14, 1 << 12), dtype="f4", chunks=(1, 64))
    with pytest.raises(ValueError, match="w claims 268435456 bytes"):
        tensor_files.read(path)


def test_hdf5_whose_many_parts_claim_more_than_it_holds_is_refused(tmp_path):
    h5py = pytest.importorskip("h5py", reason="needs the extra convert")
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        for i in range(32):
            file.create_dataset(f"w{i:02}", shape=(1 << 16,), dtype="f4")
    assert path.stat().st_size < 1 << 17
    with pytest.raises(ValueError, match="claims 262144 bytes, more than fit"):
        tensor_files.read(path)


def test_hdf5_that_points_elsewhere_is_refused(tmp_path):
    h5py = pytest.importorskip("h5py", reason="needs the extra convert")
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(64))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("w", (16,), "f4", external=[(str(secret), 0, 64)])
    with pytest.raises(ValueError, match="w lies in another file"):
        tensor_files.read(tmp_path / "a.h5")


def test_onnx_that_points_elsewhere_is_refused(tmp_path):
    onnx = pytest.importorskip("onnx", reason="needs the extra convert")
    tensor = onnx.numpy_helper.from_array(TENSORS["a"], "w")
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="secret")
    graph = onnx.helper.make_graph([], "weights", [], [], [tensor])
    path = tmp_path / "a.onnx"
    path.write_bytes(onnx.helper.make_model(graph).SerializeToString())
    with pytest.raises(ValueError, match="w lies in another file"):
        tensor_files.read(path)


@pytest.mark.parametrize("ending", [".h5", ".onnx"])
def test_what_is_not_installed_is_named(tmp_path, ending, monkeypatch):
    path = tmp_path / f"a{ending}"
    path.write_bytes(b"x")
    for library in ("h5py", "onnx"):
        monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=r"pip install 'stylejax\[convert\]'"):
        tensor_files.read(path)


def test_unknown_endings_and_missing_files_are_named(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"ending in \.safetensors, \.pth.* got \.bin"):
        tensor_files.read(tmp_path / "a.bin")
    with pytest.raises(FileNotFoundError, match="no such weights file"):
        tensor_files.read(tmp_path / "b.pth")
