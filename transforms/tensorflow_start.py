"""Starting TensorFlow without its greeting."""

import os
import re
import sys
import tempfile

# What TensorFlow says before its log level counts, and on every machine without a GPU.
_GREETING = re.compile(
    rb"^(WARNING: All log messages before absl::InitializeLog|I0000 |E0000 .*cuInit: )"
)


def start() -> None:
    """Import TensorFlow and find its devices; only unusual messages reach stderr.

    The messages come from C++ and pass by Python's streams, so the file descriptor is diverted
    for the seconds that this takes. Does nothing where TensorFlow is already imported.
    """
    if "tensorflow" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as diverted:
        os.dup2(diverted.fileno(), 2)
        try:
            import tensorflow as tf

            tf.config.list_physical_devices()
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            diverted.seek(0)
            unusual = [line for line in diverted if not _GREETING.match(line)]
            os.write(2, b"".join(unusual))
