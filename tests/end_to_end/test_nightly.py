"""pipeline.caption run again and again on one table, as a schedule does."""

import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from prometheus_client.parser import text_string_to_metric_families

from pipeline import caption
from pipeline.captioning import caption_unit
from pipeline.captioning.elements import Unit
from pipeline.common import locks, units
from tests import captioners
from tests.faults.jobs import tree
from transforms import captions_table, sources
from transforms.commandline import Exit
from transforms.errors import JobError, UsageError

COUNT = 6
Run = Callable[..., Exit]


@pytest.fixture(scope="module")
def jpegs() -> list[bytes]:
    """Pictures of different colours, more than a table begins with."""
    return captioners.jpegs(COUNT + 3)


@pytest.fixture
def images(jpegs: list[bytes], tmp_path: Path) -> Path:
    """A folder with six pictures, a copy and something broken."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number, data in enumerate(jpegs[:COUNT]):
        (folder / f"{number}.jpg").write_bytes(data)
    (folder / "copy.jpg").write_bytes(jpegs[0])
    (folder / "broken.jpg").write_bytes(b"no picture")
    return folder


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "captions"


@pytest.fixture
def run(images: Path, output: Path, captioner_folder: Path) -> Run:
    """Run the job with further flags; returns its status."""
    flags = [f"--images={images}", f"--captioner={captioner_folder}", f"--output={output}"]
    flags += ["--unit_size=3", "--batch_size=4", "--page_images=0"]
    return lambda *more: caption.main([*flags, *more])


def manifest(output: Path) -> dict[str, Any]:
    return json.loads((output / "captions.json").read_text())


def books(output: Path) -> dict[str, int]:
    """Return what the last run counted, whether or not it made a generation."""
    counts = json.loads((output / "run.json").read_text())["books"]["images"]
    assert counts["listed"] == sum(counts.values()) - counts["listed"]
    return {name: counts[name] for name in ("done", "rejected", "committed")}


def rows(output: Path, generation: int | None = None) -> dict[str, dict[str, Any]]:
    """Return the table by key; a key must have one row."""
    found = list(captions_table.rows(str(output), generation))
    assert len({row["key"] for row in found}) == len(found)
    return {row["key"]: row for row in found}


def codes(output: Path) -> dict[str, str]:
    table = pq.read_table(output / "rejects.parquet").to_pylist()
    return {row["key"]: row["code"] for row in table}


def test_a_run_captions_what_is_new_or_changed_and_nothing_else(
    run: Run, images: Path, output: Path, jpegs: list[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run() is Exit.DONE
    assert books(output) == {"done": 7, "rejected": 1, "committed": 0}
    before, written = rows(output), tree(output)
    (images / "new.jpg").write_bytes(jpegs[COUNT])
    (images / "1.jpg").write_bytes(jpegs[COUNT + 1])
    os.utime(images / "2.jpg", (1, 1))
    (images / "3.jpg").unlink()
    (images / "4 again.jpg").write_bytes(jpegs[4])
    assert run("--dry_run") is Exit.DONE
    said = capsys.readouterr().out
    assert "table: generation 1\nimages: 9, of which 6 stay as an earlier run left them" in said
    assert "new names of bytes that the table knows: 1\nto caption: 2, of which 2 have" in said
    assert tree(output) == written
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


def test_small_files_of_many_nights_become_one(
    run: Run, images: Path, output: Path, jpegs: list[bytes]
) -> None:
    flags = ("--unit_size=40", "--merge_above=2", "--retain=1")
    run(*flags)
    numbers, expected = [], rows(output)
    for night in range(5):
        (images / f"new {night}.jpg").write_bytes(jpegs[COUNT] + bytes(night))
        before = [output / name for name in manifest(output)["data"]]
        run(*flags)
        # Whoever had opened the generation before can read it to its end.
        assert sum(pq.read_table(path).num_rows for path in before) == len(expected)
        found = rows(output)
        assert {key: found[key] for key in expected} == expected
        assert len(found) == len(expected) + 1
        numbers.append(len(manifest(output)["data"]))
        expected = found
    assert numbers == [2, 1, 2, 1, 2]
    assert codes(output) == {"broken.jpg": "image_not_an_image"}
    unchanged = tree(output)
    run(*flags)
    assert books(output) == {"done": 0, "rejected": 1, "committed": 12}
    assert tree(output) == unchanged


def test_older_generations_stay_readable_until_they_are_swept(
    run: Run, images: Path, output: Path, jpegs: list[bytes]
) -> None:
    run()
    opened = [output / name for name in manifest(output)["data"]]
    first = rows(output)
    for number in (1, 2):
        (images / f"{number}.jpg").write_bytes(jpegs[COUNT + number])
        run("--retain=1")
        # Who has opened a manifest reads that generation to its end, whatever runs.
        if number == 1:
            assert rows(output, 1) == first
            assert sum(pq.read_table(path).num_rows for path in opened) == len(first)
    with pytest.raises(UsageError, match=r"no generations/1\.json"):
        rows(output, 1)
    assert len(rows(output, 2)) == len(first)
    kept = {name for n in (2, 3) for name in _generation(output, n)["files"]}
    on_disk = {p.relative_to(output).as_posix() for p in output.glob("*/*") if p.is_file()}
    assert on_disk == kept | {"generations/2.json", "generations/3.json"}
    run("--retain=0", "--recaption=all")
    assert [p.name for p in (output / "generations").iterdir()] == ["4.json"]


def _generation(output: Path, number: int) -> dict[str, Any]:
    return json.loads((output / "generations" / f"{number}.json").read_text())


def test_a_lost_data_file_is_made_again(run: Run, output: Path) -> None:
    run()
    before = rows(output)
    (output / manifest(output)["data"][0]).unlink()
    assert run() is Exit.DONE
    assert rows(output) == before


def flip(path: Path) -> None:
    """Damage a file that keeps its size."""
    content = bytearray(path.read_bytes())
    content[20] ^= 255
    path.write_bytes(content)


def test_a_damaged_file_is_named_and_its_rows_are_made_again(
    run: Run, output: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run()
    before = rows(output)
    part = next(part for part in manifest(output)["parts"].values() if part["data"])
    flip(output / part["index"])
    assert run() is Exit.DONE
    assert f"{output}/{part['index']}: the file is damaged" in caplog.text
    assert books(output)["done"] == part["rows"]
    assert rows(output) == before
    # What rows are made of is only read where some of them change or are told of.
    data = manifest(output)["data"][0]
    flip(output / data)
    assert run() is Exit.DONE
    with pytest.raises(JobError, match=f"{output}/{data}: the file is damaged.*remove it"):
        run("--export=jsonl")
    (output / data).unlink()
    assert run("--export=jsonl") is Exit.DONE
    assert rows(output) == before


def test_a_damaged_manifest_is_in_nobody_s_way_who_begins_anew(run: Run, output: Path) -> None:
    run()
    (output / "captions.json").write_text('{"format": ')
    with pytest.raises(UsageError, match=r"captions\.json: this is not JSON.*--overwrite"):
        run()
    assert run("--overwrite") is Exit.DONE
    assert manifest(output)["generation"] == 2
    assert len(rows(output)) == len(rows(output, 1)) == 7


def test_overwriting_begins_a_table_anew(run: Run, images: Path, output: Path) -> None:
    run()
    (images / "3.jpg").unlink()
    run("--overwrite")
    assert books(output) == {"done": 6, "rejected": 1, "committed": 0}
    assert "3.jpg" not in rows(output)


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


def test_exports_follow_the_table(run: Run, images: Path, output: Path) -> None:
    run("--export=jsonl")
    lines = (output / "captions.jsonl").read_text().splitlines()
    assert {json.loads(line)["key"]: json.loads(line) for line in lines} == rows(output)
    # One that is asked for later is made though nothing is new; one that nobody renews goes.
    run("--export=coco")
    assert not (output / "captions.jsonl").exists()
    assert len(json.loads((output / "captions.coco.json").read_text())) == len(rows(output))


def test_exports_follow_the_table_back_to_an_older_generation(
    run: Run, images: Path, output: Path
) -> None:
    flags = ("--export=jsonl", "--page_images=2")
    run(*flags)
    first = rows(output)
    (images / "1.jpg").unlink()
    run(*flags, "--overwrite")
    assert (output / "captions.jsonl").read_text().count("\n") == len(first) - 1
    shutil.copy(output / "generations" / "1.json", output / "captions.json")
    (images / "4.jpg").unlink()
    run(*flags)
    lines = (output / "captions.jsonl").read_text().splitlines()
    assert {json.loads(line)["key"]: json.loads(line) for line in lines} == rows(output) == first


def test_a_first_night_on_which_no_image_can_be_read_is_no_wrong_usage(
    run: Run, images: Path, output: Path
) -> None:
    for path in images.iterdir():
        path.unlink()
    (images / "broken.jpg").write_bytes(b"no picture")
    with pytest.raises(UsageError, match=r"no image is left.*\(image_not_an_image\)"):
        run()
    (images / "late.jpg").symlink_to(images.parent / "elsewhere.jpg")
    with pytest.raises(JobError, match=f"{output}/rejects.parquet has a line on each; the same"):
        run()


def test_too_many_rejects_have_a_status_of_their_own(run: Run, output: Path) -> None:
    assert run("--max_reject_fraction=0.1") is Exit.TOO_MANY_REJECTS
    assert run("--max_reject_fraction=0.2") is Exit.DONE


def test_a_folder_of_something_else_is_refused(run: Run, output: Path) -> None:
    output.mkdir()
    (output / "thesis.txt").write_text("x")
    for flags in ((), ("--dry_run",)):
        with pytest.raises(UsageError, match="files that are not of this job"):
            run(*flags)
    assert [path.name for path in output.iterdir()] == ["thesis.txt"]
    (output / "thesis.txt").unlink()
    (output / "configuration.json").write_text('{"job": "pipeline.preprocess"}')
    with pytest.raises(UsageError, match=r"holds the output of pipeline\.preprocess"):
        run("--overwrite")


def test_a_run_with_nothing_new_says_so_and_loads_no_model(
    run: Run, images: Path, output: Path, captioner_folder: Path
) -> None:
    run()
    before = tree(output)
    script = """
        import sys
        from pipeline import caption
        status = caption.main(sys.argv[1:])
        assert "tensorflow" not in sys.modules and "keras" not in sys.modules
        sys.exit(status)
    """
    flags = [f"--images={images}", f"--captioner={captioner_folder}", f"--output={output}"]
    flags += ["--unit_size=3", "--batch_size=4", "--page_images=0"]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *flags],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"nothing new: {output}/captions.json stays as it is" in done.stderr
    assert "0 images done, 7 already there, 1 rejected" in done.stderr
    assert tree(output) == before


def test_a_second_run_leaves_and_touches_nothing_or_waits(
    run: Run, output: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run()
    before = {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}
    with locks.held(str(output)):
        with pytest.raises(JobError, match=f"{output}: another run is at work on it"):
            run("--recaption=all")
        now = {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}
        del now[output / locks.NAME]
    assert now == before
    monkeypatch.setattr(locks, "POLL_SECONDS", 0.02)
    ended = threading.Event()

    def end() -> None:
        ended.set()
        other.close()

    with contextlib.ExitStack() as other:
        other.enter_context(locks.held(str(output)))
        threading.Timer(0.2, end).start()
        assert run("--wait_for_lock=60") is Exit.DONE
        assert ended.is_set()
    assert f"{output}: waiting for another run" in capsys.readouterr().err


@pytest.mark.parametrize("beat_seconds", [0.02, 60])
def test_a_run_that_lost_its_lock_ends_and_leaves_what_the_other_run_wrote(
    run: Run, output: Path, beat_seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "BEAT_SECONDS", beat_seconds)
    planted = [output / folder / "other.parquet" for folder in ("data", "index", "rejects")]
    planted += [output / name for name in ("generations/2.json", "captions.json", "run.json")]
    caption_all = caption_unit.caption_unit

    def taken_over(*arguments: Any) -> Any:
        for path in planted:
            path.parent.mkdir(exist_ok=True)
            path.write_text("of the other run")
        store = locks._Folder(output)
        while (found := store.read()) is not None and found[0].token != "another":
            store.write(dataclasses.replace(found[0], token="another"), found[1])
        if beat_seconds < 1:
            # Long enough to be noticed while the run is at work.
            time.sleep(1)
        return caption_all(*arguments)

    monkeypatch.setattr(caption_unit, "caption_unit", taken_over)
    with pytest.raises(JobError, match=f"{output}: another run took the output over"):
        run("--unit_size=1000")
    assert {path.read_text() for path in planted} == {"of the other run"}
    assert locks.Hold(str(output), "another").stands()


def test_the_metrics_of_a_run_are_prometheus_s(run: Run, output: Path, tmp_path: Path) -> None:
    place = tmp_path / "textfile" / "beamcap.prom"
    run("--max_reject_fraction=0.1", f"--metrics_file={place}")
    families = text_string_to_metric_families(place.read_text())
    values = {
        (sample.name, sample.labels.get("outcome", "")): sample.value
        for family in families
        for sample in family.samples
    }
    assert values["beamcap_exit_status", ""] == 3
    assert values["beamcap_images", "done"] == values["beamcap_table_rows", ""] == 7
    assert values["beamcap_rejects", ""] == 1


def _documented(language: str) -> str:
    """Return the first block of a language below "Opening the table"."""
    text = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    section = text.split("### Opening the table")[1]
    return section.split(f"```{language}\n")[1].split("```")[0]


def test_the_documented_lines_open_the_table(run: Run, images: Path, output: Path) -> None:
    run()
    # Files of two generations lie together; the lines read one.
    run("--recaption=all")
    expected = {key: row["caption"] for key, row in rows(output).items()}
    names: dict[str, Any] = {}
    exec(_documented("python").replace("/srv/captions", str(output)), names)
    assert dict(zip(names["table"]["key"], names["table"]["caption"], strict=True)) == expected
    connection = duckdb.connect()
    for statement in _documented("sql").replace("/srv/captions", str(output)).splitlines():
        found = connection.execute(statement)
    assert dict(found.fetchall()) == expected


def test_a_run_that_is_told_to_end_gives_its_lock_back(
    images: Path, output: Path, captioner_folder: Path
) -> None:
    flags = [f"--images={images}", f"--captioner={captioner_folder}", f"--output={output}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.caption", *flags],
        cwd=Path(__file__).parents[2],
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (output / "configuration.json").exists() and process.poll() is None:
        time.sleep(0.05)
    # As schedulers do.
    process.terminate()
    log = process.communicate(timeout=120)[1]
    assert process.returncode == Exit.FAILED, log
    assert "error: interrupted; the same command continues where it stopped" in log
    assert not (output / locks.NAME).exists()
    assert json.loads((output / "run.json").read_text())["exit_status"] == Exit.FAILED
