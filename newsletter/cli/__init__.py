"""Every command an operator types; no logic of its own."""

from newsletter.cli import (
    bounces,
    dkim,
    doctor,
    editions,
    newsletters,
    processes,
    sources,
    staff,
    status,
    stories,
    subscribers,
    transfers,
)
from newsletter.cli.root import main

__all__ = [
    "bounces",
    "dkim",
    "doctor",
    "editions",
    "main",
    "newsletters",
    "processes",
    "sources",
    "staff",
    "status",
    "stories",
    "subscribers",
    "transfers",
]
