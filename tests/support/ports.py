from __future__ import annotations

import socket  # noqa: TID251 - tests ask the system for free ports


def free_port() -> int:
    """A port that nobody listens on, chosen by the system."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
