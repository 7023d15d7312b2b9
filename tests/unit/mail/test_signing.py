"""DKIM signatures, looked at by an implementation that is not ours."""

from __future__ import annotations

import re
import stat
from datetime import UTC, datetime
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from newsletter.mail import signing
from newsletter.mail.message import Letter, Message, Reader, Sender, mark
from newsletter.mail.signing import DkimKeyExists, DkimKeyUnusable, Key, Signer

NOW = datetime(2026, 3, 3, 6, 0, tzinfo=UTC)
HTML = "<p>Ünder the <b>bridge</b>, " + "a long line " * 40 + mark("m", "address") + "</p>\n\n\n"
LETTER = Letter(
    sender=Sender("The Harbor Gazette – Daily", "news@example.org", "desk@example.org"),
    subject="Harbor bridge closes: “until spring”, says a very long headline that is folded somewhere on its way",
    text="Good morning.  \n\n. a dot\n" + mark("m", "address") + "\n\n",
    html=HTML,
    date=NOW,
    marker="m",
    headers={"List-ID": "<daily.example.org>"},
)
MAIL = Message(LETTER).to(
    Reader("ann@example.org", "d1-abc@example.org", {"address": "ann@example.org"}, "https://news.example.org/u/1")
)


@pytest.fixture(scope="module")
def keys() -> list[Key]:
    private = rsa.generate_private_key(65537, 2048)
    return [
        Key("example.org", "s1", private),
        Key("example.org", "s2", signing.Ed25519PrivateKey.generate()),
    ]


def verified(message: bytes, keys: list[Key], index: int = 0) -> bool:
    """Whether a signature stands, with the records in a DNS of our own."""
    records = {f"{key.selector}._domainkey.{key.domain}.": signing.record(key.private).encode() for key in keys}
    looked_up = lambda name, timeout=5: records.get(name.decode())  # noqa: E731
    try:
        return bool(dkim.DKIM(message).verify(idx=index, dnsfunc=looked_up))
    except dkim.ValidationError:
        return False


def test_both_kinds_of_key_are_believed(keys: list[Key]) -> None:
    message = Signer(keys).signed(MAIL, "news@example.org", NOW)
    assert message.count(b"DKIM-Signature:") == 2
    assert verified(message, keys, 0)
    assert verified(message, keys, 1)
    assert message.endswith(MAIL), "nothing else of it is changed"


def test_no_line_of_a_signature_is_long(keys: list[Key]) -> None:
    head = Signer(keys).signed(MAIL, "news@example.org", NOW).removesuffix(MAIL)
    assert max(map(len, head.split(b"\r\n"))) <= 78
    assert re.fullmatch(rb"(?:[!-~][^\r\n]*\r\n(?: [^\r\n]+\r\n)*)+", head)


@pytest.mark.parametrize(
    "change",
    [
        (b"Good morning", b"Good evening"),
        (b"bridge", b"brigde"),
        (b"From: ", b"From: eve@example.net\r\nFrom: "),
        (b"List-Unsubscribe: <https://news", b"List-Unsubscribe: <https://evil"),
        (b"List-Unsubscribe-Post: ", b"X-Removed: "),
        (b"Subject: ", b"Subject: Another\r\nSubject: "),
        (b"To: ann", b"To: bob"),
        (b"MIME-Version: 1.0\r\n", b"MIME-Version: 1.0\r\nAuto-Submitted: auto-replied\r\n"),
        (b"<daily.example.org>", b"<weekly.example.org>"),
        (b"\r\nann@example.org=", b"\r\neve@example.org="),
    ],
    ids=lambda pair: pair[0].decode(),
)
def test_what_is_changed_or_added_on_the_way_is_noticed(keys: list[Key], change: tuple[bytes, bytes]) -> None:
    message = Signer(keys[:1]).signed(MAIL, "news@example.org", NOW)
    changed = message.replace(*change, 1)
    if changed == message:  # quoted-printable may have broken the words
        pytest.fail(f"{change[0]!r} is not in the mail")
    assert not verified(changed, keys)


def test_what_relays_may_do_is_forgiven(keys: list[Key]) -> None:
    message = Signer(keys).signed(MAIL, "news@example.org", NOW)
    refolded = message.replace(b"To: ann@", b"To:   \r\n\tann@").replace(b"Message-ID:", b"MESSAGE-id:")
    traced = b"Received: from a by b; Tue, 3 Mar 2026 06:00:01 +0000\r\n" + refolded
    assert verified(traced, keys, 0)
    assert verified(message + b"\r\n\r\n", keys, 0), "empty lines at the end"


@given(
    subject=st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=200),
    text=st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=400),
)
def test_whatever_is_written_is_signed_rightly(keys: list[Key], subject: str, text: str) -> None:
    letter = Letter(LETTER.sender, subject, text, None, NOW, "never-occurs")
    mail = Message(letter).to(Reader("ann@example.org", "x@example.org"))
    assert verified(Signer(keys[:1]).signed(mail, "news@example.org", NOW), keys)


def test_a_sender_below_the_domain_is_signed_by_its_key_and_others_are_not(keys: list[Key]) -> None:
    signer = Signer(keys)
    assert signer.signed(MAIL, "news@mail.EXAMPLE.org", NOW) != MAIL
    for stranger in ("news@example.net", "news@badexample.org", "news@org"):
        assert signer.signed(MAIL, stranger, NOW) == MAIL
    assert Signer([]).signed(MAIL, "news@example.org", NOW) == MAIL


def test_an_international_domain_is_signed_in_its_ascii_form() -> None:
    key = Key("bücher.example", "s", signing.Ed25519PrivateKey.generate())
    message = Signer([key]).signed(MAIL, "news@bücher.example", NOW)
    assert b"d=xn--bcher-kva.example;" in message


# Keys


def test_a_new_key_is_ours_alone_and_is_never_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "dkim.pem"
    made = signing.generate(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert signing.record(signing.read(file)) == signing.record(made)
    before = file.read_bytes()
    with pytest.raises(DkimKeyExists, match="exists already"):
        signing.generate(file)
    assert file.read_bytes() == before


def test_the_record_of_an_ed25519_key_is_short(tmp_path: Path) -> None:
    made = signing.generate(tmp_path / "e.pem", ed25519=True)
    assert re.fullmatch(r"v=DKIM1; k=ed25519; p=[A-Za-z0-9+/]{43}=", signing.record(made))


def pem(private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, password: bytes = b"") -> bytes:
    how = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)


@pytest.mark.parametrize(
    ("octets", "says"),
    [
        (None, "No such file"),
        (b"", "no private key"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "no private key"),
        (b"\xff\xfe\x00", "no private key"),
        (pem(rsa.generate_private_key(65537, 2048), b"secret"), "no private key"),
        (pem(ec.generate_private_key(ec.SECP256R1())), "neither RSA nor Ed25519"),
    ],
    ids=["missing", "empty", "garbled", "binary", "locked", "elliptic"],
)
def test_a_key_that_cannot_be_used_is_told_in_a_sentence(tmp_path: Path, octets: bytes | None, says: str) -> None:
    file = tmp_path / "dkim.pem"
    if octets is not None:
        file.write_bytes(octets)
    with pytest.raises(DkimKeyUnusable, match=says) as error:
        signing.read(file)
    assert str(file) in str(error.value)


def test_where_no_key_can_be_written_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(DkimKeyUnusable, match="No such file"):
        signing.generate(tmp_path / "nowhere" / "dkim.pem")
