"""What went wrong once, and must not again."""

from __future__ import annotations

import html as html_module
from email import message_from_bytes
from email.header import decode_header, make_header
from email.utils import getaddresses

from hypothesis import example, given
from hypothesis import strategies as st

from newsletter.mail.message import Message, Sender, fill, mark
from tests.unit.mail.test_message import LINES, MARKER, canonical, content, letter, parsed, part, reader, words


@given(before=content, after=content, address=words, url=words)
@example(before=["x" * 76], after=[], address="", url="")
@LINES
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
@LINES
def test_no_line_of_the_body_is_over_76_octets(before: list[str], after: list[str], address: str) -> None:
    """RFC 2045 §6.7, rule 5; and what Message.to says of itself."""
    written = "".join(before) + mark(MARKER, "address") + "\n" + "".join(after)
    _, _, body = Message(letter(written, None)).to(reader(address=address)).partition(b"\r\n\r\n")
    assert max(len(line) for line in body.split(b"\r\n")) <= 76


names = st.text(st.characters(categories=("L", "N", "P", "S", "Zs"), codec="utf-8"), min_size=1, max_size=120)


@given(name=names)
@example(
    'Morning Post, "The Paper of Record" <evil@example.net>, for all of Port Ellery and the islands beyond it, daily'
)
@example("Süddeutsche, Tag & Nacht <evil@example.net>, " + "ö" * 60)
@LINES
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
