"""Messages between the decoder's two processes: a JSON header and bytes, with their lengths."""

import json
import struct
from typing import Any, BinaryIO

_LENGTHS = struct.Struct("<IQ")


def send(stream: BinaryIO, header: dict[str, Any], body: bytes = b"") -> None:
    """Write one message; raises OSError where the other side is gone."""
    text = json.dumps(header).encode()
    stream.write(_LENGTHS.pack(len(text), len(body)))
    stream.write(text)
    stream.write(body)
    stream.flush()


def receive(stream: BinaryIO) -> tuple[dict[str, Any], bytes]:
    """Read one message; raises EOFError where the other side ended before it was whole."""
    header, body = _LENGTHS.unpack(_exactly(stream, _LENGTHS.size))
    return json.loads(_exactly(stream, header)), _exactly(stream, body)


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data
