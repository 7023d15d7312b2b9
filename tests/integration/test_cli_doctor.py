"""`newsletter doctor` as an operator sees it: a table that fits the terminal, records to copy, JSON, and a status."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pytest_httpserver import HTTPServer

from newsletter import cli
from newsletter.cli.doctor import WIDTH
from newsletter.mail import signing
from tests.support.clinic import running_relay
from tests.support.hours import far_from_now
from tests.support.name_server import NameServer, running_name_server
from tests.support.office import Office
from tests.support.remembered import forget_connections


@pytest.fixture
def dns() -> Iterator[NameServer]:
    with running_name_server() as server:
        server.says("example.org", "v=spf1 ip4:192.0.2.25 -all")
        server.says("_dmarc.example.org", "v=DMARC1; p=none")
        server.has("25.2.0.192.in-addr.arpa", "PTR", "mail.example.org.")
        server.has("mail.example.org", "A", "192.0.2.25")
        server.has("example.org", "MX", "10 mail.example.org.")
        yield server


@pytest.fixture
def practice(office: Office, dns: NameServer, httpserver: HTTPServer) -> Iterator[Office]:
    """A newsroom whose relay, site and name server are on this machine."""
    sender = ("--from", "post@example.org", "--time", f"{far_from_now():%H:%M}")
    newsroom = office.once("practice", ("newsletters", "add", "post", "--name", "Morning Post", *sender))
    httpserver.expect_request("/healthz").respond_with_data("ok\n")
    with running_relay() as port:
        newsroom.config.write_text(
            f'site_url = "{httpserver.url_for("").rstrip("/")}"\n'
            '[database]\nurl = "sqlite:///newsletter.db"\n'
            f'[mail]\nhost = "127.0.0.1"\nport = {port}\n'
            f'[doctor]\nresolvers = ["{dns.address}"]\nsending_addresses = ["192.0.2.25"]\ntimeout_seconds = 6\n',
            "utf-8",
        )
        yield newsroom


def doctor(office: Office, *words: str, color: bool = False) -> Result:
    """On the machine's own clock, since certificates and name servers know no other."""
    try:
        return CliRunner().invoke(cli.main, ["--config", str(office.config), "doctor", *words], color=color)
    finally:
        forget_connections()


def with_key(office: Office) -> str:
    private = signing.generate(office.folder / "dkim.pem")
    key = '[[mail.dkim]]\ndomain = "example.org"\nselector = "news"\nkey_file = "dkim.pem"\n'
    office.config.write_text(office.config.read_text().replace("[doctor]", f"{key}[doctor]"))
    return signing.record(private)


def test_where_nothing_is_an_error_the_status_is_0(practice: Office) -> None:
    result = doctor(practice)
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    assert "error" not in result.stdout.splitlines()[-1]
    assert "→" in result.stdout, "a warning says what to do"


def test_an_error_ends_with_status_1_and_the_record_stands_on_lines_of_its_own(practice: Office) -> None:
    record = with_key(practice)
    result = doctor(practice)
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert "news._domainkey.example.org. TXT" in lines
    assert record in lines
    assert re.search(r"\b1 error\b", lines[-1])


def test_the_table_fits_eighty_columns_but_for_records(practice: Office) -> None:
    with_key(practice)
    practice.config.write_text(practice.config.read_text() + "\n[pictures]\nfolder = '" + "deep/" * 40 + "'\n")
    lines = doctor(practice).stdout.splitlines()
    wide = [line for line in lines if len(line) > WIDTH]
    assert [line.partition(";")[0] for line in wide] == ["v=DKIM1"]


def test_colours_are_for_terminals(practice: Office) -> None:
    assert "\x1b[" not in doctor(practice).stdout
    assert "\x1b[3" in doctor(practice, color=True).stdout


def test_scripts_get_json_with_the_same_status(practice: Office) -> None:
    record = with_key(practice)
    result = doctor(practice, "--json")
    assert result.exit_code == 1
    findings = json.loads(result.stdout)
    assert {key for one in findings for key in one} == {"check", "status", "message", "remedy", "records"}
    (dkim,) = [one for one in findings if one["check"] == "DKIM"]
    assert dkim["status"] == "error"
    assert dkim["records"] == [{"name": "news._domainkey.example.org.", "type": "TXT", "value": record}]


def test_without_a_config_it_still_answers(bare: Office) -> None:
    bare.config.unlink()
    result = doctor(bare)
    assert (result.exit_code, result.stderr) == (1, "")
    assert "Copy config.example.toml" in " ".join(result.stdout.split())


def test_what_a_stranger_s_record_says_cannot_paint_the_terminal(practice: Office, dns: NameServer) -> None:
    dns.zone["example.org", "TXT"] = ['"v=spf1 \\027[31mred -all"']
    result = doctor(practice)
    assert "\x1b" not in result.stdout
    assert "is no term" in " ".join(result.stdout.split())


def test_each_check_is_explained_in_the_docs(practice: Office) -> None:
    text = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text("utf-8")
    names = {one["check"] for one in json.loads(doctor(practice, "--json").stdout)}
    assert [name for name in sorted(names) if f"| {name} |" not in text] == []
