"""Where what comes back goes: addresses of our own that carry a signed tag, so that a mail to one names its cause."""

from __future__ import annotations

from functools import lru_cache

from newsletter.foundation.config import Config
from newsletter.foundation.links import Links
from newsletter.mail.addresses import normalise, wire, without_tag
from newsletter.mail.returned import LEAVING


def return_path(config: Config, tag: str, sender: str) -> str:
    """`bounces+<tag>@…` for a mail; the sender's own address where no bounce address is set."""
    return _tagged(config.mail.bounce_address, tag) if config.mail.bounce_address else wire(sender)


def leaving_address(config: Config, links: Links, subscription_id: int) -> str | None:
    """Where a mail of any words unsubscribes; None where such mail would not arrive."""
    address = config.bounces.unsubscribe_address
    return _tagged(address, links.verp(LEAVING, subscription_id)) if address else None


def is_for_us(config: Config, address: str) -> bool:
    """Whether an address is the bounce or the unsubscribe address, with any tag or none."""
    ours = filter(None, (config.mail.bounce_address, config.bounces.unsubscribe_address))
    return without_tag(address) in {normalise(one) for one in ours}


def _tagged(address: str, tag: str) -> str:
    local, domain = _halves(address)
    return f"{local}+{tag}@{domain}"


@lru_cache(8)
def _halves(address: str) -> tuple[str, str]:
    local, _, domain = wire(address).rpartition("@")
    return local, domain
