"""The service itself: whether it may send, whether its processes live, and what its sources do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import sqlalchemy as sa

from newsletter.delivery import housekeeping, watching
from newsletter.delivery.models import Shard
from newsletter.editions.models import Edition, EditionState
from newsletter.foundation import alerts as open_troubles
from newsletter.foundation import safety
from newsletter.foundation.database import db
from newsletter.foundation.retention import Kept
from newsletter.mail.outbox import OutboxMail, OutboxState
from newsletter.newsletters.models import newsletters
from newsletter.operations.doctor.findings import Finding, Found, counted, listed
from newsletter.operations.doctor.patient import Patient
from newsletter.stories import health
from newsletter.stories.models import SourceState, sources_of
from newsletter.subscribers.models import SignUpRequest

IDLE = timedelta(minutes=5)
"""What is due and waits for longer has nobody who works at it."""

BEHIND = timedelta(days=1)
SHOWN = 5
RUN = "Start it: newsletter serve, or on a machine of its own newsletter {}"


def halts(patient: Patient, found: Found) -> Iterator[Finding]:
    with patient.database():
        if (reason := safety.found_wrong(patient.clock.now())) is not None:
            yield found.error(f"Nothing is sent: {reason}", safety.REMEDY)
        else:
            yield found.ok("Nothing is halted, and nothing speaks against sending.")


def scheduler(patient: Patient, found: Found) -> Iterator[Finding]:
    now = patient.clock.now()
    with patient.database():
        last = safety.heartbeat()
    if patient.config.demo is not None:
        yield found.unknown("In a demo, whose clock stands still, the scheduler leaves no sign of life.")
    elif last is None:
        yield found.warning("The scheduler has never run with this database.", RUN.format("scheduler"))
    elif now - last > watching.SILENT:
        since = f"{last:%Y-%m-%d %H:%M} UTC"
        yield found.error(f"The scheduler gave no sign of life since {since}.", RUN.format("scheduler"))
    else:
        yield found.ok("The scheduler lives.")


def worker(patient: Patient, found: Found) -> Iterator[Finding]:
    """A worker leaves no sign of life; but what has been due for a while tells that none is there."""
    now = patient.clock.now()
    with patient.database():
        waiting = [words for words, count in _waiting(now) if count]
    if waiting:
        yield found.error(
            f"Nobody works: {listed(waiting)} waited for more than five minutes.",
            f"{RUN.format('worker')}. If one runs, look at the relay above and at its log.",
        )
    else:
        yield found.ok("Nothing waits for a worker.")


def _waiting(now: datetime) -> Iterator[tuple[str, int]]:
    due = now - IDLE
    mails = _count(OutboxMail, OutboxMail.state == OutboxState.PENDING, OutboxMail.next_attempt_at < due)
    asked = _count(SignUpRequest, SignUpRequest.answer.is_(None), SignUpRequest.requested_at < due)
    sending = sa.select(Edition.id).where(Edition.state == EditionState.SENDING, Edition.held_at.is_(None))
    shards = _count(Shard, Shard.edition_id.in_(sending), Shard.due_at < due)
    if _count(Shard, Shard.lease_until >= now):
        shards = 0  # somebody is at work, and the others of a large edition wait for their turn
    yield counted(mails, "mail"), mails
    yield f"{counted(asked, 'request')} of readers", asked
    yield f"{counted(shards, 'part')} of editions", shards


def _count(table: type, *conditions: sa.ColumnElement[bool]) -> int:
    return db.session.scalar(sa.select(sa.func.count()).select_from(table).where(*conditions)) or 0


def editions(patient: Patient, found: Found) -> Iterator[Finding]:
    with patient.database():
        late = watching.overdue(patient.clock.now())
    for one in late[:SHOWN]:
        yield found.error(one.line, watching.REMEDY)
    if not late:
        yield found.ok("No edition is overdue.")


def alerts(patient: Patient, found: Found) -> Iterator[Finding]:
    with patient.database():
        raised = [(one.message, one.remedy) for one in open_troubles.open_alerts()]
    for message, remedy in raised[:SHOWN]:
        yield found.warning(message, remedy)
    if len(raised) > SHOWN:
        yield found.warning(f"{len(raised) - SHOWN} more alerts are open.", "The desk's first page has them all.")
    if not raised:
        yield found.ok("No alert is open.")


def sources(patient: Patient, found: Found) -> Iterator[Finding]:
    now = patient.clock.now()
    with patient.database():
        every = newsletters()
        if not every:
            yield found.warning("There is no newsletter yet.", "Make one: newsletter newsletters add")
        for one in every:
            uses = [use for use in sources_of(one.id) if use.source.state is not SourceState.DISABLED]
            silent = [silence.outlet for silence in health.silent(one.id, now)]
            failing = [use.source.outlet for use in uses if use.source.state is SourceState.FAILING]
            yield _sources_of(one.name, len(uses), silent, [name for name in failing if name not in silent], found)


def _sources_of(name: str, asked: int, silent: list[str], failing: list[str], found: Found) -> Finding:
    if not asked:
        return found.warning(f"{name} collects no source.", "Add one: newsletter sources add URL")
    quiet = [*(f"{outlet} is silent" for outlet in silent), *(f"{outlet} fails" for outlet in failing)]
    if not quiet:
        return found.ok(f"{name} hears from all of its {counted(asked, 'source')}.")
    more = [f"{len(quiet) - SHOWN} more"] if len(quiet) > SHOWN else []
    words = f"{name}: {listed([*quiet[:SHOWN], *more])}."
    remedy = "newsletter sources list says what is wrong with each."
    if len(silent) == asked:
        return found.error(f"{words} Nothing new comes in.", remedy)
    return found.warning(words, remedy)


def retention(patient: Patient, found: Found) -> Iterator[Finding]:
    now = patient.clock.now()
    with patient.database():
        over = sum(_count(kept.table, *_overdue(kept, now)) for kept in housekeeping.RETENTION)
    if over:
        yield found.warning(
            f"{counted(over, 'row')} should have been forgotten by now (docs/retention.md).",
            "The scheduler forgets them once an hour; see that it runs.",
        )
    else:
        yield found.ok("What was to be forgotten is.")


def _overdue(kept: Kept, now: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    return (kept.since < now - kept.keep - BEHIND, *kept.only)
