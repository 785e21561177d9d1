"""An object store on this machine that speaks Google Cloud Storage, and fails when told to."""

import functools
import json
import logging
import threading
from collections.abc import Callable
from http.server import HTTPServer
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from gcp_storage_emulator.handlers import buckets
from gcp_storage_emulator.server import RequestHandler
from gcp_storage_emulator.storage import Storage

# Asked for every request, by method and path: a status to answer with, or 0 to do as asked.
Fault = Callable[[str, str], int]


def no_fault(method: str, path: str) -> int:
    """Let every request pass."""
    return 0


class Bucket:
    """A store with one bucket, `gs://bucket`, that lives in memory.

    Attributes:
        fault: decides on every request; may be changed at any time.
        requests: how many there were.
    """

    def __init__(self, folder: Path) -> None:
        """Start to serve.

        Args:
            folder: for the key of an account that the client believes to be real.
        """
        logging.getLogger("gcp_storage_emulator").setLevel(logging.CRITICAL)
        self.fault: Fault = no_fault
        self.requests = 0
        storage = Storage(use_memory_fs=True)
        buckets.create_bucket("bucket", storage)
        self._server = HTTPServer(("127.0.0.1", 0), functools.partial(_Handler, self, storage))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self._account = folder / "account.json"
        self._account.write_text(json.dumps(_account(self.url)))

    @property
    def url(self) -> str:
        """Where it is served."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that lead Google's client here, without an account."""
        return {
            "STORAGE_EMULATOR_HOST": self.url,
            "GOOGLE_CLOUD_PROJECT": "test",
            "GOOGLE_APPLICATION_CREDENTIALS": str(self._account),
        }

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


class _Handler(RequestHandler):
    def __init__(self, bucket: Bucket, storage: Storage, *args: Any) -> None:
        self._bucket = bucket
        super().__init__(storage, *args)

    def parse_request(self) -> bool:
        """Answer with an error at once where one is wanted."""
        if not super().parse_request():
            return False
        if self.path == "/token":
            self._answer({"access_token": "a", "expires_in": 3600, "token_type": "Bearer"})
            return False
        self._bucket.requests += 1
        status = self._bucket.fault(self.command, self.path)
        if status:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_error(status)
        return not status

    def _answer(self, value: dict[str, Any]) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _account(url: str) -> dict[str, str]:
    """Return the key file of a service account that gets its tokens from `url`."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return {
        "type": "service_account",
        "project_id": "test",
        "private_key_id": "test",
        "private_key": pem.decode(),
        "client_email": "test@example.com",
        "token_uri": f"{url}/token",
    }
