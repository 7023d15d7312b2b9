"""Whether the record at a key's name is that of our key."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from newsletter.mail import dkim_records, signing
from newsletter.mail.dkim_records import Fit, judge


@pytest.fixture(scope="module")
def rsa(tmp_path_factory: pytest.TempPathFactory) -> signing.PrivateKey:
    return signing.generate(tmp_path_factory.mktemp("keys") / "rsa.pem")


@pytest.mark.parametrize("ed25519", [False, True])
def test_the_record_that_the_command_prints_fits(tmp_path: Path, ed25519: bool) -> None:
    record = signing.record(signing.generate(tmp_path / "key.pem", ed25519=ed25519))
    assert judge([record], record).fit is Fit.FITS
    assert judge([record.replace("; ", ";") + " ;"], record).fit is Fit.FITS
    assert judge([record.replace("p=", "t=y:s; n=ours; p= ")], record).testing
    assert judge([record.replace("p=", "p= \t").replace("A", "A ")], record).fit is Fit.FITS


@pytest.mark.parametrize(
    ("change", "fit"),
    [
        (("v=DKIM1; ", ""), Fit.FITS),
        (("k=rsa; ", ""), Fit.FITS),
        (("k=rsa", "k=ed25519"), Fit.OTHER),
        (("v=DKIM1", "v=DKIM2"), Fit.BROKEN),
        (("v=DKIM1; k=rsa", "k=rsa; v=DKIM1"), Fit.BROKEN),
        (("k=rsa", "h=sha1"), Fit.BROKEN),
        (("k=rsa", "h=sha1:sha256"), Fit.FITS),
        (("k=rsa", "s=tlsrpt"), Fit.BROKEN),
        (("k=rsa", "s=email"), Fit.FITS),
        (("p=", "q="), Fit.BROKEN),
        (("p=", "p=$"), Fit.BROKEN),
        (("k=rsa", "p=AAAA"), Fit.BROKEN),
    ],
)
def test_what_is_wrong_with_a_record_is_told(rsa: signing.PrivateKey, change: tuple[str, str], fit: Fit) -> None:
    record = signing.record(rsa)
    judged = judge([record.replace(*change)], record)
    assert judged.fit is fit
    assert bool(judged.why) == (fit is not Fit.FITS)


def test_another_key_a_revoked_one_and_several_are_told_apart(rsa: signing.PrivateKey, tmp_path: Path) -> None:
    ours, other = signing.record(rsa), signing.record(signing.generate(tmp_path / "other.pem"))
    assert judge([other], ours).fit is Fit.OTHER
    assert judge(["v=DKIM1; p="], ours).fit is Fit.REVOKED
    assert judge([ours, other], ours).fit is Fit.SEVERAL
    assert judge([ours[:200]], ours).fit in (Fit.OTHER, Fit.BROKEN)


def test_an_rsa_key_may_be_written_without_saying_that_it_is_one(rsa: signing.PrivateKey) -> None:
    """RFC 6376, erratum 3017."""
    bare = rsa.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    assert judge([f"v=DKIM1; p={base64.b64encode(bare).decode()}"], signing.record(rsa)).fit is Fit.FITS


@given(st.lists(st.text(max_size=300), min_size=1, max_size=3))
def test_whatever_stands_there_it_is_judged_and_never_taken_for_ours(records: list[str]) -> None:
    ours = "v=DKIM1; k=rsa; p=" + base64.b64encode(bytes(range(200))).decode()
    assert judge(records, ours).fit is not Fit.FITS


@given(st.text(max_size=100) | st.from_regex(r"([a-z]=[a-z0-9 ]*;){0,6}", fullmatch=True))
def test_a_list_of_tags_is_read_or_refused(text: str) -> None:
    tags = dkim_records.tags_of(text)
    assert tags is None or all(name.isascii() and name for name in tags)
