"""From the mail to a confirmed reader: what only the person's own POST can do, and what is kept as its proof."""

from __future__ import annotations

from datetime import timedelta
from html import unescape

import pytest
import sqlalchemy as sa

from newsletter.foundation.audit import Actor, ActorKind
from newsletter.foundation.database import transaction
from newsletter.foundation.links import Links, Purpose
from newsletter.mail.suppression import SuppressionReason
from newsletter.newsletters.models import SignUpText, newsletter
from newsletter.subscribers import housekeeping, signing_up
from newsletter.subscribers.models import (
    ConsentEvent,
    ConsentKind,
    SignUpRequest,
    Subscriber,
    Subscription,
    SubscriptionState,
)
from tests.conftest import House
from tests.integration.subscribers import (
    ANN,
    IP,
    MORNING_POST,
    READ_AND_LEFT,
    SITE,
    asked,
    became_reader,
    count,
    erase,
    everything,
    latest_request,
    link_in,
    put_on_the_list,
    sign_up,
    state_of,
    story_of,
    suppressed_for,
    words_of,
)
from tests.support import newsroom

SUPPORT = Actor(ActorKind.STAFF, "sue@example.org", 7, "198.51.100.4")


# Looking and pressing


def test_looking_at_a_confirmation_link_changes_nothing(either_house: House) -> None:
    house = either_house
    newsroom.found(house)
    link = asked(house)
    before = everything(house)
    for method in ("GET", "HEAD") * 3:
        assert house.browser.open(link, method=method).status_code == 200
    house.work()
    assert everything(house) == before
    assert len(house.inbox.mails) == 1


def test_a_sign_up_of_a_reader_changes_nothing_before_the_press(house: House) -> None:
    newsroom.found(house)
    became_reader(house)
    house.browser.post(became_reader(house, "left@example.org"))
    before = everything(house)
    sign_up(house)
    sign_up(house, "left@example.org")
    house.work()
    after = everything(house)
    for table in (Subscriber, Subscription):
        name = table.__tablename__
        assert after[name] == before[name]


def test_pressing_twice_makes_one_reader_and_one_welcome(house: House) -> None:
    newsroom.found(house)
    link = asked(house)
    first = house.browser.post(link)
    assert first.status_code == 200
    house.work()
    before = everything(house)
    second = house.browser.post(link)
    assert second.status_code == 200
    assert ANN in words_of(second)
    house.work()
    assert everything(house) == before
    assert [mail.subject for mail in house.inbox.of(ANN)][1:] == ["Welcome to Morning Post"]
    assert state_of(house) == [SubscriptionState.ACTIVE]


def test_two_confirmation_links_are_one_welcome(house: House) -> None:
    """Who pressed in the first mail and then in the second is welcomed twice."""
    newsroom.found(house)
    first = asked(house)
    house.later(minutes=20)
    second = asked(house)
    house.browser.post(first)
    house.browser.post(second)
    house.work()
    assert [mail.subject for mail in house.inbox.of(ANN)].count("Welcome to Morning Post") == 1


def test_the_link_works_on_another_device_and_its_press_is_what_is_proved(house: House) -> None:
    newsroom.found(house)
    link = asked(house)
    phone = {"REMOTE_ADDR": "2001:db8:5::1"}
    answer = house.browser.post(link, environ_overrides=phone, headers={"User-Agent": "Phone"})
    assert answer.status_code == 200
    requested, confirmed = story_of(house)
    assert (requested.ip, confirmed.ip) == (IP, "2001:db8:5::1")
    assert confirmed.user_agent == "Phone"


def test_a_link_is_good_for_seven_days_to_the_second(house: House) -> None:
    newsroom.found(house)
    link = asked(house)
    house.later(days=7, seconds=-1)
    assert house.browser.get(link).status_code == 200
    house.later(seconds=1)
    before = everything(house)
    for method in ("GET", "POST"):
        answer = house.browser.open(link, method=method)
        assert answer.status_code == 410
        assert 'name="email"' in answer.text, "a new one can be asked for there"
        assert ANN in words_of(answer)
    assert everything(house) == before
    assert state_of(house) == []


def test_a_link_whose_request_was_erased_answers_kindly(house: House) -> None:
    newsroom.found(house)
    link = asked(house)
    house.later(days=7, seconds=1)
    with house.app.app_context():
        assert housekeeping.tidy(house.now) == 1
    for slug in (None, "evening-post"):
        if slug:
            newsroom.found(house, slug)  # now nobody can know which of the two it was for
        for method in ("GET", "POST"):
            answer = house.browser.open(link, method=method)
            assert answer.status_code == 410
            assert "nothing is lost" in answer.text
    assert state_of(house) == []


def test_an_old_confirmation_page_does_not_claim_that_who_left_is_mailed(house: House) -> None:
    newsroom.found(house)
    link = asked(house)
    house.browser.post(link)
    house.work()
    house.browser.post(link_in(house, ANN, "/unsubscribe/"))
    for method in ("GET", "POST"):
        page = words_of(house.browser.open(link, method=method))
        assert f"goes to\n{ANN}" not in page.replace("</p>", "").replace('<p class="address">', "")
        assert "You are a reader already" not in page
        assert 'name="email"' in page, "one can sign up again there"


def test_a_damaged_or_foreign_token_opens_nothing(house: House) -> None:
    newsroom.found(house)
    token = asked(house).removeprefix("/confirm/")
    others = became_reader(house, "bob@example.org").removeprefix("/unsubscribe/")
    request = latest_request(house)
    stranger = Links("another installation's secret key, long enough", SITE)
    forged = [
        token[:-1],
        token[1:],
        token + "x",
        token.replace(".", "..", 1),
        token.swapcase(),
        "A" + token[1:],
        token[:-1] + ("A" if token[-1] != "A" else "B"),
        others,
        house.links.make(Purpose.UNSUBSCRIBE, request.id),
        house.links.make(Purpose.PREFERENCES, request.id),
        stranger.make(Purpose.CONFIRM, request.id),
        "W251bGwsIDBd.AAAA",
        "x" * 3000,
        "%00",
        "%ff%fe",
        "%ed%a0%80",
        "\N{SNOWMAN}",
        ".",
    ]
    before = everything(house)
    for bad in forged:
        for method in ("GET", "POST"):
            answer = house.browser.open(f"/confirm/{bad}", method=method)
            assert answer.status_code == 404, bad
            assert "nothing is lost" in answer.text, bad
    assert everything(house) == before


def test_a_token_holds_no_address(house: House) -> None:
    newsroom.found(house)
    link = asked(house)
    assert "ann" not in link
    payload = house.links._serializer(Purpose.CONFIRM).loads_unsafe(link.removeprefix("/confirm/"))
    assert [type(part) for part in payload[1]] == [int, int]


# What the press lifts


def test_the_press_lifts_an_unsubscribe(house: House) -> None:
    newsroom.found(house)
    house.browser.post(became_reader(house))
    assert state_of(house) == [SubscriptionState.UNSUBSCRIBED]
    became_reader(house)
    assert state_of(house) == [SubscriptionState.ACTIVE]


def test_the_press_lifts_an_erasure_and_a_hard_bounce(either_house: House) -> None:
    house = either_house
    newsroom.found(house)
    for reason in (SuppressionReason.ERASURE, SuppressionReason.HARD_BOUNCE):
        address = f"{reason}@example.org"
        put_on_the_list(house, reason, address)
        link = asked(house, address)
        assert suppressed_for(house, address) == {reason}, "asking lifts nothing"
        house.browser.get(link)
        assert suppressed_for(house, address) == {reason}, "looking lifts nothing"
        assert house.browser.post(link).status_code == 200
        house.work()
        assert suppressed_for(house, address) == set()
        assert state_of(house, address) == [SubscriptionState.ACTIVE]


def test_a_complaint_and_a_suppression_by_hand_get_no_mail_and_are_never_lifted(either_house: House) -> None:
    house = either_house
    newsroom.found(house)
    for reason in (SuppressionReason.COMPLAINT, SuppressionReason.BY_HAND):
        address = f"{reason}@example.org"
        link = asked(house, address)
        put_on_the_list(house, reason, address)
        put_on_the_list(house, SuppressionReason.HARD_BOUNCE, address)
        house.later(minutes=20)
        sign_up(house, address)
        house.work()
        assert len(house.inbox.of(address)) == 1
        before = everything(house)
        assert house.browser.post(link).status_code == 403
        assert everything(house) == before, "not even the hard bounce is lifted"
        assert state_of(house, address) == []


def test_nobody_is_brought_back_by_the_owner_of_a_domain_that_looks_alike(house: House) -> None:
    """Straße.example and strasse.example belong to two people; case folding takes the one for the other."""
    newsroom.found(house)
    house.browser.post(became_reader(house, "ann@strasse.example"))
    put_on_the_list(house, SuppressionReason.HARD_BOUNCE, "ann@strasse.example")
    link = "ann@xn--strae-oqa.example"
    sign_up(house, "ann@straße.example")
    house.work()
    house.browser.post(link_in(house, link, "/confirm/"))
    assert state_of(house, "ann@strasse.example") == [SubscriptionState.UNSUBSCRIBED]


def test_staff_lift_nothing_by_asking(house: House) -> None:
    newsroom.found(house)
    erase(house)
    put_on_the_list(house, SuppressionReason.HARD_BOUNCE)
    house.browser.post(became_reader(house, "left@example.org"))
    before = everything(house)
    with house.app.app_context():
        for address in (ANN, "left@example.org"):
            signing_up.request_for(MORNING_POST, address, house.now, house.keys, SUPPORT)
    house.work()
    assert suppressed_for(house) == {SuppressionReason.ERASURE, SuppressionReason.HARD_BOUNCE}
    assert everything(house)["subscriptions"] == before["subscriptions"]


def test_a_person_who_was_erased_can_come_back_as_somebody_new(house: House) -> None:
    newsroom.found(house)
    became_reader(house)
    erase(house)
    assert state_of(house) == []
    house.later(days=1)
    became_reader(house)
    assert state_of(house) == [SubscriptionState.ACTIVE]
    assert suppressed_for(house) == set()


# The proof


def test_the_consent_story_is_whole_and_in_the_words_that_were_agreed_to(either_house: House) -> None:
    house = either_house
    newsroom.found(house)
    page = "https://gazette.example/article?id=7"
    sign_up(house, headers={"User-Agent": "Desk"}, page_url=page)
    house.work()
    with house.app.app_context(), transaction():
        publication = newsletter(MORNING_POST)
        first_words = publication.sign_up_text.text
        publication.sign_up_texts.append(SignUpText(version=2, text="Other words.", created_at=house.now))
    house.later(hours=2)
    link = link_in(house, ANN, "/confirm/")
    assert first_words in unescape(house.browser.get(link).text), "the page shows what was on the form"
    house.browser.post(link, headers={"User-Agent": "Phone"}, environ_overrides={"REMOTE_ADDR": "198.51.100.1"})
    house.work()
    house.later(hours=1)
    house.browser.post(link_in(house, ANN, "/unsubscribe/"), environ_overrides={"REMOTE_ADDR": "198.51.100.2"})

    requested, confirmed, left = story_of(house)
    assert (requested.kind, confirmed.kind, left.kind) == READ_AND_LEFT
    for event in (requested, confirmed):
        assert event.sign_up_text is not None
        assert event.sign_up_text.text == first_words
    assert (requested.ip, requested.user_agent, requested.page_url) == (IP, "Desk", page)
    assert (confirmed.ip, confirmed.user_agent) == ("198.51.100.1", "Phone")
    assert left.ip == "198.51.100.2"
    assert {event.by for event in (requested, confirmed, left)} == {"the reader"}
    assert confirmed.at - requested.at == timedelta(hours=2)
    assert left.at - confirmed.at == timedelta(hours=1)

    house.later(hours=1)
    sign_up(house)
    assert story_of(house)[-1].sign_up_text_id != requested.sign_up_text_id, "who asks now sees the new words"


def test_the_referring_page_is_kept_where_the_form_names_none(house: House) -> None:
    newsroom.found(house)
    sign_up(house, headers={"Referer": "https://gazette.example/a"})
    assert story_of(house)[0].page_url == "https://gazette.example/a"


def test_what_is_too_long_or_no_text_is_left_out_of_the_proof(either_house: House) -> None:
    """PostgreSQL takes no null byte and nothing too long, and a page no escape sequence."""
    house = either_house
    newsroom.found(house)
    long = "https://gazette.example/\x00\x1b[2J" + "\N{LATIN SMALL LETTER E WITH ACUTE}" * 5000
    assert sign_up(house, headers={"User-Agent": "u" * 5000}, page_url=long).status_code == 200
    (kept,) = story_of(house)
    assert (len(kept.user_agent), len(kept.page_url)) == (300, 1000)
    assert kept.page_url.startswith("https://gazette.example/")
    assert kept.page_url.isprintable()


def test_the_database_rewrites_no_consent_event(either_house: House) -> None:
    house = either_house
    newsroom.found(house)
    sign_up(house)
    with house.app.app_context(), transaction() as session:
        event_id = session.scalars(sa.select(ConsentEvent.id)).one()
    for change in (
        lambda session: session.execute(sa.update(ConsentEvent).values(ip="1.2.3.4")),
        lambda session: setattr(session.get(ConsentEvent, event_id), "ip", "1.2.3.4"),
    ):
        with (
            house.app.app_context(),
            pytest.raises(sa.exc.DBAPIError, match="append-only"),
            transaction() as session,
        ):
            change(session)
    assert story_of(house)[0].ip == IP


def test_who_was_asked_in_by_staff_says_so(house: House) -> None:
    newsroom.found(house)
    with house.app.app_context():
        signing_up.request_for(MORNING_POST, ANN, house.now, house.keys, SUPPORT)
    house.work()
    house.browser.post(link_in(house, ANN, "/confirm/"))
    requested, confirmed = story_of(house)
    assert (requested.by, requested.ip) == ("sue@example.org", "198.51.100.4")
    assert confirmed.by == "the reader"


def test_requests_are_forgotten_after_seven_days_and_readers_stay(house: House) -> None:
    newsroom.found(house)
    became_reader(house)
    asked(house, "never@example.org")
    house.later(days=7, minutes=1)
    with house.app.app_context():
        housekeeping.tidy(house.now)
    assert count(house, SignUpRequest) == 0
    assert state_of(house) == [SubscriptionState.ACTIVE]
    assert [event.kind for event in story_of(house, "never@example.org")] == [ConsentKind.REQUESTED]
