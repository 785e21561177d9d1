"""The process that decodes for `IsolatedDecoder`: `python -m transforms.isolation.child BYTES`.

It reads messages on standard input until that ends. Whatever goes wrong here ends this process
and no other: the kernel kills it when an image takes too long, and refuses it memory beyond its
limit. It says nothing on standard output but its answers.
"""

import dataclasses
import os
import resource
import signal
import sys
from typing import Any

import numpy as np

from transforms import images
from transforms.isolation import frames
from transforms.stored import Form, Stored


def main() -> None:
    """Answer until standard input ends."""
    # Ctrl-C reaches every process of a terminal: the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # With its default action the alarm kills, even where C code never gives Python its turn.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    memory = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    frames.send(answers, {"ready": True})
    while True:
        try:
            request, data = frames.receive(sys.stdin.buffer)
        except EOFError:
            return
        signal.setitimer(signal.ITIMER_REAL, request["seconds"])
        answer, pixels = _answer(request, data)
        signal.setitimer(signal.ITIMER_REAL, 0)
        frames.send(answers, answer, pixels)


def _answer(request: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    form, limits = request["form"], images.Limits(**request["limits"])
    if form is not None:
        height, width = form["size"]
        form = Form((height, width), form["like"] and Stored(**form["like"]))
    try:
        picture = images.decode(data, form, limits)
    except images.ImageError as error:
        return {"code": error.code.value, "message": error.message}, b""
    facts = {**dataclasses.asdict(picture), "shape": picture.pixels.shape}
    del facts["pixels"]
    return facts, np.ascontiguousarray(picture.pixels).tobytes()


if __name__ == "__main__":
    main()
