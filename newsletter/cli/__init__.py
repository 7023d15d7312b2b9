"""Every command an operator types; no logic of its own."""

from newsletter.cli import dkim, editions, newsletters, processes, sources, staff, stories, subscribers
from newsletter.cli.root import main

__all__ = ["dkim", "editions", "main", "newsletters", "processes", "sources", "staff", "stories", "subscribers"]
