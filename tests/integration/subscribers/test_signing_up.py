"""From the form to the mail: who learns what, and who is mailed how often."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import unescape

import sqlalchemy as sa
from aiosmtpd.controller import Controller

from newsletter.foundation.audit import Actor, ActorKind
from newsletter.foundation.config import MailConfig, WebConfig
from newsletter.foundation.database import db
from newsletter.mail.outbox import OutboxMail
from newsletter.mail.suppression import SuppressionReason
from newsletter.subscribers import signing_up
from newsletter.subscribers.models import (
    SignUpRequest,
    Subscription,
)
from tests.conftest import BuildHouse, House
from tests.integration.subscribers import (
    ANN,
    MORNING_POST,
    SITE,
    asked,
    became_reader,
    count,
    everything,
    latest_request,
    link_in,
    put_on_the_list,
    sign_up,
    statements,
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


def test_requests_that_waited_are_one_mail_in_15_minutes_all_the_same(house: House) -> None:
    """The cap looks at when somebody is mailed, not at when he asked."""
    newsroom.found(house)
    for _ in range(3):
        sign_up(house)
        house.later(minutes=20)
    house.work()
    assert len(house.inbox.of(ANN)) == 1


def test_the_caps_count_the_mailbox_whatever_its_case_and_tag(either_house: House) -> None:
    house = either_house
    newsroom.found(house)
    newsroom.found(house, "evening-post")
    for address in (ANN, "ann+one@example.org", "ANN+two@EXAMPLE.org", "Ann@example.org"):
        assert sign_up(house, address).status_code == 200
        assert sign_up(house, address, "evening-post").status_code == 200
    house.work()
    assert len(house.inbox.mails) == 1


def test_an_encoded_word_is_no_way_around_a_complaint(house: House) -> None:
    """Mail software that is built on Python's own parser (aiosmtpd among it) reads =?utf-8?q?=61nn?= as ann. So
    one complaint, three mails a day and every other cap are got around as often as one likes."""
    newsroom.found(house)
    put_on_the_list(house, SuppressionReason.COMPLAINT)
    for local in ("=?utf-8?q?ann?=", "=?utf-8?q?=61nn?=", "=?utf-8?q?a=6en?=", "=?x?b?YW5u?="):
        sign_up(house, f"{local}@example.org")
    house.work()
    assert house.inbox.of(ANN) == []


def test_a_reader_is_not_told_more_often_either(house: House) -> None:
    newsroom.found(house)
    became_reader(house)
    house.inbox.mails.clear()
    for _ in range(4):
        sign_up(house)
        house.work()
        house.later(minutes=20)
    assert len(house.inbox.mails) == 2, "three a day, and one of them was the confirmation"


def test_a_network_signs_up_twenty_times_an_hour_and_the_next_time_nothing_is_saved(either_house: House) -> None:
    house = either_house
    newsroom.found(house)
    for number in range(20):
        assert sign_up(house, f"soldier{number}@example.org").status_code == 200
    before = everything(house)
    refused = sign_up(house, "soldier20@example.org")
    assert refused.status_code == 429
    assert "<h1>One moment</h1>" in refused.text, "a whole barracks may share an address: it takes a proof of work"
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


def test_a_null_byte_in_a_hidden_field_is_no_fault(either_house: House) -> None:
    newsroom.found(either_house)
    either_house.app.config.update(TESTING=False, PROPAGATE_EXCEPTIONS=False)
    assert sign_up(either_house, page_url="https://gazette.example/\x00").status_code == 200


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
    assert sign_up(house, newsletter="").status_code == 422, "nobody is signed up for a newsletter by chance"
    assert count(house, SignUpRequest) == 0
    link = asked(house, ANN, "evening-post")
    house.browser.post(link)
    with house.app.app_context():
        (subscription,) = db.session.scalars(sa.select(Subscription)).all()
        assert subscription.newsletter.slug == "evening-post"


def test_a_page_for_signing_up_needs_no_script_and_no_cookie(house: House) -> None:
    newsroom.found(house)
    for path in ("/", "/subscribe", "/subscribe?newsletter=morning-post"):
        page = house.browser.get(path)
        assert 'action="/subscribe"' in page.text
        assert "<script" not in page.text
        assert "Set-Cookie" not in page.headers
    assert "Set-Cookie" not in sign_up(house).headers


def test_staff_are_not_told_of_a_mail_that_nobody_gets(house: House) -> None:
    from tests.integration.web import signed_in

    newsroom.found(house)
    put_on_the_list(house, SuppressionReason.BY_HAND)
    desk = signed_in(house)
    answer = desk.post("/admin/subscribers/add", email=ANN, newsletter="morning-post")
    shown = desk.get("/admin/subscribers").text + answer.text
    assert f"{ANN} gets a mail now" not in words_of(answer) + shown
