"""An outlet that may answer anything at all, octet by octet, also what no web framework would let out."""

from __future__ import annotations

import socketserver
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread

Write = Callable[[bytes], object]
Page = bytes | Callable[[bytes, Write], None]
"""The whole answer; or what makes it of the request's head, writing as it likes."""


@dataclass
class RawOutlet:
    """`pages` by path; `requests` are the heads that came. Every answer ends its connection."""

    host: str
    port: int = 0
    pages: dict[str, Page] = field(default_factory=dict)
    requests: list[bytes] = field(default_factory=list)
    closing: Event = field(default_factory=Event)
    """Set when the test is over, for pages that take their time."""

    def url(self, path: str, host: str = "") -> str:
        return f"http://{host or self.host}:{self.port}{path}"


def answer(body: bytes = b"", status: str = "200 OK", length: int | None = None, **headers: str) -> bytes:
    """A whole answer; `content_type="text/html"` becomes that header."""
    lines = [f"HTTP/1.1 {status}", "Connection: close", f"Content-Length: {len(body) if length is None else length}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "".join(f"{line}\r\n" for line in lines).encode("utf-8", "surrogateescape") + b"\r\n" + body


class _Visit(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        head = b""
        while (line := self.rfile.readline()) not in (b"\r\n", b""):
            head += line
        outlet = self.server.outlet
        outlet.requests.append(head)
        path = head.split(b" ")[1].decode("ascii", "replace") if b" " in head else ""
        page = outlet.pages.get(path, answer(b"nothing here", "404 Not Found"))
        try:
            if isinstance(page, bytes):
                self.wfile.write(page)
            else:
                page(head, self.wfile.write)
        except ConnectionError:
            return


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    outlet: RawOutlet


@contextmanager
def running_outlet(host: str = "127.0.0.1") -> Iterator[RawOutlet]:
    with _Server((host, 0), _Visit) as server:
        outlet = server.outlet = RawOutlet(host, server.server_address[1])
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield outlet
        finally:
            outlet.closing.set()
            server.shutdown()
            thread.join()
