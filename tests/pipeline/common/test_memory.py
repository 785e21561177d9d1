"""Memory that goes back to the system."""

import ctypes
import os
import subprocess
import sys

import pytest

# 16 MiB that are freed raise the size from which glibc gives blocks pages of their own: without
# `steady` the 8 MiB that come next lie among the small blocks, and stay when they are freed.
SCRIPT = """
import ctypes
import numpy as np
from pipeline.common import memory

class Facts(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks",
        "fordblks", "keepcost")]

mallinfo = ctypes.CDLL(None).mallinfo2
mallinfo.restype = Facts
{call}
np.ones(16 << 20, np.uint8)
before = mallinfo().hblkhd
block = np.ones(8 << 20, np.uint8)
print(mallinfo().hblkhd - before >= 8 << 20)
"""


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "mallinfo2") and not os.environ.get("CI"),
    reason="what tells the sizes is of glibc, from 2.33 on",
)
def test_large_blocks_have_pages_of_their_own() -> None:
    found = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT.format(call=call)],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for call in ("", "memory.steady()")
    ]
    assert found == ["False", "True"]
