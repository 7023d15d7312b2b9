"""The doctor looks at a real installation: files, databases, a relay with its certificate, a name server, a site."""

from __future__ import annotations

import re
import shutil
import socketserver
import sqlite3
import struct
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from pytest_httpserver import HTTPServer

from newsletter.delivery.models import Shard
from newsletter.editions import publishing
from newsletter.editions.models import Edition, EditionState
from newsletter.foundation import alerts, leases, safety
from newsletter.foundation import config as config_module
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.clock import FixedClock, SystemClock
from newsletter.foundation.database import db, transaction
from newsletter.foundation.errors import NewsletterError
from newsletter.mail import outbox, signing
from newsletter.mail.message import Sender
from newsletter.newsletters import calendar, settings
from newsletter.newsletters.models import Slot
from newsletter.newsletters.settings import NewNewsletter
from newsletter.operations import assembling, doctor
from newsletter.operations.doctor import Finding, Record, Status, examining
from newsletter.operations.doctor.clocks import NTP_EPOCH
from newsletter.operations.doctor.examining import Check
from newsletter.operations.doctor.patient import admit, discharge
from tests.support.certificates import Authority
from tests.support.clinic import PASSWORD, Clinic, running_relay
from tests.support.hours import far_from_now
from tests.support.name_server import NameServer, running_name_server
from tests.support.ports import free_port
from tests.support.remembered import forget_connections

SENDS_FROM = "192.0.2.25"  # a network for examples, which Python does not count among the public ones


@pytest.fixture
def dns() -> Iterator[NameServer]:
    with running_name_server() as server:
        yield server


@pytest.fixture
def site(httpserver: HTTPServer) -> str:
    httpserver.expect_request("/healthz").respond_with_data("ok\n")
    return httpserver.url_for("").rstrip("/")


@pytest.fixture
def bare_clinic(tmp_path: Path, dns: NameServer, site: str) -> Clinic:
    """A config, and nothing that it names but the site."""
    forget_connections()
    clinic = Clinic(tmp_path, {"site_url": site})
    clinic.set("mail", host="127.0.0.1", port=free_port(), bounce_address="bounces@example.org")
    clinic.set("doctor", resolvers=[dns.address], sending_addresses=[SENDS_FROM], timeout_seconds=6)
    return clinic


@pytest.fixture(scope="session")
def whole_folder(memory: Path, sqlite_template: Path) -> Path:
    """Keys and a database with one newsletter, to be copied: to make them takes longer than to look at them."""
    made = Clinic(memory / "clinic")
    made.folder.mkdir()
    shutil.copy(sqlite_template, made.folder / "newsletter.db")
    set_up(made)
    return made.folder


@pytest.fixture
def clinic(bare_clinic: Clinic, whole_folder: Path) -> Iterator[Clinic]:
    """Set up, on SQLite, with one newsletter."""
    shutil.copytree(whole_folder, bare_clinic.folder, dirs_exist_ok=True)
    yield bare_clinic
    forget_connections()


def set_up(clinic: Clinic) -> None:
    config = config_module.load(clinic.write())
    assembling.upgrade(config)
    with assembling.assemble(config).app_context():
        new = NewNewsletter("morning-post", "Morning Post", "post@example.org", "UTC", far_from_now())
        settings.add(new, SystemClock().now(), COMMAND)
    forget_connections()


def whole(dns: NameServer) -> None:
    """Every record that is wanted but DKIM's."""
    dns.says("example.org", f"v=spf1 ip4:{SENDS_FROM} -all")
    dns.says("_dmarc.example.org", "v=DMARC1; p=none; rua=mailto:dmarc@example.org")
    dns.has("25.2.0.192.in-addr.arpa", "PTR", "mail.example.org.")
    dns.has("mail.example.org", "A", SENDS_FROM)
    dns.has("example.org", "MX", "10 mail.example.org.")


def sorted_out(findings: list[Finding]) -> dict[str, set[Status]]:
    found: dict[str, set[Status]] = {}
    for finding in findings:
        found.setdefault(finding.check, set()).add(finding.status)
    return found


def with_key(clinic: Clinic, domain: str = "example.org", *, ed25519: bool = True) -> str:
    """A signing key in the config; gives the record it needs."""
    file = clinic.folder / f"dkim-{domain}.pem"
    private = signing.generate(file, ed25519=ed25519)
    clinic.set("mail", dkim=[{"domain": domain, "selector": "news", "key_file": file.name}])
    return signing.record(private)


# The whole


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def test_of_a_sound_installation_nothing_is_an_error(
    bare_clinic: Clinic, dns: NameServer, kind: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("postgres_url") if kind == "postgresql" else "sqlite:///newsletter.db"
    bare_clinic.set("database", url=url)
    set_up(bare_clinic)
    whole(dns)
    dns.says("news._domainkey.example.org", with_key(bare_clinic))
    with running_relay() as port:
        bare_clinic.set("mail", port=port)
        findings = bare_clinic.examine()
    assert [one for one in findings if one.status is Status.ERROR] == []
    statuses = sorted_out(findings)
    assert list(statuses) == ["config", *(check.name for check in examining.CHECKS)]
    for check in (
        "config",
        "keys",
        "database",
        "relay",
        "SPF",
        "DKIM",
        "DMARC",
        "PTR",
        "MX",
        "site",
        "halts",
        "worker",
    ):
        assert statuses[check] == {Status.OK}, [one for one in findings if one.check == check]


@pytest.mark.parametrize(
    ("begun", "domain", "status", "says"),
    [
        (1, "example.org", Status.OK, "At most 20 copies go out from example.org today, up to 50 on"),
        (3, "example.org", Status.WARNING, "ended on"),
        (-1, "example.org", Status.WARNING, "Until then nothing is limited"),
        (0, "example.net", Status.WARNING, "but mails come from example.org"),
    ],
)
def test_a_plan_for_a_new_domain_is_told_with_where_it_stands(
    clinic: Clinic, begun: int, domain: str, status: Status, says: str
) -> None:
    begins = SystemClock().now().date() - timedelta(days=begun)
    clinic.set("mail.warm_up", domain=domain, begins=begins.isoformat(), plan=[10, 20, 50])
    assert says in only(clinic, "warm-up", status).message


def test_a_plan_that_does_not_grow_is_a_fault_of_the_config(clinic: Clinic) -> None:
    clinic.set("mail.warm_up", domain="example.org", begins="2026-03-02", plan=[20, 10])
    assert "10 comes after 20" in only(clinic, "config", Status.ERROR).message


def only(clinic: Clinic, name: str, status: Status) -> Finding:
    """What one check says, without the others."""
    found = examining.examine(clinic.write(), None, [one for one in examining.CHECKS if one.name == name])
    (finding,) = [one for one in found if one.check == name]
    assert finding.status is status
    return finding


def test_nothing_is_changed_by_looking(clinic: Clinic) -> None:
    def state() -> dict[str, bytes]:
        files = [file for file in clinic.folder.rglob("*") if file.suffix not in (".db-shm", ".db-wal")]
        return {str(file): file.read_bytes() for file in files if file.is_file()}

    clinic.write()
    before = state()
    clinic.examine()
    assert state() == before


def test_no_secret_is_said(clinic: Clinic) -> None:
    clinic.set("mail", username="news", password=PASSWORD)
    clinic.set("database", url=f"postgresql://news:{PASSWORD}@127.0.0.1:{free_port()}/news")
    secrets = [PASSWORD, *(file.read_text().strip() for file in clinic.folder.glob("*.key"))]
    said = repr(clinic.examine())
    assert not [secret for secret in secrets if secret in said]


# Config, keys


def test_without_a_config_the_doctor_says_so_and_what_it_could_not_look_at(tmp_path: Path) -> None:
    first, *others = doctor.examine(tmp_path / "config.toml")
    assert (first.status, "Copy config.example.toml" in first.message) == (Status.ERROR, True)
    assert {one.status for one in others} == {Status.UNKNOWN}


def test_a_file_that_is_no_toml_is_told(clinic: Clinic) -> None:
    clinic.write()
    clinic.file.write_text("[mail\n", "utf-8")
    assert "not TOML" in doctor.examine(clinic.file)[0].message


def test_every_fault_of_a_config_is_told_and_what_is_not_faulty_is_still_looked_at(clinic: Clinic) -> None:
    clinic.set("web", prot=8000)
    clinic.set("mail", security="ssl")
    clinic.set("pictures", folder=7)
    findings = clinic.examine()
    faults = [one.message for one in findings if one.check == "config"]
    assert len(faults) == 3
    assert any("line" in fault and "web.prot: unknown key" in fault for fault in faults)
    statuses = sorted_out(findings)
    assert statuses["relay"] == statuses["SPF"] == statuses["disk"] == {Status.UNKNOWN}
    assert statuses["halts"] == statuses["site"] == {Status.OK}


def test_a_variable_that_is_wrong_is_told(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEWSLETTER_WEB__PORT", "many")
    assert "web.port" in clinic.says("config")[0].message


@pytest.mark.parametrize(("mode", "status"), [(0o600, Status.OK), (0o640, Status.WARNING), (0o644, Status.ERROR)])
def test_a_key_that_others_can_read_is_told(clinic: Clinic, mode: int, status: Status) -> None:
    (clinic.folder / "secret.key").chmod(mode)
    (finding,) = clinic.says("keys")
    assert finding.status is status
    assert finding.remedy == ("" if status is Status.OK else f"Run: chmod 600 {clinic.folder / 'secret.key'}")


def test_each_missing_key_is_told_by_itself(clinic: Clinic) -> None:
    for name in ("secret.key", "suppression.key"):
        (clinic.folder / name).unlink()
    clinic.set("mail", dkim=[{"domain": "example.org", "selector": "a", "key_file": "gone.pem"}])
    messages = [one.message for one in clinic.says("keys")]
    assert [("secret.key" in one, "suppression.key" in one, "gone.pem" in one) for one in messages] == [
        (True, False, False),
        (False, True, False),
        (False, False, True),
    ]


def test_the_suppression_key_of_another_installation_is_told(clinic: Clinic) -> None:
    (clinic.folder / "suppression.key").write_text("x" * 64 + "\n")
    assert "not the one" in clinic.one("keys", Status.ERROR).message


def test_a_password_file_that_is_missing_or_open_is_told(clinic: Clinic) -> None:
    clinic.set("mail", username="news", password_file="relay.password")
    assert "relay.password" in clinic.one("config", Status.ERROR).message
    (clinic.folder / "relay.password").write_text(PASSWORD)
    (clinic.folder / "relay.password").chmod(0o604)
    assert "relay.password" in clinic.one("keys", Status.ERROR).message


# Database


def test_before_the_database_is_made_the_way_to_it_is_told_and_no_file_appears(bare_clinic: Clinic) -> None:
    finding = bare_clinic.one("database", Status.ERROR)
    assert finding.remedy == "Run: newsletter db upgrade"
    assert list(bare_clinic.folder.glob("*.db*")) == []


def test_a_database_server_that_is_away_hides_nothing_else(clinic: Clinic, dns: NameServer) -> None:
    whole(dns)
    clinic.set("database", url=f"postgresql://news@127.0.0.1:{free_port()}/news")
    statuses = sorted_out(clinic.examine())
    assert (statuses["database"], statuses["scheduler"]) == ({Status.ERROR}, {Status.UNKNOWN})
    assert statuses["SPF"] == statuses["MX"] == statuses["site"] == {Status.OK}


def test_tables_of_another_version_are_told(clinic: Clinic) -> None:
    with sqlite3.connect(clinic.folder / "newsletter.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '0001'")
        database.execute("DROP TABLE leases")
    database.close()
    findings = clinic.examine()
    assert sorted_out(findings)["database"] == {Status.ERROR}
    assert sorted_out(findings)["scheduler"] == {Status.UNKNOWN}


def test_a_file_that_is_no_database_is_told(bare_clinic: Clinic) -> None:
    (bare_clinic.folder / "newsletter.db").write_bytes(b"hello" * 1000)
    statuses = sorted_out(bare_clinic.examine())
    assert statuses["database"] == {Status.ERROR}


def test_a_journal_that_is_no_write_ahead_log_is_a_warning(clinic: Clinic) -> None:
    database = sqlite3.connect(clinic.folder / "newsletter.db")
    database.execute("PRAGMA journal_mode=DELETE")
    database.close()
    assert "“delete”" in clinic.one("database", Status.WARNING).message


# The relay


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """Trusted by this machine for the length of a test."""
    made = Authority(tmp_path, SystemClock().now())
    monkeypatch.setenv("SSL_CERT_FILE", str(made.file))
    return made


def messages(findings: list[Finding]) -> str:
    return " ".join(f"{one.message} {one.remedy}" for one in findings)


@pytest.mark.parametrize("how", ["starttls", "tls"])
def test_a_relay_with_a_good_certificate_and_login_is_fine_and_says_what_it_offers(
    clinic: Clinic, authority: Authority, how: str
) -> None:
    with running_relay(**{how: authority.server(days=90.5)}, login=True) as port:  # type: ignore[arg-type]
        clinic.set("mail", port=port, security=how, username="news", password=PASSWORD)
        findings = clinic.says("relay")
    assert {one.status for one in findings} == {Status.OK}
    said = messages(findings)
    assert "takes the login of news" in said
    assert "90 more days" in said
    assert "SIZE 20,000,000, 8BITMIME and SMTPUTF8, and not PIPELINING" in said


@pytest.mark.parametrize("how", ["starttls", "tls"])
@pytest.mark.parametrize(
    ("server", "words"),
    [
        ({"days": -1}, "its certificate has expired"),
        ({"address": "127.0.0.9"}, "its certificate is for another name"),
        ({"since": -10}, "its certificate is not valid yet"),
    ],
)
def test_a_certificate_that_is_wrong_is_told_in_words(
    clinic: Clinic, authority: Authority, how: str, server: dict[str, object], words: str
) -> None:
    with running_relay(**{how: authority.server(**server)}) as port:  # type: ignore[arg-type]
        clinic.set("mail", port=port, security=how)
        finding = clinic.one("relay", Status.ERROR)
    assert words in finding.message
    assert "none is lost" in finding.remedy


def test_a_certificate_that_nobody_vouches_for_is_told(clinic: Clinic, tmp_path: Path) -> None:
    stranger = Authority(tmp_path, SystemClock().now())
    with running_relay(starttls=stranger.server()) as port:
        clinic.set("mail", port=port, security="starttls")
        assert "nobody whom this machine trusts" in clinic.one("relay", Status.ERROR).message


def test_a_certificate_that_ends_in_a_week_is_a_warning(clinic: Clinic, authority: Authority) -> None:
    with running_relay(starttls=authority.server(days=7.5)) as port:
        clinic.set("mail", port=port, security="starttls")
        assert "7 more days" in clinic.one("relay", Status.WARNING).message


def test_a_wrong_password_is_told_and_not_said(clinic: Clinic, authority: Authority) -> None:
    with running_relay(starttls=authority.server(), login=True) as port:
        clinic.set("mail", port=port, security="starttls", username="news", password="wrong-password-9")
        findings = clinic.examine()
    (finding,) = [one for one in findings if one.check == "relay" and one.status is Status.ERROR]
    assert "does not take the login of news: it said 535" in finding.message
    assert "wrong-password-9" not in repr(findings)


def test_a_relay_without_starttls_is_told(clinic: Clinic) -> None:
    with running_relay() as port:
        clinic.set("mail", port=port, security="starttls")
        assert "cannot be trusted: STARTTLS" in clinic.one("relay", Status.ERROR).message


def test_a_relay_that_is_away_is_told(clinic: Clinic) -> None:
    assert "cannot be used: Connection refused" in clinic.one("relay", Status.ERROR).message


def test_a_password_over_an_open_line_is_a_warning(clinic: Clinic) -> None:
    clinic.set("mail", host="relay.invalid", port=587, username="news", password=PASSWORD)
    assert "reads the password and all mails" in clinic.one("relay", Status.WARNING).message


Talk = Callable[[socketserver.BaseRequestHandler], None]


@pytest.fixture
def talking() -> Iterator[Callable[[Talk], int]]:
    """A server that talks as a test wants; gives its port. What still talks when the test is over is hung up on."""
    servers: list[socketserver.ThreadingTCPServer] = []

    def start(talk: Talk) -> int:
        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                talk(self)

        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return int(server.server_address[1])

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_relay_that_says_nothing_or_nonsense_or_no_end_is_told_and_holds_nothing_up(
    clinic: Clinic, talking: Callable[[Talk], int]
) -> None:
    over = threading.Event()
    talks: dict[str, Talk] = {
        "did not answer in time": lambda handler: over.wait(60) and None,
        "it closed the connection": lambda handler: handler.request.close(),
        "it said 554 go away": lambda handler: handler.request.sendall(b"554 go away\r\n"),
        "cannot be used": lambda handler: handler.request.sendall(b"\xff\x00" * 100_000),
    }
    clinic.set("doctor", timeout_seconds=30)  # whoever held it up for longer would be "not known"
    try:
        for words, talk in talks.items():
            clinic.set("mail", port=talking(talk), timeout_seconds=1)
            assert words in messages(clinic.says("relay")), words
    finally:
        over.set()


def test_a_relay_that_repeats_the_password_does_not_make_the_doctor_say_it(
    clinic: Clinic, talking: Callable[[Talk], int]
) -> None:
    def talk(handler: socketserver.BaseRequestHandler) -> None:
        handler.request.sendall(b"220 hello\r\n")
        file = handler.request.makefile("rb")
        for line in file:
            if line.startswith(b"EHLO"):
                handler.request.sendall(b"250-hello\r\n250 AUTH PLAIN\r\n")
            else:
                handler.request.sendall(f"535 no, {PASSWORD} is wrong\r\n".encode())

    clinic.set("mail", port=talking(talk), username="news", password=PASSWORD)
    said = messages(clinic.says("relay"))
    assert "no, … is wrong" in said
    assert PASSWORD not in said


def test_mails_that_go_to_a_folder_are_a_warning_and_the_dns_is_not_asked(clinic: Clinic, dns: NameServer) -> None:
    clinic.set("mail", transport="folder")
    statuses = sorted_out(clinic.examine())
    assert statuses["relay"] == {Status.WARNING}
    assert statuses["SPF"] == statuses["DMARC"] == statuses["PTR"] == statuses["MX"] == {Status.UNKNOWN}
    assert dns.asked == []


# The DNS


def test_without_any_record_each_is_told_with_the_one_to_add(clinic: Clinic, dns: NameServer) -> None:
    dns.empty.add("example.org")
    key = with_key(clinic, ed25519=False)
    findings = clinic.examine()
    records = {one.check: one.records for one in findings if one.records}
    assert records == {
        "SPF": (Record("example.org.", "TXT", f"v=spf1 ip4:{SENDS_FROM} ~all"),),
        "DKIM": (Record("news._domainkey.example.org.", "TXT", key),),
        "DMARC": (Record("_dmarc.example.org.", "TXT", "v=DMARC1; p=none; rua=mailto:postmaster@example.org"),),
    }
    assert {one.check for one in findings if one.status is Status.ERROR} >= {"SPF", "DKIM", "PTR", "MX"}


def test_a_name_that_nobody_has_and_a_server_that_cannot_tell_are_told_apart(clinic: Clinic, dns: NameServer) -> None:
    with_key(clinic)
    assert "Nobody has the name example.org" in clinic.one("SPF", Status.ERROR).message
    dns.troubled |= {"example.org", "_dmarc.example.org", "news._domainkey.example.org", "25.2.0.192.in-addr.arpa"}
    findings = clinic.examine()
    for check in ("SPF", "DKIM", "DMARC", "PTR", "MX"):
        (finding,) = [one for one in findings if one.check == check]
        assert (finding.status, "SERVFAIL" in messages([finding])) == (Status.UNKNOWN, True), finding
        assert finding.records == ()


def test_a_silent_name_server_is_not_taken_for_missing_records_and_the_doctor_is_soon_done(
    clinic: Clinic, dns: NameServer
) -> None:
    dns.silent |= {"example.org", "_dmarc.example.org", "25.2.0.192.in-addr.arpa"}
    clinic.set("doctor", timeout_seconds=2)
    began = time.monotonic()
    statuses = sorted_out(clinic.examine())
    assert time.monotonic() - began < 10
    assert statuses["SPF"] == statuses["DMARC"] == statuses["PTR"] == statuses["MX"] == {Status.UNKNOWN}


@pytest.mark.parametrize(
    ("record", "status", "words"),
    [
        (f"v=spf1 ip4:{SENDS_FROM} -all", Status.OK, f"example.org lets {SENDS_FROM} send (ip4:{SENDS_FROM})"),
        ("v=spf1 ip4:198.51.100.1 -all", Status.ERROR, "does not let 192.0.2.25 send (fail, -all)"),
        ("v=spf1 include:gone.test -all", Status.ERROR, "gone.test, which has no SPF record"),
        ("v=spf1 +all", Status.WARNING, "lets everybody send"),
        ("v=spf1 exists:%{l}.example.org -all", Status.UNKNOWN, "different in each mail"),
    ],
)
def test_an_spf_record_is_judged(clinic: Clinic, dns: NameServer, record: str, status: Status, words: str) -> None:
    dns.says("example.org", record)
    assert words in clinic.one("SPF", status).message


def test_a_record_that_lacks_the_address_is_printed_as_it_should_be(clinic: Clinic, dns: NameServer) -> None:
    dns.says("example.org", "v=spf1 mx -all")
    (record,) = clinic.one("SPF", Status.ERROR).records
    assert record.value == f"v=spf1 ip4:{SENDS_FROM} mx -all"


def test_two_spf_records_are_an_error(clinic: Clinic, dns: NameServer) -> None:
    dns.says("example.org", "v=spf1 -all")
    dns.says("example.org", "v=spf1 mx -all")
    assert "2 SPF records" in clinic.one("SPF", Status.ERROR).message


def test_behind_a_relay_next_door_nobody_knows_the_address_and_the_doctor_says_so(
    clinic: Clinic, dns: NameServer
) -> None:
    whole(dns)
    clinic.set("doctor", sending_addresses=[])
    for check in ("SPF", "PTR"):
        assert "sending_addresses" in clinic.one(check, Status.UNKNOWN).remedy


def test_a_relay_elsewhere_may_send_from_another_address_so_that_is_a_warning_only(
    clinic: Clinic, dns: NameServer
) -> None:
    whole(dns)
    dns.has("relay.invalid", "A", "8.8.4.4")
    clinic.set("doctor", sending_addresses=[])
    clinic.set("mail", host="relay.invalid")
    assert "does not name the relay's address 8.8.4.4" in clinic.one("SPF", Status.WARNING).message
    assert "has no name (PTR)" in clinic.one("PTR", Status.WARNING).message


def test_the_record_of_another_key_is_an_error_with_the_right_one_beside_it(clinic: Clinic, dns: NameServer) -> None:
    record = with_key(clinic)
    dns.says("news._domainkey.example.org", record.replace("p=", "p=AAAA"))
    finding = clinic.one("DKIM", Status.ERROR)
    assert "another key" in finding.message
    assert finding.records[0].value == record


def test_a_key_that_is_being_tried_is_a_warning(clinic: Clinic, dns: NameServer) -> None:
    dns.says("news._domainkey.example.org", with_key(clinic).replace("; p=", "; t=y; p="))
    assert "t=y" in clinic.one("DKIM", Status.WARNING).message


def test_a_long_rsa_record_is_read_whole(clinic: Clinic, dns: NameServer) -> None:
    dns.says("news._domainkey.example.org", with_key(clinic, ed25519=False))
    clinic.one("DKIM", Status.OK)


def test_a_sender_whom_no_key_signs_for_is_told(clinic: Clinic) -> None:
    with_key(clinic, "example.net")
    assert "Mails from post@example.org are not signed" in clinic.one("DKIM", Status.WARNING).message


@pytest.mark.parametrize(
    ("policy", "bounces", "key", "status"),
    [
        ("reject", "b@example.org", None, Status.OK),
        ("reject", "b@bounces.example.org", None, Status.OK),
        ("reject; aspf=s", "b@bounces.example.org", None, Status.ERROR),
        ("reject", "b@example.net", "example.org", Status.OK),
        ("reject", "b@example.net", None, Status.ERROR),
        ("none", "b@example.net", None, Status.WARNING),
    ],
)
def test_dmarc_asks_that_somebody_stands_for_the_sender(
    clinic: Clinic, dns: NameServer, policy: str, bounces: str, key: str | None, status: Status
) -> None:
    dns.says("_dmarc.example.org", f"v=DMARC1; p={policy}")
    clinic.set("mail", bounce_address=bounces)
    if key:
        with_key(clinic, key)
    assert "example.org asks for p=" in clinic.one("DMARC", status).message


def test_the_name_to_give_an_address_is_the_relay_s_where_it_has_one(clinic: Clinic) -> None:
    clinic.set("mail", host="relay.invalid")
    (record,) = clinic.one("PTR", Status.ERROR).records
    assert record == Record("25.2.0.192.in-addr.arpa.", "PTR", "relay.invalid.")


def test_a_key_that_cannot_be_read_hides_no_other(clinic: Clinic, dns: NameServer) -> None:
    dns.says("news._domainkey.example.org", with_key(clinic))
    (clinic.folder / "broken.pem").write_text("no key")
    mail = clinic.sections["mail"]
    assert isinstance(mail, dict)
    mail["dkim"].append({"domain": "example.org", "selector": "old", "key_file": "broken.pem"})
    findings = clinic.examine()
    assert sorted_out(findings)["DKIM"] == {Status.OK, Status.UNKNOWN}
    assert "broken.pem" in messages([one for one in findings if one.check == "keys"])


def test_a_name_that_does_not_lead_back_is_an_error(clinic: Clinic, dns: NameServer) -> None:
    dns.has("25.2.0.192.in-addr.arpa", "PTR", "mail.example.org.")
    dns.has("mail.example.org", "A", "192.0.2.99")
    assert clinic.one("PTR", Status.ERROR).records == (Record("mail.example.org.", "A", SENDS_FROM),)


@pytest.mark.parametrize(
    ("records", "status", "words"),
    [
        ({("example.org", "MX"): ["0 ."]}, Status.ERROR, "takes no mail"),
        ({("example.org", "MX"): ["5 gone.example.org."]}, Status.ERROR, "no such machine"),
        ({("example.org", "A"): ["192.0.2.1"]}, Status.OK, "the machine of that name"),
        ({("example.org", "TXT"): ['"hello"']}, Status.ERROR, "Nobody takes mail"),
    ],
)
def test_bounces_must_be_taken_by_somebody(
    clinic: Clinic, dns: NameServer, records: dict[tuple[str, str], list[str]], status: Status, words: str
) -> None:
    dns.zone.update(records)
    assert words in clinic.one("MX", status).message


# The site


def test_a_site_that_is_something_else_or_sends_on_or_is_away_is_told(clinic: Clinic, httpserver: HTTPServer) -> None:
    httpserver.clear()
    httpserver.expect_request("/other/healthz").respond_with_data("<html>")
    httpserver.expect_request("/moved/healthz").respond_with_data(
        "", status=301, headers={"Location": "https://www.example.org/healthz"}
    )
    base = httpserver.url_for("").rstrip("/")
    clinic.sections["site_url"] = f"{base}/other"
    assert "something else answers (200)" in clinic.one("site", Status.ERROR).message
    clinic.sections["site_url"] = f"{base}/moved"
    assert "on to www.example.org" in clinic.one("site", Status.WARNING).message
    clinic.sections["site_url"] = f"http://127.0.0.1:{free_port()}"
    assert "nobody listens there" in clinic.one("site", Status.ERROR).message


@pytest.mark.parametrize(("days", "status"), [(90.5, Status.OK), (5.5, Status.WARNING), (-1, Status.ERROR)])
def test_the_site_s_certificate_is_looked_at(clinic: Clinic, authority: Authority, days: float, status: Status) -> None:
    with HTTPServer(ssl_context=authority.server(days=days)) as server:
        server.expect_request("/healthz").respond_with_data("ok\n")
        clinic.sections["site_url"] = f"https://127.0.0.1:{server.port}"
        finding = next(one for one in clinic.says("site") if one.status is status and "certificate" in one.message)
    assert ("expired" in finding.message) == (days < 0)


# Clock


def ntp(ahead: float) -> Talk:
    def answer(handler: socketserver.BaseRequestHandler) -> None:
        question, socket = handler.request
        whole, part = divmod(time.time() + ahead + NTP_EPOCH, 1)
        head = bytes([0x24, 2]) + bytes(22)
        socket.sendto(
            head + question[40:48] + bytes(8) + struct.pack(">II", int(whole), int(part * 2**32)),
            handler.client_address,
        )

    return answer


@pytest.mark.parametrize(("ahead", "status"), [(0, Status.OK), (30, Status.WARNING), (-3600, Status.ERROR)])
def test_the_clock_is_compared_with_a_time_server(clinic: Clinic, ahead: float, status: Status) -> None:
    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            ntp(ahead)(self)

    with socketserver.UDPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        clinic.set("doctor", time_source=f"ntp://127.0.0.1:{server.server_address[1]}")
        findings = clinic.says("clock")
        server.shutdown()
        thread.join()
    (finding,) = [one for one in findings if "127.0.0.1" in one.message]
    assert finding.status is status


def test_the_clock_is_compared_with_a_page_s_date(clinic: Clinic, talking: Callable[[Talk], int]) -> None:
    late = f"{SystemClock().now() - timedelta(hours=2):%a, %d %b %Y %H:%M:%S GMT}"
    said = f"HTTP/1.1 204 No Content\r\nDate: {late}\r\n\r\n".encode()
    clinic.set("doctor", time_source=f"http://127.0.0.1:{talking(lambda handler: handler.request.sendall(said))}/")
    said_so = clinic.one("clock", Status.ERROR).message
    assert re.search(r"7,2\d\d seconds ahead of that of", said_so), f"two hours, and what this test took: {said_so}"


def test_a_time_source_that_says_nothing_is_no_fault_of_the_clock(clinic: Clinic) -> None:
    clinic.set("doctor", time_source=f"http://127.0.0.1:{free_port()}/")
    assert "did not tell the time" in clinic.one("clock", Status.UNKNOWN).message


# The service


def act(clinic: Clinic, does: Callable[[datetime], object]) -> None:
    """Something happens in the installation."""
    with assembling.assemble(config_module.load(clinic.write())).app_context(), transaction():
        does(SystemClock().now())
    forget_connections()


def test_a_halt_is_an_error_with_what_ends_it(clinic: Clinic) -> None:
    act(clinic, lambda now: safety.halt("the clock jumped.", now))
    assert clinic.one("halts", Status.ERROR).remedy == safety.REMEDY


def test_a_scheduler_that_fell_silent_is_an_error_and_one_that_lives_is_not(clinic: Clinic) -> None:
    clinic.one("scheduler", Status.WARNING)
    act(clinic, lambda now: leases.take_or_renew(safety.SCHEDULER, "x", now, timedelta(seconds=30)))
    clinic.one("scheduler", Status.OK)
    clinic.write()
    later = FixedClock(SystemClock().now() + timedelta(minutes=10))
    findings = doctor.examine(clinic.file, later)
    assert [one.status for one in findings if one.check == "scheduler"] == [Status.ERROR]


def test_of_a_demo_s_scheduler_nothing_is_claimed(clinic: Clinic) -> None:
    clinic.set("demo", clock_file="clock.json")
    clinic.one("scheduler", Status.UNKNOWN)


def test_what_is_due_is_no_trouble_while_somebody_works_at_a_large_edition(clinic: Clinic) -> None:
    def sending(now: datetime, lease_until: datetime | None) -> None:
        db.session.execute(sa.delete(Shard))
        edition = db.session.scalar(sa.select(Edition)) or _edition(now)
        edition.state = EditionState.SENDING
        due, numbers = now - timedelta(hours=1), (1, 2)
        db.session.add_all(Shard(edition_id=edition.id, number=number, due_at=due) for number in numbers)
        db.session.flush()
        db.session.execute(sa.update(Shard).where(Shard.number == 1).values(lease_until=lease_until))

    act(clinic, lambda now: sending(now, None))
    assert "2 parts of editions waited" in clinic.one("worker", Status.ERROR).message
    act(clinic, lambda now: sending(now, now + timedelta(minutes=1)))
    clinic.one("worker", Status.OK)


def _edition(now: datetime) -> Edition:
    slot = db.session.scalars(sa.select(Slot)).one()
    moments = calendar.next_schedule(now, slot.local_time, slot.zone, 45, "1234567", ())
    assert moments is not None
    return publishing.plan(slot.newsletter_id, slot.id, moments, now)


def test_mails_that_wait_tell_that_nobody_works(clinic: Clinic) -> None:
    sender = Sender("Morning Post", "post@example.org")
    act(clinic, lambda now: outbox.put("confirm", to="ann@example.org", sender=sender, now=now - timedelta(hours=1)))
    assert "1 mail waited" in clinic.one("worker", Status.ERROR).message


def test_a_newsletter_without_sources_and_an_open_alert_are_warnings(clinic: Clinic) -> None:
    act(clinic, lambda now: alerts.raise_("x", "The disk hums.", "Listen to it.", now))
    assert "collects no source" in clinic.one("sources", Status.WARNING).message
    finding = clinic.one("alerts", Status.WARNING)
    assert (finding.message, finding.remedy) == ("The disk hums.", "Listen to it.")


def test_rows_that_should_be_gone_are_a_warning(clinic: Clinic) -> None:
    def long_ago(now: datetime) -> None:
        alerts.raise_("x", "Something.", "", now - timedelta(days=100))
        alerts.resolve("x", now - timedelta(days=99))

    act(clinic, long_ago)
    assert "1 row should" in clinic.one("retention", Status.WARNING).message


# Apart from each other


def test_a_check_that_breaks_or_hangs_hides_no_other(clinic: Clinic) -> None:
    over = threading.Event()

    def breaks(*_: object) -> list[Finding]:
        raise ZeroDivisionError(PASSWORD)

    def hangs(*_: object) -> list[Finding]:
        over.wait(60)
        return []

    checks = (Check("broken", breaks), Check("hanging", hangs), *examining.CHECKS)
    clinic.set("doctor", timeout_seconds=3)
    began = time.monotonic()
    try:
        findings = examining.examine(clinic.write(), checks=checks)
    finally:
        over.set()
    assert time.monotonic() - began < 10
    statuses = sorted_out(findings)
    assert statuses["broken"] == statuses["hanging"] == {Status.UNKNOWN}
    assert statuses["site"] == {Status.OK}
    assert PASSWORD not in repr(findings)


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def test_what_a_check_reads_by_it_cannot_write(bare_clinic: Clinic, kind: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue("postgres_url") if kind == "postgresql" else "sqlite:///newsletter.db"
    bare_clinic.set("database", url=url)
    set_up(bare_clinic)
    patient = admit(bare_clinic.write())
    try:
        with pytest.raises(NewsletterError, match=r"read-?only"), patient.database():
            db.session.execute(sa.text("DELETE FROM slots"))
    finally:
        discharge(patient)


def test_it_may_be_asked_while_nobody_may_write(clinic: Clinic) -> None:
    """Another process is in the middle of writing."""
    writer = sqlite3.connect(clinic.folder / "newsletter.db", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    try:
        assert sorted_out(clinic.examine())["database"] == {Status.OK}
    finally:
        writer.execute("ROLLBACK")
        writer.close()
