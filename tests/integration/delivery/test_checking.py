"""Preflight on a real edition: what it looks at, what nobody can approve, and what holds an edition that goes by
itself."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from newsletter.delivery import checking, releasing
from newsletter.delivery.checking import NotReady
from newsletter.editions import publishing
from newsletter.editions.models import Edition, Revision, edition
from newsletter.editions.preflight import Finding, Kind
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.database import db, transaction
from newsletter.mail.suppression import SuppressionReason, suppress
from newsletter.newsletters.models import Pictures
from newsletter.stories.models import Source, SourceState, Story
from newsletter.subscribers.models import Subscriber, Subscription, SubscriptionState
from tests.conftest import BuildHouse, House
from tests.integration.delivery import drafted
from tests.support.newsroom import Paper, alerts_raised, edition_state, ledger_of, open_alert_keys, send

ANN = "ann@example.org"
WHOLE = {"postal_address": "1 Main Street, Port Ellery"}


def findings(house: House, edition_id: int, typed: str | None = None) -> list[Finding]:
    with house.app.app_context():
        return checking.findings(edition(edition_id), house.now, typed)


def kinds(house: House, edition_id: int) -> list[Kind]:
    return [finding.kind for finding in findings(house, edition_id)]


def change(house: House, edition_id: int, position: int, **columns: object) -> None:
    """Change a story of the draft in the table itself."""
    with house.app.app_context(), transaction():
        item = next(item for item in _revision(edition_id).items if item.position == position)
        for name, value in columns.items():
            setattr(item, name, value)


def change_draft(house: House, edition_id: int, **columns: object) -> None:
    with house.app.app_context(), transaction():
        for name, value in columns.items():
            setattr(_revision(edition_id), name, value)


def _revision(edition_id: int) -> Revision:
    revision = edition(edition_id).revision
    assert revision is not None
    return revision


def approve(house: House, edition_id: int, typed: str | None = None) -> None:
    with house.app.app_context():
        releasing.approve(edition_id, house.now, COMMAND, typed_audience=typed)


def tick(house: House) -> None:
    with house.app.app_context():
        publishing.draft_due(house.now)
        releasing.release_due(house.now)


def readers(paper: Paper, count: int, name: str = "reader") -> None:
    paper.readers(*(f"{name}{number}@example.org" for number in range(count)))


def test_nothing_is_found_in_an_ordinary_edition(house: House) -> None:
    _, edition_id = drafted(house, ANN, **WHOLE)
    assert findings(house, edition_id) == []


def test_of_an_edition_that_has_gone_out_nothing_is_said_any_more(house: House) -> None:
    _, edition_id = drafted(house, ANN)
    assert kinds(house, edition_id) == [Kind.POSTAL_ADDRESS]
    send(house, edition_id)
    with house.app.app_context():
        releasing.release_due(house.now + timedelta(minutes=5))
    assert edition_state(house, edition_id) == "sending"
    assert findings(house, edition_id) == []


def test_a_picture_counts_only_where_the_mail_shows_it(house: House) -> None:
    """Below the first stories the mail has none."""
    _, edition_id = drafted(house, ANN, **WHOLE)
    for position in (1, 2, 3, 4, 5):
        change(house, edition_id, position, image_url=f"https://a.example/{position}.jpg?a=1&b='\"", image_alt="")
    assert findings(house, edition_id) == [], "pictures of our own making are shown, and there are none"

    with house.app.app_context(), transaction():
        edition(edition_id).newsletter.pictures = Pictures.LINK
    shown = [finding.item_position for finding in findings(house, edition_id) if finding.kind is Kind.PICTURE]
    assert shown[0] == 1
    assert 5 not in shown

    change(house, edition_id, 1, image_alt="The bridge by night")
    assert 1 not in [finding.item_position for finding in findings(house, edition_id)]


def test_what_the_mail_measures_is_what_a_reader_gets(house: House) -> None:
    _, edition_id = drafted(house, ANN, **WHOLE)
    change(house, edition_id, 1, summary="ß" * 60_000)
    (finding,) = findings(house, edition_id)
    assert (finding.kind, finding.blocking) == (Kind.SIZE, True)
    send_refused(house, edition_id, "Gmail cuts off")


def send_refused(house: House, edition_id: int, why: str) -> None:
    with pytest.raises(NotReady, match=why):
        send(house, edition_id)
    assert edition_state(house, edition_id) == "drafted"


def test_a_story_that_staff_wrote_needs_no_link_and_one_of_a_feed_does(house: House) -> None:
    paper, edition_id = drafted(house, ANN, **WHOLE)
    change(house, edition_id, 2, url="")
    assert [(f.kind, f.item_position) for f in findings(house, edition_id)] == [(Kind.LINK, 2)]

    with house.app.app_context(), transaction() as session:
        by_hand = session.scalars(sa.select(Story)).all()[1]
        by_hand.source_id, by_hand.newsletter_id = None, paper.id
        item = _revision(edition_id).items[1]
        item.story_id = by_hand.id
    assert findings(house, edition_id) == []


def test_a_demo_on_this_machine_may_link_to_this_machine(build_house: BuildHouse, sqlite_url: str) -> None:
    house = build_house(sqlite_url, site_url="http://127.0.0.1:8000")
    _, edition_id = drafted(house, ANN, **WHOLE)
    change(house, edition_id, 1, url="http://127.0.0.1:8000/demo/1")
    assert findings(house, edition_id) == []


def test_the_subject_is_compared_with_the_last_edition_that_went_out(house: House) -> None:
    paper, first = drafted(house, ANN, **WHOLE)
    release(house, first)
    house.later(days=1)
    paper.tells("A quiet day", "Nothing happened")
    second = paper.draft()
    assert Kind.SUBJECT not in kinds(house, second)
    with house.app.app_context():
        subject = _revision(first).subject
    change_draft(house, second, subject=subject.upper())
    assert Kind.SUBJECT in kinds(house, second)


def release(house: House, edition_id: int) -> None:
    """It goes out at its slot, by itself."""
    house.clock.at = house.clock.at.replace(hour=6, minute=0)
    tick(house)
    assert edition_state(house, edition_id) == "sending"
    house.work()
    house.clock.at = house.clock.at.replace(hour=5, minute=20)


@pytest.mark.parametrize(
    ("state", "hours", "said"),
    [
        (SourceState.SILENT, None, True),
        (SourceState.GONE, None, True),
        (SourceState.FAILING, 30, True),
        (SourceState.FAILING, 2, False),
        (SourceState.DISABLED, None, False),
        (SourceState.NEW, None, False),
    ],
)
def test_a_source_that_has_said_nothing_since_yesterday_is_named(
    house: House, state: SourceState, hours: int | None, said: bool
) -> None:
    _, edition_id = drafted(house, ANN, **WHOLE)
    with house.app.app_context(), transaction() as session:
        source = session.scalars(sa.select(Source)).first()
        assert source is not None
        source.state, source.outlet = state, "Harbor Gazette"
        source.failing_since = house.now - timedelta(hours=hours) if hours else None
    messages = [finding.message for finding in findings(house, edition_id)]
    assert messages == (["Unusually silent: Harbor Gazette since 03 Mar, 04:20 UTC."] if said else [])


# Approving


def test_a_hint_stops_nobody(house: House) -> None:
    _, edition_id = drafted(house, ANN)
    assert [finding.blocking for finding in findings(house, edition_id)] == [False]
    approve(house, edition_id)
    assert edition_state(house, edition_id) == "approved"


def test_nobody_approves_or_sends_what_blocks_and_both_say_why(house: House) -> None:
    _, edition_id = drafted(house, ANN)
    change_draft(house, edition_id, subject="TODO: write this")
    with pytest.raises(NotReady, match="“TODO:” in the subject looks like words that were to be replaced"):
        approve(house, edition_id)
    send_refused(house, edition_id, "TODO")

    change_draft(house, edition_id, subject="The bridge closes")
    approve(house, edition_id)
    assert edition_state(house, edition_id) == "approved"


def test_of_many_things_that_block_two_are_said_and_the_others_counted(house: House) -> None:
    _, edition_id = drafted(house, ANN)
    for position in (1, 2, 3, 4):
        change(house, edition_id, position, url="nowhere")
    with pytest.raises(NotReady, match=r"story 1 .* story 2 .* And 2 more\.$"):
        approve(house, edition_id)


def test_an_edition_that_goes_by_itself_is_held_by_what_blocks_and_staff_are_told_once(house: House) -> None:
    """Rule 4."""
    _, edition_id = drafted(house, ANN)
    change(house, edition_id, 2, headline="{{ headline }}", by_hand=["headline"])
    house.later(minutes=40)
    for _ in range(3):
        tick(house)
        house.work()
    assert edition_state(house, edition_id) == "held drafted"
    with house.app.app_context():
        reason = edition(edition_id).held_reason
        assert reason is not None
        assert reason.startswith("The edition is not ready: “{{ headline }}” in the headline of story 2")
        assert not reason.endswith(".")
    assert house.inbox.of(ANN) == []
    assert alerts_raised(house, f"edition-held:{edition_id}") == 1

    change(house, edition_id, 2, headline="The ferry sails")
    with house.app.app_context():
        publishing.resume(edition_id, house.now, COMMAND)
    tick(house)
    house.work()
    assert ledger_of(house, edition_id) == {"accepted": 1}
    assert open_alert_keys(house) == []


# The audience


def yesterday(house: House, readers_then: int) -> tuple[Paper, int]:
    """A paper with an edition that went to so many readers, and the next day's draft."""
    paper, first = drafted(house, **WHOLE)
    readers(paper, readers_then)
    release(house, first)
    house.later(days=1)
    paper.tells("Tram returns", "Library opens late", "Orchard in bloom")
    return paper, paper.draft()


def test_an_audience_that_grew_by_half_is_held_until_somebody_types_the_number(either_house: House) -> None:
    house = either_house
    paper, edition_id = yesterday(house, 30)
    readers(paper, 15, "imported")
    (finding,) = [finding for finding in findings(house, edition_id) if finding.blocking]
    assert finding.kind is Kind.AUDIENCE
    assert "45 readers; the last edition went to 30" in finding.message

    house.clock.at = house.clock.at.replace(hour=6, minute=0)
    tick(house)
    assert edition_state(house, edition_id) == "held drafted"
    for typed in (None, "", "30", "4500", "forty-five", "-45"):
        with pytest.raises(NotReady, match="45 readers"):
            approve(house, edition_id, typed)
    approve(house, edition_id, " 45 ")
    with house.app.app_context():
        publishing.resume(edition_id, house.now, COMMAND)
    tick(house)
    house.work()
    assert ledger_of(house, edition_id) == {"accepted": 45}


def test_a_send_takes_the_typed_number_too(house: House) -> None:
    paper, edition_id = yesterday(house, 30)
    readers(paper, 1200, "imported")
    with house.app.app_context():
        releasing.send(edition_id, house.now, COMMAND, typed_audience="1,230")
    assert edition_state(house, edition_id) != "drafted"


def test_once_it_is_approved_nobody_asks_again(house: House) -> None:
    paper, edition_id = yesterday(house, 30)
    readers(paper, 15, "imported")
    approve(house, edition_id, "45")
    assert findings(house, edition_id) == []


def test_who_could_not_be_reached_yesterday_either_changes_nothing(house: House) -> None:
    """Those who make a pause or are suppressed stand in the ledger as skipped; they are no readers who went away."""
    paper, first = drafted(house, **WHOLE)
    readers(paper, 20)
    away = [f"away{number}@example.org" for number in range(20)]
    paper.readers(*away[:10], paused_until=house.now.date() + timedelta(days=9))
    paper.readers(*away[10:])
    with house.app.app_context(), transaction() as session:
        for person in session.scalars(sa.select(Subscriber).where(Subscriber.address.in_(away[10:]))):
            suppress(person.address_hash, SuppressionReason.HARD_BOUNCE, house.now)
    release(house, first)
    house.later(days=1)
    paper.tells("Tram returns", "Library opens late", "Orchard in bloom")
    second = paper.draft()
    with house.app.app_context():
        assert db.session.get_one(Edition, first).audience == 40
    assert findings(house, second) == []


def test_an_audience_that_shrank_by_half_blocks_too(house: House) -> None:
    _, edition_id = yesterday(house, 30)
    with house.app.app_context(), transaction() as session:
        for one in session.scalars(sa.select(Subscription).limit(15)):
            one.state = SubscriptionState.UNSUBSCRIBED
    assert [finding.kind for finding in findings(house, edition_id) if finding.blocking] == [Kind.AUDIENCE]


def test_the_first_edition_has_none_to_be_compared_with(house: House) -> None:
    paper, edition_id = drafted(house, **WHOLE)
    readers(paper, 500)
    assert findings(house, edition_id) == []
