"""Parameters in `.safetensors` files: nothing in such a file is ever executed.

Leaves are stored under their slash paths ("AtoB/stem/kernel"), the description of the
network as JSON in the file's metadata. Half precision halves the file; loading gives
float32 again.
"""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from stylejax import trees

DTYPES = ("float16", "float32")


def save_params(
    path: str | os.PathLike,
    params: Mapping[str, Any],
    *,
    metadata: Mapping[str, Any],
    dtype: str = "float16",
) -> Path:
    """The path of the file just written; it appears only once it is complete.

    Args:
        path: where to; ends in .safetensors.
        params: nested dictionaries of floating arrays; no name contains a slash.
        metadata: JSON-able, name -> value.
        dtype: "float16" or "float32".

    Returns:
        The path.

    Raises:
        ValueError: another suffix, an unknown dtype, or a value that is not finite in
            this dtype.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ValueError(f"expected a name ending in .safetensors, got {str(path)!r}")
    if dtype not in DTYPES:
        raise ValueError(f"dtype: expected one of {', '.join(DTYPES)}; got {dtype!r}")
    leaves = {}
    for name, leaf in trees.named_leaves(params).items():
        with np.errstate(over="ignore"):
            array = np.ascontiguousarray(np.asarray(leaf), dtype=dtype)
        if not np.isfinite(array).all():
            raise ValueError(f"{name} holds values that are not finite in {dtype}")
        leaves[name] = array
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    texts = {name: json.dumps(value) for name, value in metadata.items()}
    try:
        # save_file would make a file that its owner alone can read.
        partial.write_bytes(safetensors.numpy.save(leaves, metadata=texts))
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def load_params(path: str | os.PathLike) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parameters in a file and its metadata.

    Args:
        path: a .safetensors file.

    Returns:
        (nested dictionaries of float32 NumPy arrays, metadata as in `read_tensors`).

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is broken or no .safetensors file.
    """
    tensors, metadata = read_tensors(path)
    params: dict[str, Any] = {}
    for name, array in tensors.items():
        _put(params, name.split("/"), array)
    return params, metadata


def read_tensors(
    path: str | os.PathLike,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The tensors in a file by the names they have there, and its metadata.

    Args:
        path: a .safetensors file.

    Returns:
        (name to array as stored, metadata). Metadata that is no JSON (files of others)
        stays text.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is broken or no .safetensors file.
    """
    with _open(path) as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}
        return tensors, _values(file.metadata())


def read_metadata(path: str | os.PathLike) -> dict[str, Any]:
    """The metadata of a file, as in `read_tensors`, without its tensors.

    Args:
        path: a .safetensors file.

    Returns:
        Name to value.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is broken or no .safetensors file.
    """
    with _open(path) as file:
        return _values(file.metadata())


@contextlib.contextmanager
def _open(path: str | os.PathLike) -> Iterator[Any]:
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such weights file: {str(path)!r}; check the path")
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            yield file
    # TypeError, AttributeError: a dtype that NumPy does not have.
    except (safetensors.SafetensorError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"broken or no .safetensors file: {str(path)!r} ({reason}); get it again"
        ) from None


def _values(texts: Mapping[str, str] | None) -> dict[str, Any]:
    return {name: _from_json(text) for name, text in (texts or {}).items()}


def _put(tree: dict[str, Any], names: list[str], array: np.ndarray) -> None:
    for name in names[:-1]:
        tree = tree.setdefault(name, {})
        if not isinstance(tree, dict):  # names come sorted: "a" before "a/b"
            raise ValueError(f"{'/'.join(names)!r} lies below another tensor")
    tree[names[-1]] = array.astype(np.float32)


def _from_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # or nested too deep
        return text
