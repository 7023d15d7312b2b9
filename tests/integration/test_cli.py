"""What an operator types: it says what happened and ends with 0, or was typed wrongly and ends with 2."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from pytest_httpserver import HTTPServer

from newsletter import __version__, cli
from tests.integration.subscribers import ANN
from tests.support.office import Office

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


def test_staff_are_limited_listed_disabled_and_helped(newsroom: Office) -> None:
    newsroom.says("staff", "add", "olive@example.org", "--role", "owner")
    newsroom.says("staff", "add", "ed@example.org", "--role", "editor", "--newsletter", "post", "--does-not-send")
    assert newsroom.says("staff", "list") == ("ed@example.org: editor, only post\nolive@example.org: owner, sends\n")
    assert newsroom.data("staff", "list") == [
        {"address": address, "role": role, "sends": sends, "newsletters": only} | NOBODY_SEEN
        for address, role, sends, only in (
            ("ed@example.org", "editor", False, ["post"]),
            ("olive@example.org", "owner", True, None),
        )
    ]
    assert "is disabled" in newsroom.says("staff", "disable", "ED@example.org")
    assert "ed@example.org: editor, only post, disabled\n" in newsroom.says("staff", "list")
    assert "may come in again" in newsroom.says("staff", "enable", "ed@example.org")
    assert "no codes and no passkeys" in newsroom.says("staff", "reset", "ed@example.org")
    assert "is the only owner" in newsroom.fails("staff", "disable", "olive@example.org")
    assert "The newsletters are: post" in newsroom.fails(
        "staff", "add", "eve@example.org", "--role", "editor", "--newsletter", "mail"
    )


NOBODY_SEEN = {"second_factor": False, "last_seen": None, "disabled": False}


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
    assert "goes to 0 readers" in newsroom.says("edition", "send", "--now", "--date", "2026-03-03", "--slot", "1")
    assert newsroom.says("deliver", "--until-idle") == ""
    assert "is sent, audience 0" in newsroom.says("edition", "report")
    report = newsroom.data("edition", "report")
    assert isinstance(report, dict)
    assert (report["state"], report["audience"], sum(report["deliveries"].values())) == ("sent", 0, 0)


def confirm(newsroom: Office) -> None:
    """The one who was asked presses the link in the one mail."""
    newsroom.says("deliver", "--until-idle")
    assert len(newsroom.mails()) == 1
    assert newsroom.press("/confirm/") == 200


def test_readers_are_asked_in_shown_and_suppressed(newsroom: Office) -> None:
    assert "gets a mail" in newsroom.says("subscribers", "add", ANN)
    confirm(newsroom)
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


def test_a_reader_is_found_by_either_form_of_an_international_domain(newsroom: Office) -> None:
    newsroom.says("subscribers", "add", "ann@bücher.example")
    confirm(newsroom)
    for form in ("ann@bücher.example", "ann@BÜCHER.example", "ann@xn--bcher-kva.example"):
        assert "active" in newsroom.says("subscribers", "show", form)
    assert "is not an e-mail address" in newsroom.fails("subscribers", "show", "nobody")


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
def typist(memory: Path, set_up: Path) -> Office:
    """Somebody who gets everything wrong, at one office for all of it."""
    office = Office(shutil.copytree(set_up, memory / "typist"))
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
        env=os.environ | {"PYTHONPATH": str(Path(cli.__file__).parents[2])} | environment,
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


def test_a_command_says_nothing_on_stderr_but_its_line(newsroom: Office, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/empty").respond_with_data("", content_type="application/rss+xml")
    done = as_process(Path("/"), "--config", str(newsroom.config), "sources", "check", httpserver.url_for("/empty"))
    assert done.stderr.count("\n") == 1
