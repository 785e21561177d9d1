"""pipeline.caption over archives, night after night."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline import caption
from tests import captioners
from tests.transforms.sources.archives import write_tar, write_zip
from transforms import captions_table
from transforms.commandline import Exit


def test_archives_are_captioned_once_and_their_rows_say_where_from(
    captioner_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jpegs = captioners.jpegs(7)
    images = tmp_path / "images"
    images.mkdir()
    write_tar(images / "a.tar", [("d/0.jpg", jpegs[0]), ("../1.jpg", jpegs[1])])
    write_tar(images / "b.tar.gz", [(f"{n}.jpg", jpegs[n]) for n in (2, 3, 4)], "w:gz")
    (images / "copy.jpg").write_bytes(jpegs[3])
    output = tmp_path / "captions"
    flags = [f"--images={images}", f"--captioner={captioner_folder}", f"--output={output}"]

    def run() -> dict[str, Any]:
        assert caption.main([*flags, "--batch_size=4"]) is Exit.DONE
        return json.loads((output / "captions.json").read_text())

    books = run()["books"]["images"]
    assert (books["listed"], books["done"], books["rejected"]) == (6, 5, 1)
    rows = {row["key"]: row for row in captions_table.rows(str(output))}
    assert rows["a.tar/d/0.jpg"]["uri"] == f"{images}/a.tar#d/0.jpg"
    assert rows["copy.jpg"]["caption"] == rows["b.tar.gz/3.jpg"]["caption"]
    assert len(rows) == 5
    # The page shows pictures that are in archives.
    assert (output / "captions.html").read_text().count("data:image/jpeg") == 5
    before = {path: path.stat().st_mtime_ns for path in (output / "data").rglob("*")}
    run()
    assert {path: path.stat().st_mtime_ns for path in before} == before
    write_zip(images / "c.zip", [("5.jpg", jpegs[5]), ("6.jpg", jpegs[6])])
    write_tar(images / "new", [(f"{n}.jpg", jpegs[n]) for n in (2, 3, 1)], "w:gz").rename(
        images / "b.tar.gz"
    )
    capsys.readouterr()
    run()
    assert "3 images done" in capsys.readouterr().err
    keys = {row["key"] for row in captions_table.rows(str(output))}
    assert {"c.zip/5.jpg", "c.zip/6.jpg", "b.tar.gz/1.jpg"} <= keys
