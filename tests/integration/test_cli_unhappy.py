"""Each of these fails until its bug is mended; see the report."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from newsletter.mail import suppression
from tests.integration.subscribers import ANN
from tests.integration.test_cli import Office, as_process, bare, feed, newsroom, office
from tests.support.ports import free_port

__all__ = ["bare", "feed", "newsroom", "office"]


@pytest.mark.parametrize("url", ["nonsense", "", "mysql://a:b@127.0.0.1/c", "sqlite3:///a.db"])
def test_a_database_address_that_is_none_is_told_with_its_key_and_line(office: Office, url: str) -> None:
    """a traceback."""
    office.config.write_text(f'[database]\nurl = "{url}"\n', "utf-8")
    assert "line 2: database.url: " in office.fails("db", "check")


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_the_usual_postgresql_address_works(office: Office, scheme: str) -> None:
    """a traceback, ModuleNotFoundError: No module named 'psycopg2'."""
    office.config.write_text(f'[database]\nurl = "{scheme}://a:b@127.0.0.1:{free_port()}/c"\n', "utf-8")
    assert "The database does not answer" in office.fails("db", "check")


def test_a_section_in_the_environment_is_told_in_one_line(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """a traceback, pydantic_settings SettingsError."""
    monkeypatch.setenv("NEWSLETTER_DATABASE", "sqlite:///newsletter.db")
    assert "database" in office.fails("db", "check")


def test_a_file_that_is_no_database_is_told_in_one_line(office: Office) -> None:
    """a traceback, sqlite3.DatabaseError."""
    for file in office.folder.glob("newsletter.db*"):
        file.unlink()
    (office.folder / "newsletter.db").write_bytes(os.urandom(8192))
    assert "The database does not answer: file is not a database" in office.fails("db", "check")


def test_a_database_of_a_newer_program_is_told_in_one_line(office: Office) -> None:
    """db check says “Run: newsletter db upgrade”, and that is a traceback (alembic's CommandError)."""
    connection = sqlite3.connect(office.folder / "newsletter.db")
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    assert "db upgrade" not in office.fails("db", "check"), "that is no remedy here"
    assert office.fails("db", "upgrade")


def test_a_poll_that_fails_says_so_on_stderr(newsroom: Office, feed: str, httpserver: HTTPServer) -> None:
    """exit status 1 and nothing on stderr."""
    newsroom.says("sources", "add", feed)
    httpserver.clear()
    result = newsroom.run("collect", "--source", "1")
    assert result.exit_code == 1
    assert result.stderr.startswith("newsletter: ")


def test_delivering_until_idle_without_a_relay_is_no_success(newsroom: Office) -> None:
    """exit status 0 although nothing went out."""
    newsroom.says("subscribers", "add", ANN)
    text = newsroom.config.read_text().replace(
        'transport = "folder"', f'transport = "smtp"\nhost = "127.0.0.1"\nport = {free_port()}'
    )
    newsroom.config.write_text(text)
    assert "cannot be used" in newsroom.fails("deliver", "--until-idle")


def test_a_preview_that_cannot_be_written_is_told_in_one_line(newsroom: Office) -> None:
    """a traceback."""
    newsroom.says("newsletters", "set", "post", "items_at_least=0")
    newsroom.says("edition", "compose")
    result = newsroom.run("edition", "preview", "/no/such/folder/a.html")
    assert isinstance(result.exception, SystemExit)
    assert result.exit_code in (1, 2)


@pytest.mark.parametrize("name", ["", "A\nBcc: victim@example.org", "x" * 121])
def test_a_newsletter_is_made_with_a_name_that_fits_one_line_only(office: Office, name: str) -> None:
    """“set” refuses it, “add” takes it; every mail of that newsletter then fails in the worker."""
    office.fails("newsletters", "add", "post", "--name", name, "--from", "post@example.org")


def test_a_demo_that_cannot_be_made_is_told_in_one_line(bare: Office) -> None:
    """a traceback."""
    (bare.folder / "file").write_text("")
    bare.fails("demo", "--port", str(free_port()), "--dir", str(bare.folder / "file" / "demo"))


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_that_is_not_this_machines_is_not_called_in_use(office: Office, host: str) -> None:
    """“Port 8000 on 192.0.2.1 is in use. Stop the program that uses it”; the same for port 80 without rights."""
    office.config.write_text(f'[web]\nhost = "{host}"\n', "utf-8")
    assert "is in use" not in office.fails("web")


def test_a_reader_is_found_by_either_form_of_an_international_domain(newsroom: Office) -> None:
    """show looks up what was typed, not the address that it is."""
    line = newsroom.fails("subscribers", "show", "nobody")
    assert "is not an e-mail address" in line


def test_an_operator_is_not_told_of_a_mail_that_nobody_gets(newsroom: Office) -> None:
    """The address is on the list."""
    newsroom.says("subscribers", "suppress", ANN)
    result = newsroom.run("subscribers", "add", ANN)
    assert "gets a mail" not in result.stdout
    assert suppression.SuppressionReason.BY_HAND


def test_an_empty_feed_is_told_in_one_line(newsroom: Office, httpserver: HTTPServer) -> None:
    """“our reader failed on it, and its log says how”, with a traceback on stderr: feedparser gives an empty
    answer no version."""
    httpserver.expect_request("/empty").respond_with_data("", content_type="application/rss+xml")
    assert "empty" in newsroom.fails("sources", "check", httpserver.url_for("/empty"))


def test_a_password_file_that_is_missing_is_not_called_the_configuration(office: Office) -> None:
    """“There is no readable configuration at …/relay.password … Copy config.example.toml to config.toml”."""
    office.config.write_text("[mail]\nusername = 'x'\npassword_file = 'relay.password'\n", "utf-8")
    line = office.fails("db", "check")
    assert "relay.password" in line
    assert "config.example.toml" not in line


def test_a_command_says_nothing_on_stderr_but_its_line(newsroom: Office, httpserver: HTTPServer) -> None:
    """As a process: the traceback is on stderr."""
    httpserver.expect_request("/empty").respond_with_data("", content_type="application/rss+xml")
    done = as_process(Path("/"), "--config", str(newsroom.config), "sources", "check", httpserver.url_for("/empty"))
    assert done.stderr.count("\n") == 1
