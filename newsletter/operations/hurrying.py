"""A gunicorn worker that waits for a visitor's request for so long and no longer.

gunicorn's own threads wait for the rest of a request for ever, so as many half requests as there are threads would
stop the site. A proxy that hands on whole requests only (nginx; not Caddy, unless told) keeps them away, too.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

READING_SECONDS = 10.0
SHUT_RD = 0  # as in the socket module: what is being answered still goes out


class HurryingWorker(ThreadWorker):  # type: ignore[misc]
    """Its main loop looks once a second for connections that a thread has been at for too long."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._since: dict[Any, float] = {}

    def handle(self, conn: Any) -> Any:
        self._since[conn] = time.monotonic()
        try:
            return super().handle(conn)
        finally:
            self._since.pop(conn, None)

    def murder_pending(self) -> None:
        super().murder_pending()
        for conn, since in tuple(self._since.items()):
            if time.monotonic() - since > READING_SECONDS:
                with suppress(OSError):
                    conn.sock.shutdown(SHUT_RD)
