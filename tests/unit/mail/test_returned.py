"""What comes back is told apart, and nothing that a stranger can send does harm."""

from __future__ import annotations

import base64
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.mail import returned
from newsletter.mail.returned import Returned
from newsletter.mail.verdicts import Kind
from tests.support.returning import ANN, BOUNCES, MESSAGE_ID, NOTICES, TOKEN, arf, dsn, mail, notice, reported, written


def kind(octets: bytes, envelope_to: str | None = None) -> Kind:
    return returned.read(octets, envelope_to).kind


@pytest.mark.parametrize("status", ["5.1.1", "5.1.3", "5.1.6", "5.1.10", "5.2.1"])
def test_only_what_says_that_the_address_is_wrong_is_hard(status: str) -> None:
    assert kind(dsn(reported(status=status))) is Kind.HARD


@pytest.mark.parametrize(
    "status", ["5.0.0", "5.1.0", "5.1.2", "5.1.4", "5.1.7", "5.1.8", "5.2.0", "5.2.2", "5.2.3", "5.3.0", "5.3.4"]
)
def test_whatever_else_looks_permanent_is_soft(status: str) -> None:
    assert kind(dsn(reported(status=status))) is Kind.SOFT


@pytest.mark.parametrize("status", ["5.4.1", "5.4.4", "5.5.0", "5.6.1", "4.1.1", "4.2.1", "4.4.7"])
def test_trouble_on_the_way_is_soft(status: str) -> None:
    assert kind(dsn(reported(status=status))) is Kind.SOFT


@pytest.mark.parametrize(
    ("status", "diagnostic", "wanted"),
    [
        ("5.1.1", "550 5.1.1 <ann@example.net> user unknown", Kind.HARD),
        ("5.0.0", "550 5.1.1 <ann@example.net> user unknown", Kind.HARD),
        ("5.1.1", "550 no such user", Kind.HARD),
        ("5.1.1", "550 5.1.1 <spam.policy@example.net> unknown at mx.antispam.example.net", Kind.HARD),
        ("5.1.1", "550 5.7.1 rejected", Kind.POLICY),
        ("5.1.1", "550 blocked, see our blacklist", Kind.POLICY),
        ("5.7.1", "550 5.7.1 message refused", Kind.POLICY),
        ("5.7.26", "550 5.7.26 unauthenticated mail", Kind.POLICY),
        ("5.0.0", "554 relay access denied", Kind.POLICY),
        ("5.2.1", "550 5.2.1 receives mail at a rate that prevents more", Kind.SOFT),
        ("5.1.1", "552 5.2.2 mailbox full", Kind.SOFT),
        ("5.1.1", "550 mailbox is full", Kind.SOFT),
        ("5.2.2", "550 5.1.1 over quota", Kind.SOFT),
        ("5.1.1", "450 4.1.1 try again later", Kind.SOFT),
        ("5.1.1", "451 come back", Kind.SOFT),
        ("5.4.4", "550 5.1.1 unknown", Kind.SOFT),
        ("5.0.0", "550 user unknown", Kind.SOFT),
    ],
)
def test_what_the_last_server_said_counts_more_than_a_relays_code(status: str, diagnostic: str, wanted: Kind) -> None:
    assert kind(dsn(reported(status=status, diagnostic=diagnostic))) is wanted


@pytest.mark.parametrize(
    ("action", "status"), [("delayed", "4.4.1"), ("delivered", "2.0.0"), ("relayed", "2.0.0"), ("expanded", "2.0.0")]
)
def test_a_delay_or_a_receipt_is_no_bounce(action: str, status: str) -> None:
    assert kind(dsn(reported(action=action, status=status))) is Kind.AUTOMATIC


def test_each_recipient_of_a_report_is_told_and_the_mildest_speaks_for_all() -> None:
    found = returned.read(dsn(reported(), reported("bob@example.net", "4.2.2", "452 4.2.2 full")))
    assert [(one.address, one.status, one.kind) for one in found.recipients] == [
        (ANN, "5.1.1", Kind.HARD),
        ("bob@example.net", "4.2.2", Kind.SOFT),
    ]
    assert found.recipients[1].diagnostic == "smtp; 452 4.2.2 full"
    assert found.kind is Kind.SOFT


def test_an_address_as_we_wrote_it_is_told_beside_the_one_that_failed() -> None:
    found = returned.read(dsn(f"Original-Recipient: rfc822;{ANN}\n" + reported("inner@example.com")))
    assert (found.recipients[0].original, found.recipients[0].address) == (ANN, "inner@example.com")


@pytest.mark.parametrize("whole", [True, False])
def test_the_returned_part_tells_the_message_id(whole: bool) -> None:
    found = returned.read(dsn(whole=whole, to="bounces@example.org"))
    assert found.message_ids == (MESSAGE_ID,)
    assert found.tokens == ()


@pytest.mark.parametrize("name", ["To", "Delivered-To", "X-Original-To"])
def test_a_token_is_found_wherever_the_mail_says_whom_it_came_to(name: str) -> None:
    octets = f"{name}: {BOUNCES.upper()}\r\n".encode() + dsn(to="bounces@example.org")
    assert returned.read(octets).tokens == (TOKEN,)


@pytest.mark.parametrize(
    "address", [BOUNCES, f"prvs=12345abcde={BOUNCES}", f"SRS0=abcd=ZZ=x.org=bounces+{TOKEN}@f.net"]
)
def test_a_token_is_found_in_the_envelope_also_when_it_was_rewritten(address: str) -> None:
    assert returned.read(dsn(to="x@example.org"), address).tokens == (TOKEN,)


def test_the_envelopes_token_comes_first() -> None:
    other = "dai-ponmlkjihgfedcba"
    assert returned.read(dsn(), f"bounces+{other}@example.org").tokens == (other, TOKEN)


@pytest.mark.parametrize("feedback", ["abuse", "fraud", "opt-out", "other"])
def test_a_complaint_is_one_and_names_the_mail(feedback: str) -> None:
    found = returned.read(arf(feedback))
    assert found.kind is Kind.COMPLAINT
    assert found.message_ids == (MESSAGE_ID,)
    assert found.recipients[0].address == ANN


@pytest.mark.parametrize(
    ("feedback", "wanted"),
    [("not-spam", Kind.AUTOMATIC), ("auth-failure", Kind.AUTOMATIC), ("virus", Kind.UNKNOWN), ("", Kind.UNKNOWN)],
)
def test_feedback_that_is_no_persons_complaint_is_none(feedback: str, wanted: Kind) -> None:
    assert kind(arf(feedback)) is wanted


def test_a_complaint_in_the_old_form_is_one() -> None:
    octets = arf().replace(b"report-type=feedback-report;", b"").replace(b"message/feedback-report", b"text/x-nothing")
    assert kind(octets.replace(b"FW: Morning Post", b"complaint about message from 192.0.2.1")) is Kind.COMPLAINT


@pytest.mark.parametrize("server", NOTICES)
@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("550 5.1.1 no such user", Kind.HARD),
        ("550 #5.1.1 no such user", Kind.HARD),
        ("550 user unknown", Kind.SOFT),
        ("552 5.2.2 mailbox full", Kind.SOFT),
        ("550 5.7.1 we do not take this", Kind.POLICY),
        ("450 4.2.0 later", Kind.SOFT),
    ],
)
def test_bounces_in_plain_words_are_read(server: str, said: str, wanted: Kind) -> None:
    found = returned.read(notice(server, said))
    assert found.kind is wanted
    assert found.message_ids == (MESSAGE_ID,)
    assert found.recipients[0].address == ANN


def test_a_person_who_quotes_a_bounce_has_not_bounced() -> None:
    assert kind(mail(NOTICES["postfix"].format(said="550 5.1.1 no such user", message_id=MESSAGE_ID))) is Kind.REPLY


@pytest.mark.parametrize(
    ("subject", "headers"),
    [
        ("Out of office: until Monday", {}),
        ("Automatic reply: Morning Post", {}),
        ("Abwesenheitsnotiz", {}),
        ("Réponse automatique : Morning Post", {}),
        ("自動応答", {}),
        ("Re: Morning Post", {"Auto_Submitted": "auto-replied"}),
        ("Re: Morning Post", {"Auto_Submitted": "auto-replied (vacation)", "Return_Path": "<>"}),
        ("Re: Morning Post", {"X_Autoreply": "yes"}),
        ("Re: Morning Post", {"Precedence": "bulk"}),
        ("Re: Morning Post", {"List_Id": "<readers.example.net>"}),
    ],
)
def test_a_vacation_note_is_no_bounce(subject: str, headers: dict[str, str]) -> None:
    found = returned.read(mail("I am away until Monday.", subject=subject, **headers))
    assert (found.kind, found.automatic) == (Kind.AUTOMATIC, True)


@pytest.mark.parametrize(
    ("subject", "headers"),
    [
        ("Please confirm your message to Ann", {}),
        ("Your mail requires verification", {}),
        ("Your mail", {"X_BoxTrapper": "x"}),
    ],
)
def test_a_challenge_is_no_bounce(subject: str, headers: dict[str, str]) -> None:
    assert kind(mail("Click here.", subject=subject, **headers)) is Kind.CHALLENGE


def test_a_person_who_answers_our_confirmation_mail_is_no_robot() -> None:
    assert kind(mail("What is this?", subject="Re: Please confirm your e-mail address")) is Kind.REPLY


@pytest.mark.parametrize("headers", [{}, {"Auto_Submitted": "auto-generated"}, {"Auto_Submitted": "no"}])
def test_whatever_is_written_to_the_leaving_address_wants_to_leave(headers: dict[str, str]) -> None:
    assert kind(mail("", to="leave+uae-abcdefghijklmnop@example.org", subject="", **headers)) is Kind.UNSUBSCRIBE


def test_a_bounce_to_the_leaving_address_is_still_a_bounce() -> None:
    assert kind(dsn(), "leave+uae-abcdefghijklmnop@example.org") is Kind.HARD


def test_a_persons_answer_says_which_mail_it_answers() -> None:
    found = returned.read(mail("Thank you!", to="bounces@example.org", In_Reply_To=f"<{MESSAGE_ID}>"))
    assert (found.kind, found.automatic, found.sender) == (Kind.REPLY, False, ANN)
    assert found.message_ids == (MESSAGE_ID,)
    assert "Thank you!" in found.text


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\r\n",
        b"no mail at all",
        mail("It is broken.", sender="postmaster@example.net", subject="Problem"),
        dsn("X-Nothing: 1\n"),
        written("Subject: =?utf-8?b?////?=\nContent-Type: multipart/report; boundary=\n\nx"),
    ],
)
def test_what_nobody_understands_stays_unknown(octets: bytes) -> None:
    assert kind(octets) is Kind.UNKNOWN


def test_the_words_of_what_is_unknown_are_kept_for_people() -> None:
    octets = mail("The roof leaks, übrigens.", sender="postmaster@example.net", subject="Problem")
    assert "The roof leaks, übrigens." in returned.read(octets).text


def test_the_same_mail_has_one_digest_by_whichever_way_it_came() -> None:
    one = returned.read(dsn(), BOUNCES)
    other = returned.read(b"Received: from somewhere\n" + dsn().replace(b"\r\n", b"\n") + b"\n")
    assert one.digest == other.digest
    assert returned.read(dsn(date="2")).digest != one.digest


def test_a_report_in_base64_is_read() -> None:
    plain = b"Reporting-MTA: dns; mx\r\n\r\n" + written(reported(status="5.1.1"))
    octets = dsn()
    start = octets.index(b"Reporting-MTA")
    end = octets.index(b"--edge", start)
    packed = octets[:start] + base64.encodebytes(plain) + octets[end:]
    field = b"Content-Type: message/delivery-status"
    assert kind(packed.replace(field, field + b"\r\nContent-Transfer-Encoding: base64")) is Kind.HARD


def test_a_report_whose_end_is_missing_is_read() -> None:
    octets = dsn()
    assert kind(octets[: octets.index(b"Content-Type: text/rfc822-headers")]) is Kind.HARD


def test_a_bounce_that_somebody_passes_on_as_an_attachment_is_theirs() -> None:
    octets = written(
        "From: ann@example.net\nTo: bounces@example.org\nSubject: Look\nContent-Type: multipart/mixed; boundary=m\n\n"
        "--m\nContent-Type: text/plain\n\nWhat is that?\n--m\nContent-Type: message/rfc822\n\n"
    )
    assert kind(octets + dsn() + b"\r\n--m--\r\n") is Kind.REPLY


def nested(depth: int) -> bytes:
    heads = (f"Content-Type: multipart/mixed; boundary=b{level}\n\n--b{level}\n" for level in range(depth))
    return written("From: ann@example.net\n" + "".join(heads))


HOSTILE = {
    "ten megabytes of text": b"From: a@example.net\r\n\r\n" + b"x" * 10_000_000,
    "ten megabytes of lines": b"From: a@example.net\r\n\r\n" + b"Status: 5.1.1\r\n" * 700_000,
    "one header without end": b"Subject: " + b"=?utf-8?q?" * 500_000,
    "many headers": b"To: bounces@example.org\r\n" * 200_000,
    "nested deeply": nested(20_000),
    "many parts": b"Content-Type: multipart/report; boundary=b\r\n\r\n" + b"--b\r\n\r\n\r\n" * 500_000,
    "only quotes": b'Content-Type: multipart/report; boundary="' + b';"' * 500_000 + b"\r\n\r\nx",
    "tags without end": b"From: a@example.net\r\nContent-Type: text/html\r\n\r\n" + b"<style " * 500_000,
    "addresses without end": b"From: " + b"<(" * 500_000 + b"\r\n\r\n",
    "zeroes": b"From: mailer-daemon@example.net\r\n\r\n" + b"\0" * 1_000_000,
    "a report of very many": dsn(*[reported()] * 20_000),
    "words of a bounce again and again": mail("hi. this is the " * 50_000, sender="mailer-daemon@example.net"),
    "an odd charset": b"Content-Type: text/plain; charset=punycode\r\n\r\n" + b"a-" * 500_000,
    "spaces": b"From: mailer-daemon@example.net\r\n\r\n" + b" " * 5_000_000,
    "hyphens": b"From: mailer-daemon@example.net\r\n\r\n" + b"-" * 5_000_000,
    "click": b"From: a@example.net\r\nSubject: " + b"click confirm your requires " * 200_000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_mail_is_read_in_bounded_time(name: str) -> None:
    started = time.process_time()
    found = returned.read(HOSTILE[name], BOUNCES)
    assert time.process_time() - started < 3
    assert isinstance(found, Returned)


PIECES = [
    *(line + b"\r\n" for line in dsn().split(b"\r\n")),
    *(line + b"\r\n" for line in arf().split(b"\r\n")),
    b"\xff\xfe\x00",
    b"Content-Transfer-Encoding: base64\r\n",
    b"Content-Type: text/plain; charset=nothing\r\n",
    b"From: \xe4\xf6\xfc <\xe4@example.net>\r\n",
    b"Subject: =?utf-7?b?+++?= =?punycode?q?=FF?=\r\n",
    b"--edge--\r\n",
]


@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=60), max_size=60).map(b"".join))
def test_whatever_comes_is_read_and_can_be_stored(octets: bytes) -> None:
    found = returned.read(octets)
    words = [found.sender, found.subject, found.text, found.diagnostic, *(one.address for one in found.recipients)]
    assert "\0" not in "".join(words)
    "".join(words).encode()
    assert len(found.digest) == 64


@given(st.integers(0, 60), st.binary(max_size=8))
def test_a_report_that_was_damaged_is_never_harder_than_before(line: int, junk: bytes) -> None:
    lines = dsn(reported(status="5.2.2")).split(b"\r\n")
    lines.insert(line % len(lines), junk)
    assert returned.read(b"\r\n".join(lines)).kind is not Kind.HARD
