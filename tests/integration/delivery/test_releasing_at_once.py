"""Two who compose, approve or release at the same moment: one edition, one audience, each mail once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Barrier, Event, get_ident

import pytest
import sqlalchemy as sa

from newsletter.delivery import releasing
from newsletter.editions import composing, publishing
from newsletter.editions.models import Edition, edition_of
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.database import db
from newsletter.foundation.errors import Refused
from newsletter.newsletters.models import Slot
from tests.conftest import House
from tests.integration.delivery import audited, drafted
from tests.support.newsroom import (
    SUBJECTS,
    found,
    ledger_of,
)
from tests.support.racing import at_once, beside, somebody_waits

ANN, BOB = "ann@example.org", "bob@example.org"


def both(house: House, *verbs: Callable[[], object]) -> None:
    """Each in a thread and an app context of its own, begun together."""

    def act(number: int) -> None:
        with house.app.app_context():
            verbs[number]()

    at_once(len(verbs), act)


def test_two_schedulers_make_one_edition(either_house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both have seen that there is none before either writes it."""
    house = either_house
    paper = found(house)
    paper.tells(*SUBJECTS)
    both_composed, compose = Barrier(2), composing.compose

    def together(*args: object) -> composing.Draft:
        draft = compose(*args)  # type: ignore[arg-type]
        both_composed.wait(20)
        return draft

    monkeypatch.setattr(composing, "compose", together)
    both(house, *[lambda: publishing.draft_due(house.now)] * 2)

    with house.app.app_context():
        (edition,) = db.session.scalars(sa.select(Edition)).all()
        assert (edition.state, edition.number) == ("drafted", 0)
        assert edition.revision is not None
        assert len(edition.revision.items) == len(SUBJECTS)


def test_two_who_release_at_once_freeze_one_audience_and_send_each_mail_once(either_house: House) -> None:
    house = either_house
    _, edition_id = drafted(house, ANN, BOB)
    house.later(minutes=45)

    both(
        house,
        lambda: releasing.send(edition_id, house.now, COMMAND),
        lambda: releasing.release_due(house.now),
    )
    house.work()

    assert len(house.inbox.of(ANN)) == len(house.inbox.of(BOB)) == 1
    assert ledger_of(house, edition_id) == {"accepted": 2}
    assert len(audited(house, "edition.send", edition_id)) == 1
    assert len(audited(house, "edition.approve", edition_id)) == 1


def test_an_edition_that_is_approved_while_it_is_composed_anew_goes_as_it_was_approved(
    either_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An editor approves in the moment in which the scheduler drafts anew."""
    house = either_house
    paper = found(house)
    paper.tells(*SUBJECTS)
    paper.readers(ANN)
    edition_id = paper.draft()
    paper.tells("Later news")
    composing_here, read, approved = get_ident(), Event(), Event()
    seen: list[Edition] = []

    def approve() -> None:
        assert read.wait(20)
        with house.app.app_context(), suppress(Refused):
            releasing.approve(edition_id, house.now, COMMAND)
        approved.set()

    def edition_then_approval(slot_id: int, local_date: object, number: int = 0) -> Edition | None:
        answer = edition_of(slot_id, local_date, number)  # type: ignore[arg-type]
        if get_ident() == composing_here and db.session().info.get("newsletter_writes") and answer and not seen:
            seen.append(answer)
            read.set()
            if db.engine.dialect.name == "postgresql":
                while not approved.wait(0.01) and not somebody_waits(house):
                    pass
        return answer

    monkeypatch.setattr(publishing, "edition_of", edition_then_approval)
    with beside(approve), house.app.app_context(), suppress(Refused):
        publishing.compose(db.session.get_one(Slot, paper.slot_id), house.now.date(), house.now, COMMAND)
    house.later(minutes=45)
    with house.app.app_context():
        releasing.release_due(house.now)
    house.work()
    assert ledger_of(house, edition_id) == {"accepted": 1}
