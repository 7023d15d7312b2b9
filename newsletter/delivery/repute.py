"""What mailbox providers see of a newsletter: how many of its mails bounced for good, and how many were complained of.

The limits are what providers publish. Complaints: Google wants them below 0.1 % and never at 0.3 %
(https://support.google.com/a/answer/81126), Yahoo below 0.3 %. Bounces for good: Amazon's relay wants them below 2 %,
and looks into a sender at 5 % (https://docs.aws.amazon.com/ses/latest/dg/reputationdashboard-bounce.html).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.delivery import reporting
from newsletter.delivery.bounce_models import Bounce
from newsletter.delivery.models import DeliveryState
from newsletter.editions.models import Edition
from newsletter.foundation.config import BouncesConfig
from newsletter.foundation.database import Base, db, insert_into, transaction
from newsletter.mail.verdicts import Kind
from newsletter.newsletters.models import Newsletter, newsletters

SPAN = timedelta(days=30)

COMPLAINTS = (0.001, 0.003)
HARD_BOUNCES = (0.02, 0.05)
"""From the first share on somebody should look at it, from the second on act."""

ENOUGH_FOR_COMPLAINTS, ENOUGH_FOR_BOUNCES = 1000, 200
"""With fewer mails a single reader makes the difference, and no share is told."""


class Repute(Base):
    """Of one newsletter in the last thirty days, as of when it was counted: mails that a relay answered for good, and
    what of them came back. Counting takes longer than a page may, so a tick does it.

    `complaints_ever`: whether any provider has told of a complaint before, by which one knows that they do.
    """

    __tablename__ = "reputes"

    newsletter_id: Mapped[int] = mapped_column(
        sa.ForeignKey(Newsletter.id, ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    as_of: Mapped[datetime]
    mails: Mapped[int]
    hard: Mapped[int]
    complaints: Mapped[int]
    complaints_ever: Mapped[bool]


def reputes(newsletter_ids: Collection[int]) -> dict[int, Repute]:
    """As they were counted last; those that never were are missing."""
    found = sa.select(Repute).where(Repute.newsletter_id.in_(newsletter_ids))
    return {one.newsletter_id: one for one in db.session.scalars(found)}


def count_due(now: datetime) -> int:
    """Count every newsletter's, and say how many there are."""
    rows = [_counted(one.id, now) for one in newsletters()]
    if not rows:
        return 0
    made = insert_into(Repute)
    anew = {name: made.excluded[name] for name in rows[0] if name != "newsletter_id"}
    with transaction() as session:
        session.execute(made.on_conflict_do_update(index_elements=["newsletter_id"], set_=anew), rows)
    return len(rows)


def _counted(newsletter_id: int, now: datetime) -> dict[str, object]:
    came = _came_back(newsletter_id, now)
    return {
        "newsletter_id": newsletter_id,
        "as_of": now,
        "mails": sum(_mails(one) for one in _editions(newsletter_id, now)),
        "hard": came[Kind.HARD],
        "complaints": came[Kind.COMPLAINT],
        "complaints_ever": bool(came[Kind.COMPLAINT]) or _ever(),
    }


def _editions(newsletter_id: int, now: datetime) -> Sequence[Edition]:
    recent = Edition.newsletter_id == newsletter_id, Edition.frozen_at > now - SPAN
    return db.session.scalars(sa.select(Edition).where(*recent)).all()


def _mails(one: Edition) -> int:
    states = reporting.glance([one]).get(one.id, {})
    return sum(states.get(state, 0) for state in (DeliveryState.ACCEPTED, DeliveryState.REFUSED))


def _came_back(newsletter_id: int, now: datetime) -> Counter[Kind]:
    """Each reader's copy once, of the editions of the time."""
    rows = db.session.execute(
        sa.select(Bounce.kind, sa.func.count(sa.distinct(Bounce.delivery_id)))
        .join(Edition, Edition.id == Bounce.edition_id)
        .where(
            Edition.newsletter_id == newsletter_id,
            Edition.frozen_at > now - SPAN,
            Bounce.received_at > now - SPAN,
            Bounce.kind.in_((Kind.HARD, Kind.COMPLAINT)),
        )
        .group_by(Bounce.kind)
    )
    return Counter({row[0]: row[1] for row in rows})


def _ever() -> bool:
    """In the ninety days for which they are kept, in whichever newsletter: loops are set up for a sending domain."""
    return bool(db.session.scalar(sa.select(sa.exists().where(Bounce.kind == Kind.COMPLAINT))))


# What to think of it: pure


class Verdict(StrEnum):
    WELL = "well"
    LOOK = "look at it"
    ACT = "act now"
    UNKNOWN = "too early to say"


@dataclass(frozen=True)
class Judged:
    """`share` is None where none can be told. `said` is what was found, `remedy` what to do about it."""

    what: str
    verdict: Verdict
    share: float | None
    said: str
    remedy: str = ""


def judge(found: Repute | None, bounces: BouncesConfig) -> list[Judged]:
    """Bounces for good and complaints; `bounces` says whether anybody can tell us of any."""
    told = bounces.listen or bounces.imap_host is not None
    return [_bounces(found, told), _complaints(found, told)]


NOWHERE = "Nothing that comes back reaches this service, so only what the relay refuses at once is known."
SET_UP = "Let bounces in: the [bounces] part of the config, docs/bounces.md."


def _bounces(found: Repute | None, told: bool) -> Judged:
    what = "Bounces for good"
    mails, hard = (found.mails, found.hard) if found else (0, 0)
    if mails < ENOUGH_FOR_BOUNCES:
        return _too_few(what, mails, ENOUGH_FOR_BOUNCES, hard)
    share = hard / mails
    verdict = _verdict(share, HARD_BOUNCES)
    said = f"{hard:,} of {mails:,} mails ({percent(share)})."
    remedy = {
        Verdict.LOOK: "From 2 % on relays grow wary. See on the bounces page whose they are: often an old import, or "
        "strangers' addresses in the form.",
        Verdict.ACT: "From 5 % on relays look into a sender and may stop it. Send to nobody new until you know why: "
        "see the bounces page, and take back what was imported last.",
    }.get(verdict, "")
    if not told:
        if verdict is Verdict.WELL:
            return Judged(what, Verdict.UNKNOWN, share, f"{said} {NOWHERE}", SET_UP)
        return Judged(what, verdict, share, f"{said} {NOWHERE}", f"{remedy} {SET_UP}")
    return Judged(what, verdict, share, said, remedy)


def _complaints(found: Repute | None, told: bool) -> Judged:
    what = "Complaints"
    mails, complaints = (found.mails, found.complaints) if found else (0, 0)
    if not told:
        return Judged(
            what, Verdict.UNKNOWN, None, "No complaint can be known: nothing that comes back is let in.", SET_UP
        )
    if found is None or not found.complaints_ever:
        said = "None ever came in. Either nobody complained, or no provider tells us."
        return Judged(what, Verdict.UNKNOWN, None, said, f"Ask providers for their feedback loops. {GMAIL}")
    if mails < ENOUGH_FOR_COMPLAINTS:
        return _too_few(what, mails, ENOUGH_FOR_COMPLAINTS, complaints)
    share = complaints / mails
    verdict = _verdict(share, COMPLAINTS)
    remedy = {
        Verdict.WELL: GMAIL,
        Verdict.LOOK: "Providers want less than 0.1 %. Look whether a new source of sign-ups, another subject or more "
        f"mails than promised came with it. {GMAIL}",
        Verdict.ACT: "At 0.3 % providers sort everybody's mails into spam. Hold what is not urgent, and mail only who "
        f"signed up lately until it falls. {GMAIL}",
    }[verdict]
    return Judged(what, verdict, share, f"{complaints:,} of {mails:,} mails ({percent(share)}).", remedy)


GMAIL = "Gmail tells no sender of single complaints; its share stands in Google’s Postmaster Tools."


def _too_few(what: str, mails: int, enough: int, came: int) -> Judged:
    so_far = f"{came:,} of only {mails:,} {'mail' if mails == 1 else 'mails'}."
    return Judged(what, Verdict.UNKNOWN, None, f"{so_far} Below {enough:,} a share says nothing.")


def _verdict(share: float, limits: tuple[float, float]) -> Verdict:
    look, act = limits
    return Verdict.ACT if share >= act else Verdict.LOOK if share >= look else Verdict.WELL


def percent(share: float) -> str:
    """“0.04 %”: never a nought where there is something, and never rounded up to a limit."""
    if 0 < share < 0.0001:
        return "less than 0.01 %"
    return f"{int(share * 10_000 + 1e-9) / 100:.2f} %"
