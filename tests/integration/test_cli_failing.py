"""What an operator types and cannot be done: one clear line that says what is wrong, and the end is 1."""

from __future__ import annotations

import pytest
from pytest_httpserver import HTTPServer

from tests.integration.subscribers import ANN
from tests.support.office import Office
from tests.support.ports import free_port

FAILURES: dict[tuple[str, ...], str] = {
    ("newsletters", "add", "post", "--name", "X", "--from", "a@example.org"): "There is a newsletter “post” already.",
    ("newsletters", "add", "Bad Slug", "--name", "X", "--from", "a@example.org"): "slug: use small letters",
    ("newsletters", "add", "x", "--name", "X", "--from", "nobody"): "“nobody” is not an e-mail address",
    ("newsletters", "add", "x", "--name", "X", "--from", "a@b.org", "--zone", "Mars/Base"): "no time zone",
    ("newsletters", "add", "x", "--name", "X", "--from", "a@b.org", "--set", "colour=red"): "no such setting",
    ("newsletters", "set", "post", "accent=red"): "accent: write a colour",
    ("newsletters", "set", "nothing", "name=X"): "There is no newsletter “nothing”. The newsletters are: post.",
    ("sources", "add", "not an address"): "“not an address” is no web address",
    ("sources", "add", "ftp://example.org/feed"): "“ftp://example.org/feed” is no web address",
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


@pytest.mark.parametrize("name", ["", "A\nBcc: victim@example.org", "x" * 121])
def test_a_newsletter_is_made_with_a_name_that_fits_one_line_only(office: Office, name: str) -> None:
    """With another one every mail of that newsletter would fail in the worker."""
    line = office.fails("newsletters", "add", "post", "--name", name, "--from", "post@example.org")
    assert line == "name: write 1 to 120 characters on one line"
    assert office.data("newsletters", "list") == []


def test_a_source_that_is_no_feed_is_told_in_one_line(newsroom: Office, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/page").respond_with_data("<!doctype html><p>Hi", content_type="text/html")
    httpserver.expect_request("/gone").respond_with_data("", status=404)
    assert "look for the feed's own address" in newsroom.fails("sources", "add", httpserver.url_for("/page"))
    assert "404" in newsroom.fails("sources", "add", httpserver.url_for("/gone"))
    assert newsroom.fails("sources", "add", f"http://127.0.0.1:{free_port()}/feed")
    assert newsroom.data("sources", "list") == []


def test_an_empty_feed_is_told_in_one_line(newsroom: Office, httpserver: HTTPServer) -> None:
    """feedparser gives an empty answer no version."""
    httpserver.expect_request("/empty").respond_with_data("", content_type="application/rss+xml")
    assert "empty" in newsroom.fails("sources", "check", httpserver.url_for("/empty"))


def test_a_poll_that_fails_says_so_on_stderr(newsroom: Office, feed: str, httpserver: HTTPServer) -> None:
    newsroom.says("sources", "add", feed)
    httpserver.clear()
    result = newsroom.run("collect", "--source", "1")
    assert result.exit_code == 1
    assert result.stderr.startswith("newsletter: ")


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
    assert (
        result.stderr.splitlines()[-1]
        == "newsletter: A password needs at least 10 characters. Four words that do not belong together are a good one."
    )


def test_a_preview_that_cannot_be_written_is_told_in_one_line(newsroom: Office) -> None:
    newsroom.says("newsletters", "set", "post", "items_at_least=0")
    newsroom.says("edition", "compose")
    result = newsroom.run("edition", "preview", "/no/such/folder/a.html")
    assert isinstance(result.exception, SystemExit)
    assert result.exit_code in (1, 2)


def test_delivering_until_idle_without_a_relay_is_no_success(newsroom: Office) -> None:
    newsroom.says("subscribers", "add", ANN)
    text = newsroom.config.read_text().replace(
        'transport = "folder"', f'transport = "smtp"\nhost = "127.0.0.1"\nport = {free_port()}'
    )
    newsroom.config.write_text(text)
    assert "cannot be used" in newsroom.fails("deliver", "--until-idle")


def test_an_operator_is_not_told_of_a_mail_that_nobody_gets(newsroom: Office) -> None:
    """The address is on the list."""
    newsroom.says("subscribers", "suppress", ANN)
    result = newsroom.run("subscribers", "add", ANN)
    assert "gets a mail" not in result.stdout
