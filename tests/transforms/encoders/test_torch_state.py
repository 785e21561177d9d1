"""State dicts in PyTorch's legacy format, written here without PyTorch, and hostile ones."""

import collections
import hashlib
import io
import os
import pickle
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from transforms.encoders import lite, torch_state
from transforms.encoders.torch_state import StateError


class Storage:
    def __init__(self, key: str, values: np.ndarray) -> None:
        self.key, self.values = key, values


class Tensor:
    """Pickles as PyTorch's tensors do."""

    def __init__(self, storage: Storage, offset: int, shape: Any, strides: Any) -> None:
        self.arguments = (storage, offset, shape, strides, False, collections.OrderedDict())

    def __reduce__(self) -> Any:
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.arguments


@pytest.fixture(autouse=True)
def torch_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the pickler the names that a state dict refers to."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in ("FloatStorage", "LongStorage"):
        setattr(torch, name, type(name, (), {"__module__": "torch"}))

    def rebuild(*arguments: Any) -> None:
        raise AssertionError("PyTorch's own function is never called")

    rebuild.__module__ = "torch._utils"
    rebuild.__name__ = rebuild.__qualname__ = "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = rebuild
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)


def legacy(state: Any, *storages: Storage) -> bytes:
    class Pickler(pickle.Pickler):
        def persistent_id(self, item: Any) -> Any:
            if not isinstance(item, Storage):
                return None
            kind = "FloatStorage" if item.values.dtype == np.float32 else "LongStorage"
            kind = getattr(sys.modules["torch"], kind)
            return ("storage", kind, item.key, "cpu", item.values.size, None)

    file = io.BytesIO()
    for part in (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True}):
        pickle.dump(part, file, protocol=2)
    Pickler(file, protocol=2).dump(state)
    pickle.dump([storage.key for storage in storages], file, protocol=2)
    for storage in storages:
        file.write(len(storage.values).to_bytes(8, "little") + storage.values.tobytes())
    return file.getvalue()


FLOATS = Storage("7", np.arange(24, dtype=np.float32))


def write(folder: Path, data: bytes, name: str = "state.pth") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def test_tensors_are_views_into_their_storages(tmp_path: Path) -> None:
    longs = Storage("8", np.array([3], np.int64))
    state = collections.OrderedDict(
        whole=Tensor(FLOATS, 0, (2, 3, 4), (12, 4, 1)),
        turned=Tensor(FLOATS, 2, (4, 3), (1, 4)),
        scalar=Tensor(longs, 0, (), ()),
    )
    arrays = torch_state.read(write(tmp_path, legacy(state, FLOATS, longs)))
    assert list(arrays) == ["whole", "turned", "scalar"]
    np.testing.assert_array_equal(arrays["whole"], FLOATS.values.reshape(2, 3, 4))
    np.testing.assert_array_equal(arrays["turned"], FLOATS.values[2:14].reshape(3, 4).T)
    assert arrays["scalar"] == 3 and arrays["scalar"].dtype == np.int64


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [(1, (24,), (1,)), (0, (5, 5), (5, 1)), (-1, (2,), (1,)), (0, (2,), (-1,)), (0, (99,), (0,))],
)
def test_a_tensor_cannot_reach_beyond_its_storage(
    tmp_path: Path, offset: int, shape: Any, strides: Any
) -> None:
    data = legacy({"x": Tensor(FLOATS, offset, shape, strides)}, FLOATS)
    with pytest.raises(StateError, match=r"beyond its storage|malformed shape"):
        torch_state.read(write(tmp_path, data))


class Runs:
    """Runs a command when it is unpickled."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("function", [os.system, eval, exec, getattr, io.open])
def test_nothing_in_the_file_is_executed(tmp_path: Path, function: Any) -> None:
    witness = tmp_path / "witness"
    for argument in (f"touch {witness}", f"open({str(witness)!r}, 'w')", str(witness)):
        path = write(tmp_path, legacy({"x": Runs(function, argument, "w")}))
        with pytest.raises(StateError, match=r"state\.pth: refers to"):
            torch_state.read(path)
        path.write_bytes(pickle.dumps(Runs(function, argument, "w")))
        with pytest.raises(StateError):
            torch_state.read(path)
    assert not witness.exists()


def test_what_is_no_state_dict_is_refused(tmp_path: Path) -> None:
    for data in (b"", b"rubbish", b"PK\x03\x04 zipped", legacy([1, 2]), legacy({"x": 1})):
        with pytest.raises(StateError, match=r"state\.pth"):
            torch_state.read(write(tmp_path, data))


def test_every_truncation_is_noticed(tmp_path: Path) -> None:
    data = legacy({"x": Tensor(FLOATS, 0, (24,), (1,))}, FLOATS)
    for length in range(len(data)):
        with pytest.raises(StateError):
            torch_state.read(write(tmp_path, data[:length]))


def test_the_hash_in_the_name_is_checked(tmp_path: Path) -> None:
    data = legacy({"x": Tensor(FLOATS, 0, (24,), (1,))}, FLOATS)
    right = hashlib.sha256(data).hexdigest()[:8]
    assert torch_state.read(write(tmp_path, data, f"net-{right}.pth"))
    with pytest.raises(StateError, match="damaged"):
        torch_state.read(write(tmp_path, data, "net-01234567.pth"))


def test_the_weights_of_the_packages_are_read() -> None:
    state = torch_state.read(lite.weights_file("efficientnet-lite0"))
    assert state["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert state["_fc.weight"].shape == (1000, 1280)
    assert all(np.isfinite(values).all() for values in state.values())
