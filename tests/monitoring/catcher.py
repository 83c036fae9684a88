"""Stands in for Sentry: an HTTP server that keeps the envelopes which it is sent."""

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class SentryCatcher:
    """Keeps what is posted to its DSN, unpacked."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        catcher = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                catcher.texts.append(_unpacked(body, self.headers.get("content-encoding")))
                self.send_response(200)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.dsn = f"http://publickey@127.0.0.1:{self._server.server_port}/1"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def items(self) -> list[tuple[str, Any]]:
        """Type and content of all items of all envelopes."""
        return [item for text in list(self.texts) for item in _items(text)]

    def events(self) -> list[Any]:
        """The error events."""
        return [content for kind, content in self.items() if kind == "event"]


def _unpacked(body: bytes, encoding: str | None) -> str:
    # Sentry's SDK takes brotli where it is installed, which none of our packages asks for.
    assert encoding in {None, "gzip"}
    return (gzip.decompress(body) if encoding else body).decode()


def _items(envelope: str) -> list[tuple[str, Any]]:
    lines = [line for line in envelope.split("\n")[1:] if line]
    return [
        (json.loads(head)["type"], json.loads(content)) for head, content in zip(lines[::2], lines[1::2], strict=True)
    ]
