"""What comes back, at the command line."""

from __future__ import annotations

import json
import os
import signal
import smtplib  # noqa: TID251 - somebody has to speak to the listener
import subprocess
import sys
import time
from pathlib import Path

from tests.support.office import CONFIG, Office
from tests.support.ports import free_port
from tests.support.returning import dsn, mail


def test_files_are_read_once_and_listed(newsroom: Office, tmp_path: Path) -> None:
    file, other = tmp_path / "one.eml", tmp_path / "two.eml"
    file.write_bytes(dsn())
    other.write_bytes(mail("Away", subject="Out of office"))
    assert "Nothing needs a person." in newsroom.says("bounces", "list")
    told = newsroom.says("bounces", "read", str(file), str(other), str(file))
    assert told.count("hard → staff") == 2, "the same mail again says what it was"
    assert told.count("automatic → nothing") == 1
    listed = newsroom.data("bounces", "list")
    assert isinstance(listed, dict)
    assert [(one["kind"], one["needs_staff"]) for one in listed["mails"]] == [("hard", True)]
    assert listed["stopped"] == []
    assert newsroom.says("bounces", "list", "--all").count("→") == 2
    assert "1 is settled." in newsroom.says("bounces", "settle", "1")
    assert "1 needed nobody." in newsroom.says("bounces", "settle", "1")
    assert "Nothing needs a person." in newsroom.says("bounces", "list")


def test_a_pipe_hands_a_mail_over(newsroom: Office) -> None:
    text = dsn().decode("ascii")
    told = newsroom.run("bounces", "read", "-", "--to", "bounces@example.org", "--json", typed=text)
    assert json.loads(told.stdout)[0]["status"] == "5.1.1"


def test_a_decision_that_nobody_asks_for_is_refused(newsroom: Office) -> None:
    for verb in ("release", "leave"):
        assert "no bounces wait for a decision" in newsroom.fails("bounces", verb, "7")
    assert "There is no bounce with the number 7." in newsroom.fails("bounces", "settle", "7")


def test_without_a_mailbox_nothing_is_polled(newsroom: Office) -> None:
    assert newsroom.says("bounces", "poll") == "0 mails were read.\n"


def test_the_listener_runs_as_a_process_and_ends_in_order(newsroom: Office) -> None:
    port = free_port()
    more = f'bounce_address = "bounces@example.org"\n\n[bounces]\nport = {port}\n'
    newsroom.config.write_text(CONFIG.replace("\n[fetching]", f"{more}\n[fetching]"), "utf-8")
    command = [sys.executable, "-m", "newsletter", "--config", str(newsroom.config), "bounces", "listen"]
    process = subprocess.Popen(command, env=os.environ.copy(), stderr=subprocess.DEVNULL)
    try:
        with connected(port) as client:
            client.sendmail("", ["bounces@example.org"], dsn())
            process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
    assert "hard → staff" in newsroom.says("bounces", "list")


def connected(port: int) -> smtplib.LMTP:
    """Once it is there."""
    until = time.monotonic() + 30
    while True:
        try:
            return smtplib.LMTP("127.0.0.1", port)
        except OSError:
            if time.monotonic() > until:
                raise
