"""What needs me now."""

from __future__ import annotations

from flask import render_template

from newsletter.delivery.models import DeliveryState, states_of_each
from newsletter.editions.models import recent_editions
from newsletter.foundation import alerts
from newsletter.mail import outbox
from newsletter.stories.models import SourceState, sources
from newsletter.subscribers.models import active_counts
from newsletter.web.admin.access import pages, staff_only


@pages.get("/")
@staff_only
def home() -> str:
    latest = recent_editions(5)
    counts = states_of_each([edition.id for edition in latest])
    return render_template(
        "admin/home.html",
        alerts=alerts.open_alerts(),
        editions=[
            {"edition": e, "accepted": counts[e.id][DeliveryState.ACCEPTED], "audience": e.audience} for e in latest
        ],
        failing=[s for s in sources() if s.state in (SourceState.FAILING, SourceState.GONE)],
        active_total=sum(active_counts().values()),
        waiting=outbox.waiting(),
    )
