"""What needs me now."""

from __future__ import annotations

from flask import render_template

from newsletter.delivery import reporting
from newsletter.delivery.models import DeliveryState
from newsletter.editions.concerning import newsletter_of
from newsletter.editions.models import recent_editions
from newsletter.foundation import alerts
from newsletter.mail import outbox
from newsletter.stories.models import SourceState
from newsletter.subscribers.models import active_counts
from newsletter.web.admin.access import me, pages, staff_only
from newsletter.web.admin.sources import my_sources


@pages.get("/")
@staff_only
def home() -> str:
    latest = recent_editions(5, among=me().newsletter_ids)
    counts = reporting.glance(latest)
    return render_template(
        "admin/home.html",
        alerts=[one for one in alerts.open_alerts() if (of := newsletter_of(one.key)) is None or me().sees(of)],
        editions=[
            {"edition": e, "accepted": counts.get(e.id, {}).get(DeliveryState.ACCEPTED), "audience": e.audience}
            for e in latest
        ],
        failing=[s for s in my_sources() if s.state in (SourceState.FAILING, SourceState.GONE)],
        active_total=sum(count for of, count in active_counts().items() if me().sees(of)),
        waiting=outbox.waiting(),
    )
