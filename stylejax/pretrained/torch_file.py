"""Tensors from PyTorch's `.pth` and `.pt` files, without PyTorch, running no code.

Both layouts are read: the zip archive of today and the stream of before version 1.6. A
pickle in such a file may name any function of Python; ours knows the few names that
build tensors and refuses all others before anything is called. A tensor is made only
from bytes that are in the file, and all together may be a few times its size (weights
that are shared are read once for each name), so no small file fills the memory.
"""

import collections
import io
import itertools
import math
import os
import pickle
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_MAX_PICKLE_BYTES = 64 << 20
_MAX_DEPTH = 8
_MAX_GROWTH, _SPARE_BYTES = 8, 1 << 20
# Entries that are looked at: dictionaries may name one another many times over.
_MAX_ENTRIES = 1_000_000

_STORAGES = {
    "FloatStorage": np.dtype(np.float32),
    "DoubleStorage": np.dtype(np.float64),
    "HalfStorage": np.dtype(np.float16),
    "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "LongStorage": np.dtype(np.int64),
    "IntStorage": np.dtype(np.int32),
    "ShortStorage": np.dtype(np.int16),
    "CharStorage": np.dtype(np.int8),
    "ByteStorage": np.dtype(np.uint8),
    "BoolStorage": np.dtype(np.bool_),
}


class _StorageType(NamedTuple):
    dtype: np.dtype


class _Storage(NamedTuple):
    key: str
    dtype: np.dtype
    size: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _rebuild_tensor(storage, offset, shape, strides, *_ignored) -> _Tensor:
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


def _rebuild_parameter(tensor, *_ignored) -> _Tensor:
    return tensor


def _ordered_dict(pairs: Any = ()) -> collections.OrderedDict:
    found: collections.OrderedDict = collections.OrderedDict()
    for key, value in pairs:
        found[_checked_key(key)] = value
    return found


def _checked_key(key: Any) -> Any:
    # A small file can hold a tuple of 2**45 parts, whose hash and text never end.
    if not isinstance(key, str | int | float | bool | None):
        raise pickle.UnpicklingError(f"a key that is a {type(key).__name__}")
    return key


_CALLABLES: dict[tuple[str, str], Callable] = {
    ("collections", "OrderedDict"): _ordered_dict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
}


# Python's own, not the compiled one: what is hashed can be looked at before.
_PurePython: Any = pickle._Unpickler


class _Unpickler(_PurePython):
    """Knows the names above and nothing else; keeps the storages it is told of."""

    def __init__(self, stream: io.BufferedIOBase):
        super().__init__(stream, encoding="utf-8")
        self.storages: dict[str, _Storage] = {}

    def load_setitem(self) -> None:
        _checked_key(self.stack[-2])
        super().load_setitem()

    def load_setitems(self) -> None:
        for key in self.stack[::2]:
            _checked_key(key)
        super().load_setitems()

    def load_dict(self) -> None:
        for key in self.stack[::2]:
            _checked_key(key)
        super().load_dict()

    def load_set(self) -> None:
        raise pickle.UnpicklingError("a set, which no file of weights needs")

    # The table that `load` looks opcodes up in holds functions, not names.
    dispatch: Any = {
        **_PurePython.dispatch,
        pickle.SETITEM[0]: load_setitem,
        pickle.SETITEMS[0]: load_setitems,
        pickle.DICT[0]: load_dict,
        pickle.EMPTY_SET[0]: load_set,
        pickle.ADDITEMS[0]: load_set,
        pickle.FROZENSET[0]: load_set,
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _CALLABLES:
            return _CALLABLES[module, name]
        if module == "torch" and name in _STORAGES:
            return _StorageType(_STORAGES[name])
        raise pickle.UnpicklingError(
            f"it asks for {module}.{name}, which no file of weights needs; save the"
            " state_dict alone and read that"
        )

    def persistent_load(self, pid: Any) -> _Storage:
        kind, storage_type, key, _device, count, *_view = pid
        is_storage = isinstance(kind, str) and kind == "storage"
        if not is_storage or not isinstance(storage_type, _StorageType):
            raise pickle.UnpicklingError("an unknown reference")
        if not isinstance(count, int) or count < 0:
            size = count if isinstance(count, int) else type(count).__name__
            raise pickle.UnpicklingError(f"a storage of {size} numbers")
        storage = _Storage(str(_checked_key(key)), storage_type.dtype, count)
        if self.storages.setdefault(storage.key, storage) != storage:
            raise pickle.UnpicklingError(f"two storages are called {storage.key}")
        return storage


def read(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The tensors in a PyTorch file by their dotted names.

    A `state_dict` below a key (`state_dict`, `model`, …) keeps that key in its names.

    Args:
        path: a .pth or .pt file.

    Returns:
        Name to array, in the dtypes of the file (bfloat16 becomes float32). What is no
        tensor (epochs, settings) is left out.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: broken, of another kind, or it asks for code to be run.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such weights file: {str(path)!r}; check the path")
    try:
        reader = _read_zip if zipfile.is_zipfile(path) else _read_legacy
        tree, storages = reader(path)
        tensors = dict(_tensors(tree, depth=0, seen=itertools.count()))
        _check_growth(tensors.values(), path.stat().st_size)
        return {name: _materialize(x, storages) for name, x in tensors.items()}
    except Exception as error:  # a hostile pickle may raise whatever it likes
        reason = str(error) or type(error).__name__
        reason = " ".join(reason.split())
        raise ValueError(
            f"cannot read {str(path)!r} as PyTorch weights: {reason}"
        ) from None


def _unpickle(stream: io.BufferedIOBase) -> Any:
    return _Unpickler(stream).load()


def _check_growth(tensors: Iterable[_Tensor], file_bytes: int) -> None:
    limit = _MAX_GROWTH * file_bytes + _SPARE_BYTES
    total = 0
    for tensor in tensors:
        _check_shape(tensor)
        total += math.prod(tensor.shape) * tensor.storage.dtype.itemsize
    if total > limit:
        raise ValueError(f"its tensors claim {total} bytes, more than fit")


def _read_zip(path: Path) -> tuple[Any, Callable[[_Storage], bytes]]:
    archive = zipfile.ZipFile(path)
    entries = {info.filename: info for info in archive.infolist()}
    pickles = [name for name in entries if name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise ValueError("no data.pkl in the archive: TorchScript, or no PyTorch file")
    root = pickles[0].removesuffix("data.pkl")

    def contents(name: str) -> bytes:
        info = entries.get(name)
        if info is None:
            raise ValueError(f"{name} is missing; get the file again")
        # PyTorch stores without compression: a compressed entry could be a bomb.
        if info.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"{name} is compressed, which PyTorch never does")
        return archive.read(info)

    if entries[pickles[0]].file_size > _MAX_PICKLE_BYTES:
        raise ValueError(f"data.pkl has {entries[pickles[0]].file_size} bytes")
    if f"{root}byteorder" in entries and contents(f"{root}byteorder") != b"little":
        raise ValueError("it was written on a big-endian machine")
    tree = _unpickle(io.BytesIO(contents(pickles[0])))
    return tree, lambda storage: contents(f"{root}data/{storage.key}")


def _read_legacy(path: Path) -> tuple[Any, Callable[[_Storage], bytes]]:
    with path.open("rb") as file:
        if _unpickle(file) != _LEGACY_MAGIC or _unpickle(file) != _LEGACY_PROTOCOL:
            raise ValueError("no PyTorch file")
        if not _unpickle(file).get("little_endian", True):
            raise ValueError("it was written on a big-endian machine")
        unpickler = _Unpickler(file)
        tree, known = unpickler.load(), unpickler.storages
        found: dict[str, bytes] = {}
        for key in map(str, map(_checked_key, _unpickle(file))):
            count = int.from_bytes(file.read(8), "little")
            if key not in known:
                raise ValueError(f"storage {key} belongs to no tensor")
            if count != known[key].size:
                raise ValueError(f"storage {key} has {count} numbers, not its own")
            length = count * known[key].dtype.itemsize
            if length > path.stat().st_size:
                raise ValueError(f"storage {key} is cut short; get the file again")
            found[key] = file.read(length)
    return tree, lambda storage: found[storage.key]


def _tensors(tree: Any, *, depth: int, seen: Iterator[int]):
    """(dotted name, tensor) of everything that is one."""
    if depth > _MAX_DEPTH:
        raise ValueError(f"dictionaries lie more than {_MAX_DEPTH} deep")
    if not isinstance(tree, Mapping):
        raise ValueError(
            f"expected a dictionary of tensors, found {type(tree).__name__}"
        )
    for key, value in tree.items():
        if next(seen) >= _MAX_ENTRIES:
            raise ValueError(f"more than {_MAX_ENTRIES} entries")
        if isinstance(value, _Tensor):
            yield str(key), value
        elif isinstance(value, Mapping):
            for name, tensor in _tensors(value, depth=depth + 1, seen=seen):
                yield f"{key}.{name}", tensor


def _check_shape(tensor: _Tensor) -> None:
    storage, offset, shape, strides = tensor
    whole = all(isinstance(n, int) and n >= 0 for n in (offset, *shape, *strides))
    if not isinstance(storage, _Storage) or not whole or len(shape) != len(strides):
        raise ValueError("a tensor without a sound shape")
    size = math.prod(shape)
    reach = sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    if size and (offset + reach >= storage.size or size > storage.size):
        raise ValueError(f"a tensor of shape {shape} reaches beyond its bytes")


def _materialize(tensor: _Tensor, storages: Callable[[_Storage], bytes]) -> np.ndarray:
    storage, offset, shape, strides = tensor
    data = storages(storage)
    if len(data) != storage.size * storage.dtype.itemsize:
        raise ValueError(f"storage {storage.key} is cut short; get the file again")
    if not math.prod(shape):
        return np.zeros(shape, storage.dtype)
    flat = np.frombuffer(data, storage.dtype.newbyteorder("<"))[offset:]
    steps = [step * storage.dtype.itemsize for step in strides]
    array = np.lib.stride_tricks.as_strided(flat, shape, steps).copy()
    return array.astype(np.float32) if array.dtype == ml_dtypes.bfloat16 else array
