"""The generations of a table: their files, what is lost or damaged of them, and exports."""

import json
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from tests.end_to_end.nightly.conftest import COUNT
from tests.end_to_end.nightly.table import Run, books, codes, manifest, rows
from tests.faults.jobs import tree
from transforms.commandline import Exit
from transforms.errors import JobError, UsageError


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


def test_a_lost_file_is_named_and_its_rows_are_made_again(
    run: Run, output: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run()
    before = rows(output)
    part = next(part for part in manifest(output)["parts"].values() if part["data"])
    for lost in (part["data"], part["index"]):
        kept = (output / lost).read_bytes()
        (output / lost).unlink()
        assert run("--dry_run") is Exit.DONE
        message = f"{output}/{lost}: the file is gone or cut short"
        assert f"the others of its {part['rows']} rows are lost" in caplog.text
        assert message in caplog.text
        (output / lost).write_bytes(kept)
    (output / part["data"]).unlink()
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


def test_a_table_outlives_its_older_manifests_and_a_lost_one_is_not_taken_for_none(
    run: Run, images: Path, output: Path, jpegs: list[bytes]
) -> None:
    def lose_and_bring_back(generation: int) -> None:
        (output / "captions.json").unlink()
        older = f"generations/{generation}.json"
        with pytest.raises(UsageError, match=rf"captions\.json: .* copy {older} over it"):
            run()
        shutil.copy(output / older, output / "captions.json")

    run()
    before = rows(output)
    lose_and_bring_back(1)
    shutil.rmtree(output / "generations")
    assert run() is Exit.DONE
    assert rows(output) == before
    (images / "new.jpg").write_bytes(jpegs[COUNT])
    (images / "1.jpg").unlink()
    run()
    before = rows(output)
    lose_and_bring_back(2)
    assert run() is Exit.DONE
    assert rows(output) == before
    (output / "captions.json").unlink()
    assert run("--overwrite") is Exit.DONE
    assert manifest(output)["generation"] == 3
    assert "1.jpg" not in rows(output)


def test_overwriting_begins_a_table_anew(run: Run, images: Path, output: Path) -> None:
    run()
    (images / "3.jpg").unlink()
    run("--overwrite")
    assert books(output) == {"done": 6, "rejected": 1, "committed": 0}
    assert "3.jpg" not in rows(output)


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


def _documented(language: str) -> str:
    """Return the first block of a language below "Opening the table"."""
    text = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()
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
