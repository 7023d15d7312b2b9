"""Telling staff what needs a hand: each alert once, as a mail to those who want it, and to the operator's webhook.

A storm of alerts must not bury the one that matters. The first few mails of an hour go at once, then there is at most
one in a quarter of an hour; what comes meanwhile stands together in the next. The webhook is told of each by itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa

from newsletter.foundation import alerts, audit, calling, safety
from newsletter.foundation.alerts import Alert
from newsletter.foundation.audit import SYSTEM, AuditRecord
from newsletter.foundation.calling import PostFailed
from newsletter.foundation.config import the_config
from newsletter.foundation.database import db, one_at_a_time, transaction
from newsletter.foundation.links import the_links
from newsletter.mail import outbox
from newsletter.mail.message import Sender
from newsletter.staff import rights
from newsletter.staff.models import Staff, who_wants_alerts
from newsletter.staff.notes import SERVICE, nobodys_sender

AN_HOUR = timedelta(hours=1)
AT_ONCE = 3
THEN_EVERY = timedelta(minutes=15)

POST_AGAIN = tuple(timedelta(minutes=m) for m in (1, 5, 15))
"""After so long the webhook is tried again; then it has failed for good, and the mail must do."""

POSTS_AT_ONCE = 10

PLACES = {
    "edition-held": ("/admin/editions/{}", "Open the edition"),
    "edition-paused": ("/admin/editions/{}", "Open the edition"),
    "edition-overdue": ("/admin/editions", "See the editions"),
    "draft-failed": ("/admin/editions", "See the editions"),
    "sources-silent": ("/admin/sources", "See the sources"),
    "bounces-stopped": ("/admin/bounces", "See the bounces"),
    "bounces-policy": ("/admin/bounces", "See the bounces"),
    "staff-mail-bounced": ("/admin/bounces", "See the bounces"),
}
"""Where staff go from an alert, by what its key begins with. All others lead to the desk's first page."""

POSTED = "alert.post"

log = logging.getLogger(__name__)


def the_house(_key: str) -> None:
    """Everything concerns everybody."""


def tell(now: datetime, sender: Sender | None = None, newsletter_of: Callable[[str], int | None] = the_house) -> int:
    """Tell of what nobody was told yet and is still open, and say how many alerts went out, by either way.

    `newsletter_of` says by its key which newsletter an alert is about; it is told to who works for that one.

    What is halted stays silent. It may be a copy, and then what it has to say is wrong, or said already by the one that
    lives elsewhere. That it is halted stands on its pages, in /readyz and in the log, and a watchman misses its
    heartbeat. Once staff say go, it tells what is still open.
    """
    if safety.halted() is not None:
        return 0
    return _mail(now, sender or nobodys_sender(), newsletter_of) + _post_due(now)


def _mail(now: datetime, sender: Sender, newsletter_of: Callable[[str], int | None]) -> int:
    if not _untold() or not _may_mail(now):
        return 0
    with transaction():
        one_at_a_time("alerts")
        waiting = _untold()
        for person in who_wants_alerts() if waiting else ():
            theirs = [one for one in waiting if _concerns(person, newsletter_of(one.key))]
            if theirs:
                _put(theirs, person.address, sender, now)
        for alert in waiting:
            alert.told_at = now
    return len(waiting)


def _concerns(person: Staff, newsletter_id: int | None) -> bool:
    return newsletter_id is None or rights.sees(person, newsletter_id)


def _untold() -> Sequence[Alert]:
    """The oldest first."""
    open_ones = sa.select(Alert).where(Alert.resolved_at.is_(None), Alert.told_at.is_(None))
    return db.session.scalars(open_ones.order_by(Alert.raised_at, Alert.id)).all()


def _may_mail(now: datetime) -> bool:
    """All that was told at a time was one mail."""
    times = db.session.scalars(sa.select(Alert.told_at).where(Alert.told_at > now - AN_HOUR).distinct()).all()
    return len(times) < AT_ONCE or now - max(filter(None, times)) >= THEN_EVERY


def _put(waiting: Sequence[Alert], to: str, sender: Sender, now: datetime) -> None:
    told, links = [_told(alert) for alert in waiting], the_links()
    wishes = links.to("/admin/me")
    if len(told) == 1:
        data = told[0] | {"service_name": SERVICE, "wishes_link": wishes}
        outbox.put("alert", to=to, sender=sender, now=now, **data)  # type: ignore[arg-type]
    else:
        outbox.put(
            "alerts",
            to=to,
            sender=sender,
            now=now,
            service_name=SERVICE,
            wishes_link=wishes,
            alerts=told,
            admin_link=links.to("/admin/"),
        )


def _told(alert: Alert) -> dict[str, str]:
    path, label = place_of(alert.key)
    return {
        "message": alert.message,
        "remedy": alert.remedy,
        "raised_at": alert.raised_at.isoformat(),
        "admin_link": the_links().to(path),
        "admin_label": label,
    }


def place_of(key: str) -> tuple[str, str]:
    """The path of the page where something can be done about an alert, and what to call the way there."""
    kind, _, which = key.partition(":")
    path, label = PLACES.get(kind, ("/admin/", "Open the desk"))
    return path.format(which), label


def _post_due(now: datetime) -> int:
    """An address that does not answer is left alone until the next tick."""
    posted = 0
    for alert_id in _to_post(now):
        if not _post(alert_id, now):
            break
        posted += 1
    return posted


def _to_post(now: datetime) -> list[int]:
    """The alerts that the webhook should be told of now, the oldest first. One that it did not take has its next turn
    later, and after an hour none any more."""
    if the_config().alerts.webhook_url is None:
        return []
    waiting = [one for one in reversed(alerts.open_alerts()) if one.told_at is None or now - one.told_at < AN_HOUR]
    posts = _posts(waiting)
    return [one.id for one in waiting if _is_due(posts[one.id], now)][:POSTS_AT_ONCE]


def _posts(waiting: Sequence[Alert]) -> dict[int, list[AuditRecord]]:
    """The attempts of each so far, by its id. The audit trail is the only place that knows of them."""
    subjects = {_subject(one.id): one.id for one in waiting}
    query = sa.select(AuditRecord).where(AuditRecord.subject.in_(subjects), AuditRecord.action == POSTED)
    found: dict[int, list[AuditRecord]] = {one.id: [] for one in waiting}
    for record in db.session.scalars(query.order_by(AuditRecord.id)):
        found[subjects[record.subject]].append(record)
    return found


def _subject(alert_id: int) -> str:
    return f"alert:{alert_id}"


def _is_due(posts: Sequence[AuditRecord], now: datetime) -> bool:
    if not posts:
        return True
    if posts[-1].details["taken"] or len(posts) > len(POST_AGAIN):
        return False
    return now - posts[-1].at >= POST_AGAIN[len(posts) - 1]


def _post(alert_id: int, now: datetime) -> bool:
    """No transaction waits for the answer. Who is killed before it is recorded posts once more."""
    alert = db.session.get_one(Alert, alert_id)
    words = {name: getattr(alert, name) for name in ("key", "message", "remedy")}
    words |= {"raised_at": alert.raised_at.isoformat(), "site_url": the_links().site_url}
    db.session.rollback()
    problem = _problem(words)
    with transaction():
        audit.record(SYSTEM, POSTED, _subject(alert_id), now, taken=problem is None, answer=problem or "")
    return problem is None


def _problem(words: dict[str, str]) -> str | None:
    try:
        calling.post(str(the_config().alerts.webhook_url), words)
    except PostFailed as error:
        log.warning("The webhook was not told of “%s”: %s", words["key"], error)
        return str(error)
    return None
