"""After a Send by hand the edition waits for a moment, and can be pulled back."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from newsletter.delivery import releasing
from newsletter.delivery.releasing import LateNeedsDate
from newsletter.editions import publishing
from newsletter.editions.models import Edition
from newsletter.foundation import leases, safety
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.database import db, transaction
from newsletter.foundation.errors import Refused
from tests.conftest import House
from tests.integration.delivery import audited, drafted
from tests.support.newsroom import edition_state, found, ledger_of, open_alert_keys, send
from tests.support.racing import at_once

ANN, BOB = "ann@example.org", "bob@example.org"
COOLING = 2


def tick(house: House) -> None:
    with house.app.app_context():
        publishing.draft_due(house.now)
        releasing.release_due(house.now)


def pull_back(house: House, edition_id: int) -> None:
    with house.app.app_context():
        releasing.pull_back(edition_id, house.now, COMMAND)


def edition(house: House, edition_id: int) -> Edition:
    """To look at and not to change."""
    with house.app.app_context():
        shown = db.session.get_one(Edition, edition_id)
        db.session.expunge(shown)
        return shown


def at(house: House, hour: int, minute: int, second: int = 0) -> datetime:
    house.clock.at = house.clock.at.replace(hour=hour, minute=minute, second=second)
    return house.now


def test_a_send_takes_effect_after_the_cooling_off_and_not_a_second_before(either_house: House) -> None:
    house = either_house
    _, edition_id = drafted(house, ANN, BOB, cooling=COOLING)
    send(house, edition_id)
    assert edition_state(house, edition_id) == "approved"
    goes_at = house.now + timedelta(minutes=COOLING)
    assert edition(house, edition_id).send_at == goes_at

    house.later(minutes=1, seconds=59)
    tick(house)
    house.work()
    assert (edition_state(house, edition_id), house.inbox.mails) == ("approved", [])

    house.later(seconds=1)
    tick(house)
    tick(house)
    house.work()
    assert ledger_of(house, edition_id) == {"accepted": 2}
    assert audited(house, "edition.send", edition_id) == [{"goes_at": goes_at.isoformat(), "late": False}]
    assert audited(house, "edition.start", edition_id) == [{"audience": 2}]


def test_what_is_sent_in_the_cooling_off_is_what_was_sealed_when_send_was_pressed(house: House) -> None:
    paper, edition_id = drafted(house, ANN, cooling=COOLING)
    send(house, edition_id)
    paper.tells("Later news")
    house.later(minutes=COOLING)
    tick(house)
    house.work()

    assert "Later news" not in house.inbox.of(ANN)[0].part("plain")


def test_what_is_pulled_back_does_not_go_at_its_slot_either_until_somebody_resumes_it(either_house: House) -> None:
    house = either_house
    _, edition_id = drafted(house, ANN, cooling=COOLING)
    send(house, edition_id)
    house.later(minutes=1)
    pull_back(house, edition_id)
    at(house, 6, 30)
    tick(house)
    house.work()
    assert (edition_state(house, edition_id), house.inbox.mails) == ("held approved", [])
    assert open_alert_keys(house) == [f"edition-held:{edition_id}"]
    shown = edition(house, edition_id)
    assert (shown.held_reason, shown.send_at) == ("pulled back by command line", None)
    assert len(audited(house, "edition.pull-back", edition_id)) == 1

    with house.app.app_context():
        publishing.resume(edition_id, house.now, COMMAND)
    tick(house)
    house.work()
    assert ledger_of(house, edition_id) == {"accepted": 1}


def test_what_was_pulled_back_can_be_sent_again_and_cools_off_again(house: House) -> None:
    _, edition_id = drafted(house, ANN, cooling=COOLING)
    send(house, edition_id)
    pull_back(house, edition_id)
    house.later(minutes=1)
    send(house, edition_id)
    assert edition(house, edition_id).send_at == house.now + timedelta(minutes=COOLING)
    assert open_alert_keys(house) == []

    house.later(minutes=COOLING)
    tick(house)
    house.work()
    assert ledger_of(house, edition_id) == {"accepted": 1}


def test_it_can_be_pulled_back_as_long_as_nobody_has_started_it(house: House) -> None:
    """The scheduler is away when the cooling-off ends."""
    _, edition_id = drafted(house, ANN, cooling=COOLING)
    send(house, edition_id)
    house.later(minutes=10)
    pull_back(house, edition_id)
    tick(house)

    assert edition_state(house, edition_id) == "held approved"


def test_what_goes_out_already_or_was_never_sent_cannot_be_pulled_back(house: House) -> None:
    _, edition_id = drafted(house, ANN, cooling=COOLING)
    with pytest.raises(Refused, match="nobody has sent"):
        pull_back(house, edition_id)
    send(house, edition_id)
    house.later(minutes=COOLING)
    tick(house)
    with pytest.raises(Refused, match="going out already"):
        pull_back(house, edition_id)
    house.work()
    with pytest.raises(Refused):
        pull_back(house, edition_id)

    assert ledger_of(house, edition_id) == {"accepted": 1}


def test_pressing_send_again_does_not_put_it_off(house: House) -> None:
    _, edition_id = drafted(house, ANN, cooling=COOLING)
    send(house, edition_id)
    first = edition(house, edition_id).send_at
    house.later(minutes=1)
    send(house, edition_id)

    assert edition(house, edition_id).send_at == first
    assert len(audited(house, "edition.send", edition_id)) == 1


@pytest.mark.parametrize("pressed_before", [False, True])
def test_without_cooling_off_it_goes_at_once_also_when_send_was_pressed_before(
    house: House, pressed_before: bool
) -> None:
    _, edition_id = drafted(house, ANN, cooling=COOLING)
    if pressed_before:
        send(house, edition_id)
    with house.app.app_context():
        releasing.send(edition_id, house.now, COMMAND, at_once=True)
    house.work()

    assert ledger_of(house, edition_id) == {"accepted": 1}
    house.later(minutes=COOLING)
    tick(house)
    house.work()
    assert len(house.inbox.of(ANN)) == 1


def test_the_slot_does_not_cut_the_cooling_off_short(house: House) -> None:
    _, edition_id = drafted(house, ANN, cooling=COOLING)
    at(house, 5, 59)
    send(house, edition_id)
    at(house, 6, 0)
    tick(house)
    assert edition_state(house, edition_id) == "approved"

    at(house, 6, 1)
    tick(house)
    assert edition_state(house, edition_id) == "sending"


def test_what_goes_by_itself_has_no_cooling_off(house: House) -> None:
    """Rule 4."""
    _, edition_id = drafted(house, ANN, cooling=COOLING)
    at(house, 6, 0)
    tick(house)

    assert edition_state(house, edition_id) == "sending"


def test_the_date_is_asked_for_when_send_is_pressed_and_the_late_edition_starts_after_its_cooling_off(
    house: House,
) -> None:
    _, edition_id = drafted(house, ANN, cooling=COOLING)
    at(house, 9, 0)
    tick(house)
    with pytest.raises(LateNeedsDate):
        send(house, edition_id)
    send(house, edition_id, "2026-03-03")
    assert edition(house, edition_id).finish_by == at(house, 9, 2) + timedelta(hours=12)
    tick(house)
    house.work()

    assert ledger_of(house, edition_id) == {"accepted": 1}
    (details,) = audited(house, "edition.send", edition_id)
    assert details["late"] is True


def test_who_presses_send_in_time_need_not_fear_that_the_cooling_off_makes_it_late(house: House) -> None:
    _, edition_id = drafted(house, ANN, cooling=COOLING, approval="manual")
    at(house, 7, 59, 30)
    send(house, edition_id)
    at(house, 8, 1, 30)
    tick(house)

    assert edition_state(house, edition_id) == "sending"


@pytest.mark.parametrize(("minutes", "state"), [(119, "sending"), (120, "held approved")])
def test_a_send_that_could_not_take_effect_for_two_hours_is_held(house: House, minutes: int, state: str) -> None:
    """The scheduler was away; what was meant for then is not what is meant for now."""
    _, edition_id = drafted(house, ANN, cooling=COOLING)
    at(house, 7, 30)
    send(house, edition_id)
    house.later(minutes=COOLING + minutes)
    tick(house)

    assert edition_state(house, edition_id) == state
    with house.app.app_context(), suppress(Refused):
        publishing.resume(edition_id, house.now, COMMAND)
    tick(house)
    assert edition_state(house, edition_id) == state, "resuming does not send what is late"


def test_holding_it_takes_the_send_back(house: House) -> None:
    _, edition_id = drafted(house, ANN, cooling=COOLING)
    send(house, edition_id)
    with house.app.app_context():
        publishing.hold(edition_id, "wait for the court", house.now, COMMAND)
    house.later(minutes=COOLING)
    tick(house)
    with house.app.app_context():
        publishing.resume(edition_id, house.now, COMMAND)
    tick(house)
    assert edition_state(house, edition_id) == "approved"

    at(house, 6, 0)
    tick(house)
    assert edition_state(house, edition_id) == "sending"


def test_who_pulls_back_while_it_starts_either_has_it_or_is_told_so(either_house: House) -> None:
    house = either_house
    _, edition_id = drafted(house, ANN, cooling=COOLING)
    send(house, edition_id)
    house.later(minutes=COOLING)

    def act(number: int) -> str:
        with house.app.app_context():
            if number:
                releasing.release_due(house.now)
                return ""
            try:
                releasing.pull_back(edition_id, house.now, COMMAND)
            except Refused:
                return "too late"
            return "pulled back"

    told, _ = at_once(2, act)
    house.work()

    assert (told, edition_state(house, edition_id), len(house.inbox.of(ANN))) in (
        ("pulled back", "held approved", 0),
        ("too late", "sent", 1),
    )


def test_while_everything_is_halted_nobody_sends(house: House) -> None:
    """Rule 7."""
    _, edition_id = drafted(house, ANN, cooling=COOLING)
    with house.app.app_context(), transaction():
        safety.halt("this may be a copy.", house.now)
    with pytest.raises(safety.Halted):
        send(house, edition_id)

    assert edition_state(house, edition_id) == "drafted"


def test_a_scheduler_without_a_sign_of_life_is_known_to_be_asleep(house: House) -> None:
    found(house)
    with house.app.app_context():
        assert releasing.asleep_since(house.now) is None, "none was ever seen"
        began = house.now
        leases.take_or_renew(safety.SCHEDULER, "a scheduler", began, timedelta(seconds=30))
        assert releasing.asleep_since(began + timedelta(minutes=2)) is None
        assert releasing.asleep_since(began + timedelta(minutes=2, seconds=1)) == began


def test_a_newsletter_s_cooling_off_is_a_setting(house: House) -> None:
    _, edition_id = drafted(house, ANN, cooling=15)
    send(house, edition_id)

    assert edition(house, edition_id).send_at == house.now + timedelta(minutes=15)
    with house.app.app_context():
        assert db.session.scalar(sa.select(Edition.state)) == "approved"
