"""Where bounces go: a return path of its own for every mail (VERP), signed, so that a bounce names its mail."""

from __future__ import annotations

from newsletter.foundation.config import Config
from newsletter.foundation.links import Links
from newsletter.mail.addresses import wire


def return_path(config: Config, links: Links, kind: str, subject: int, sender: str) -> str:
    """`bounces+<signed id>@…` for a mail; the sender's own address where no bounce address is set."""
    if config.mail.bounce_address is None:
        return wire(sender)
    local, _, domain = wire(config.mail.bounce_address).rpartition("@")
    return f"{local}+{links.verp(kind, subject)}@{domain}"
