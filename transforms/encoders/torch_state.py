"""Read a PyTorch state dict with numpy alone, executing nothing from the file.

The legacy format (torch 1.5 and before) is a magic number, a protocol version, a dictionary about
the machine, the pickled state dict with references in the place of storages, the pickled list of
storage keys, and for each key an int64 count followed by the raw elements. It is described by
`_legacy_save` in https://github.com/pytorch/pytorch/blob/v2.0.0/torch/serialization.py.
"""

import collections
import dataclasses
import hashlib
import io
import math
import pickle
import re
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_DTYPES = {
    "DoubleStorage": np.dtype("<f8"),
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ShortStorage": np.dtype("<i2"),
    "CharStorage": np.dtype("i1"),
    "ByteStorage": np.dtype("u1"),
    "BoolStorage": np.dtype("?"),
}


class StateError(Exception):
    """The file is not a state dict that this module reads."""


@dataclasses.dataclass(frozen=True)
class _Storage:
    key: str
    dtype: np.dtype


@dataclasses.dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def take(self, storages: dict[str, np.ndarray]) -> np.ndarray:
        """Return a copy of the elements, which must all lie within the storage."""
        flat = storages[self.storage.key]
        sides, strides = self.shape, self.strides
        if len(sides) != len(strides) or min((self.offset, *sides, *strides)) < 0:
            raise StateError("a tensor has a malformed shape")
        reach = sum((side - 1) * stride for side, stride in zip(sides, strides, strict=True))
        count = math.prod(sides)
        if count and (count > flat.size or self.offset + reach >= flat.size):
            raise StateError("a tensor reaches beyond its storage")
        steps = tuple(stride * flat.itemsize for stride in strides)
        view = np.lib.stride_tricks.as_strided(flat[self.offset :], sides, steps, writeable=False)
        return np.array(view, order="C")


def read(path: Path) -> dict[str, np.ndarray]:
    """Read a state dict.

    Where the file's name ends in `-<8 hex digits>`, PyTorch's habit, they must be the first digits
    of its sha256.

    Returns:
        Name to array, in the file's order.

    Raises:
        StateError: the file is damaged, in another format, or asks for anything but tensors.
    """
    data = path.read_bytes()
    named = re.search(r"-([0-9a-f]{8})$", path.stem)
    if named and not hashlib.sha256(data).hexdigest().startswith(named[1]):
        raise StateError(f"{path.name}: its sha256 does not begin with {named[1]}: it is damaged")
    if data.startswith(b"PK"):
        raise StateError(f"{path.name}: a zipped PyTorch file; save it with the legacy format")
    try:
        return _read(io.BytesIO(data))
    except StateError as error:
        raise StateError(f"{path.name}: {error}") from error
    except Exception as error:  # a pickle of rubbish can raise almost any type
        raise StateError(f"{path.name}: not a PyTorch state dict ({error})") from error


def _read(file: BinaryIO) -> dict[str, np.ndarray]:
    if _Unpickler(file).load() != _MAGIC or _Unpickler(file).load() != _PROTOCOL:
        raise StateError("not a PyTorch file in the legacy format")
    if not _Unpickler(file).load().get("little_endian"):
        raise StateError("written on a big-endian machine")
    unpickler = _Unpickler(file)
    state = unpickler.load()
    storages = {}
    for key in _Unpickler(file).load():
        dtype = unpickler.storages[key].dtype
        count = int.from_bytes(file.read(8), "little", signed=True)
        raw = file.read(max(0, count) * dtype.itemsize)
        storages[key] = np.frombuffer(raw, dtype=dtype, count=count)
    if not isinstance(state, dict) or not all(isinstance(t, _Tensor) for t in state.values()):
        raise StateError("holds something other than named tensors")
    return {name: tensor.take(storages) for name, tensor in state.items()}


class _Unpickler(pickle.Unpickler):
    """Knows three things: an ordered dictionary, a tensor, and the types of storages."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        raise StateError(f"refers to {module}.{name}, which a state dict has no need of")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _location, _count, view = pid
        if kind != "storage" or not isinstance(dtype, np.dtype) or view is not None:
            raise StateError("holds a storage of an unknown kind")
        return self.storages.setdefault(key, _Storage(key, dtype))


def _rebuild_tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _Tensor:
    return _Tensor(storage, offset, tuple(shape), tuple(strides))
