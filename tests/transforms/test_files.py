"""Files that are whole or absent."""

import json
import os
import sys
from pathlib import Path

import pytest

from transforms import files
from transforms.errors import UsageError


def test_a_file_appears_whole(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.bin"
    with files.atomic(str(path)) as stream:
        stream.write(b"one")
        assert not path.exists()
        stream.write(b"two")
    assert path.read_bytes() == b"onetwo"
    assert stream.size == 6
    assert [p.name for p in path.parent.iterdir()] == ["b.bin"]


def test_a_failure_leaves_the_old_file_and_no_debris(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError, match="stop"), files.atomic(str(path)) as stream:
        stream.write(b"new")
        raise RuntimeError("stop")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_rename_that_fails_is_an_error_without_debris(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError), files.atomic(str(tmp_path / "taken")) as stream:
        stream.write(b"x")
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]


def test_a_full_disk_is_an_error() -> None:
    # Linux has a device that is always full.
    with pytest.raises(OSError, match="No space left"), Path("/dev/full").open("wb") as full:
        files.HashingWriter(full).write(b"x" * 100_000)
        full.flush()


def test_listing_is_sorted_and_complete(tmp_path: Path) -> None:
    for name in ("b/2.jpg", "b/10.jpg", "a.txt", "c/d/e.JPG", ".hidden"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "c" / "up").symlink_to(tmp_path)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    listed = [(os.path.relpath(i.path, tmp_path), i.size) for i in files.list_files(str(tmp_path))]
    assert listed == [
        (".hidden", 7),
        ("a.txt", 5),
        ("b/10.jpg", 8),
        ("b/2.jpg", 7),
        ("c/d/e.JPG", 9),
        ("dangling", 0),
    ]


def test_folders_may_be_deeper_than_python_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    depth = sys.getrecursionlimit() + 1
    for _ in range(depth):
        os.mkdir("d")  # noqa: PTH102 - a path of that depth takes long to put together
        os.chdir("d")
    Path("1.jpg").write_bytes(b"x")
    listed = [info.path for info in files.list_files(str(tmp_path))]
    assert listed == [f"{tmp_path}/{'d/' * depth}1.jpg"]
    # What removes whole trees calls itself.
    Path("1.jpg").unlink()
    for _ in range(depth):
        os.chdir("..")
        os.rmdir("d")  # noqa: PTH106 - likewise


def test_a_folder_that_vanishes_or_cannot_be_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a/1", "closed/2", "gone/3", "z/4"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"x")
    faults = {"closed": PermissionError(13, "Permission denied"), "gone": FileNotFoundError()}
    scandir = os.scandir

    def failing(path: str) -> object:
        if error := faults.get(Path(path).name):
            raise error
        return scandir(path)

    monkeypatch.setattr(os, "scandir", failing)
    refused: dict[str, OSError] = {}
    listed = files.list_files(str(tmp_path), refused=refused.__setitem__)
    assert [os.path.relpath(info.path, tmp_path) for info in listed] == ["a/1", "z/4"]
    assert refused == {str(tmp_path / "closed"): faults["closed"]}
    with pytest.raises(PermissionError):
        list(files.list_files(str(tmp_path)))
    for name in faults:
        with pytest.raises(OSError):
            list(files.list_files(str(tmp_path / name), refused=refused.__setitem__))


def test_a_link_to_itself_is_listed_and_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (info,) = files.list_files(str(tmp_path))
    with pytest.raises(OSError, match="symbolic links"):
        files.open_read(info.path)


def test_a_pipe_is_refused_and_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        files.open_read(str(tmp_path / "pipe"))


def test_an_error_names_the_file_that_was_to_be_written(tmp_path: Path) -> None:
    path = str(tmp_path / "a")
    with pytest.raises(OSError) as caught, files.atomic(path):
        raise OSError(28, "No space left on device")
    assert str(caught.value) == f"[Errno 28] No space left on device: '{path}'"


def test_names_that_are_not_text_are_listed_and_read(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff.jpg")).write_bytes(b"x")
    (info,) = files.list_files(str(tmp_path))
    assert files.read_bytes(info.path) == b"x"


def test_json_has_names_that_are_not_text_as_escapes(tmp_path: Path) -> None:
    path, value = str(tmp_path / "a.json"), {"images": os.fsdecode(b"caf\xe9 \xc3\xa9"), "两": "狗"}
    files.write_json(path, value)
    content = files.read_bytes(path)
    assert content.decode() == '{\n  "images": "caf\\udce9 é",\n  "两": "狗"\n}\n'
    assert json.loads(content) == value


def test_deleting_twice_is_no_error(tmp_path: Path) -> None:
    path = str(tmp_path / "a")
    assert files.write_bytes(path, b"x")["bytes"] == 1
    files.delete(path)
    files.delete(path)
    assert not files.exists(path)


def test_what_is_not_there_is_told_from_what_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    assert files.read_if_there(str(tmp_path / "a")) == b"x"
    assert files.read_if_there(str(tmp_path / "b")) is None
    assert files.read_if_there(str(tmp_path / "a" / "b")) is None
    with pytest.raises(IsADirectoryError):
        files.read_if_there(str(tmp_path))


def test_a_store_without_its_client_is_wrong_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "find_spec", lambda name: None)
    for ask in (files.exists, files.stat, files.open_read, files.open_random, files.read_bytes):
        with pytest.raises(UsageError, match=r"s3://bucket/a: .* pip install -e '\.\[s3\]'"):
            ask("s3://bucket/a")
    with pytest.raises(UsageError, match="hdfs://a"):
        files.write_bytes("hdfs://a", b"x")


def test_commands_that_are_no_jobs_reach_stores_too(monkeypatch: pytest.MonkeyPatch) -> None:
    from apache_beam.io.aws import s3io
    from apache_beam.io.filesystems import FileSystems
    from apache_beam.options.pipeline_options import PipelineOptions

    class Client:
        def __init__(self, options: object) -> None:
            assert isinstance(options, PipelineOptions)

        def exists(self, path: str) -> bool:
            return path == "s3://bucket/a"

    monkeypatch.setattr(s3io, "S3IO", Client)
    monkeypatch.setattr(files, "find_spec", lambda name: object())
    monkeypatch.setattr(FileSystems, "_pipeline_options", None)
    assert files.exists("s3://bucket/a")
