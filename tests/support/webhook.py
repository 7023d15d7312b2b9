"""An operator's webhook: it keeps what it is told, and may be slow, refuse or break."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any


@dataclass
class Webhook:
    """`status` is what it answers; while `slow`, it answers nothing until the test is over."""

    url: str = ""
    status: int = 204
    location: str = ""
    slow: bool = False
    told: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    closing: Event = field(default_factory=Event)

    @property
    def keys(self) -> list[str]:
        return [one["key"] for one in self.told]


@contextmanager
def running_webhook() -> Iterator[Webhook]:
    webhook = Webhook()

    class Visit(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            webhook.told.append(json.loads(body))
            webhook.headers.append(dict(self.headers))
            if webhook.slow:
                webhook.closing.wait(30)
            try:
                self.send_response(webhook.status)
                if webhook.location:
                    self.send_header("Location", webhook.location)
                self.send_header("Content-Length", "0")
                self.end_headers()
            except ConnectionError:
                return

        def log_message(self, *_words: object) -> None:
            """It says nothing of its own."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Visit) as server:
        server.daemon_threads = True
        webhook.url = f"http://127.0.0.1:{server.server_port}/hook?token=secret"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield webhook
        finally:
            webhook.closing.set()
            server.shutdown()
            thread.join()
