"""What keeps every command from starting: no config or a wrong one, no tables, no keys; each is told in one line."""

from __future__ import annotations

import os
import sqlite3

import pytest

from newsletter.foundation import secrets
from newsletter.operations.demo import setting_up
from tests.integration.subscribers import ANN
from tests.support.office import Office
from tests.support.ports import free_port

# The config

NEEDS_ALL = (("db", "check"), ("newsletters", "list"), ("deliver", "--until-idle"), ("serve",), ("worker",))


def test_without_a_config_every_command_says_what_to_copy(bare: Office) -> None:
    bare.config.unlink()
    for words in (*NEEDS_ALL, ("db", "upgrade")):
        assert "Copy config.example.toml to config.toml" in bare.fails(*words), words


WRONG_CONFIGS = (
    ("[web]\nport = = 1\n", "not TOML"),
    ("[web]\nthreads = 4\nport = 'eighty'\n", "config.toml, line 3: web.port: "),
    ("[web]\nport = 70000\n", "config.toml, line 2: web.port: "),
    ("[mail]\nhost = 'relay'\nhots = 'x'\n", "config.toml, line 3: mail.hots: unknown key"),
    ("[male]\n", "config.toml, line 1: male: unknown key"),
    ("site_url = 'news'\n", "config.toml, line 1: site_url: write the whole public address"),
    ("[mail]\nsecurity = 'ssl'\n", "config.toml, line 2: mail.security: "),
    ("[mail]\nusername = 'x'\n", "config.toml, line 1: mail: username needs password_file"),
    ("[web]\ntrusted_proxies = ['10.0.0.0/8', 'me']\n", "config.toml, line 2: web.trusted_proxies.1: "),
    ("[mail]\nusername = 'x'\npassword_file = 'none'\n", "none"),
    ("[database]\nurl = 'sqlite:////nowhere/at/all.db'\n", "The database does not answer: unable to open"),
)


def test_a_wrong_config_is_told_with_its_key_and_line(office: Office) -> None:
    for text, sentence in WRONG_CONFIGS:
        office.config.write_text(text, "utf-8")
        assert sentence in office.fails("db", "check"), text


def test_a_config_in_another_encoding_is_told_in_one_line(bare: Office) -> None:
    bare.config.write_bytes(b"\xff\xfesite")
    assert "no readable configuration" in bare.fails("db", "check")


def test_a_section_in_the_environment_is_told_in_one_line(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEWSLETTER_DATABASE", "sqlite:///newsletter.db")
    assert "database" in office.fails("db", "check")


def test_a_password_file_that_is_missing_is_not_called_the_configuration(office: Office) -> None:
    office.config.write_text("[mail]\nusername = 'x'\npassword_file = 'relay.password'\n", "utf-8")
    line = office.fails("db", "check")
    assert "relay.password" in line
    assert "config.example.toml" not in line


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_that_is_not_this_machines_is_not_called_in_use(office: Office, host: str) -> None:
    """The same for port 80 without rights."""
    office.config.write_text(f'[web]\nhost = "{host}"\n', "utf-8")
    assert "is in use" not in office.fails("web")


# The database


def test_before_the_database_is_made_every_command_says_so(bare: Office) -> None:
    for name in ("secret.key", "suppression.key"):
        secrets.create(bare.folder / name)
    for words in NEEDS_ALL:
        assert "Run: newsletter db upgrade" in bare.fails(*words), words


def test_a_database_server_that_is_away_is_told_in_one_line(office: Office) -> None:
    url = f"postgresql+psycopg://news:sesame@127.0.0.1:{free_port()}/news"
    office.config.write_text(f'[database]\nurl = "{url}"\n', "utf-8")
    line = office.fails("db", "check")
    assert "The database does not answer" in line
    assert "sesame" not in line


@pytest.mark.parametrize("url", ["nonsense", "", "mysql://a:b@127.0.0.1/c", "sqlite3:///a.db"])
def test_a_database_address_that_is_none_is_told_with_its_key_and_line(office: Office, url: str) -> None:
    office.config.write_text(f'[database]\nurl = "{url}"\n', "utf-8")
    assert "line 2: database.url: " in office.fails("db", "check")


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_the_usual_postgresql_address_works(office: Office, scheme: str) -> None:
    """Nobody writes +psycopg, and psycopg2 is not here."""
    office.config.write_text(f'[database]\nurl = "{scheme}://a:b@127.0.0.1:{free_port()}/c"\n', "utf-8")
    assert "The database does not answer" in office.fails("db", "check")


def test_a_file_that_is_no_database_is_told_in_one_line(office: Office) -> None:
    for file in office.folder.glob("newsletter.db*"):
        file.unlink()
    (office.folder / "newsletter.db").write_bytes(os.urandom(8192))
    assert "The database does not answer: file is not a database" in office.fails("db", "check")


def test_a_database_of_a_newer_program_is_told_in_one_line(office: Office) -> None:
    connection = sqlite3.connect(office.folder / "newsletter.db")
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    assert "db upgrade" not in office.fails("db", "check"), "that is no remedy here"
    assert office.fails("db", "upgrade")


# The keys


def test_without_a_key_nothing_starts(office: Office) -> None:
    for name in ("secret.key", "suppression.key"):
        kept = (office.folder / name).read_text()
        for broken in (None, "", "short\n", "ключ"):
            (office.folder / name).unlink(missing_ok=True)
            if broken is not None:
                (office.folder / name).write_text(broken, "utf-8")
            line = office.fails("db", "check")
            assert f"There is no key in {office.folder / name}" in line
        (office.folder / name).write_text(kept)
    office.says("db", "check")


def test_with_another_suppression_key_nothing_starts(office: Office) -> None:
    key = office.folder / "suppression.key"
    kept = key.read_text()
    key.unlink()
    secrets.create(key)
    for words in (("newsletters", "list"), ("serve",), ("db", "upgrade")):
        assert "is not the one that the suppression list was made with" in office.fails(*words), words
    key.unlink()
    assert "is not the one" in office.fails("db", "upgrade"), "a new key is no way around it"
    key.write_text(kept)
    office.says("db", "check")


def test_with_another_key_for_links_all_goes_on_but_the_links_that_are_out_open_nothing(newsroom: Office) -> None:
    newsroom.says("subscribers", "add", ANN)
    newsroom.says("deliver", "--until-idle")
    key = newsroom.folder / "secret.key"
    key.unlink()
    secrets.create(key)
    assert newsroom.says("db", "check") == "The database is ready.\n"
    assert newsroom.press("/confirm/") == 404
    newsroom.says("subscribers", "add", "bob@example.org")
    newsroom.says("deliver", "--until-idle")
    assert newsroom.press("/confirm/") == 200
    assert "active" in newsroom.says("subscribers", "show", "bob@example.org")


# The demo


def test_a_demo_is_not_made_in_a_folder_of_something_else(bare: Office) -> None:
    before = sorted(bare.folder.rglob("*"))
    port = str(free_port())
    for options in ((), ("--fresh",)):
        line = bare.fails("demo", "--port", port, "--dir", str(bare.folder), *options)
        assert "holds files, but no demo" in line
    assert sorted(bare.folder.rglob("*")) == before


def test_a_demo_that_cannot_be_made_is_told_in_one_line(bare: Office) -> None:
    file = bare.folder / "file"
    file.write_text("mine")
    line = bare.fails("demo", "--port", str(free_port()), "--dir", str(file / "demo"))
    assert line == f"The demo cannot use the folder {file}/demo: Not a directory. Name another one with --dir."
    assert sorted(bare.folder.rglob("*")) == [bare.config, file]
    assert file.read_text() == "mine"


def test_a_demo_that_runs_keeps_its_folder_to_itself(bare: Office) -> None:
    """A second one would give it another port, move its clock and throw its mails away."""
    folder = bare.folder / "demo"
    with setting_up.alone_in(folder):
        setting_up.folder_for(folder, 8000, fresh=False)
        before = {file: file.read_bytes() for file in folder.iterdir()}
        for options in ((), ("--fresh",)):
            line = bare.fails("demo", "--port", str(free_port()), "--dir", str(folder), *options)
            assert line.startswith(f"The demo in {folder} is running already.")
        assert {file: file.read_bytes() for file in folder.iterdir()} == before
    with setting_up.alone_in(folder):
        setting_up.folder_for(folder, 8001, fresh=True)
    assert "port = 8001" in (folder / "config.toml").read_text()
