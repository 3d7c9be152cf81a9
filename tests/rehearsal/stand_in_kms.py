"""Stands in for AWS KMS: it "encrypts" by turning the text round, which is all that the engine's secrets take of it."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, cast

KEY: Final = "arn:aws:kms:eu-central-1:111122223333:key/stand-in"


class _Key(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = cast("dict[str, str]", json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        encrypts = self.headers["X-Amz-Target"].endswith(".Encrypt")
        given, wanted = ("Plaintext", "CiphertextBlob") if encrypts else ("CiphertextBlob", "Plaintext")
        turned = base64.b64encode(base64.b64decode(asked[given])[::-1]).decode()
        answer = json.dumps({wanted: turned, "KeyId": KEY}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def stand_in_kms() -> Generator[str]:
    """The URL of a KMS on this machine, until the block ends."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Key) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
