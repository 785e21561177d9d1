"""The side of the isolated decoder that its users see."""

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

import transforms
from transforms import images
from transforms.isolation import frames
from transforms.isolation.watch import Decoder, WatchedDecoder
from transforms.rejects import RejectCode
from transforms.stored import Form, Stored

# Address space of the child, which has about 0.5 GiB of it at rest. The largest image that
# `images.Limits` lets through takes less than half of the rest.
MEMORY = 4 * 2**30
# A child may die of what is not the image's fault, such as a system short of memory.
ATTEMPTS = 2
_SHOWN_OF_LOG = 500


@contextlib.contextmanager
def decoder(careful: bool, seconds: float) -> Iterator[Decoder]:
    """Give a decoder of this process, or with `careful` of a child that ends with the block.

    Args:
        careful: whether one of the images may bring down the process that decodes it.
        seconds: time an image may take. In the child, one that takes longer is refused; without
            it, whoever waits for pictures is to `check`.
    """
    if not careful:
        yield WatchedDecoder(seconds)
        return
    with contextlib.closing(IsolatedDecoder(seconds)) as isolated:
        yield isolated


class IsolatedDecoder:
    """Decodes images one at a time in a child process, which is replaced when it dies.

    The pictures are those of `images.decode`, byte for byte. It may be used by several threads.
    """

    def __init__(self, seconds: float, memory: int = MEMORY) -> None:
        """Prepare; the child starts with the first image.

        Args:
            seconds: time that an image may take.
            memory: bytes of address space that the child may use.
        """
        self._seconds = seconds
        self._memory = memory
        self._child: _Child | None = None
        self._lock = threading.Lock()

    def decode(self, data: bytes, form: Form | None, limits: images.Limits) -> images.Picture:
        """Decode as `images.decode` does.

        Raises:
            ImageError: what `images.decode` raises, or the image ended the child
                (`decoder_crashed`) or took too long (`decoder_timeout`).
            OSError: no child can be started.
        """
        request = {
            "form": form and dataclasses.asdict(form),
            "limits": dataclasses.asdict(limits),
            "seconds": self._seconds,
        }
        with self._lock:
            for attempt in range(1, ATTEMPTS + 1):
                self._child = self._child or _Child(self._memory)
                try:
                    answer, pixels = self._child.ask(request, data)
                    break
                except (EOFError, OSError):
                    status = self._child.end()
                    self._child = None
                if status == -signal.SIGALRM:
                    message = f"not decoded after {self._seconds:g} seconds"
                    raise images.ImageError(RejectCode.DECODER_TIMEOUT, message, self._seconds)
                if attempt == ATTEMPTS:
                    message = f"the process that decodes it ended with {_name(status)}"
                    raise images.ImageError(RejectCode.DECODER_CRASHED, message)
        if "code" in answer:
            raise images.ImageError(RejectCode(answer["code"]), answer["message"])
        array = np.frombuffer(pixels, np.uint8).reshape(answer["shape"])
        stored = answer["stored"] and Stored(**answer["stored"])
        return images.Picture(array, answer["width"], answer["height"], stored)

    def check(self) -> None:
        """Do nothing: the child ends itself when an image takes too long."""

    def close(self) -> None:
        """End the child."""
        with self._lock:
            if self._child is not None:
                self._child.end()
                self._child = None


class _Child:
    def __init__(self, memory: int) -> None:
        # The child finds this very package, whatever its working folder.
        paths = [str(Path(transforms.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
        # A pool of threads for linear algebra, which is not needed, would take address space.
        environment = {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "OMP_NUM_THREADS": "1"}
        environment["OPENBLAS_NUM_THREADS"] = "1"
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the child
        self._process = subprocess.Popen(
            [sys.executable, "-m", "transforms.isolation.child", str(memory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**os.environ, **environment},
        )
        self._requests = cast(BinaryIO, self._process.stdin)
        self._answers = cast(BinaryIO, self._process.stdout)
        try:
            frames.receive(self._answers)
        except EOFError:
            self._log.seek(0)
            log = self._log.read()[-_SHOWN_OF_LOG:].decode(errors="replace")
            reason = f"{_name(self.end())}: {' '.join(log.split())}"
            raise OSError(f"the process that decodes images does not start: {reason}") from None

    def ask(self, request: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
        """Send an image and wait for what becomes of it; raises EOFError or OSError if it dies."""
        frames.send(self._requests, request, data)
        return frames.receive(self._answers)

    def end(self) -> int:
        """End the process, dead or alive; returns its exit status."""
        with contextlib.suppress(OSError):
            self._requests.close()
        self._answers.close()
        status = self._process.wait()
        self._log.close()
        return status


def _name(status: int) -> str:
    if status < 0:
        return signal.Signals(-status).name
    return f"exit status {status}"
