"""pipeline.caption again and again: what is new, changed, copied or was interrupted."""

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipeline import caption
from pipeline.captioning import caption_unit
from pipeline.captioning.elements import Unit
from pipeline.common import units
from tests.end_to_end.nightly.conftest import COUNT
from tests.end_to_end.nightly.table import Run, books, codes, manifest, rows
from tests.faults.jobs import tree
from transforms import isolation, sources
from transforms.commandline import Exit
from transforms.errors import JobError
from transforms.images import ImageError, Picture
from transforms.rejects import RejectCode


def test_a_run_captions_what_is_new_or_changed_and_nothing_else(
    run: Run, images: Path, output: Path, jpegs: list[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--dry_run") is Exit.DONE
    assert "\nimages: 8, of which 0 stay" in capsys.readouterr().out
    assert not output.exists()
    assert run() is Exit.DONE
    assert books(output) == {"done": 7, "rejected": 1, "committed": 0}
    before, written = rows(output), tree(output)
    (images / "new.jpg").write_bytes(jpegs[COUNT])
    (images / "1.jpg").write_bytes(jpegs[COUNT + 1])
    os.utime(images / "2.jpg", (1, 1))
    (images / "3.jpg").unlink()
    (images / "4 again.jpg").write_bytes(jpegs[4])
    (images / "5.heic").write_bytes(b"x")
    assert run("--dry_run") is Exit.DONE
    said = capsys.readouterr().out
    assert "table: generation 1\nimages: 10, of which 6 stay as an earlier run left them" in said
    assert "new names of bytes that the table knows: 1\nto caption: 2, of which 2 have" in said
    assert "\nrefused: 1\n" in said
    assert tree(output) == written
    (images / "5.heic").unlink()
    (images / "4 again.jpg").unlink()
    assert run() is Exit.DONE
    assert books(output) == {"done": 2, "rejected": 1, "committed": 5}
    after = rows(output)
    assert set(after) == {*before, "new.jpg"}
    assert after["1.jpg"]["sha256"] != before["1.jpg"]["sha256"]
    # What has vanished keeps its row, and so does what was only touched.
    assert {key: after[key] for key in before if key != "1.jpg"} == {
        key: before[key] for key in before if key != "1.jpg"
    }
    assert codes(output) == {"broken.jpg": "image_not_an_image"}
    assert manifest(output)["generation"] == 2
    assert manifest(output)["rows"] == len(after)
    assert manifest(output)["codes"] == {"image_not_an_image": 1}
    assert json.loads((output / "run.json").read_text())["rows_not_listed"] == 1


def test_a_folder_that_cannot_be_listed_is_a_reject_and_its_rows_stay(
    run: Run, images: Path, output: Path, jpegs: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    (images / "album").mkdir()
    (images / "album" / "0.jpg").write_bytes(jpegs[COUNT])
    run()
    before = rows(output)
    scandir = os.scandir

    def failing(path: int | str) -> object:  # A descriptor, where a folder is removed.
        if str(path) == str(images / "album"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", failing)
    (images / "new.jpg").write_bytes(jpegs[COUNT + 1])
    assert run() is Exit.DONE
    assert books(output) == {"done": 1, "rejected": 2, "committed": 7}
    assert codes(output) == {"broken.jpg": "image_not_an_image", "album": "image_unreadable"}
    assert rows(output).keys() == {*before, "new.jpg"}


def test_an_image_that_the_listing_shows_unchanged_is_not_read(
    run: Run, images: Path, output: Path
) -> None:
    run()
    before = tree(output)
    for name in ("1.jpg", "broken.jpg"):
        path = images / name
        status, size = path.stat(), path.stat().st_size
        path.write_bytes(b"\0" * size)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert run() is Exit.DONE
    assert tree(output) == before


def test_what_may_succeed_later_is_tried_again_and_keeps_the_row_that_it_had(
    run: Run, images: Path, output: Path, jpegs: list[bytes]
) -> None:
    (images / "late.jpg").symlink_to(images.parent / "elsewhere.jpg")
    run()
    assert codes(output)["late.jpg"] == "image_missing"
    before = rows(output)["4.jpg"]
    (images.parent / "elsewhere.jpg").write_bytes(jpegs[COUNT])
    (images / "4.jpg").unlink()
    (images / "4.jpg").symlink_to(images.parent / "gone.jpg")
    run()
    assert codes(output) == {"broken.jpg": "image_not_an_image", "4.jpg": "image_missing"}
    assert rows(output)["4.jpg"] == before
    assert "late.jpg" in rows(output)
    (images.parent / "gone.jpg").write_bytes(jpegs[COUNT + 1])
    run()
    assert books(output) == {"done": 1, "rejected": 1, "committed": 7}
    assert rows(output)["4.jpg"]["sha256"] != before["sha256"]


def test_new_names_of_known_bytes_get_their_rows_and_rejects_without_a_decoder_or_model(
    run: Run,
    images: Path,
    output: Path,
    jpegs: list[bytes],
    captioner_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run("--beam_width=3")
    first = rows(output)
    (images / "new name.jpg").write_bytes(jpegs[4])
    (images / "another.jpg").write_bytes(jpegs[4])
    (images / "1.jpg").write_bytes(jpegs[2])
    (images / "6.jpg").write_bytes((images / "broken.jpg").read_bytes())
    refused = dict.fromkeys(("broken.jpg", "6.jpg"), "image_not_an_image")
    with monkeypatch.context() as patch:
        # Nothing is decoded, and no model loaded.
        patch.delattr(caption_unit, "caption_unit")
        run("--beam_width=3")
        after = rows(output)
        assert books(output) == {"done": 3, "rejected": 2, "committed": 6}
        assert codes(output) == refused
        for name, source in (("new name", "4"), ("another", "4"), ("1", "2")):
            place = {"key": f"{name}.jpg", "uri": str(images / f"{name}.jpg")}
            assert after[f"{name}.jpg"] == first[f"{source}.jpg"] | place
        assert after.keys() == first.keys() | {"new name.jpg", "another.jpg"}

        # A folder that has moved is known by its content.
        images.rename(tmp_path / "moved")
        flags = [f"--captioner={captioner_folder}", f"--output={output}", "--beam_width=3"]
        caption.main([f"--images={tmp_path / 'moved'}", *flags])
        assert books(output) == {"done": 9, "rejected": 2, "committed": 0}
        assert codes(output) == refused
        before = tree(output)
        caption.main([f"--images={tmp_path / 'moved'}", *flags])
        assert tree(output) == before
        (tmp_path / "moved").rename(images)
    # What another search found is no caption of this one's.
    (images / "third.jpg").write_bytes(jpegs[5])
    run("--beam_width=2")
    assert {1 + len(row["alternatives"]) for row in rows(output).values()} == {2}
    (images / "fourth.jpg").write_bytes(jpegs[5])
    run("--beam_width=4", "--recaption=never")
    assert 1 + len(rows(output)["fourth.jpg"]["alternatives"]) == 2


def unreadable(patch: pytest.MonkeyPatch, *keys: str) -> None:
    """Have images found and known by their content, and then not read again."""
    read = sources.read

    def read_some(ref: sources.ImageRef) -> bytes:
        if ref.key in keys:
            raise OSError("the store is busy")
        return read(ref)

    patch.setattr(sources, "read", read_some)


def test_names_that_are_no_text_are_known_again(
    run: Run, images: Path, output: Path, jpegs: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = os.fsdecode(b"\xe9.jpg")
    (images / name).write_bytes(jpegs[COUNT])
    (images / os.fsdecode(b"\xe9 broken.jpg")).write_bytes(b"no picture")
    run()
    before = tree(output)
    run()
    assert books(output) == {"done": 0, "rejected": 2, "committed": 8}
    assert tree(output) == before
    row = rows(output)[r"\xe9.jpg"]
    (images / name).write_bytes(jpegs[COUNT + 1])
    unreadable(monkeypatch, name)
    run()
    assert codes(output)[r"\xe9.jpg"] == "image_unreadable"
    assert rows(output)[r"\xe9.jpg"] == row


def test_bytes_that_cannot_be_read_by_one_name_are_read_by_another(
    run: Run, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        unreadable(patch, "0.jpg")
        run()
    assert codes(output) == {"0.jpg": "image_unreadable", "broken.jpg": "image_not_an_image"}
    assert books(output) == {"done": 6, "rejected": 2, "committed": 0}
    caption_of_copy = rows(output)["copy.jpg"]["caption"]
    run()
    assert books(output) == {"done": 1, "rejected": 1, "committed": 6}
    assert rows(output)["0.jpg"]["caption"] == caption_of_copy


def test_an_image_that_becomes_broken_loses_its_row_and_one_mended_gets_it(
    run: Run, images: Path, output: Path, jpegs: list[bytes]
) -> None:
    run()
    (images / "1.jpg").write_bytes(b"broken now")
    (images / "broken.jpg").write_bytes(jpegs[COUNT])
    run()
    assert codes(output) == {"1.jpg": "image_not_an_image"}
    assert "1.jpg" not in rows(output)
    assert "broken.jpg" in rows(output)


def test_a_reject_is_reconsidered_where_what_is_accepted_has_changed(
    run: Run, images: Path, output: Path, jpegs: list[bytes]
) -> None:
    (images / "short.jpg").write_bytes(jpegs[COUNT][:-40])
    run()
    assert codes(output)["short.jpg"] == "image_truncated"
    shutil.copy(images / "short.jpg", images / "copied.jpg")
    run("--truncated=accept")
    assert books(output) == {"done": 2, "rejected": 1, "committed": 7}
    assert {"short.jpg", "copied.jpg"} <= rows(output).keys()


def test_another_search_is_a_new_generation_unless_told_otherwise(
    run: Run, images: Path, output: Path, jpegs: list[bytes]
) -> None:
    run("--beam_width=3")
    (images / "new.jpg").write_bytes(jpegs[COUNT])
    run("--beam_width=2", "--recaption=never")
    assert books(output) == {"done": 1, "rejected": 1, "committed": 7}
    widths = {key: 1 + len(row["alternatives"]) for key, row in rows(output).items()}
    assert widths == {key: 2 if key == "new.jpg" else 3 for key in widths}
    run("--beam_width=2")
    assert books(output) == {"done": 7, "rejected": 1, "committed": 1}
    assert {1 + len(row["alternatives"]) for row in rows(output).values()} == {2}
    run("--beam_width=2", "--recaption=all")
    assert books(output) == {"done": 8, "rejected": 1, "committed": 0}
    assert manifest(output)["generation"] == 4
    assert {part["generation"] for part in manifest(output)["parts"].values()} == {4}


def test_every_bundle_executed_twice_makes_the_same_generations(
    run: Run, images: Path, output: Path, jpegs: list[bytes], tmp_path: Path
) -> None:
    twice = ("--direct_runner_bundle_repeat=2", "--retain=0", "--export=jsonl")
    run("--retain=0", "--export=jsonl")
    shutil.copytree(output, tmp_path / "copy")
    (images / "1.jpg").write_bytes(jpegs[COUNT])
    run("--retain=0", "--export=jsonl")
    expected = tree(output)
    shutil.rmtree(output)
    shutil.move(tmp_path / "copy", output)
    run(*twice)
    assert tree(output) == expected
    assert manifest(output)["generation"] == 2


def interrupt(patch: pytest.MonkeyPatch, run: Callable[[], object], finish: int) -> None:
    """Have a run die after so many units."""
    work, begun = caption_unit.caption_unit, iter(range(finish))

    def caption_some(*arguments: Any) -> units.UnitReport:
        if next(begun, None) is None:
            raise OSError("the machine goes away")
        return work(*arguments)

    with patch.context() as patched:
        patched.setattr(caption_unit, "caption_unit", caption_some)
        with pytest.raises(JobError, match="the machine goes away"):
            run()


def test_what_an_interrupted_run_finished_is_kept_whatever_came_went_or_changed(
    run: Run,
    images: Path,
    output: Path,
    jpegs: list[bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for number in range(COUNT):
        (images / f"more {number}.jpg").write_bytes(jpegs[number] + b"\0")
    run()
    (images / "4.jpg").unlink()
    flags = ("--unit_size=1", "--recaption=all")
    undisturbed = Path(shutil.copytree(output, tmp_path / "undisturbed"))
    interrupt(monkeypatch, lambda: run(*flags), 3)
    journal = [json.loads(path.read_text()) for path in (output / "units").glob("*.json")]
    index = [
        output / file for unit in journal for file in unit["facts"]["files"] if "index" in file
    ]
    finished = sorted(line["key"] for path in index for line in pq.read_table(path).to_pylist())
    captioned = [key for key in finished if key not in ("copy.jpg", "broken.jpg")]
    assert len(captioned) >= 2
    gone, changed = captioned[:2]
    (images / gone).unlink()
    (images / changed).write_bytes(jpegs[COUNT])
    (images / "new.jpg").write_bytes(jpegs[COUNT + 1])
    if len(captioned) > 2:
        os.utime(images / captioned[2], (1, 1))

    work, seen = caption_unit.caption_unit, []

    def caption_seen(name: str, unit: Unit, *others: Any) -> units.UnitReport:
        seen.extend(ref.key for content in unit.contents for ref in content.refs)
        return work(name, unit, *others)

    monkeypatch.setattr(caption_unit, "caption_unit", caption_seen)
    # Interrupted again: what either attempt finished is kept.
    interrupt(monkeypatch, lambda: run(*flags), 1)
    run(*flags)
    everything = {path.name for path in images.iterdir()}
    rest = everything.difference(finished) | {"new.jpg", changed}
    # The copy goes by the name that has its bytes, if that is finished.
    assert sorted(seen) == sorted(rest - ({"copy.jpg"} if "0.jpg" not in rest else set()))
    report = json.loads((output / "run.json").read_text())
    assert books(output) == {"done": len(everything) - 1, "rejected": 1, "committed": 0}
    assert report["resumed"] >= len(captioned) - 2
    assert f"images done ({report['resumed']} by an interrupted run)" in capsys.readouterr().err
    run(*flags, f"--output={undisturbed}")
    told = ("key", "uri", "sha256", "caption")
    assert {key: [row[name] for name in told] for key, row in rows(output).items()} == {
        key: [row[name] for name in told] for key, row in rows(undisturbed).items()
    }
    assert codes(output) == {"broken.jpg": "image_not_an_image"}
    assert manifest(output)["books"] == manifest(undisturbed)["books"]
    assert not list((output / "units").iterdir())


def test_what_timed_out_is_tried_again_with_more_seconds(
    run: Run, images: Path, output: Path, jpegs: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[float] = []

    @contextlib.contextmanager
    def decoder(careful: bool, seconds: float) -> Iterator[isolation.Decoder]:
        class Late(isolation.WatchedDecoder):
            def decode(self, data: bytes, *arguments: Any) -> Picture:
                if data == jpegs[1]:
                    tried.append(seconds)
                    if seconds < 60:
                        raise ImageError(RejectCode.DECODER_TIMEOUT, "too long", seconds)
                return super().decode(data, *arguments)

        yield Late(seconds)

    monkeypatch.setattr(caption_unit.isolation, "decoder", decoder)
    run("--image_seconds=30")
    timed_out = {"broken.jpg": "image_not_an_image", "1.jpg": "decoder_timeout"}
    assert codes(output) == timed_out
    run("--image_seconds=20")
    assert (codes(output), tried) == (timed_out, [30])
    run("--image_seconds=40")
    assert (codes(output), tried) == (timed_out, [30, 40])
    (images / "same.jpg").write_bytes(jpegs[1])
    run("--image_seconds=60")
    assert books(output) == {"done": 2, "rejected": 1, "committed": 6}
    assert tried == [30, 40, 60]
    assert manifest(output)["generation"] == 3
