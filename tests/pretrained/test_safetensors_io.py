"""Parameters survive the file; what is broken says so in one line."""

import jax
import numpy as np
import pytest

from stylejax.pretrained import safetensors_io

PARAMS = {
    "AtoB": {"stem": {"kernel": np.full((2, 3), 1 / 3, np.float32)}},
    "BtoA": {"stem": {"bias": np.arange(3, dtype=np.float32)}},
}
METADATA = {"config": {"ngf": 8, "name": "é"}, "step": 3}


def test_float32_round_trip_is_exact(tmp_path):
    path = safetensors_io.save_params(
        tmp_path / "new" / "a.safetensors", PARAMS, metadata=METADATA, dtype="float32"
    )
    params, metadata = safetensors_io.load_params(path)
    assert metadata == METADATA
    assert jax.tree.structure(params) == jax.tree.structure(PARAMS)
    jax.tree.map(np.testing.assert_array_equal, params, PARAMS)
    assert [p.name for p in path.parent.iterdir()] == ["a.safetensors"]


def test_half_precision_is_the_default_and_comes_back_as_float32(tmp_path):
    path = tmp_path / "a.safetensors"
    safetensors_io.save_params(path, PARAMS, metadata={})
    params, _ = safetensors_io.load_params(path)
    kernel = params["AtoB"]["stem"]["kernel"]
    assert kernel.dtype == np.float32
    np.testing.assert_array_equal(kernel, np.float32(np.float16(1 / 3)))


def test_a_jax_array_that_is_no_row_major_copy_is_stored_right(tmp_path):
    array = np.arange(6, dtype=np.float32).reshape(2, 3).T
    path = tmp_path / "a.safetensors"
    safetensors_io.save_params(path, {"w": array}, metadata={})
    np.testing.assert_array_equal(safetensors_io.load_params(path)[0]["w"], array)


@pytest.mark.parametrize("value", [1e6, np.nan])
def test_what_half_precision_cannot_hold_is_refused(tmp_path, value):
    params = {"w": np.array([value], np.float32)}
    with pytest.raises(ValueError, match="w holds values that are not finite"):
        safetensors_io.save_params(tmp_path / "a.safetensors", params, metadata={})
    assert list(tmp_path.iterdir()) == []


def test_other_names_and_dtypes_are_refused(tmp_path):
    with pytest.raises(ValueError, match=".safetensors"):
        safetensors_io.save_params(tmp_path / "a.npz", PARAMS, metadata={})
    with pytest.raises(ValueError, match="float16, float32"):
        safetensors_io.save_params(
            tmp_path / "a.safetensors", PARAMS, metadata={}, dtype="int8"
        )


@pytest.mark.parametrize("content", [b"", b"no weights", b"\xff" * 64])
def test_a_broken_file_is_named_in_one_line(tmp_path, content):
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="broken .*a.safetensors") as caught:
        safetensors_io.load_params(path)
    assert "\n" not in str(caught.value)


def test_a_truncated_file_is_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    safetensors_io.save_params(path, PARAMS, metadata=METADATA)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ValueError, match="broken"):
        safetensors_io.load_params(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing.safetensors"):
        safetensors_io.load_params(tmp_path / "nothing.safetensors")


def test_metadata_of_others_stays_text(tmp_path):
    import safetensors.numpy

    path = tmp_path / "a.safetensors"
    safetensors.numpy.save_file({"w": np.zeros(2)}, path, metadata={"format": "pt"})
    assert safetensors_io.load_params(path)[1] == {"format": "pt"}


def test_others_may_read_the_file(tmp_path):
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    path = safetensors_io.save_params(
        tmp_path / "w.safetensors", {"a": np.ones(2, np.float32)}, metadata={}
    )
    assert path.stat().st_mode == plain.stat().st_mode


def test_metadata_alone(tmp_path):
    path = tmp_path / "a.safetensors"
    safetensors_io.save_params(path, PARAMS, metadata=METADATA)
    assert safetensors_io.read_metadata(path) == METADATA
    path.write_bytes(b"no weights")
    with pytest.raises(ValueError, match="broken"):
        safetensors_io.read_metadata(path)
    with pytest.raises(FileNotFoundError, match="b.safetensors"):
        safetensors_io.read_metadata(tmp_path / "b.safetensors")


@pytest.mark.parametrize("text", ["[" * 200_000, "9" * 5000, "{", "NULL"])
def test_metadata_that_is_no_json_stays_text(tmp_path, text):
    import safetensors.numpy

    path = tmp_path / "a.safetensors"
    path.write_bytes(safetensors.numpy.save({"w": np.zeros(2)}, metadata={"x": text}))
    assert safetensors_io.read_metadata(path) == {"x": text}


@pytest.mark.parametrize("names", [("a", "a/b"), ("a/b", "a"), ("a/b/c", "a/b")])
def test_a_name_that_is_a_tensor_and_a_folder_is_refused(tmp_path, names):
    import safetensors.numpy

    path = tmp_path / "a.safetensors"
    path.write_bytes(safetensors.numpy.save({n: np.zeros(2) for n in names}))
    with pytest.raises(ValueError, match="lies below another tensor"):
        safetensors_io.load_params(path)
