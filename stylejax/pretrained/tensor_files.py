"""Tensors by name from weight files of any kind that is read here.

| ending       | read with                              |
|--------------|----------------------------------------|
| .safetensors | `stylejax.pretrained.safetensors_io`   |
| .pth .pt     | `stylejax.pretrained.torch_file`       |
| .h5 .hdf5    | h5py, extra `convert` (Keras: .weights.h5) |
| .onnx        | onnx, extra `convert`                  |

None of them runs code from the file.
"""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from stylejax.pretrained import safetensors_io, torch_file

# A compressed or never written data set may claim any size.
_MAX_GROWTH, _SPARE_BYTES = 8, 1 << 20


def read(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The tensors of a weight file by the names they have there.

    Args:
        path: a file whose name ends as in the table above.

    Returns:
        Name to array, as stored. Groups of an HDF5 file are joined by slashes.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: an unknown ending, or the file is broken or hostile.
        ImportError: the extra that reads it is not installed.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such weights file: {str(path)!r}; check the path")
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise ValueError(
            f"cannot read {str(path)!r}: expected a name ending in"
            f" {', '.join(_READERS)}; got {path.suffix or 'none'}"
        )
    return reader(path)


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    return safetensors_io.read_tensors(path)[0]


def _read_hdf5(path: Path) -> dict[str, np.ndarray]:
    try:
        import h5py
    except ImportError:
        raise _missing("h5py", path) from None
    found: dict[str, np.ndarray] = {}
    left = _MAX_GROWTH * path.stat().st_size + _SPARE_BYTES

    def keep(name: str, item: object) -> None:
        # External and virtual data would be read from other files of the machine.
        if isinstance(item, h5py.Dataset):
            if item.external or item.is_virtual:
                raise ValueError(f"{name} lies in another file")
            if item.dtype.kind not in "fiub":
                return
            # All together: many small ones fill the memory as well as a large one.
            nonlocal left
            left -= item.nbytes
            if left < 0:
                raise ValueError(f"{name} claims {item.nbytes} bytes, more than fit")
            found[name] = item[()]

    try:
        with h5py.File(path, "r") as file:
            file.visititems(keep)
    except Exception as error:  # h5py raises many kinds for broken files
        raise _broken(path, "HDF5", error) from None
    return found


def _read_onnx(path: Path) -> dict[str, np.ndarray]:
    try:
        import onnx
        import onnx.numpy_helper
    except ImportError:
        raise _missing("onnx", path) from None
    try:
        # External data would be read from other files of the machine.
        graph = onnx.load(path, load_external_data=False).graph
        for tensor in graph.initializer:
            if tensor.data_location == onnx.TensorProto.EXTERNAL:
                raise ValueError(f"{tensor.name} lies in another file")
        return {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    except Exception as error:  # protobuf raises many kinds for broken files
        raise _broken(path, "ONNX", error) from None


def _broken(path: Path, kind: str, error: Exception) -> ValueError:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return ValueError(f"cannot read {str(path)!r} as {kind}: {reason}")


def _missing(library: str, path: Path) -> ImportError:
    return ImportError(
        f"reading {path.suffix} files needs {library}: pip install 'stylejax[convert]'"
    )


_READERS: dict[str, Callable[[Path], dict[str, np.ndarray]]] = {
    ".safetensors": _read_safetensors,
    ".pth": torch_file.read,
    ".pt": torch_file.read,
    ".h5": _read_hdf5,
    ".hdf5": _read_hdf5,
    ".onnx": _read_onnx,
}
