"""From the form to a confirmed reader: who learns what, who is mailed how often, and what only the person's own POST
can do."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from html import unescape

import pytest
import sqlalchemy as sa
from aiosmtpd.controller import Controller

from newsletter.foundation.audit import Actor, ActorKind
from newsletter.foundation.config import MailConfig, WebConfig
from newsletter.foundation.database import db, transaction
from newsletter.foundation.links import Links, Purpose
from newsletter.mail.outbox import OutboxMail
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
from tests.conftest import BuildHouse, House
from tests.integration.subscribers import (
    ANN,
    IP,
    MORNING_POST,
    SITE,
    asked,
    at_once,
    became_reader,
    count,
    erase,
    everything,
    latest_request,
    link_in,
    put_on_the_list,
    sign_up,
    state_of,
    statements,
    story_of,
    suppressed_for,
    words_of,
)
from tests.support import newsroom
from tests.support.inbox import Inbox
from tests.support.ports import free_port

HOSTILE = "SPAM-http://evil.example/win<script>alert(1)</script>"
SUPPORT = Actor(ActorKind.STAFF, "sue@example.org", 7, "198.51.100.4")


# What everybody sees


def test_known_unknown_pending_left_and_suppressed_addresses_get_the_same_answer(either_house: House) -> None:
    house = either_house
    newsroom.found(house)
    became_reader(house, "known@example.org")
    house.browser.post(became_reader(house, "gone1@example.org"))
    asked(house, "asked@example.org")
    for number, reason in enumerate(SuppressionReason):
        put_on_the_list(house, reason, f"supp{number}@example.org")
    house.later(minutes=20)
    people = ("nobod", "known", "gone1", "asked", "supp0", "supp1", "supp2", "supp3")
    answers = {}
    for name in people:
        address = f"{name}@example.org"
        with statements(house) as ran:
            answer = sign_up(house, address)
        headers = dict(answer.headers)
        answers[name] = (answer.status_code, headers, words_of(answer).replace(address, "…"), tuple(ran))
    assert answers["nobod"][0] == 200
    for name in people:
        assert answers[name] == answers["nobod"], f"{name} is told apart from a stranger"


def test_the_mail_tells_the_difference(house: House) -> None:
    newsroom.found(house)
    became_reader(house, "known@example.org")
    put_on_the_list(house, SuppressionReason.COMPLAINT, "angry@example.org")
    house.inbox.mails.clear()
    for address in ("nobody@example.org", "known@example.org", "angry@example.org"):
        sign_up(house, address)
    house.work()
    assert {mail.recipient: mail.subject for mail in house.inbox.mails} == {
        "nobody@example.org": "Please confirm: Morning Post",
        "known@example.org": "You are signed up already: Morning Post",
    }


def test_nothing_a_visitor_types_is_in_the_mail_but_the_address(house: House) -> None:
    newsroom.found(house)
    sign_up(
        house,
        headers={"User-Agent": HOSTILE, "Referer": f"https://evil.example/{HOSTILE}", "Accept-Language": HOSTILE},
        page_url=HOSTILE,
        name=HOSTILE,
        slot=HOSTILE,
        subject=HOSTILE,
        first_name=HOSTILE,
    )
    house.work()
    (mail,) = house.inbox.of(ANN)
    whole = "\n".join((mail.octets.decode(), mail.part("plain"), mail.part("html"), mail.subject))
    for word in ("evil.example", "SPAM", "script>alert", "alert(1)"):
        assert word not in whole
    assert latest_request(house).page_url == HOSTILE, "it is kept as proof, and only there"


ODD = (
    "{{7*7}}",
    "${7*7}#{7*7}%s%n",
    "www.evil.example/you-won+claim=now",
    "o'brien&sons",
    "`id`|cat^~",
    "--",
    "x" * 64,
)


def test_an_odd_local_part_is_only_ever_an_address(house: House) -> None:
    newsroom.found(house)
    for local in ODD:
        assert sign_up(house, f"{local}@example.org").status_code == 200
    house.work()
    assert len(house.inbox.mails) == len(ODD)
    for local in ODD:
        address = f"{local}@example.org"
        (mail,) = house.inbox.of(address)
        assert address in mail.part("plain")
        assert mail.octets.count(b"\r\nTo: ") == 1
        html = mail.part("html")
        assert f"<b>{address}</b>" in unescape(html)
        links = re.findall(r'href="([^"]*)"', html)
        assert links
        assert all(unescape(link).startswith(f"{SITE}/confirm/") for link in links), "the address is no link"


def test_the_host_header_is_never_in_a_mail(house: House) -> None:
    newsroom.found(house)
    data = {"email": ANN, "newsletter": MORNING_POST}
    headers = {
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Server": "evil.example",
        "Forwarded": "host=evil.example",
    }
    answer = house.browser.post("/subscribe", data=data, headers=headers, base_url="http://evil.example")
    assert answer.status_code == 200
    assert "evil.example" not in answer.text
    house.work()
    house.browser.post(link_in(house, ANN, "/confirm/"), base_url="http://evil.example", headers=headers)
    house.work()
    assert len(house.inbox.of(ANN)) == 2
    for mail in house.inbox.of(ANN):
        assert "evil.example" not in mail.octets.decode() + mail.part("plain") + mail.part("html")
        assert SITE in mail.part("plain")


# How often somebody is mailed


def test_an_address_gets_one_mail_in_15_minutes_and_three_a_day(house: House) -> None:
    newsroom.found(house)

    def mails_after(minutes: float) -> int:
        house.later(minutes=minutes)
        assert sign_up(house).status_code == 200
        house.work()
        return len(house.inbox.of(ANN))

    assert mails_after(0) == 1
    assert mails_after(14.9) == 1, "within 15 minutes"
    assert mails_after(0.2) == 2
    assert mails_after(20) == 3
    assert mails_after(20) == 3, "the fourth of the day"
    assert mails_after(22 * 60) == 3, "the first is not a day old yet"
    assert mails_after(2 * 60) == 4


def test_the_caps_count_the_mailbox_whatever_its_case_and_tag(either_house: House) -> None:
    house = either_house
    newsroom.found(house)
    newsroom.found(house, "evening-post")
    for address in (ANN, "ann+one@example.org", "ANN+two@EXAMPLE.org", "Ann@example.org"):
        assert sign_up(house, address).status_code == 200
        assert sign_up(house, address, "evening-post").status_code == 200
    house.work()
    assert len(house.inbox.mails) == 1


def test_a_reader_is_not_told_more_often_either(house: House) -> None:
    newsroom.found(house)
    became_reader(house)
    house.inbox.mails.clear()
    for _ in range(4):
        sign_up(house)
        house.work()
        house.later(minutes=20)
    assert len(house.inbox.mails) == 2, "three a day, and one of them was the confirmation"


def test_ten_identical_submits_at_once_are_one_mail(either_house: House) -> None:
    house = either_house
    newsroom.found(house)
    answers = at_once(10, lambda _: sign_up(house).status_code)
    assert answers == [200] * 10
    at_once(2, lambda _: house.work())
    assert [mail.recipient for mail in house.inbox.mails] == [ANN]


def test_a_network_signs_up_twenty_times_an_hour_and_the_next_time_nothing_is_saved(either_house: House) -> None:
    house = either_house
    newsroom.found(house)
    for number in range(20):
        assert sign_up(house, f"soldier{number}@example.org").status_code == 200
    before = everything(house)
    refused = sign_up(house, "soldier20@example.org")
    assert refused.status_code == 429
    assert "not saved" in refused.text
    assert everything(house) == before
    assert sign_up(house, "neighbour@example.org", ip="192.0.2.8").status_code == 200
    house.later(minutes=59)
    assert sign_up(house, "soldier20@example.org").status_code == 429
    house.later(minutes=1)
    assert sign_up(house, "soldier20@example.org").status_code == 200
    house.work()
    assert len(house.inbox.mails) == 22


def test_an_ipv6_network_is_its_first_64_bits(house: House) -> None:
    newsroom.found(house)
    for number in range(20):
        ip = f"2001:db8:1:2:{number:x}:{number * 77:x}::1"
        assert sign_up(house, f"v6-{number}@example.org", ip=ip).status_code == 200
    assert sign_up(house, ip="2001:db8:1:2:ffff:ffff:ffff:ffff").status_code == 429
    assert sign_up(house, ip="2001:db8:1:3::1").status_code == 200


def test_an_ipv4_address_written_as_ipv6_counts_as_itself(house: House) -> None:
    newsroom.found(house)
    for number in range(20):
        ip = "192.0.2.9" if number % 2 else "::ffff:192.0.2.9"
        assert sign_up(house, f"mapped{number}@example.org", ip=ip).status_code == 200
    assert sign_up(house, ip="192.0.2.9").status_code == 429
    assert sign_up(house, ip="::ffff:c000:209").status_code == 429
    assert sign_up(house, ip="::ffff:192.0.2.10").status_code == 200, "the rest of that /64 is the whole of IPv4"


def test_what_staff_ask_does_not_use_up_their_network(house: House) -> None:
    newsroom.found(house)
    with house.app.app_context():
        for number in range(25):
            signing_up.request_for(MORNING_POST, f"p{number}@example.org", house.now, house.keys, SUPPORT)
    assert sign_up(house, ip=SUPPORT.ip or "").status_code == 200


def test_a_forged_address_does_not_get_past_the_cap(build_house: BuildHouse, sqlite_url: str) -> None:
    house = build_house(sqlite_url, web=WebConfig(trusted_proxies=("10.0.0.1/32",)))
    newsroom.found(house)
    statuses = [
        sign_up(
            house,
            f"bot{number}@example.org",
            ip="10.0.0.1",
            headers={"X-Forwarded-For": f"1.1.1.{number}, 203.0.113.66"},
        ).status_code
        for number in range(21)
    ]
    assert statuses == [200] * 20 + [429]


# What only the person's own press does


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


def test_pressing_five_times_at_once_makes_one_reader_and_one_welcome(either_house: House) -> None:
    house = either_house
    newsroom.found(house)
    link = asked(house)
    assert at_once(5, lambda _: house.browser.post(link).status_code) == [200] * 5
    house.work()
    assert len(house.inbox.of(ANN)) == 2
    assert [event.kind for event in story_of(house)] == [ConsentKind.REQUESTED, ConsentKind.CONFIRMED]


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
    assert (requested.kind, confirmed.kind, left.kind) == tuple(ConsentKind)
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


# Bad days and bad forms


def test_a_sign_up_while_the_relay_is_down_looks_the_same_and_the_mail_goes_out_later(
    build_house: BuildHouse, sqlite_url: str
) -> None:
    port = free_port()
    mail = MailConfig(host="127.0.0.1", port=port, bounce_address="bounces@example.org", timeout_seconds=5)
    house = build_house(sqlite_url, mail=mail)
    newsroom.found(house)
    answer = sign_up(house)
    house.work()
    assert answer.status_code == 200
    assert newsroom.open_alert_keys(house) == ["relay-failing"]
    house.later(minutes=30)
    other = sign_up(house, "bob@example.org")
    assert words_of(other).replace("bob@", "ann@") == words_of(answer)
    house.work()
    assert count(house, OutboxMail) == 2
    inbox = Inbox("127.0.0.1", port)
    relay = Controller(inbox, hostname="127.0.0.1", port=port)
    relay.start()
    try:
        house.work()
        house.work()
    finally:
        relay.stop()
    assert sorted(received.recipient for received in inbox.mails) == [ANN, "bob@example.org"]
    house = replace(house, inbox=inbox)
    assert house.browser.post(link_in(house, ANN, "/confirm/")).status_code == 200
    assert newsroom.open_alert_keys(house) == []


def test_a_bad_address_brings_the_form_back_with_the_text_and_the_sentence_at_the_field(house: House) -> None:
    newsroom.found(house)
    before = everything(house)
    answer = sign_up(house, 'ann at "example" <org>')
    assert answer.status_code == 422
    assert everything(house) == before
    (field,) = re.findall(r"<input[^>]*name=\"email\"[^>]*>", answer.text, re.DOTALL)
    assert 'value="ann at &#34;example&#34; &lt;org&gt;"' in field
    assert 'aria-invalid="true"' in field
    described = re.search(r'aria-describedby="([^"]+)"', field)
    assert described
    (sentence,) = re.findall(r'<p class="wrong" id="([^"]+)">([^<]+)</p>', answer.text)
    assert sentence[0] in described[1].split()
    assert "is not an e-mail address" in sentence[1]
    assert "<title>Error: " in answer.text


def test_typed_markup_is_text_on_every_page(house: House) -> None:
    newsroom.found(house)
    for text in ('"><script>alert(1)</script>', "'><img src=x onerror=alert(1)>@example.org", "</title><script>"):
        answer = sign_up(house, text)
        assert answer.status_code == 422
        assert "<script>" not in answer.text
        assert "<img" not in answer.text
    hostile = "a'b&c`{{1}}@example.org"
    answer = sign_up(house, hostile)
    assert hostile not in answer.text.replace("<wbr>", "")
    assert hostile in words_of(answer)


FORM = "application/x-www-form-urlencoded"
Sent = dict[str, object]
BAD_FORMS: dict[str, tuple[Sent, int]] = {
    "nothing at all": ({}, 422),
    "no address": ({"data": {"newsletter": MORNING_POST}}, 422),
    "an empty address": ({"data": {"email": "", "newsletter": MORNING_POST}}, 422),
    "an unknown newsletter": ({"data": {"email": ANN, "newsletter": "no-such"}}, 404),
    "a hostile newsletter": ({"data": {"email": ANN, "newsletter": "' OR 1=1 --\x00<script>"}}, 404),
    "a null byte": ({"data": {"email": "ann\x00@example.org"}}, 422),
    "a null byte in an address and elsewhere": ({"data": {"email": "\x00", "page_url": "\x00"}}, 422),
    "octets that are no UTF-8": ({"data": b"email=ann%ff\xfe@example.org", "content_type": FORM}, 422),
    "JSON": ({"data": json.dumps({"email": ANN}), "content_type": "application/json"}, 422),
    "plain text": ({"data": f"email={ANN}", "content_type": "text/plain"}, 422),
    "no content type": ({"data": f"email={ANN}".encode()}, 422),
    "an unknown charset": ({"data": b"email=ann", "content_type": f"{FORM}; charset=klingon"}, 422),
    "multipart without a boundary": ({"data": b"--x\r\n", "content_type": "multipart/form-data"}, 422),
    "broken multipart": ({"data": b"--x\r\nfoo", "content_type": "multipart/form-data; boundary=x"}, 422),
    "a file for an address": (
        {
            "data": b'--x\r\nContent-Disposition: form-data; name="email"; filename="a"\r\n\r\n' + b"a@b.org\r\n--x--",
            "content_type": "multipart/form-data; boundary=x",
        },
        422,
    ),
    "a megabyte": ({"data": {"email": "a" * 1_000_000}}, 413),
    "a megabyte elsewhere": ({"data": {"email": ANN, "page_url": "a" * 1_000_000}}, 413),
    "thousands of fields": ({"data": b"&".join(b"%d=" % n for n in range(50_000)), "content_type": FORM}, 413),
    "thousands of parts": (
        {
            "data": b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n' * 2000 + b"--x--",
            "content_type": "multipart/form-data; boundary=x",
        },
        413,
    ),
}


def test_a_bad_form_is_answered_with_a_page_and_changes_nothing(either_house: House) -> None:
    house = either_house
    newsroom.found(house)
    before = everything(house)
    for name, (sent, status) in BAD_FORMS.items():
        answer = house.browser.post("/subscribe", **sent)  # type: ignore[arg-type]
        assert answer.status_code == status, name
        assert answer.text.count("<h1") == 1, name
        assert "<script>" not in answer.text, name
        assert answer.headers["Content-Security-Policy"], name
    assert everything(house) == before


def test_other_methods_do_nothing(house: House) -> None:
    newsroom.found(house)
    link = asked(house)
    before = everything(house)
    for method in ("PUT", "PATCH", "DELETE", "TRACE"):
        for path in ("/subscribe", link):
            answer = house.browser.open(path, method=method, data={"email": "bob@example.org"})
            assert answer.status_code == 405
    assert everything(house) == before


def test_the_form_names_the_newsletter_when_there_are_several(house: House) -> None:
    newsroom.found(house)
    newsroom.found(house, "evening-post")
    assert sign_up(house, newsletter="").status_code == 404, "nobody is signed up for a newsletter by chance"
    assert count(house, SignUpRequest) == 0
    link = asked(house, ANN, "evening-post")
    house.browser.post(link)
    with house.app.app_context():
        (subscription,) = db.session.scalars(sa.select(Subscription)).all()
        assert subscription.newsletter.slug == "evening-post"


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


def test_a_page_for_signing_up_needs_no_script_and_no_cookie(house: House) -> None:
    newsroom.found(house)
    for path in ("/", "/subscribe", "/subscribe?newsletter=morning-post"):
        page = house.browser.get(path)
        assert 'action="/subscribe"' in page.text
        assert "<script" not in page.text
        assert "Set-Cookie" not in page.headers
    assert "Set-Cookie" not in sign_up(house).headers
