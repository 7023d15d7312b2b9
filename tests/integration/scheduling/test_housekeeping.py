"""What is forgotten when its time is over, and what is not (DESIGN.md, rule 13)."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from newsletter.delivery import housekeeping
from newsletter.delivery.bounce_models import Bounce, BounceTally, Deed
from newsletter.delivery.housekeeping import DELIVERIES, RETENTION
from newsletter.delivery.models import Delivery, RateMinute, SkipReason, skips_of, states_of
from newsletter.editions import publishing, sittings
from newsletter.editions.models import Edition
from newsletter.editions.sittings import Sitting
from newsletter.foundation import alerts, processes, retention
from newsletter.foundation.alerts import Alert
from newsletter.foundation.audit import COMMAND, Actor, ActorKind
from newsletter.foundation.database import Base, db, transaction
from newsletter.foundation.processes import Process
from newsletter.foundation.retention import Kept
from newsletter.mail.outbox import OutboxMail
from newsletter.mail.verdicts import Kind
from newsletter.newsletters.models import newsletter
from newsletter.staff import inviting
from newsletter.staff.models import Invitation, Role, SignInFailure, SignInLink, SpentPrompt, StaffSession
from newsletter.staff.notes import nobodys_sender
from newsletter.staff.rights import Grant
from newsletter.subscribers import bulk, uploading
from newsletter.subscribers.bulk import Wanted
from newsletter.subscribers.desk_models import BulkChange, BulkKind
from newsletter.subscribers.models import SignUpRequest, SpentChallenge
from tests.conftest import House
from tests.integration.web import hire, signed_in
from tests.support.newsroom import SUBJECTS, found, orphans, send

ANN, BOB, CLEO = "ann@example.org", "bob@example.org", "cleo@example.org"
PAGE = Path(__file__).parents[3] / "docs" / "retention.md"


def promised() -> dict[str, str]:
    """How long the page says that each table is kept."""
    rows = re.findall(r"^\| (`.+?`) \| (.*?) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    return {name: kept for names, kept in rows for name in re.findall(r"`(\w+)`", names)}


def tidy(house: House) -> int:
    with house.app.app_context():
        return housekeeping.tidy(house.now)


def count(house: House, table: type[Base]) -> int:
    with house.app.app_context():
        return db.session.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def test_the_page_names_every_table_of_the_database() -> None:
    assert promised().keys() == Base.metadata.tables.keys()


def test_the_page_says_of_each_table_what_the_program_does() -> None:
    in_days = {one.table.__tablename__: one.keep.days for one in RETENTION} | {"deliveries": DELIVERIES.days}
    in_days |= {"import_parts": uploading.KEPT_FOR.days}
    assert in_days.pop("spent_challenges") == in_days.pop("spent_prompts") == 0
    assert {table: kept for table, kept in promised().items() if "day" in kept} == {
        table: f"{days} day{'s' if days > 1 else ''}" for table, days in in_days.items()
    }


EXAMPLES = {
    "sittings": Sitting,
    "bulk_changes": BulkChange,
    "sign_up_requests": SignUpRequest,
    "outbox_mails": OutboxMail,
    "sign_in_links": SignInLink,
    "staff_sessions": StaffSession,
    "sign_in_failures": SignInFailure,
    "alerts": Alert,
    "bounces": Bounce,
    "bounce_tallies": BounceTally,
    "rate_minutes": RateMinute,
    "processes": Process,
    "spent_challenges": SpentChallenge,
    "spent_prompts": SpentPrompt,
    "staff_invitations": Invitation,
}


def with_a_row_in_each(house: House) -> None:
    paper = found(house)
    paper.tells(*SUBJECTS)
    paper.readers(BOB)
    with house.app.app_context():
        bulk.begin(Wanted(BulkKind.UNSUBSCRIBE, paper.id), (), "", house.now, COMMAND, None)
        bulk.work_due(house.now)
    house.browser.post("/subscribe", data={"email": ANN, "newsletter": "morning-post"})
    with house.app.app_context():
        inviting.invite(ANN, Grant(Role.EDITOR), house.now, COMMAND, house.links, nobodys_sender())
    house.work()
    hire(house, Role.OWNER)
    signed_in(house)
    with house.app.app_context(), transaction() as session:
        session.add(SignInFailure(address=ANN, ip="192.0.2.1", at=house.now))
        session.add(SpentPrompt(digest="x", expires_at=house.now))
        session.add(SpentChallenge(signature="x", expires_at=house.now))
        alerts.raise_("trouble", "It is broken.", "Mend it.", house.now)
        alerts.resolve("trouble", house.now)
        session.add(Bounce(received_at=house.now, digest="x", kind=Kind.AUTOMATIC))
        session.add(BounceTally(edition_id=1, audience=1, begun_at=house.now))
        processes.beat("here 1", processes.Kind.WORKER, house.now, house.now)
        session.add(RateMinute(name="relay:relay", minute=house.now, used=1))
    with house.app.app_context():
        slot = newsletter(None).default_slot
        drafted = publishing.compose(slot, house.now.date(), house.now, COMMAND)
        sittings.here(drafted.id, "mail", house.now, Actor(ActorKind.STAFF, ANN, 1))


@pytest.mark.parametrize("kept", RETENTION, ids=lambda kept: kept.table.__tablename__)
def test_a_row_goes_when_its_time_is_over_and_not_before(house: House, kept: Kept) -> None:
    with_a_row_in_each(house)
    table = EXAMPLES[kept.table.__tablename__]
    before = count(house, table)
    assert before > 0
    with house.app.app_context():
        house.clock.at = db.session.scalars(sa.select(sa.func.max(kept.since))).one() + kept.keep
    with house.app.app_context():
        retention.forget(kept, house.now)
    assert count(house, table) > 0
    house.later(seconds=1)
    assert tidy(house) >= 1
    assert count(house, table) == 0
    assert tidy(house) == 0


def test_what_is_not_over_is_kept_for_any_time(house: House) -> None:
    """A mail that waits, a trouble that goes on, a bounce that people have to look at."""
    with house.app.app_context(), transaction():
        db.session.add(_waiting(house))
        alerts.raise_("trouble", "It is broken.", "Mend it.", house.now)
        db.session.add(Bounce(received_at=house.now, digest="x", kind=Kind.UNKNOWN, needs_staff=True))
        db.session.add(Bounce(received_at=house.now, digest="y", kind=Kind.HARD, deed=Deed.WAITING))
        db.session.add(BounceTally(edition_id=1, audience=1, begun_at=house.now, stopped_at=house.now))
    house.later(days=500)
    tidy(house)
    assert [count(house, table) for table in (OutboxMail, Alert, Bounce, BounceTally)] == [1, 1, 2, 1]


def _waiting(house: House) -> OutboxMail:
    return OutboxMail(
        name="confirm",
        recipient=ANN,
        sender_name="Morning Post",
        sender_address="post@example.org",
        data={},
        message_id="1@example.org",
        next_attempt_at=house.now,
        created_at=house.now,
    )


def test_many_rows_go_in_small_steps(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 10)
    with house.app.app_context(), transaction() as session:
        session.add_all(SignInFailure(address=ANN, ip="192.0.2.1", at=house.now) for _ in range(25))
    house.later(days=2)
    assert tidy(house) == 25
    assert count(house, SignInFailure) == 0


def went_out(house: House) -> int:
    """An edition that Ann got, that Bob's pause kept from him, and of which Cleo got a welcome copy."""
    paper = found(house, cooling_minutes="0")
    paper.tells(*SUBJECTS)
    paper.readers(ANN)
    paper.readers(BOB, paused_until=house.now.date() + timedelta(days=9))
    edition_id = paper.draft()
    send(house, edition_id)
    house.work()
    paper.readers(CLEO)
    house.work()
    assert count(house, Delivery) == 3
    return edition_id


def test_of_deliveries_only_the_counts_are_kept_after_90_days(either_house: House) -> None:
    house = either_house
    edition_id = went_out(house)
    with house.app.app_context():
        states, skips = states_of(edition_id), skips_of(edition_id)
    assert sum(states.values()) == 2
    assert skips == {SkipReason.PAUSED: 1}

    house.later(days=90)
    tidy(house)
    assert count(house, Delivery) == 3
    house.later(seconds=1)
    tidy(house)

    assert count(house, Delivery) == 0
    with house.app.app_context():
        assert (states_of(edition_id), skips_of(edition_id)) == (states, skips)
        assert db.session.get_one(Edition, edition_id).audience == sum(states.values())
        assert orphans() == []
    assert tidy(house) == 0


def test_counting_that_was_interrupted_goes_on_with_what_was_counted(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    edition_id = went_out(house)
    with house.app.app_context():
        states, skips = states_of(edition_id), skips_of(edition_id)
    house.later(days=91)

    def killed(kept: Kept, now: object) -> int:
        if kept.table is Delivery:
            with transaction() as session:
                session.execute(
                    sa.delete(Delivery).where(Delivery.id == sa.select(sa.func.min(Delivery.id)).scalar_subquery())
                )
            raise KeyboardInterrupt
        return 0

    with monkeypatch.context() as patched:
        patched.setattr(housekeeping, "forget", killed)
        with pytest.raises(KeyboardInterrupt):
            tidy(house)
    assert count(house, Delivery) == 2
    tidy(house)
    assert count(house, Delivery) == 0
    with house.app.app_context():
        assert (states_of(edition_id), skips_of(edition_id)) == (states, skips)


def test_it_is_known_when_housekeeping_was_done_last(house: House) -> None:
    found(house)
    tidy(house)
    house.later(hours=1)
    tidy(house)
    with house.app.app_context():
        last = processes.last_run(housekeeping.NAME)
        assert last is not None
        assert last.at == house.now
