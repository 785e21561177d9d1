"""Disks that fill, names that are taken, sources that go: a clear end, and no loss."""

import contextlib
import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.faults import inputs
from tests.faults.jobs import Run, run_job, tree
from tests.faults.warm import WarmPython
from transforms import captions_table


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder of images of its own for each test, which may spoil it."""
    inputs.write(tmp_path / "inputs", count=40)
    return tmp_path / "inputs" / "images"


@pytest.fixture
def caption(captioner_folder: Path, images: Path) -> list[str]:
    """The captioning job with small units, without its output."""
    units = ["--unit_size=4", "--batch_size=4", "--page_images=0"]
    return ["pipeline.caption", f"--images={images}", f"--captioner={captioner_folder}", *units]


def error_of(run: Run) -> str:
    """Return the one line that a failed run says."""
    run.check(status=1)
    (line,) = [line for line in run.log.splitlines() if line.startswith("error: ")]
    return line


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """Mount a disk of so many bytes on a folder."""
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    subprocess.run(["mount", *options], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def may_mount(folder: Path) -> bool:
    """Whether this process may mount disks."""
    try:
        with small_disk(folder, "64k"):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


def test_a_disk_that_fills_ends_in_one_line_and_the_next_run_completes(
    caption: list[str], warm: WarmPython, tmp_path: Path
) -> None:
    run_job([*caption, "--output=whole"], tmp_path, warm=warm).check()
    disk = tmp_path / "disk"
    output = disk / "captions"
    if may_mount(tmp_path / "try"):
        with small_disk(disk, "64k"):
            line = error_of(run_job([*caption, f"--output={output}"], tmp_path, warm=warm))
            left = tree(output)
            subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
            run_job([*caption, f"--output={output}"], tmp_path, warm=warm).check()
            after = tree(output)
        assert "No space left on device" in line
    else:
        module, *flags = [*caption, f"--output={output}"]
        limited = ["tests.faults.test_faults", "3000", module, *flags]
        line = error_of(run_job(limited, tmp_path, warm=warm))
        left = tree(output)
        run_job([module, *flags], tmp_path, warm=warm).check()
        after = tree(output)
        assert "File too large" in line
    assert str(output) in line
    assert "the same command continues" in line
    assert "captions.json" not in left
    assert not [name for name in left if ".beamcap-tmp-" in name]
    assert after == tree(tmp_path / "whole")


def test_a_rename_that_fails_ends_in_one_line_and_the_next_run_completes(
    caption: list[str], warm: WarmPython, tmp_path: Path
) -> None:
    run_job([*caption, "--output=whole"], tmp_path, warm=warm).check()
    output = tmp_path / "captions"
    taken = sorted((tmp_path / "whole" / "data").iterdir())[5].relative_to(tmp_path / "whole")
    shutil.copytree(tmp_path / "whole", output)
    (output / "captions.json").unlink()
    for folder in ("data", "generations", "units"):
        shutil.rmtree(output / folder, ignore_errors=True)
    (output / taken / "in the way").mkdir(parents=True)

    line = error_of(run_job([*caption, "--output=captions"], tmp_path, warm=warm))
    assert str(output / taken) in line
    assert not list(output.rglob(".beamcap-tmp-*"))
    shutil.rmtree(output / taken)
    run_job([*caption, "--output=captions"], tmp_path, warm=warm).check()
    assert tree(output) == tree(tmp_path / "whole")


def test_images_that_go_or_change_meanwhile_are_rejects_and_captioned_when_they_are_back(
    caption: list[str], images: Path, warm: WarmPython, tmp_path: Path
) -> None:
    run_job([*caption, "--output=whole"], tmp_path, warm=warm).check()
    output = tmp_path / "captions"
    names = sorted(path.name for path in images.glob("scene-*.jpg"))
    gone, changed = names[:15], names[15:30]
    away = tmp_path / "away"
    shutil.copytree(images, away)

    def spoil() -> bool:
        """Spoil the source once the first unit is done; never kill the job."""
        if any(output.glob("data/*")) and (images / gone[0]).exists():
            for name in changed:
                (images / name).write_bytes((images / name).read_bytes() + b"\0")
            for name in reversed(gone):
                (images / name).unlink()
        return False

    run = run_job([*caption, "--output=captions"], tmp_path, warm=warm, kill_when=spoil)
    run.check()
    rejects = pq.read_table(output / "rejects.parquet").to_pylist()
    keys = [row["key"] for row in [*rejects, *captions_table.rows(str(output))]]
    assert sorted(keys) == sorted(path.name for path in away.iterdir())
    codes = {row["key"]: row["code"] for row in rejects if row["key"] != "broken.jpg"}
    assert set(codes.values()) == {"image_missing", "image_changed"}
    assert all(
        name in (gone if code == "image_missing" else changed) for name, code in codes.items()
    )
    books = json.loads((output / "captions.json").read_text())["books"]["images"]
    assert books["rejected"] == len(rejects)

    for path in away.iterdir():
        here = images / path.name
        # What is as it was is not written again: its time is part of what the job knows.
        if not here.exists() or path.read_bytes() != here.read_bytes():
            shutil.copy2(path, here)
    run_job([*caption, "--output=captions"], tmp_path, warm=warm).check()
    assert rows(output) == rows(tmp_path / "whole")


def rows(table: Path) -> list[object]:
    """Return key, digest and caption of each row; scores depend on neighbours by a rounding."""
    return sorted((r["key"], r["sha256"], r["caption"]) for r in captions_table.rows(str(table)))


if __name__ == "__main__":
    # A disk that fills, for those who may not mount one: no file may grow beyond so many bytes.
    import runpy

    _, limit, *sys.argv = sys.argv
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
