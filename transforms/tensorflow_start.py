"""Starting TensorFlow: without its greeting, with a heap of its own, with a share of the cores."""

import contextlib
import os
import platform
import re
import sys
import tempfile

# What TensorFlow says before its log level counts, and on every machine without a GPU.
_GREETING = re.compile(
    rb"^(WARNING: All log messages before absl::InitializeLog|I0000 |E0000 .*cuInit: )"
)


def start(threads: int | None = None) -> None:
    """Import TensorFlow and find its devices; only unusual messages reach stderr.

    See `configure` for what it is told before.

    The messages come from C++ and pass by Python's streams, so the file descriptor is diverted
    for the seconds that this takes, where TensorFlow is not yet imported.

    Args:
        threads: that its calls may use; None for as many as there are cores. Counts before its
            first operation in a process, which starts them.
    """
    configure()
    if "tensorflow" not in sys.modules:
        _import()
    if threads:
        import tensorflow as tf

        with contextlib.suppress(RuntimeError):  # They run already.
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)


def configure() -> None:
    """Set what TensorFlow reads from the environment when it is imported, where nothing is set."""
    # Its own heap, which keeps what was freed for the next step. By malloc each activation of a
    # large batch has fresh pages, and the system's work for them can be 40 % of an encoder's time.
    os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "true")
    # By itself it takes oneDNN's kernels on newer processors only. The others sum in an order that
    # depends on the number of threads, so that more workers would write other features.
    if platform.machine() in ("x86_64", "AMD64"):
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def _import() -> None:
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
