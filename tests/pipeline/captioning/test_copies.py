"""What new names of known bytes get."""

import dataclasses

from pipeline.captioning import copies
from pipeline.captioning.elements import Entry
from transforms.rejects import Reject, RejectCode
from transforms.sources import ImageRef


def test_a_new_name_gets_the_row_of_its_bytes_before_their_reject() -> None:
    ref = ImageRef("new.jpg", "/in/new.jpg", 100, 5.0)
    entry = Entry("a.jpg", "/in/a.jpg", 100, 5.0, "0" * 64, "p", "m", "q", None)
    reject = Reject("0.jpg", "/in/0.jpg", "decode", RejectCode.IMAGE_TRUNCATED, "cut short")
    refused = dataclasses.replace(entry, key="0.jpg", part="0", reject=reject)
    sides = {"known": [], "read": [(ref, ())], "committed": [refused, entry]}
    (found,) = copies.Divide().process((bytes(32), sides))
    part, copy = found.value
    assert (found.tag, part, copy.key, copy.reject) == (copies.COPIES, "p", "a.jpg", None)
