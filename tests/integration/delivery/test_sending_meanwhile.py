"""What readers, staff and the clock do between the freeze and a mail: the mail goes by what is true when it goes."""

from __future__ import annotations

from datetime import date

from newsletter.editions import publishing
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.config import MailConfig
from newsletter.subscribers import signing_up, suppressing
from newsletter.subscribers.consent import Origin
from newsletter.subscribers.signing_up import Wishes
from tests.conftest import BuildHouse, House
from tests.integration.delivery import during_the_first_mail, refusing
from tests.support.newsroom import (
    delivery,
    edition_state,
    ledger_of,
    open_alert_keys,
    sending,
)
from tests.support.ports import free_port

ANN, BOB, CLEO = "ann@example.org", "bob@example.org", "cleo@example.org"


# Readers who change their mind


def test_who_leaves_after_the_freeze_is_skipped_with_the_reason(either_house: House) -> None:
    house = either_house
    paper, edition_id = sending(house, ANN, BOB, CLEO, "dora@example.org")
    paper.leave(ANN)
    paper.change(BOB, paused_until=date(2026, 3, 4))
    with house.app.app_context():
        suppressing.suppress(CLEO, "asked by phone", house.now, house.keys, COMMAND)

    house.work()

    assert [mail.recipient for mail in house.inbox.mails] == ["dora@example.org"]
    assert ledger_of(house, edition_id) == {
        "accepted": 1,
        "skipped(left)": 1,
        "skipped(paused)": 1,
        "skipped(suppressed)": 1,
    }
    assert delivery(house, ANN).skip_reason == "left"
    assert delivery(house, BOB).skip_reason == "paused"
    assert delivery(house, CLEO).skip_reason == "suppressed"
    assert edition_state(house, edition_id) == "sent"


def test_who_leaves_while_his_shard_is_being_sent_gets_no_mail(house: House) -> None:
    paper, edition_id = sending(house, ANN, BOB)
    during_the_first_mail(house.inbox, lambda: paper.leave(BOB))

    house.work()

    assert house.inbox.of(BOB) == []
    assert ledger_of(house, edition_id) == {"accepted": 1, "skipped(left)": 1}


def test_who_leaves_while_his_mail_waits_for_another_try_gets_no_mail(house: House) -> None:
    paper, edition_id = sending(house, ANN)
    house.inbox.answer_rcpt = refusing(ANN, "451 later")
    house.work()
    house.inbox.answer_rcpt = lambda address: "250 OK"
    paper.leave(ANN)
    house.later(minutes=6)
    house.work()

    assert house.inbox.mails == []
    assert ledger_of(house, edition_id) == {"skipped(left)": 1}


def test_who_pauses_until_today_is_mailed_today(house: House) -> None:
    paper, edition_id = sending(house, ANN)
    paper.change(ANN, paused_until=date(2026, 3, 3))

    house.work()

    assert ledger_of(house, edition_id) == {"accepted": 1}


# Staff and the clock


def test_a_hold_in_the_middle_of_a_run_stops_at_the_next_mail(house: House) -> None:
    _, edition_id = sending(house, ANN, BOB, CLEO)

    def hold() -> None:
        with house.app.app_context():
            publishing.hold(edition_id, "wrong headline", house.now, COMMAND)

    during_the_first_mail(house.inbox, hold)
    house.work()
    assert len(house.inbox.mails) == 1, "what was in flight is finished, and no more"
    assert ledger_of(house, edition_id) == {"accepted": 1, "pending": 2}
    house.later(minutes=30)
    house.work()
    assert len(house.inbox.mails) == 1

    with house.app.app_context():
        publishing.resume(edition_id, house.now, COMMAND)
    house.work()
    assert sorted(mail.recipient for mail in house.inbox.mails) == [ANN, BOB, CLEO]
    assert ledger_of(house, edition_id) == {"accepted": 3}
    assert edition_state(house, edition_id) == "sent"


def test_what_is_not_out_by_finish_by_expires(either_house: House) -> None:
    house = either_house
    _, edition_id = sending(house, ANN, BOB)
    house.inbox.answer_rcpt = refusing(BOB, "451 later")
    house.work()
    house.clock.at = house.clock.at.replace(hour=17, minute=59)
    house.work()
    assert ledger_of(house, edition_id) == {"accepted": 1, "deferred": 1}

    house.inbox.answer_rcpt = lambda address: "250 OK"
    house.clock.at = house.clock.at.replace(hour=18, minute=0)
    house.work()

    assert house.inbox.of(BOB) == []
    assert ledger_of(house, edition_id) == {"accepted": 1, "skipped(expired)": 1}
    assert edition_state(house, edition_id) == "sent"


def test_an_edition_held_until_finish_by_expires_whole(house: House) -> None:
    _, edition_id = sending(house, ANN, BOB)
    with house.app.app_context():
        publishing.hold(edition_id, "wrong headline", house.now, COMMAND)
    house.later(hours=13)
    house.work()

    assert house.inbox.mails == []
    assert ledger_of(house, edition_id) == {"skipped(expired)": 2}
    assert open_alert_keys(house) == []


def test_an_edition_that_expired_while_it_was_held_is_held_no_more(house: House) -> None:
    _, edition_id = sending(house, ANN)
    with house.app.app_context():
        publishing.hold(edition_id, "wrong headline", house.now, COMMAND)
    house.later(hours=13)
    house.work()
    assert edition_state(house, edition_id) == "sent"


def test_no_mail_goes_out_after_finish_by_although_its_shard_was_begun_before(house: House) -> None:
    _, edition_id = sending(house, ANN, BOB)
    house.clock.at = house.clock.at.replace(hour=17, minute=59)

    def slow(_recipient: str) -> str:
        house.clock.at = house.clock.at.replace(hour=18, minute=1)
        return "250 OK"

    house.inbox.answer_data = slow
    house.work()
    assert len(house.inbox.mails) == 1
    assert ledger_of(house, edition_id) == {"accepted": 1, "skipped(expired)": 1}


def test_the_time_decides_also_while_the_relay_is_away(build_house: BuildHouse, sqlite_url: str) -> None:
    house = build_house(sqlite_url, mail=MailConfig(port=free_port()))
    paper, edition_id = sending(house, ANN)
    with house.app.app_context():
        signing_up.request(Wishes([paper.slug]), BOB, Origin(), house.now, house.keys)
    house.work()
    house.later(hours=13)
    house.work()
    assert ledger_of(house, edition_id) == {"skipped(expired)": 1}
    assert edition_state(house, edition_id) == "sent"
