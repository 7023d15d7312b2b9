"""Every module with tables, so that Alembic sees the whole of them."""

from newsletter.delivery import bounce_models as bounces
from newsletter.delivery import models as delivery
from newsletter.delivery import repute
from newsletter.editions import models as editions
from newsletter.editions import sittings
from newsletter.foundation import alerts, audit, installation, leases, processes
from newsletter.foundation.database import Base
from newsletter.mail import outbox, suppression
from newsletter.newsletters import models as newsletters
from newsletter.staff import models as staff
from newsletter.stories import models as stories
from newsletter.stories import pictures
from newsletter.subscribers import desk_models as readers_desk
from newsletter.subscribers import growing
from newsletter.subscribers import import_models as imports
from newsletter.subscribers import models as subscribers

METADATA = Base.metadata

ONLY_POSTGRESQL = ("ix_subscribers_parts", "ix_subscribers_written", "ix_outbox_mails_recipient")
"""Indexes of expressions, the first two only where there is pg_trgm; no model names them."""


def is_compared(_thing: object, name: str | None, kind: str, _reflected: bool, _other: object) -> bool:
    """Alembic's `include_object`: what a database must have exactly as the models say."""
    return not (kind == "index" and name in ONLY_POSTGRESQL)


__all__ = [
    "METADATA",
    "ONLY_POSTGRESQL",
    "alerts",
    "audit",
    "bounces",
    "delivery",
    "editions",
    "growing",
    "imports",
    "installation",
    "is_compared",
    "leases",
    "newsletters",
    "outbox",
    "pictures",
    "processes",
    "readers_desk",
    "repute",
    "sittings",
    "staff",
    "stories",
    "subscribers",
    "suppression",
]
