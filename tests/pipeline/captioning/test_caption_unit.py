"""A unit of captioning: what it writes, and under which names."""

import hashlib
from pathlib import Path

import numpy as np

from pipeline.caption import build_parser, resolve
from pipeline.captioning.caption_unit import caption_unit
from pipeline.captioning.elements import Content, Unit
from pipeline.common import progress
from pipeline.common.performance import Performance
from transforms import images
from transforms.isolation import WatchedDecoder
from transforms.sources import ImageRef


def test_a_part_stays_when_another_attempt_at_its_unit_gets_more_of_its_images(
    captioner_folder: Path, tmp_path: Path
) -> None:
    contents = []
    for grey in (10, 200):
        data = images.to_jpeg(np.full((40, 40, 3), grey, np.uint8))
        path = tmp_path / "images" / f"{grey}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        ref = ImageRef(path.name, str(path), len(data), 1.0)
        contents.append(Content(hashlib.sha256(data).hexdigest(), (ref,)))
    flags = [f"--images={path.parent}", f"--captioner={captioner_folder}"]
    settings = resolve(build_parser().parse_args([*flags, f"--output={tmp_path}/captions"]))
    reports = []
    for now in (b"still being copied", data):
        path.write_bytes(now)
        unit, reporter = Unit(tuple(contents)), progress.Reporter(settings.output, 2)
        performance = Performance(1, 30.0)
        reports.append(caption_unit("u", unit, settings, performance, reporter, WatchedDecoder(30)))
    assert [report.images for report in reports] == [1, 2]
    for report in reports:
        for name, facts in report.facts["files"].items():
            written = Path(settings.output, name).read_bytes()
            assert hashlib.sha256(written).hexdigest() == facts["sha256"]
