"""An object store that keeps Google Cloud Storage's promise about generations, and nothing else.

It fails when told to, before or after it has done as asked.

The emulators that Python packages bring do not: they write whatever the condition says.
"""

import json
import re
import threading
from collections.abc import Callable
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

Objects = dict[str, tuple[int, bytes]]


class ConditionalBucket:
    """Serves objects of one bucket.

    Attributes:
        objects: (generation, content) by name.
        refuse: asked for every request, by method: a status to answer with, or 0 to do as asked.
        lose_answers: to how many writes to answer 503 though they are done.
    """

    def __init__(self) -> None:
        self.objects: Objects = {}
        self.refuse: Callable[[str], int] = lambda method: 0
        self.lose_answers = 0
        self.lock = threading.Lock()
        self.generation = 0
        bucket = self

        class Handler(_Handler):
            store = bucket

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    store: ConditionalBucket
    protocol_version = "HTTP/1.1"

    def parse_request(self) -> bool:
        """Answer with an error at once where one is wanted."""
        if not super().parse_request():
            return False
        status = self.store.refuse(self.command)
        if status:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self._answer(status, b"{}")
        return not status

    def do_GET(self) -> None:
        name, wanted = self._target()
        if not name:
            self._answer(200, b"{}")  # A listing, of which nobody reads more than that it works.
            return
        with self.store.lock:
            found = self.store.objects.get(name)
        if found is None:
            self._answer(404, b"{}")
        elif wanted not in (None, found[0]):
            self._answer(412, b"{}")
        elif "alt=media" in self.path:
            self._answer(200, found[1])
        else:
            self._describe(name, found[0])

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        about, content = message_from_bytes(head + body).get_payload()
        name = json.loads(about.get_payload())["name"]
        wanted = self._target()[1]
        with self.store.lock:
            if wanted not in (None, self.store.objects.get(name, (0, b""))[0]):
                self._answer(412, b"{}")
                return
            self.store.generation += 1
            generation = self.store.generation
            self.store.objects[name] = generation, content.get_payload(decode=True)
            lost = self.store.lose_answers > 0
            self.store.lose_answers -= lost
        if lost:
            self._answer(503, b"{}")
            return
        self._describe(name, generation)

    def do_DELETE(self) -> None:
        name, wanted = self._target()
        with self.store.lock:
            found = self.store.objects.get(name)
            if found is None or wanted not in (None, found[0]):
                self._answer(404 if found is None else 412, b"{}")
                return
            del self.store.objects[name]
        self._answer(204, b"")

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _target(self) -> tuple[str, int | None]:
        parts = urlsplit(self.path)
        match = re.search(r"/o/(.+)$", parts.path)
        wanted = parse_qs(parts.query).get("ifGenerationMatch")
        return unquote(match[1]) if match else "", int(wanted[0]) if wanted else None

    def _describe(self, name: str, generation: int) -> None:
        about = {"name": name, "bucket": "bucket", "generation": str(generation)}
        about["updated"] = "2026-01-02T03:04:05.000Z"
        self._answer(200, json.dumps(about).encode())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
