"""Keys are made at the command line, named in the config, and sign every mail that leaves."""

from __future__ import annotations

import re
from pathlib import Path

import dkim
import pytest

from newsletter.foundation.config import DkimConfig, MailConfig
from newsletter.mail import signing
from tests.conftest import BuildHouse
from tests.integration.subscribers import ANN, became_reader
from tests.support import newsroom
from tests.support.inbox import Inbox
from tests.support.office import Office


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_every_mail_is_signed_by_the_key_of_its_sender(
    build_house: BuildHouse, either_database: str, inbox: Inbox, tmp_path: Path, kind: str
) -> None:
    file = tmp_path / "key.pem"
    private = signing.generate(file, ed25519=kind == "ed25519")
    keys = (DkimConfig(domain="example.org", selector="s1", key_file=file),)
    house = build_house(either_database, mail=MailConfig(host=inbox.host, port=inbox.port, dkim=keys))
    record = signing.record(private).encode()
    paper, _ = newsroom.sending(house, "bob@example.org")
    house.work()
    became_reader(house, ANN, paper.slug)
    mails = house.inbox.mails
    assert len(mails) >= 3, "an edition, a confirmation and a welcome"
    for mail in mails:
        names = []

        def looked_up(name: bytes, timeout: int = 5, names: list[bytes] = names) -> bytes:
            names.append(name)
            return record

        assert dkim.verify(mail.octets, dnsfunc=looked_up), mail.subject
        assert names == [b"s1._domainkey.example.org."]
        signed = re.search(rb"h=(.*?);", mail.octets.replace(b"\r\n ", b" "))
        assert signed
        if mail.message["List-Unsubscribe"]:
            assert b"list-unsubscribe:" in signed[1].replace(b" ", b"")
            assert b"list-unsubscribe-post:" in signed[1].replace(b" ", b"")


def test_a_key_is_made_and_what_the_command_says_is_a_config_that_works(office: Office) -> None:
    said = office.says("dkim", "generate", "--domain", "example.org", "--selector", "s2026")
    assert "s2026._domainkey.example.org." in said
    record = re.search(r"v=DKIM1; k=rsa; p=\S+", said)
    assert record
    lines = [line.strip() for line in said.splitlines() if line.startswith("   ") and "_domainkey" not in line]
    config = "\n".join(line for line in lines if not line.startswith("v=DKIM1"))
    office.config.write_text(f"{office.config.read_text()}\n{config}\n")
    assert office.says("newsletters", "list")
    key = office.folder / "dkim-s2026-example.org.pem"
    assert signing.record(signing.read(key)) == record[0]


def test_what_is_in_the_way_of_a_key_is_told_and_nothing_is_lost(office: Office) -> None:
    office.says("dkim", "generate", "--domain", "example.org")
    before = (office.folder / "dkim-news-example.org.pem").read_bytes()
    assert "exists already" in office.fails("dkim", "generate", "--domain", "example.org")
    assert (office.folder / "dkim-news-example.org.pem").read_bytes() == before
    for domain in ("../../etc", "example", "a b.org", "x@example.org"):
        result = office.run("dkim", "generate", "--domain", domain)
        assert result.exit_code == 2, domain
        assert "no name for a DNS record" in result.stderr


def test_a_service_whose_key_is_gone_does_not_start(office: Office) -> None:
    lines = '\n[[mail.dkim]]\ndomain = "example.org"\nselector = "news"\nkey_file = "gone.pem"\n'
    office.config.write_text(office.config.read_text() + lines)
    assert "The DKIM key" in office.fails("newsletters", "list")
