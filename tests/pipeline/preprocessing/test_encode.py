"""A unit of preprocessing: what the flags make of its images and captions, and its name."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pipeline import preprocess
from pipeline.common import progress
from pipeline.common.fingerprints import digest
from pipeline.common.performance import Performance
from pipeline.common.units import UnitReport
from pipeline.preprocessing import encode
from pipeline.preprocessing.elements import Planned, Unit
from pipeline.preprocessing.settings import Settings
from tests import captioners
from transforms import images, records
from transforms.isolation import WatchedDecoder
from transforms.records import Record
from transforms.sources import ImageRef
from transforms.text import RESERVED, Vocabulary

WORDS = Vocabulary((*RESERVED, "a", "dog", "runs"))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings that store a picture as it is, with eight pixels a side."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.jpg").write_bytes(images.to_jpeg(np.full((40, 40, 3), 90, np.uint8)))
    (tmp_path / "c.csv").write_text("image,caption\n1.jpg,a dog runs\n")
    flags = [f"--images={tmp_path}/in", f"--captions={tmp_path}/c.csv", "--encoder=none"]
    flags += [f"--output={tmp_path}/out", "--image_size=8"]
    return preprocess.resolve(preprocess.build_parser().parse_args(flags))


def encoder(digest: str) -> Any:
    """Return what has the mean colour of a picture for its features."""
    return SimpleNamespace(
        digest=digest, input_size=(8, 8), encode=lambda pixels: pixels.mean((1, 2)) / 3
    )


def unit(settings: Settings, *captions: str) -> Unit:
    path = Path(settings.images[0], "1.jpg")
    ref = ImageRef("1.jpg", str(path), path.stat().st_size, 1.0)
    captions = captions or ("a dog runs",)
    return Unit("train", (Planned(ref, digest(path.read_bytes()), captions, "train"),))


def encoded(
    settings: Settings, *captions: str, dtype: str | None = None, shape: tuple[int, ...] = (3,)
) -> tuple[list[Record], UnitReport]:
    """Write a unit; returns its records and its report."""
    report = encode.encode_unit(
        "u", unit(settings, *captions), settings, Performance(1, 30.0), WORDS,
        progress.Reporter(settings.output, 1), WatchedDecoder(30),
    )  # fmt: skip
    if not report.file:
        return [], report
    with Path(settings.output, report.file).open("rb") as stream:
        return records.decode(
            list(records.read(stream, "u")), shape if dtype else None, dtype
        ), report


def test_captions_are_cut_at_the_length_that_is_asked_for(settings: Settings) -> None:
    (record,), _ = encoded(dataclasses.replace(settings, max_length=2))
    assert record.token_ids == (tuple(WORDS.encode(["a", "dog"], 2)),)


def test_truncated_images_are_kept_where_that_is_asked_for(settings: Settings) -> None:
    path = Path(settings.images[0], "1.jpg")
    path.write_bytes(path.read_bytes()[:-40])
    found, report = encoded(settings)
    assert (found, [reject.code.value for reject in report.rejects]) == ([], ["image_truncated"])
    (record,), _ = encoded(dataclasses.replace(settings, truncated="accept"))
    assert record.key == "1.jpg"


def test_captions_without_a_word_are_rejects(settings: Settings) -> None:
    (record,), report = encoded(settings, "a dog", "...", "!")
    assert record.captions == ("a dog",)
    assert [(reject.code.value, reject.message) for reject in report.rejects] == [
        ("caption_empty", "2 captions have no word")
    ]
    assert (report.captions, report.lost, report.rejected) == (1, 2, 0)
    found, report = encoded(settings, "!")
    assert (found, report.rejects[0].code.value) == ([], "caption_empty")
    assert (report.images, report.lost, report.rejected) == (0, 1, 1)


def test_a_file_of_a_unit_stays_when_a_later_run_gets_more_of_its_images(
    settings: Settings,
) -> None:
    path = Path(settings.images[0], "2.jpg")
    content = images.to_jpeg(np.full((40, 40, 3), 10, np.uint8))
    later = Planned(ImageRef("2.jpg", str(path), 1, 1.0), digest(content), ("a dog",), "train")
    both = Unit("train", (*unit(settings).images, later))
    performance, reporter = Performance(1, 30.0), progress.Reporter(settings.output, 1)
    decoder = WatchedDecoder(30)
    reports = []
    for now in (b"still being copied", content):
        path.write_bytes(now)
        reports.append(
            encode.encode_unit("u", both, settings, performance, WORDS, reporter, decoder)
        )
    assert [report.images for report in reports] == [1, 2]
    for report in reports:
        written = Path(settings.output, report.file).read_bytes()
        assert digest(written) == report.facts["sha256"]


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_features_have_the_dtype_that_is_asked_for(
    settings: Settings, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encode, "load_encoder", lambda settings: encoder("0"))
    (record,), _ = encoded(dataclasses.replace(settings, dtype=dtype), dtype=dtype)
    assert record.features is not None and record.features.dtype == dtype
    np.testing.assert_allclose(record.features, [30, 30, 30], atol=1)


def test_another_batch_size_is_no_obstacle_to_a_process_that_encoded_before(
    settings: Settings, tmp_path: Path
) -> None:
    file = captioners.encoder_file(tmp_path / "cnn.keras")
    found = []
    for size in (2, 3):
        made = dataclasses.replace(settings, encoder=file, weights="imagenet", batch_size=size)
        (record,), _ = encoded(made, dtype=settings.dtype, shape=(4, 4, 6))
        found.append(record.features)
    np.testing.assert_allclose(*found, rtol=1e-3)


def test_units_are_known_by_all_that_shapes_their_files_and_by_nothing_else(
    settings: Settings,
) -> None:
    # Or a run with other flags would take what the journal has of the run before.
    def name(**changes: Any) -> str:
        return encode.unit_name(unit(settings), dataclasses.replace(settings, **changes), WORDS)

    others = (
        {"max_length": 2},
        {"tokenizer": "characters"},
        {"truncated": "accept"},
        {"batch_size": 3},
        {"image_size": 9},
        {"views": ("flip",)},
    )
    assert len({name(), *(name(**other) for other in others)}) == 1 + len(others)
    assert name(output="/moved", unit_size=99, min_count=9) == name()


def test_units_of_features_are_known_by_the_encoder_and_the_dtype(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = set()
    for digest_of_encoder in "01":
        monkeypatch.setattr(encode, "load_encoder", lambda _, it=digest_of_encoder: encoder(it))
        for dtype in ("float16", "float32"):
            other = dataclasses.replace(settings, dtype=dtype)
            names.add(encode.unit_name(unit(settings), other, WORDS))
    assert len(names) == 4
