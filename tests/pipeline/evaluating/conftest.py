"""Captions and pictures to evaluate."""

import hashlib
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.pipeline.evaluating.command import WORDS
from transforms import images


@pytest.fixture
def world(tmp_path):
    """Make pictures, a captions directory of them, and a Flickr token file of references."""
    rows, lines = [], []
    (tmp_path / "photos" / "sub").mkdir(parents=True)
    for number, word in enumerate(WORDS):
        path = tmp_path / "photos" / "sub" / f"{number}.jpg"
        path.write_bytes(images.to_jpeg(np.full((30, 40, 3), 40 * number, np.uint8)))
        rows.append(
            {
                "key": f"sub/{number}.jpg",
                "uri": str(path),
                "sha256": "0" * 64,
                "width": 40,
                "height": 30,
                "caption": f"a {word} <b>ball</b> lies here",
                "score": -0.5,
                "alternatives": [{"caption": "a ball", "score": -0.7}],
            }
        )
        lines += [
            f"{number}.jpg#{i}\tA {word} ball {verb}." for i, verb in enumerate(("lies", "is"))
        ]
    lines.append("elsewhere.jpg#0\tA ball that has no caption.")
    (tmp_path / "references.txt").write_text("\n".join(lines))
    table = tmp_path / "captions"
    (table / "data").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), table / "data" / "0.parquet")
    content = (table / "data" / "0.parquet").read_bytes()
    facts = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    manifest = {
        "format": "beamcap.captions",
        "version": 1,
        "data": ["data/0.parquet"],
        "files": {"data/0.parquet": facts},
    }
    (table / "captions.json").write_text(json.dumps(manifest))
    return tmp_path
