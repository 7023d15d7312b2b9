"""What is forgotten in every table when its time is over (DESIGN.md, rule 13; docs/retention.md)."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from newsletter.delivery.bounce_models import Bounce, BounceTally, Deed
from newsletter.delivery.models import (
    COUNTED,
    Delivery,
    DeliveryKind,
    DeliveryTally,
    RateMinute,
    Shard,
    counted,
    skips_of,
    states_of,
)
from newsletter.editions import sittings
from newsletter.editions.models import Edition, EditionState
from newsletter.editions.sittings import Sitting
from newsletter.foundation import audit, processes
from newsletter.foundation.alerts import Alert
from newsletter.foundation.audit import SYSTEM
from newsletter.foundation.database import db, transaction
from newsletter.foundation.processes import Process
from newsletter.foundation.retention import Kept, forget
from newsletter.mail.outbox import OutboxMail, OutboxState
from newsletter.staff.models import Invitation, SignInFailure, SignInLink, SpentPrompt, StaffSession
from newsletter.subscribers import housekeeping, uploading
from newsletter.subscribers.desk_models import BulkChange
from newsletter.subscribers.models import SpentChallenge

NAME = "housekeeping"
DONE = OutboxMail.state != OutboxState.PENDING

RETENTION = (
    housekeeping.REQUESTS,
    Kept(BulkChange, BulkChange.at, timedelta(days=3)),
    Kept(SpentChallenge, SpentChallenge.expires_at, timedelta()),
    Kept(SignInFailure, SignInFailure.at, timedelta(days=1)),
    Kept(OutboxMail, OutboxMail.created_at, timedelta(days=30), (DONE,)),
    Kept(SignInLink, SignInLink.expires_at, timedelta(days=90)),
    Kept(Invitation, Invitation.expires_at, timedelta(days=90)),
    Kept(SpentPrompt, SpentPrompt.expires_at, timedelta()),
    Kept(StaffSession, StaffSession.expires_at, timedelta(days=90)),
    Kept(Alert, Alert.resolved_at, timedelta(days=90)),
    Kept(Bounce, Bounce.received_at, timedelta(days=90), (~Bounce.needs_staff, Bounce.deed != Deed.WAITING)),
    Kept(RateMinute, RateMinute.minute, timedelta(days=2)),
    Kept(Sitting, Sitting.seen_at, timedelta(days=1), (Sitting.wrote_at.is_(None),)),
    Kept(Process, Process.seen_at, processes.FORGOTTEN),
    Kept(BounceTally, BounceTally.begun_at, timedelta(days=90), (BounceTally.stopped_at.is_(None),)),
)
"""What is not named here, and is no delivery, is kept."""

DELIVERIES = timedelta(days=90)
"""From an edition's freeze. Afterwards there are only its counts."""


def tidy(now: datetime) -> int:
    """Forget what is past its time, and say how many rows."""
    sittings.settle_due(now)
    gone = sum(forget(one, now) for one in RETENTION) + uploading.tidy(now)
    gone += sum(_only_counts(id, now) for id in _over(now))
    processes.note_run(NAME, gone, now)
    return gone


def _over(now: datetime) -> list[int]:
    """Editions that are older than their deliveries are kept, and have some."""
    return list(
        db.session.scalars(
            sa.select(Edition.id).where(
                Edition.frozen_at < now - DELIVERIES,
                Edition.state.in_((EditionState.SENT, EditionState.CANCELLED)),
                sa.exists().where(Delivery.edition_id == Edition.id),
            )
        )
    )


def _only_counts(edition_id: int, now: datetime) -> int:
    """Keep how many rows were in each state, in the audit log, which nobody can change, and delete the rows."""
    with transaction():
        if edition_id not in counted([edition_id]):
            welcome = sa.select(sa.func.count()).where(
                Delivery.edition_id == edition_id, Delivery.kind == DeliveryKind.WELCOME
            )
            audit.record(
                SYSTEM,
                COUNTED,
                f"edition:{edition_id}",
                now,
                states={state.value: count for state, count in states_of(edition_id).items()},
                skips={reason.value: count for reason, count in skips_of(edition_id).items()},
                welcome_copies=db.session.scalar(welcome),
            )
    with transaction() as session:
        for table in (Shard, DeliveryTally):
            session.execute(sa.delete(table).where(table.edition_id == edition_id))
    return forget(Kept(Delivery, Delivery.updated_at, timedelta(), (Delivery.edition_id == edition_id,)), now)
