"""Whatever is put into a folder, taken away, copied or broken: each name has its one outcome."""

import os
import tempfile
from functools import cache
from pathlib import Path

import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import caption
from tests import captioners
from transforms import captions_table
from transforms.commandline import Exit

# All of them in CI; elsewhere some, for each runs the job twice.
EXAMPLES = 20 if os.environ.get("BEAMCAP_FAULTS") == "whole" else 3

BAD = {"image_empty": b"", "image_not_an_image": b"words", "image_truncated": None}
KINDS = st.sampled_from([*range(4), *BAD])
NAMES = st.sampled_from([f"{folder}{n}.jpg" for folder in ("", "a/", "a b/") for n in range(4)])
FOLDERS = st.dictionaries(NAMES, KINDS, min_size=1)


@cache
def pictures() -> list[bytes]:
    """Return four images."""
    return captioners.jpegs(4)


def content(kind: int | str) -> bytes:
    """Return a file that is captioned (a number) or refused with the code that it is named for."""
    if isinstance(kind, int):
        return pictures()[kind]
    data = BAD[kind]
    return pictures()[0][:500] if data is None else data


def lay_out(folder: Path, kinds: dict[str, int | str]) -> None:
    """Make a folder hold just these files; what is there already is left as it is."""
    for path in folder.rglob("*.jpg"):
        if path.relative_to(folder).as_posix() not in kinds:
            path.unlink()
    for name, kind in kinds.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_bytes() != content(kind):
            path.write_bytes(content(kind))


@given(first=FOLDERS, second=FOLDERS)
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_every_name_has_one_outcome_in_every_run(
    captioner_folder: Path, first: dict[str, int | str], second: dict[str, int | str]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        said: dict[int | str, str] = {}
        for kinds in (first, second):
            lay_out(folder / "images", kinds)
            if not any(isinstance(kind, int) for kind in kinds.values()):
                # A run without any caption is an error of its own.
                lay_out(folder / "images", kinds | {"one.jpg": 0})
                kinds = kinds | {"one.jpg": 0}
            status = caption.main(
                [
                    f"--images={folder / 'images'}",
                    f"--captioner={captioner_folder}",
                    f"--output={folder / 'captions'}",
                    "--unit_size=3",
                    "--batch_size=2",
                    "--page_images=0",
                ]
            )
            assert status == Exit.DONE
            rows = {row["key"]: row["caption"] for row in captions_table.rows(f"{folder}/captions")}
            table = pq.read_table(folder / "captions" / "rejects.parquet").to_pylist()
            rejects = {row["key"]: row["code"] for row in table}
            assert rejects == {n: kind for n, kind in kinds.items() if isinstance(kind, str)}
            assert {key for key in rows if key in kinds} == kinds.keys() - rejects.keys()
            assert not rows.keys() & rejects.keys()
            for key in rows.keys() & kinds.keys():
                # The same bytes have the same caption under every name, in every run.
                assert said.setdefault(kinds[key], rows[key]) == rows[key]
