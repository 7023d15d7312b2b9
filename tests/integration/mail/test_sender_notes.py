"""The scheduler looks at the senders' DNS records, and preflight says what was missing without asking anybody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from newsletter import scheduling
from newsletter.delivery import checking
from newsletter.editions.models import edition
from newsletter.editions.preflight import Kind
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.config import DkimConfig, DoctorConfig, MailConfig, MailTransport, the_config
from newsletter.mail import sender_notes, signing
from newsletter.newsletters import senders, settings
from tests.conftest import BuildHouse, House
from tests.integration.delivery import drafted
from tests.support.name_server import NameServer, running_name_server
from tests.support.newsroom import open_alert_keys

SPF = "v=spf1 ip4:192.0.2.25 -all"
WHOLE = {"postal_address": "1 Main Street, Port Ellery"}


@pytest.fixture
def dns() -> Iterator[NameServer]:
    with running_name_server() as server:
        server.empty.add("example.org")
        yield server


@pytest.fixture
def watched(build_house: BuildHouse, either_database: str, dns: NameServer, tmp_path: Path) -> House:
    """A house with a key, that looks at the records of its senders."""
    file = tmp_path / "dkim.pem"
    signing.generate(file, ed25519=True)
    key = DkimConfig(domain="example.org", selector="news", key_file=file)
    mail = MailConfig(bounce_address="bounces@returns.example.org", dkim=(key,))
    return build_house(either_database, mail=mail, doctor=DoctorConfig(resolvers=(dns.address,)))


def look(house: House) -> int:
    with house.app.app_context():
        return senders.look_round(house.now)


def said(house: House, edition_id: int) -> list[str]:
    with house.app.app_context():
        found = checking.findings(edition(edition_id), house.now)
    return [finding.message for finding in found if finding.kind is Kind.SENDER]


def record_of(house: House) -> str:
    with house.app.app_context():
        (key,) = senders.keys_of(the_config())
    return key.record


def test_preflight_names_what_is_missing_until_it_is_there(watched: House, dns: NameServer) -> None:
    _, edition_id = drafted(watched, **WHOLE)
    assert said(watched, edition_id) == []
    assert look(watched) == 3
    (message,) = said(watched, edition_id)
    assert message.startswith("example.org has no SPF (at returns.example.org), DKIM or DMARC records:")

    dns.says("returns.example.org", SPF)
    dns.says("_dmarc.example.org", "v=DMARC1; p=none")
    assert look(watched) == 1
    (message,) = said(watched, edition_id)
    assert message.startswith("example.org has no DKIM record:")

    dns.says("news._domainkey.example.org", record_of(watched))
    assert look(watched) == 0
    assert said(watched, edition_id) == []
    assert open_alert_keys(watched) == []


def test_staff_are_told_of_each_missing_record_once(watched: House) -> None:
    drafted(watched, **WHOLE)
    for _ in range(3):
        look(watched)
    assert sorted(open_alert_keys(watched)) == [
        "sender-dns:DKIM:example.org",
        "sender-dns:DMARC:example.org",
        "sender-dns:SPF:returns.example.org",
    ]


def test_a_name_server_that_says_nothing_changes_nothing(watched: House, dns: NameServer) -> None:
    _, edition_id = drafted(watched, **WHOLE)
    names = {"example.org", "returns.example.org", "_dmarc.example.org", "news._domainkey.example.org"}
    dns.troubled = set(names)
    assert look(watched) == 0
    assert open_alert_keys(watched) == []
    dns.troubled.clear()
    look(watched)
    dns.troubled = set(names)
    assert look(watched) == 0
    assert len(open_alert_keys(watched)) == 3
    assert said(watched, edition_id) != []


def test_preflight_asks_no_name_server(watched: House, dns: NameServer) -> None:
    _, edition_id = drafted(watched, **WHOLE)
    said(watched, edition_id)
    assert dns.asked == []


def test_where_mails_go_to_a_folder_nobody_is_asked_and_what_was_known_is_over(
    watched: House, dns: NameServer, build_house: BuildHouse, either_database: str
) -> None:
    drafted(watched, **WHOLE)
    look(watched)
    dns.asked.clear()
    doctor = DoctorConfig(resolvers=(dns.address,))
    trying = build_house(either_database, mail=MailConfig(transport=MailTransport.FOLDER), doctor=doctor)
    assert look(trying) == 0
    assert (dns.asked, open_alert_keys(trying)) == ([], [])


def test_an_operator_may_forbid_the_questions(build_house: BuildHouse, sqlite_url: str, dns: NameServer) -> None:
    house = build_house(sqlite_url, doctor=DoctorConfig(resolvers=(dns.address,), watch_senders=False))
    drafted(house, **WHOLE)
    look(house)
    assert dns.asked == []


def test_a_domain_that_nobody_sends_from_any_more_is_forgotten(watched: House, dns: NameServer) -> None:
    drafted(watched, **WHOLE)
    look(watched)
    with watched.app.app_context():
        settings.change(None, watched.now, COMMAND, from_address="news@example.net")
    look(watched)
    keys = open_alert_keys(watched)
    assert "sender-dns:DMARC:example.net" in keys
    assert not [key for key in keys if key.endswith(":example.org")]


def test_a_very_long_domain_has_a_key_that_fits(watched: House) -> None:
    address = "news@" + ".".join(["a" * 60] * 3) + ".example"
    with watched.app.app_context():
        assert sender_notes.records_of(address) is None


def test_the_scheduler_looks_every_few_hours(house: House) -> None:
    (tick,) = [one for one in scheduling.ticks(house.fetcher) if one.name == "senders"]
    assert tick.verb is senders.look_round
    assert tick.seconds >= 3600
