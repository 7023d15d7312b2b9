"""What an operator types: it says what happened and ends with 0, fails in one clear line and ends with 1, or was typed
wrongly and ends with 2."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest
import time_machine
from click.testing import CliRunner, Result
from pytest_httpserver import HTTPServer

from newsletter import __version__, cli
from newsletter.foundation import config as config_module
from newsletter.foundation import secrets
from newsletter.operations import assembling
from tests.conftest import MORNING
from tests.integration.subscribers import ANN
from tests.support.outlets import Piece, publish
from tests.support.ports import free_port

CONFIG = """\
site_url = "https://news.example.org"

[database]
url = "sqlite:///newsletter.db"

[mail]
transport = "folder"

[fetching]
allow_networks = ["127.0.0.1/32"]
timeout_seconds = 5
"""


@dataclass
class Office:
    """A folder with a config, and somebody at its command line. It is a Tuesday, 05:20 UTC."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "config.toml"

    def run(self, *words: str, typed: str | None = None) -> Result:
        command = ["--config", str(self.config), *words]
        with time_machine.travel(MORNING, tick=False):
            return CliRunner().invoke(cli.main, command, input=typed)

    def says(self, *words: str, typed: str | None = None) -> str:
        """What a command that succeeds prints."""
        result = self.run(*words, typed=typed)
        assert result.exit_code == 0, (words, result.output, result.exception)
        assert result.stderr == "", words
        return result.stdout

    def data(self, *words: str) -> object:
        """What a command prints for a script."""
        return json.loads(self.says(*words, "--json"))

    def fails(self, *words: str) -> str:
        """The one line of a failure that was to be expected."""
        result = self.run(*words)
        assert isinstance(result.exception, SystemExit), (words, result.output, result.exception)
        assert result.exit_code == 1, (words, result.output)
        assert result.stdout == "", words
        line, end, rest = result.stderr.partition("\n")
        assert (end, rest) == ("\n", ""), (words, result.stderr)
        assert line.startswith("newsletter: "), words
        assert len(line) < 400, words
        return line.removeprefix("newsletter: ")

    def mails(self) -> list[str]:
        """The text of each mail that left, in order."""
        files = sorted((self.folder / "mail").glob("*.eml"))
        messages = [message_from_bytes(file.read_bytes(), policy=default) for file in files]
        return [message.get_body(("plain",)).get_content() for message in messages]  # type: ignore[union-attr]


@pytest.fixture
def bare(tmp_path: Path) -> Office:
    """A config and nothing else."""
    office = Office(tmp_path / "office")
    office.folder.mkdir()
    office.config.write_text(CONFIG, "utf-8")
    return office


@pytest.fixture
def office(bare: Office, sqlite_template: Path) -> Office:
    """Set up, with tables and keys."""
    shutil.copy(sqlite_template, bare.folder / "newsletter.db")
    assembling.upgrade(config_module.load(bare.config))
    return bare


@pytest.fixture
def newsroom(office: Office) -> Office:
    """Set up, with one newsletter."""
    office.says("newsletters", "add", "post", "--name", "Morning Post", "--from", "post@example.org")
    return office


@pytest.fixture
def feed(httpserver: HTTPServer) -> str:
    early = MORNING.replace(hour=3)
    pieces = [Piece("Harbor bridge closes", "It is closed until spring.", early), Piece("New school opens", "", early)]
    return publish(httpserver, "/bay.xml", "Bay Herald", pieces)


# What succeeds


def test_the_database_is_made_and_said_to_be_ready(bare: Office) -> None:
    assert re.fullmatch(r"The database is at version \d+\.\n", bare.says("db", "upgrade"))
    assert bare.says("db", "check") == "The database is ready.\n"
    keys = [(bare.folder / name).read_text() for name in ("secret.key", "suppression.key")]
    assert [(bare.folder / name).stat().st_mode & 0o777 for name in ("secret.key", "suppression.key")] == [0o600] * 2
    bare.says("db", "upgrade")
    assert keys == [(bare.folder / name).read_text() for name in ("secret.key", "suppression.key")], "keys are kept"


def test_staff_are_added_and_get_links(office: Office) -> None:
    said = office.says("staff", "add", "Olive@example.org", "--role", "owner")
    assert "olive@example.org is on the staff as owner" in said
    first, second = office.says("staff", "link", "olive@example.org"), office.says("staff", "link", "OLIVE@example.org")
    for link in (first, second):
        assert re.fullmatch(r"https://news\.example\.org/admin/link/[\w-]{43}\n", link)
    assert first != second
    said = office.says(
        "staff", "add", "ed@example.org", "--role", "editor", "--password", typed="x" * 12 + "\n" + "x" * 12
    )
    assert "x" * 12 not in said


def test_newsletters_are_made_changed_and_listed(office: Office) -> None:
    assert "newsletter newsletters add" in office.says("newsletters", "list")
    assert office.data("newsletters", "list") == []
    options = ("--zone", "Europe/Berlin", "--time", "07:30", "--set", "tagline=All of it", "--set", "days=12345")
    made = office.says("newsletters", "add", "post", "--name", "Morning Post", "--from", "post@example.org", *options)
    assert "Made Morning Post." in made
    assert office.says("newsletters", "set", "post", "name=Evening Post", "accent=#123456") == "Changed Evening Post.\n"
    assert "Evening Post, from post@example.org, 07:30 Berlin" in office.says("newsletters", "list")
    (row,) = office.data("newsletters", "list")  # type: ignore[misc]
    assert row == {"slug": "post", "name": "Evening Post", "from": "post@example.org", "slots": {"1": "07:30 Berlin"}}


def test_sources_are_checked_added_listed_and_collected(newsroom: Office, feed: str) -> None:
    assert "newsletter sources add" in newsroom.says("sources", "list")
    assert newsroom.data("sources", "list") == []
    checked = newsroom.says("sources", "check", feed)
    assert "Bay Herald: 2 stories" in checked
    assert "Harbor bridge closes" in checked
    assert newsroom.data("sources", "check", feed)["title"] == "Bay Herald"  # type: ignore[index, call-overload]
    assert newsroom.data("sources", "list") == [], "nothing is stored"
    assert newsroom.says("sources", "add", feed) == "Added Bay Herald as source 1.\n"
    assert newsroom.says("collect") == "Bay Herald: 2 new, 0 updated\n"
    assert newsroom.says("collect") == "No source is due.\n"
    assert newsroom.data("collect") == []
    (polled,) = newsroom.data("collect", "--source", "1")  # type: ignore[misc]
    assert polled == {"source": 1, "outlet": "Bay Herald", "new": 0, "updated": 0, "error": None}
    listed = newsroom.says("sources", "list")
    assert "2 stories" in listed
    assert feed in listed
    (row,) = newsroom.data("sources", "list")  # type: ignore[misc]
    assert (row["url"], row["stories"], row["error"]) == (feed, 2, None)


def test_a_list_of_feeds_goes_out_and_comes_in(newsroom: Office, feed: str) -> None:
    newsroom.says("sources", "add", feed, "--outlet", "Bay & Sons")
    exported = newsroom.says("sources", "export")
    assert exported.startswith("<?xml")
    assert "Bay &amp; Sons" in exported
    file = newsroom.folder / "feeds.opml"
    file.write_text(exported.replace("/bay.xml", "/cape.xml"), "utf-8")
    assert "1 feeds in" in newsroom.says("sources", "import", str(file))
    assert "0 are new" in newsroom.says("sources", "import", str(file))
    urls = [row["url"] for row in newsroom.data("sources", "list")]  # type: ignore[attr-defined]
    assert urls == [feed, feed.replace("/bay.xml", "/cape.xml")]


def test_an_edition_is_composed_looked_at_held_approved_sent_and_reported(newsroom: Office, feed: str) -> None:
    newsroom.says("newsletters", "set", "post", "items_at_least=1")
    newsroom.says("sources", "add", feed)
    newsroom.says("collect")
    composed = newsroom.says("edition", "compose")
    assert composed.startswith("Morning Post, 2026-03-03, 06:00 UTC: drafted\nSubject: ")
    assert newsroom.says("edition", "show") == composed
    assert " · " in composed, "each story with the reason it was chosen"
    shown = newsroom.data("edition", "show")
    assert isinstance(shown, dict)
    assert (shown["date"], shown["state"], len(shown["items"])) == ("2026-03-03", "drafted", 2)
    for name, sign in (("a.html", "<html"), ("a.txt", "New school opens")):
        file = newsroom.folder / name
        assert newsroom.says("edition", "preview", str(file)) == f"Written to {file}.\n"
        assert sign in file.read_text("utf-8")
    assert newsroom.says("edition", "hold", "--reason", "the bridge") == "Held: Morning Post of 2026-03-03.\n"
    assert "held: the bridge" in newsroom.says("edition", "show")
    assert newsroom.says("edition", "resume") == "Resumed: Morning Post of 2026-03-03.\n"
    assert newsroom.says("edition", "approve") == "Approved: Morning Post of 2026-03-03.\n"
    assert "goes to 0 readers" in newsroom.says("edition", "send", "--date", "2026-03-03", "--slot", "1")
    assert newsroom.says("deliver", "--until-idle") == ""
    assert "is sent, audience 0" in newsroom.says("edition", "report")
    report = newsroom.data("edition", "report")
    assert isinstance(report, dict)
    assert (report["state"], report["audience"], sum(report["deliveries"].values())) == ("sent", 0, 0)


def test_readers_are_asked_in_shown_and_suppressed(newsroom: Office) -> None:
    assert "gets a mail" in newsroom.says("subscribers", "add", ANN)
    newsroom.says("deliver", "--until-idle")
    (text,) = newsroom.mails()
    link = re.search(r"https://news\.example\.org(/confirm/\S+)", text)
    assert link
    with time_machine.travel(MORNING, tick=False):
        app = assembling.ready(newsroom.config)
        assert app.test_client().post(link[1]).status_code == 200
    newsroom.says("deliver", "--until-idle")
    assert len(newsroom.mails()) == 2
    shown = newsroom.data("subscribers", "show", " ANN@Example.org ")
    assert isinstance(shown, dict)
    assert shown["subscriptions"] == [{"newsletter": "post", "slot": "06:00 UTC", "state": "active"}]
    assert [(event["kind"], event["by"]) for event in shown["consent"]] == [
        ("requested", "command line"),
        ("confirmed", "the reader"),
    ]
    assert ANN in newsroom.says("subscribers", "show", ANN)
    assert newsroom.says("subscribers", "suppress", ANN) == f"{ANN} is never mailed again.\n"
    assert "already" in newsroom.says("subscribers", "suppress", ANN)


# What is to be expected to fail


FAILURES: dict[tuple[str, ...], str] = {
    ("newsletters", "add", "post", "--name", "X", "--from", "a@example.org"): "There is a newsletter “post” already.",
    ("newsletters", "add", "Bad Slug", "--name", "X", "--from", "a@example.org"): "slug: use small letters",
    ("newsletters", "add", "x", "--name", "X", "--from", "nobody"): "“nobody” is not an e-mail address",
    ("newsletters", "add", "x", "--name", "X", "--from", "a@b.org", "--zone", "Mars/Base"): "no time zone",
    ("newsletters", "add", "x", "--name", "X", "--from", "a@b.org", "--set", "colour=red"): "no such setting",
    ("newsletters", "set", "post", "accent=red"): "accent: write a colour",
    ("newsletters", "set", "nothing", "name=X"): "There is no newsletter “nothing”. The newsletters are: post.",
    ("sources", "add", "not an address"): "",
    ("sources", "add", "ftp://example.org/feed"): "",
    ("sources", "add", "http://10.0.0.1/feed"): "10.0.0.1 is not a public address",
    ("sources", "add", "http://[::1]/feed"): "::1 is not a public address",
    ("sources", "check", "http://169.254.169.254/latest/meta-data"): "169.254.169.254 is not a public address",
    ("collect", "--source", "99"): "There is no source 99. See: newsletter sources list",
    ("edition", "show"): "There is no edition of 2026-03-03 for 06:00 UTC yet; compose it",
    ("edition", "approve", "--date", "2026-03-04"): "There is no edition of 2026-03-04",
    ("edition", "send", "--newsletter", "nothing"): "There is no newsletter “nothing”",
    ("edition", "hold", "--slot", "99"): "slot 99 of Morning Post; its slots are 1 (06:00 UTC)",
    ("edition", "report"): "There is no edition",
    ("subscribers", "add", "nobody"): "“nobody” is not an e-mail address",
    ("subscribers", "add", ANN, "--newsletter", "nothing"): "There is no newsletter “nothing”",
    ("subscribers", "show", ANN): f"There is no subscriber {ANN}.",
    ("subscribers", "suppress", "nobody"): "“nobody” is not an e-mail address",
    ("staff", "link", ANN): f"Nobody of the staff has the address {ANN}. Add them: newsletter staff add",
    ("staff", "link", "nobody"): "“nobody” is not an e-mail address",
    ("staff", "add", "nobody", "--role", "owner"): "“nobody” is not an e-mail address",
}


def test_each_failure_is_one_line_that_says_what_is_wrong(newsroom: Office) -> None:
    for words, sentence in FAILURES.items():
        assert sentence in newsroom.fails(*words), words


def test_a_source_that_is_no_feed_is_told_in_one_line(newsroom: Office, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/page").respond_with_data("<!doctype html><p>Hi", content_type="text/html")
    httpserver.expect_request("/gone").respond_with_data("", status=404)
    assert "look for the feed's own address" in newsroom.fails("sources", "add", httpserver.url_for("/page"))
    assert "404" in newsroom.fails("sources", "add", httpserver.url_for("/gone"))
    assert newsroom.fails("sources", "add", f"http://127.0.0.1:{free_port()}/feed")
    assert newsroom.data("sources", "list") == []


def test_what_is_there_already_is_told_in_one_line(newsroom: Office, feed: str) -> None:
    newsroom.says("sources", "add", feed)
    assert "collects" in newsroom.fails("sources", "add", feed)
    newsroom.says("staff", "add", ANN, "--role", "owner")
    assert newsroom.fails("staff", "add", ANN, "--role", "editor") == f"{ANN} is on the staff already."


def test_a_step_that_cannot_be_done_now_says_why(newsroom: Office) -> None:
    newsroom.says("newsletters", "set", "post", "items_at_least=0")
    newsroom.says("edition", "compose")
    assert "no stories" in newsroom.fails("edition", "approve")
    assert newsroom.fails("edition", "send")
    newsroom.says("edition", "compose", "--date", "2026-03-02")
    late = newsroom.fails("edition", "send", "--date", "2026-03-02")
    assert "type its date, 2026-03-02" in late
    assert newsroom.fails("edition", "send", "--date", "2026-03-02", "--late", "yes") == late


def test_a_list_that_is_none_is_told_in_one_line(newsroom: Office) -> None:
    file = newsroom.folder / "feeds.opml"
    for text in ("", "hello", "<html/>", '<!DOCTYPE x [<!ENTITY a "b">]><opml><body/></opml>'):
        file.write_text(text, "utf-8")
        assert "It is no OPML file" in newsroom.fails("sources", "import", str(file)), text


def test_without_a_newsletter_the_way_to_one_is_told(office: Office) -> None:
    for words in (("edition", "show"), ("subscribers", "add", ANN), ("sources", "add", "https://example.org/feed")):
        assert "Make one: newsletter newsletters add" in office.fails(*words)


def test_with_several_newsletters_one_must_be_named(newsroom: Office) -> None:
    newsroom.says("newsletters", "add", "evening", "--name", "Evening", "--from", "post@example.org")
    for words in (("edition", "show"), ("subscribers", "add", ANN)):
        assert newsroom.fails(*words) == "There are several newsletters; name one: post, evening."


def test_a_short_password_is_not_taken(office: Office) -> None:
    result = office.run("staff", "add", ANN, "--role", "owner", "--password", typed="short\nshort\n")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == "newsletter: A password needs at least 12 characters."


# What stops everything


NEEDS_ALL = (("db", "check"), ("newsletters", "list"), ("deliver", "--until-idle"), ("serve",), ("worker",))


def test_before_the_database_is_made_every_command_says_so(bare: Office) -> None:
    for name in ("secret.key", "suppression.key"):
        secrets.create(bare.folder / name)
    for words in NEEDS_ALL:
        assert "Run: newsletter db upgrade" in bare.fails(*words), words


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


def test_a_database_server_that_is_away_is_told_in_one_line(office: Office) -> None:
    url = f"postgresql+psycopg://news:sesame@127.0.0.1:{free_port()}/news"
    office.config.write_text(f'[database]\nurl = "{url}"\n', "utf-8")
    line = office.fails("db", "check")
    assert "The database does not answer" in line
    assert "sesame" not in line


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


def test_another_key_for_links_is_fine(office: Office) -> None:
    key = office.folder / "secret.key"
    key.unlink()
    secrets.create(key)
    office.says("db", "check")


def test_a_demo_is_not_made_in_a_folder_of_something_else(bare: Office) -> None:
    before = sorted(bare.folder.rglob("*"))
    port = str(free_port())
    for options in ((), ("--fresh",)):
        line = bare.fails("demo", "--port", port, "--dir", str(bare.folder), *options)
        assert "holds files, but no demo" in line
    assert sorted(bare.folder.rglob("*")) == before


# What is typed wrongly


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("bogus",),
        ("db",),
        ("db", "bogus"),
        ("newsletters", "add", "x"),
        ("newsletters", "add", "x", "--name", "X", "--from", "a@b.org", "--time", "25:00"),
        ("newsletters", "add", "x", "--name", "X", "--from", "a@b.org", "--set", "tagline"),
        ("newsletters", "set", "post"),
        ("newsletters", "set", "post", "name"),
        ("sources", "add"),
        ("sources", "add", "https://example.org/feed", "--weight", "11"),
        ("sources", "import", "/no/such/file.opml"),
        ("collect", "--source", "first"),
        ("edition", "show", "--date", "yesterday"),
        ("edition", "show", "--date", "2026-02-30"),
        ("edition", "preview"),
        ("staff", "add", "a@b.org"),
        ("staff", "add", "a@b.org", "--role", "boss"),
        ("subscribers", "show"),
        ("subscribers", "show", "a@b.org", "--yaml"),
        ("demo", "--port", "0"),
        ("demo", "--port", "70000"),
    ],
)
def test_wrong_usage_ends_with_2_and_a_usage_line(typist: Office, words: tuple[str, ...]) -> None:
    result = typist.run(*words)
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    assert "Usage: " in result.stderr


@pytest.fixture(scope="module")
def typist(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Office:
    """Somebody who gets everything wrong, at one office for all of it."""
    office = Office(tmp_path_factory.mktemp("typist"))
    office.config.write_text(CONFIG, "utf-8")
    shutil.copy(sqlite_template, office.folder / "newsletter.db")
    assembling.upgrade(config_module.load(office.config))
    office.says("newsletters", "add", "post", "--name", "Post", "--from", "post@example.org")
    return office


def test_every_command_has_help_with_a_sentence() -> None:
    def walk(command: object, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        yield words
        for name, inner in getattr(command, "commands", {}).items():
            yield from walk(inner, (*words, name))

    for words in walk(cli.main, ()):
        result = CliRunner().invoke(cli.main, [*words, "--help"])
        assert result.exit_code == 0, words
        sentence = result.stdout.split("\n\n")[1].strip()
        assert sentence.endswith("."), words


# As a process


def as_process(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "newsletter", *words],
        check=False,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path(cli.__file__).parents[1])} | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_as_a_process_it_fails_in_one_line_without_a_traceback(tmp_path: Path) -> None:
    done = as_process(tmp_path, "newsletters", "list")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("newsletter: There is no readable configuration at config.toml")


def test_as_a_process_it_finds_its_config_in_the_environment_and_prints_json_only(newsroom: Office) -> None:
    done = as_process(Path("/"), "newsletters", "list", "--json", NEWSLETTER_CONFIG=str(newsroom.config))
    assert (done.returncode, done.stderr) == (0, "")
    assert [row["slug"] for row in json.loads(done.stdout)] == ["post"]


def test_its_version_is_the_packages() -> None:
    assert CliRunner().invoke(cli.main, ["--version"]).stdout == f"newsletter, version {__version__}\n"
