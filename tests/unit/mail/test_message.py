"""A spliced mail is what a mail program reads as exactly its content, whatever that is (RFC 5322, 2045, 8058)."""

from __future__ import annotations

import html as html_module
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import default
from email.utils import getaddresses
from typing import Any, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from newsletter.foundation.config import MailConfig
from newsletter.mail.message import Letter, Message, Reader, Sender, fill, mark
from newsletter.mail.smtp import Mail, Outcome, SmtpTransport
from tests.support.inbox import Inbox

NOON = datetime(2026, 3, 3, 12, 0, tzinfo=UTC)
MARKER = "0123456789abcdef"
SENDER = Sender("Morning Post", "post@example.org", "desk@example.org")
LEAVE = "https://news.example.org/unsubscribe/WzEsMF0.signature"

AWKWARD = ("=", ".", "..", ".\n", "\n.", " ", "\t", " \n", "\t\n", "\r\n", "\n\n", "=\n", "=20", "From ", "--")
UNUSUAL = (
    "\N{EURO SIGN}",
    "ä",
    "\N{PARTY POPPER}",
    "\u200d",
    "\u2028",
    "\x0b",
    "\x0c",
    "--=_daily-headlines",
    "x" * 75,
)

anything = st.characters(codec="utf-8", exclude_characters="\r")
content = st.lists(st.one_of(st.sampled_from(AWKWARD + UNUSUAL), st.text(anything, max_size=90)))
words = st.text(anything, max_size=120)


def letter(text: str = "Hello", html: str | None = "<p>Hello</p>", **changed: Any) -> Letter:
    values = {"sender": SENDER, "subject": "News", "date": NOON, "marker": MARKER}
    return Letter(text=text, html=html, **(values | changed))


def reader(**spoken: str) -> Reader:
    return Reader("ann@example.org", "d1-abc@example.org", spoken, LEAVE)


def parsed(octets: bytes) -> EmailMessage:
    message = cast(EmailMessage, message_from_bytes(octets, policy=default))
    assert not any(part.defects for part in message.walk())
    return message


def part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    octets = body.get_payload(decode=True)
    assert isinstance(octets, bytes)
    return octets.decode("utf-8")


def canonical(text: str) -> str:
    """As a mail carries text: every line ends in CRLF (RFC 2046 §4.1.1)."""
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")


def check_lines(octets: bytes) -> None:
    """RFC 5322 §2.1.1 and §2.3."""
    assert octets.isascii()
    assert b"\n" not in octets.replace(b"\r\n", b"")
    assert b"\r" not in octets.replace(b"\r\n", b"")
    assert max(len(line) for line in octets.split(b"\r\n")) <= 998


# Content


@given(before=content, after=content, address=words, url=words)
@example(before=["x" * 76], after=[], address="", url="")
@example(before=["x" * 75 + " "], after=["."], address=".", url=" ")
def test_what_is_put_in_comes_out_with_the_reader_s_words_in_it(
    before: list[str], after: list[str], address: str, url: str
) -> None:
    marks = [mark(MARKER, name) for name in ("address", "url", "address")]
    written = "".join(before) + f"{marks[0]} " + "".join(after) + f"{marks[1]} {marks[2]}"
    octets = Message(letter(written, written)).to(reader(address=address, url=url))
    message = parsed(octets)

    check_lines(octets)
    spoken = {"address": address, "url": url}
    assert part(message, "plain") == canonical(fill(written, MARKER, spoken))
    assert part(message, "html") == canonical(fill(written, MARKER, spoken, html_module.escape))
    assert [one.get_content_type() for one in message.walk()] == ["multipart/alternative", "text/plain", "text/html"]


@given(before=content, after=content, address=words)
def test_a_mail_of_text_only_comes_out_as_it_went_in(before: list[str], after: list[str], address: str) -> None:
    written = "".join(before) + mark(MARKER, "address") + "\n" + "".join(after)
    octets = Message(letter(written, None)).to(reader(address=address))
    message = parsed(octets)

    check_lines(octets)
    assert message.get_content_type() == "text/plain"
    assert part(message, "plain") == canonical(fill(written, MARKER, {"address": address}))


@given(before=content, after=content, address=words, url=words)
@example(before=["x" * 76], after=[], address="", url="")
def test_a_mark_ends_where_it_ends_whatever_follows_it(
    before: list[str], after: list[str], address: str, url: str
) -> None:
    written = "".join(before) + mark(MARKER, "address") + "".join(after) + mark(MARKER, "url") + mark(MARKER, "address")
    octets = Message(letter(written, written)).to(reader(address=address, url=url))
    message = parsed(octets)

    spoken = {"address": address, "url": url}
    assert part(message, "plain") == canonical(fill(written, MARKER, spoken))
    assert part(message, "html") == canonical(fill(written, MARKER, spoken, html_module.escape))


def test_a_mark_may_be_followed_by_a_word() -> None:
    written = f"{mark(MARKER, 'address')}xx and more"
    assert part(parsed(Message(letter(written, None)).to(reader(address="ann"))), "plain") == "annxx and more"


@given(before=content, after=content, address=words)
@example(before=["x" * 76], after=[], address="")
@example(before=["x" * 73 + "." * 9], after=[".\n."], address=".a")
def test_no_line_is_over_76_octets_or_begins_with_a_dot(before: list[str], after: list[str], address: str) -> None:
    """RFC 2045 §6.7, rule 5; and what Message.to says of itself."""
    written = "".join(before) + mark(MARKER, "address") + "\n" + "".join(after)
    _, _, body = Message(letter(written, None)).to(reader(address=address)).partition(b"\r\n\r\n")
    lines = body.split(b"\r\n")
    assert max(len(line) for line in lines) <= 76
    assert not [line for line in lines if line.startswith(b".")], "which saves looking for them"


def test_the_same_letter_is_addressed_to_any_number_of_readers_and_only_their_own_words_differ() -> None:
    made = Message(letter(f"To {mark(MARKER, 'address')}.", None))
    first, second = (made.to(Reader(f"{name}@example.org", f"{name}@x", {"address": name})) for name in ("ann", "bob"))

    assert part(parsed(first), "plain") == "To ann."
    assert first.replace(b"ann", b"bob") == second


def test_a_story_cannot_hold_a_mark_of_its_own() -> None:
    """The marker is random; a mark with another one is text."""
    foreign = mark("f" * 16, "address")
    octets = Message(letter(foreign, foreign)).to(reader(address="ann"))

    assert part(parsed(octets), "plain") == foreign


def test_a_reader_s_words_are_escaped_in_html_and_left_as_they_are_in_text() -> None:
    written = mark(MARKER, "address")
    octets = Message(letter(written, written)).to(reader(address='<a href="x">&'))

    assert part(parsed(octets), "plain") == '<a href="x">&'
    assert part(parsed(octets), "html") == "&lt;a href=&quot;x&quot;&gt;&amp;"


def test_old_and_odd_line_ends_become_crlf() -> None:
    octets = Message(letter("one\rtwo\nthree\r\nfour\n", None)).to(reader())

    check_lines(octets)
    assert part(parsed(octets), "plain") == "one\r\ntwo\r\nthree\r\nfour\r\n"


# Headers

printable = st.text(st.characters(categories=("L", "N", "P", "S", "Zs"), codec="utf-8"), min_size=1, max_size=120)


def one_spaced(text: str) -> str:
    return " ".join(text.split())


@given(subject=st.one_of(printable, st.text(st.sampled_from("ä日 b,"), max_size=300)))
@example(subject="Überraschung im Tarifstreit: " + "Größere Löhne für alle Beschäftigten im öffentlichen Dienst " * 4)
@example(subject="首相が新しい経済政策を発表、" * 15)
def test_a_subject_in_any_language_comes_out_as_it_went_in(subject: str) -> None:
    octets = Message(letter(subject=subject)).to(reader())

    check_lines(octets)
    assert one_spaced(str(parsed(octets)["Subject"])) == one_spaced(subject)


@pytest.mark.parametrize("field", ["subject", "name", "address", "reply_to", "header"])
@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\n\n", "\r\n\r\n"], ids=repr)
def test_no_word_of_anybody_can_begin_a_header_of_its_own(field: str, end: str) -> None:
    hostile = f"News{end}Bcc: victim@example.net"
    changed: dict[str, Any] = {
        "subject": {"subject": hostile},
        "name": {"sender": Sender(hostile, "post@example.org")},
        "address": {"sender": Sender("Post", f"post@example.org{end}Bcc: victim@example.net")},
        "reply_to": {"sender": Sender("Post", "post@example.org", f"desk@example.org{end}Bcc: victim@example.net")},
        "header": {"headers": {"List-ID": hostile}},
    }[field]
    try:
        octets = Message(letter(**changed)).to(reader())
    except ValueError:
        return  # refused, before anything was sent
    message = parsed(octets)
    assert message["Bcc"] is None
    assert part(message, "plain") == "Hello"


def test_the_headers_of_rfc_8058_stand_there_as_a_pair() -> None:
    message = parsed(Message(letter()).to(reader()))

    assert message.get_all("List-Unsubscribe") == [f"<{LEAVE}>"]
    assert message.get_all("List-Unsubscribe-Post") == ["List-Unsubscribe=One-Click"]


def test_a_transactional_mail_has_neither_of_them() -> None:
    message = parsed(Message(letter()).to(Reader("ann@example.org", "o1-abc@example.org")))

    assert message["List-Unsubscribe"] is None
    assert message["List-Unsubscribe-Post"] is None


def test_every_header_that_may_stand_once_stands_once() -> None:
    """RFC 5322 §3.6."""
    message = parsed(Message(letter(headers={"List-ID": "<post.example.org>"})).to(reader()))

    names = ("From", "Reply-To", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type", "List-ID")
    assert {name: len(message.get_all(name, [])) for name in names} == dict.fromkeys(names, 1)
    assert message["From"].addresses[0].addr_spec == "post@example.org"
    assert message["From"].addresses[0].display_name == "Morning Post"
    assert message["To"] == "ann@example.org"
    assert message["Message-ID"] == "<d1-abc@example.org>"
    assert message["Date"].datetime == NOON


@pytest.mark.parametrize(
    "name", ['Post, "The" <evil@example.net>', "Süddeutsche, Tag & Nacht", "日本の新聞", "O'Neil; x"]
)
def test_a_newsletter_s_name_is_no_second_address(name: str) -> None:
    octets = Message(letter(sender=Sender(name, "post@example.org"))).to(reader())
    (mailbox,) = parsed(octets)["From"].addresses

    assert (mailbox.display_name, mailbox.addr_spec) == (name, "post@example.org")


@given(name=printable)
@example(
    'Morning Post, "The Paper of Record" <evil@example.net>, for all of Port Ellery and the islands beyond it, daily'
)
@example("Süddeutsche, Tag & Nacht <evil@example.net>, " + "ö" * 60)
def test_any_name_of_a_newsletter_is_one_mailbox(name: str) -> None:
    octets = Message(letter(sender=Sender(name, "post@example.org"))).to(reader())
    (mailbox,) = getaddresses([str(message_from_bytes(octets)["From"])])
    assert mailbox[1] == "post@example.org"
    assert str(make_header(decode_header(mailbox[0]))).split() == name.split()


def test_a_sender_at_an_international_domain_stands_in_the_header_in_ascii() -> None:
    """RFC 2047 §5 forbids encoded words in an addr-spec; receivers refuse such a From, and DMARC finds no domain."""
    sender = Sender("Zeitung", "post@zeitung-münchen.example", "leser@zeitung-münchen.example")
    message = parsed(Message(letter(sender=sender)).to(reader()))
    assert message["From"].addresses[0].addr_spec == "post@xn--zeitung-mnchen-osb.example"
    assert message["Reply-To"] == "leser@xn--zeitung-mnchen-osb.example"


# On the wire


def test_dots_at_the_start_of_lines_survive_smtp(inbox: Inbox) -> None:
    """RFC 5321 §4.5.2, and a lone dot does not end the mail."""
    text = ".\n..\n.hidden\n...\n\n.\r\n\n.tail"
    octets = Message(letter(text, None)).to(Reader("ann@example.org", "d1-abc@example.org"))
    stuffed = octets.replace(b"=2E", b".")  # as a mail would be whose encoder leaves dots alone
    with SmtpTransport(MailConfig(port=inbox.port), None).connected() as connection:
        mails = [Mail("post@example.org", "ann@example.org", one) for one in (octets, stuffed)]
        replies = [connection.hand_over(one) for one in (*mails, replace(mails[0], dotless=True))]
    assert [reply.outcome for reply in replies] == [Outcome.ACCEPTED] * 3
    for received in inbox.mails:
        assert part(received.message, "plain").rstrip() == canonical(text)
