"""What shapes a table: which of it a unit's name is bound to."""

import dataclasses

from benchmarks.simulations import settings
from transforms.search import SearchOptions
from transforms.stored import Form, Stored


def test_finished_units_are_known_by_all_that_makes_captions_and_by_nothing_else() -> None:
    mine = settings("/captions", unit_size=10)
    others = (
        {"base": 1},
        {"captioner_digest": "1" * 64},
        {"search": SearchOptions(beam_width=7)},
        {"details": ("words",)},
        {"truncated": "accept"},
        {"batch_size": 7},
        {"engine": "openvino"},
        {"forms": (Form((224, 224), Stored(224, 224, 85, "4:2:0")),)},
    )
    assert mine.making() not in {dataclasses.replace(mine, **other).making() for other in others}
    same = {"images": ("/elsewhere",), "output": "/moved", "unit_size": 99, "recaption": "all"}
    assert dataclasses.replace(mine, **same).making() == mine.making()
