"""How TensorFlow is started."""

import os
import subprocess
import sys

# Each product is 64 MiB, which malloc takes from the system and gives back at once. Without huge
# pages (PR_SET_THP_DISABLE is 41) each page of it is counted when it is first touched.
SCRIPT = """
import ctypes
import resource
from transforms import tensorflow_start

ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)
tensorflow_start.start()
import tensorflow as tf

values = tf.ones([4096, 4096])
for _ in range(2):
    values * 2
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    values * 2
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) * resource.getpagesize() >> 20)
"""


def test_freed_memory_is_used_again() -> None:
    # But for what tests of one process set for themselves.
    ours = ("TF_CPU_ALLOCATOR_USE_BFC", "TF_ENABLE_ONEDNN_OPTS")
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, env=environment
    )
    assert int(run.stdout) < 64, "MiB of fresh pages for 256 MiB of products"
