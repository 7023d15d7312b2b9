from __future__ import annotations

import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from newsletter.stories import outlines, reading
from newsletter.stories.outlines import NotAnOutline
from newsletter.stories.reading import ReadingFailed, ReadingStopped, apart


def test_what_is_read_apart_comes_out_as_if_read_here() -> None:
    listed = [outlines.Outline("https://a.example/feed", "Bay Herald", "Coast")]
    assert apart(outlines.read, outlines.write("Feeds", listed)) == listed


def test_an_error_with_a_name_is_raised_here_with_its_words() -> None:
    with pytest.raises(NotAnOutline, match="It is no OPML file: it has no <opml>"):
        apart(outlines.read, b"<html/>")


def test_it_is_done_by_another_process_which_is_kept() -> None:
    first = apart(os.getpid)
    assert first != os.getpid()
    assert {apart(os.getpid) for _ in range(5)} == {first}


def test_several_read_at_once_and_the_others_wait_for_their_turn() -> None:
    many = reading.AT_ONCE * 3
    together = Barrier(many)

    def read(_number: int) -> object:
        together.wait(20)
        return apart(eval, "__import__('time').sleep(0.05) or __import__('os').getpid()")

    with ThreadPoolExecutor(many) as pool:
        assert 2 <= len(set(pool.map(read, range(many)))) <= reading.AT_ONCE


@pytest.mark.parametrize(
    ("deed", "arguments"),
    [(time.sleep, (60,)), (re.match, (r"(a+)+$", "a" * 50 + "b"))],
    ids=["waits", "never looks up"],
)
def test_who_takes_too_long_is_stopped_and_the_next_is_read(
    monkeypatch: pytest.MonkeyPatch, deed: object, arguments: tuple[object, ...]
) -> None:
    monkeypatch.setattr(reading, "SECONDS", 0.5)
    with pytest.raises(ReadingStopped, match=r"within 0\.5 seconds"):
        apart(deed, *arguments)  # type: ignore[arg-type]
    assert apart(len, "next") == 4


@pytest.mark.parametrize(
    ("deed", "arguments", "logged"),
    [
        (os._exit, (3,), "with status 3"),
        (os.abort, (), "with status -6"),
        (bytes, (10**11,), "MemoryError"),
        (int, ("x",), "ValueError: invalid literal"),
        (open, ("/dev/null",), "TypeError: cannot pickle"),
    ],
    ids=["ends", "crashes", "wants all memory", "a fault of ours", "what cannot be sent back"],
)
def test_a_reader_that_breaks_down_is_logged_and_the_next_is_read(
    deed: object, arguments: tuple[object, ...], logged: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ReadingFailed):
        apart(deed, *arguments)  # type: ignore[arg-type]
    assert logged in caplog.text
    assert apart(len, "next") == 4


def test_a_copy_of_this_process_has_readers_of_its_own() -> None:
    mine = apart(os.getpid)
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(theirs, b"%d" % apart(os.getpid))
        os._exit(0)
    os.waitpid(child, 0)
    assert int(os.read(ours, 20)) != mine
    os.close(ours)
    os.close(theirs)
    assert apart(os.getpid) == mine
