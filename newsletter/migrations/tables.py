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
from newsletter.subscribers import growing
from newsletter.subscribers import import_models as imports
from newsletter.subscribers import models as subscribers

METADATA = Base.metadata

__all__ = [
    "METADATA",
    "alerts",
    "audit",
    "bounces",
    "delivery",
    "editions",
    "growing",
    "imports",
    "installation",
    "leases",
    "newsletters",
    "outbox",
    "pictures",
    "processes",
    "repute",
    "sittings",
    "staff",
    "stories",
    "subscribers",
    "suppression",
]
