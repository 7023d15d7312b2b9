"""Whether this installation's readers can follow a link, by its spelling."""

from __future__ import annotations

from urllib.parse import urlsplit

from newsletter.editions import linking
from newsletter.foundation.config import the_config


def are_inner() -> bool:
    """Whether readers are in the same network as the service, as in the demo."""
    return linking.is_inner(urlsplit(the_config().site_url).hostname or "")


def let_in() -> bool:
    """Whether the operator lets feeds in from inner networks, so that links into them may be meant."""
    return bool(the_config().fetching.allow_networks)


def fault(url: str) -> str | None:
    """Why a link stops an edition, to be said after “The link …”; None when it does not."""
    return linking.blocks(url, are_inner(), let_in())
