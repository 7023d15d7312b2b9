"""One thread that waits for hundreds: sockets, other threads, and neither for ever."""

from __future__ import annotations

import socket  # noqa: TID251 - what the loop waits for
import time
from threading import Event, Thread, current_thread

import pytest

from newsletter.delivery.loop import Answer, Loop
from newsletter.mail.waiting import until_ready, waited

SOON = 20.0
"""Seconds that nothing here takes."""


async def heard(sock: socket.socket, seconds: float = SOON) -> bytes:
    await until_ready(sock, time.monotonic() + seconds)
    return sock.recv(100)


def test_work_that_waits_lets_other_work_go_on() -> None:
    said: list[bytes] = []
    pairs = [socket.socketpair() for _ in range(50)]

    async def listen(number: int) -> None:
        said.append(await heard(pairs[number][0]))
        if number:
            pairs[number - 1][1].send(b"%d" % (number - 1))

    with Loop("test") as loop:
        for number in range(50):
            loop.begin(listen(number))
        pairs[49][1].send(b"49")
    assert said == [b"%d" % number for number in range(49, -1, -1)]
    for pair in pairs:
        for end in pair:
            end.close()


def test_who_waits_too_long_for_a_socket_is_told_so() -> None:
    ours, theirs = socket.socketpair()
    told: list[object] = []

    async def listen(seconds: float) -> None:
        try:
            told.append(await heard(ours, seconds))
        except TimeoutError:
            told.append(seconds)
            theirs.send(b"at last")
            told.append(await heard(ours))

    with Loop("test") as loop:
        loop.begin(listen(0.01))
    assert told == [0.01, b"at last"]
    with ours, theirs, pytest.raises(TimeoutError):
        waited(heard(ours, 0.01))


def test_a_socket_can_be_waited_for_until_it_takes_more() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    sent = 0

    async def fill() -> None:
        nonlocal sent
        for _ in range(2):  # a buffer full, and then it has to be emptied
            try:
                while True:
                    sent += ours.send(b"x" * 65536)
            except BlockingIOError:
                Thread(target=theirs.recv, args=(sent, socket.MSG_WAITALL)).start()
                await until_ready(ours, time.monotonic() + SOON, to_write=True)

    with Loop("test") as loop:
        loop.begin(fill())
    assert sent > 65536
    ours.close()
    theirs.close()


@pytest.mark.parametrize("early", [True, False])
def test_an_answer_may_come_before_it_is_waited_for_or_later(early: bool) -> None:
    answer: Answer[str] = Answer()
    asked, told = Event(), []

    async def ask(loop: Loop) -> None:
        if early:
            await loop.in_a_thread(lambda: asked.wait(SOON))
        asked.set()
        told.append(await answer.told())

    with Loop("test") as loop:
        loop.begin(ask(loop))
        if not early:
            asked.wait(SOON)
        loop.tell(answer, "yes")
        asked.set()
    assert told == ["yes"]


def test_what_waits_by_itself_is_done_in_another_thread_and_its_error_comes_back() -> None:
    seen: list[str] = []

    async def work(loop: Loop) -> None:
        seen.append(await loop.in_a_thread(lambda: current_thread().name))
        seen.append(current_thread().name)
        try:
            await loop.in_a_thread(lambda: open("/nowhere/at all"))  # noqa: PTH123, SIM115
        except FileNotFoundError:
            seen.append("not found")

    with Loop("relay") as loop:
        loop.begin(work(loop))
    assert seen == ["relay-waits", "relay", "not found"]


def test_work_that_fails_ends_alone(caplog: pytest.LogCaptureFixture) -> None:
    done: list[int] = []

    async def fail() -> None:
        raise ZeroDivisionError

    async def go_on(loop: Loop) -> None:
        await loop.in_a_thread(lambda: None)
        done.append(1)

    with Loop("test") as loop:
        loop.begin(go_on(loop))
        loop.begin(fail())
    assert done == [1]
    assert "ended with a fault of ours" in caplog.text


def test_the_number_of_a_closed_socket_is_free_for_another() -> None:
    said: list[bytes] = []

    async def listen() -> None:
        first, theirs = socket.socketpair()
        theirs.send(b"one")
        said.append(await heard(first))
        number = first.fileno()
        first.close()
        second, others = socket.socketpair()
        assert number in (second.fileno(), others.fileno())
        others.send(b"two")
        second.send(b"three")
        said.extend([await heard(second), await heard(others)])
        for one in (theirs, second, others):
            one.close()

    with Loop("test") as loop:
        loop.begin(listen())
    assert said == [b"one", b"two", b"three"]


def test_a_socket_that_speaks_while_nobody_listens_is_heard_later_and_costs_nothing_meanwhile() -> None:
    ours, theirs = socket.socketpair()
    said: list[bytes] = []
    rounds = 0

    async def work(loop: Loop) -> None:
        nonlocal rounds
        theirs.send(b"hello")
        said.append(await heard(ours))
        theirs.send(b"is anybody there?")
        loop._time_out, before = counted, loop._time_out  # type: ignore[method-assign]
        for _ in range(20):
            await loop.in_a_thread(lambda: None)
        loop._time_out = before  # type: ignore[method-assign]
        said.append(await heard(ours))

    def counted() -> None:
        nonlocal rounds
        rounds += 1

    with Loop("test") as loop:
        loop.begin(work(loop))
    assert said == [b"hello", b"is anybody there?"]
    assert rounds <= 41, "one for each answer, and one for what it said"
    ours.close()
    theirs.close()
