"""Readers come in from a file once each, whatever is killed; and nobody who left, bounced or complained comes back."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import time, timedelta
from io import BytesIO
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from newsletter import privacy, scheduling
from newsletter.delivery import closing
from newsletter.foundation import leases
from newsletter.foundation.audit import COMMAND, AuditRecord
from newsletter.foundation.clock import SystemClock
from newsletter.foundation.database import db, transaction
from newsletter.mail.suppression import SuppressionReason
from newsletter.newsletters import slots
from newsletter.newsletters.models import lock_slot, newsletter
from newsletter.subscribers import blocking, import_runs, importing, transfer, uploading
from newsletter.subscribers.consent import Origin
from newsletter.subscribers.import_models import Import, ImportMode, ImportPart, ImportSeen, Outcome, an_import
from newsletter.subscribers.importing import ImportNotNow
from newsletter.subscribers.models import ConsentKind, Subscriber, Subscription, subscriber_at
from tests.conftest import BuildHouse, House
from tests.integration.subscribers import (
    ANN,
    became_reader,
    count,
    everything,
    link_in,
    put_on_the_list,
    state_of,
    story_of,
)
from tests.support import newsroom
from tests.support.racing import at_once
from tests.support.tables_in import brought, check, counts, many, readers, start, state, uploaded, wish, work

BOB = "bob@example.org"
ASK, CONFIRMED = ImportMode.ASK, ImportMode.CONFIRMED


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few rows a batch, none of which waits long for the one before."""
    monkeypatch.setattr(import_runs, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(import_runs, "BATCH", 10)
    monkeypatch.setattr(import_runs, "BATCH_OF_FILE", 10)


def table(*addresses: str) -> str:
    return "email\n" + "".join(f"{one}\n" for one in addresses)


# What becomes of them


def test_who_confirmed_elsewhere_reads_from_now_on_with_the_proof_of_it(either_house: House) -> None:
    house = either_house
    paper = newsroom.found(house)
    evening = paper.slot("Asia/Tokyo", newsroom.time(18, 0))
    text = (
        "E-Mail;Zeitzone;Sprache;Datum;Quelle;IP\n"
        "Ann@Example.org;Asia/Seoul;de-AT;6.5.2024 07:08;https://old.example/join;192.0.2.1\n"
        "bob@example.org;18:00 Asia/Tokyo;xx;3/4/2024;;nonsense\n"
        "Jürgen@Bücher.example;;;;;\n"
        "cy@straße.example;;;2999-01-01;;\n"
    )
    assert brought(house, text) == {"taken": 3, "invalid": 1}
    with house.app.app_context():
        ann, bob = subscriber_at(ANN), subscriber_at(BOB)
        assert ann is not None
        assert bob is not None
        assert (ann.address, ann.language, bob.language) == ("Ann@example.org", "de", "")
        assert [one.slot_id for one in (*ann.subscriptions, *bob.subscriptions)] == [evening, evening]
        assert ann.subscriptions[0].welcomed_at == house.now, "no welcome copy: to them nothing has begun"
        assert ann.former_hashes == []
    (agreed,) = story_of(house)
    assert (agreed.kind, agreed.at.isoformat()) == (ConsentKind.IMPORTED, "2024-05-06T07:08:00+00:00")
    assert (agreed.page_url, agreed.ip, agreed.by) == ("https://old.example/join", "192.0.2.1", "command line")
    assert agreed.note == "import 1; given 6.5.2024 07:08; the log of the old system"
    (other,) = story_of(house, BOB)
    assert (other.at, other.page_url, other.ip) == (house.now, "the old system", None)
    assert "given 3/4/2024" in other.note, "nobody can know which day it was, so it is kept as it stands"
    (future,) = story_of(house, "cy@straße.example")
    assert future.at == house.now
    house.work()
    assert house.inbox.mails == []


def test_who_is_asked_reads_nothing_before_they_press_the_button(either_house: House) -> None:
    house = either_house
    newsroom.found(house)
    assert brought(house, table(ANN, BOB), ASK) == {"taken": 2}
    assert readers(house) == []
    house.work()
    assert len(house.inbox.mails) == 2
    assert house.browser.post(link_in(house, ANN, "/confirm/")).status_code == 200
    assert readers(house) == [ANN]
    first, *_ = story_of(house)
    assert (first.kind, first.note) == (ConsentKind.REQUESTED, "import 1; date not given")


def test_a_large_list_is_asked_a_few_at_a_time(house: House) -> None:
    newsroom.found(house)
    id = uploaded(house, table(*many(100)))
    assert check(house, id, ASK, an_hour=1500) == {"taken": 100}
    start(house, id)
    scheduled(house)
    scheduled(house)
    assert counts(house, id) == {"taken": 25}, "a minute's worth"
    house.later(seconds=59)
    scheduled(house)
    assert counts(house, id) == {"taken": 25}
    house.later(hours=5)
    scheduled(house)
    assert counts(house, id) == {"taken": 50}, "what was missed is not made up for in a flood"
    for _ in range(3):
        house.later(minutes=1)
        scheduled(house)
    assert (state(house, id), counts(house, id)) == ("done", {"taken": 100})
    house.work()
    assert sorted(mail.recipient for mail in house.inbox.mails) == many(100)


def scheduled(house: House) -> None:
    """The scheduler's tick."""
    (tick,) = [one for one in scheduling.ticks(house.fetcher) if one.name == "imports"]
    with house.app.app_context():
        tick.verb(house.now)


def test_the_dry_run_says_the_same_and_changes_nobody(either_house: House) -> None:
    house = either_house
    newsroom.found(house)
    put_on_the_list(house, SuppressionReason.LEFT, BOB)
    id = uploaded(house, table(ANN, BOB, ANN.upper(), "nobody", "cy@example.org"))
    before = {name: rows for name, rows in everything(house).items() if not name.startswith("import")}
    expected = check(house, id)
    assert expected == {"taken": 2, "left": 1, "doubled": 1, "invalid": 1}
    assert {name: rows for name, rows in everything(house).items() if not name.startswith("import")} == before
    with house.app.app_context():
        found = importing.samples(an_import(id))
    assert found == {
        Outcome.DOUBLED: [(4, "ANN@EXAMPLE.ORG")],
        Outcome.LEFT: [(3, BOB)],
        Outcome.INVALID: [(5, "nobody")],
    }
    start(house, id)
    assert work(house, id) == expected
    with house.app.app_context():
        refused = [(row.line, outcome.value) for row, outcome in importing.refused(an_import(id))]
        assert import_runs.work_due(house.clock, house.keys) == 0
    assert refused == [(3, "left"), (4, "doubled"), (5, "invalid")]
    assert count(house, ImportSeen) == 0, "what nobody wants to see is swept away"


# Nobody comes back


def left(house: House) -> None:
    assert house.browser.post(became_reader(house)).status_code == 200


def erased(house: House) -> None:
    became_reader(house)
    with house.app.app_context():
        reader = subscriber_at(ANN)
        assert reader is not None
        privacy.erase(reader.id, Origin(), house.now, house.keys)


def moved(house: House) -> None:
    became_reader(house)
    page = link_in(house, ANN, "/preferences/")
    house.browser.post(f"{page}/address", data={"email": "ann@example.net"})
    house.work()
    house.browser.post(link_in(house, "ann@example.net", "/change/"))


def blocked(house: House) -> None:
    with house.app.app_context():
        blocking.block("example.org", "", house.now, COMMAND)


def listed(reason: SuppressionReason) -> Callable[[House], None]:
    return lambda house: put_on_the_list(house, reason)


AWAY: dict[str, Callable[[House], None]] = {
    "left": left,
    "erased": erased,
    "moved": moved,
    "blocked": blocked,
    "bounced": listed(SuppressionReason.HARD_BOUNCE),
    "complained": listed(SuppressionReason.COMPLAINT),
    "by_hand": listed(SuppressionReason.BY_HAND),
}


@pytest.mark.parametrize("mode", ImportMode)
@pytest.mark.parametrize("why", AWAY)
def test_nobody_comes_back_by_a_file(house: House, why: str, mode: ImportMode) -> None:
    newsroom.found(house)
    AWAY[why](house)
    house.work()
    mails, kept = len(house.inbox.mails), ("suppressions", "subscriptions", "subscribers", "consent_events")
    before = [everything(house)[name] for name in kept]
    assert brought(house, table(ANN), mode) == {why: 1}
    house.work()
    assert len(house.inbox.mails) == mails
    assert [everything(house)[name] for name in kept] == before


@pytest.mark.parametrize("mode", ImportMode)
def test_who_left_elsewhere_stays_away(either_house: House, tmp_path: Path, mode: ImportMode) -> None:
    house, file = either_house, tmp_path / "left.csv"
    newsroom.found(house)
    file.write_text(f"email,reason,date\n{ANN},unsubscribed,2025-01-01\n")
    with house.app.app_context():
        transfer.import_suppressions(file, house.now, house.keys, COMMAND)
    assert brought(house, table(ANN, BOB), mode) == {"left": 1, "taken": 1}


def test_who_left_elsewhere_is_kept_from_it_also_when_the_list_comes_later(house: House, tmp_path: Path) -> None:
    """What an import says of consent is no confirmation of the reader's own, which alone lifts a leaving."""
    newsroom.found(house)
    file = tmp_path / "left.csv"
    brought(house, f"email,date\n{ANN},2024-01-01\n")
    file.write_text(f"email,reason,date\n{ANN},unsubscribed,2025-01-01\n")
    with house.app.app_context():
        done = transfer.import_suppressions(file, house.now, house.keys, COMMAND)
    assert (done.added[SuppressionReason.LEFT], done.later) == (1, 0)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("email,status\nann@example.org,Unsubscribed\n", {"left": 1}),
        ("email,status\nann@example.org,cleaned\n", {"bounced": 1}),
        ("email,state\nann@example.org,spam complaint\n", {"complained": 1}),
        ("email,status\nann@example.org,VIP\n", {"unclear": 1}),
        ("email,status\nann@example.org,pending\n", {"unclear": 1}),
        ("email,subscribed_to_emails\nann@example.org,false\n", {"left": 1}),
        ("email,unsubscribed\nann@example.org,no\n", {"taken": 1}),
        ("email,status\nann@example.org,Active\n", {"taken": 1}),
        ("email,status\nann@example.org,\n", {"taken": 1}),
    ],
)
def test_what_the_file_itself_says_against_mailing_somebody_holds(
    house: House, text: str, told: dict[str, int]
) -> None:
    newsroom.found(house)
    assert brought(house, text) == told


def test_a_reader_of_another_newsletter_reads_this_one_too_and_one_of_this_stays_as_they_are(house: House) -> None:
    newsroom.found(house)
    paper = newsroom.found(house, "ridge-courier")
    paper.readers(ANN, BOB)
    paper.leave(BOB)
    with house.app.app_context():
        id = uploading.keep(BytesIO(table(ANN, BOB).encode()), "x.csv", newsletter("morning-post"), house.now, COMMAND)
    check(house, id)
    start(house, id)
    assert work(house, id) == {"taken": 2}, "who left the one has not left the other"
    assert brought_into(house, "ridge-courier", ANN, BOB) == {"already": 1, "left": 1}


def brought_into(house: House, slug: str, *addresses: str) -> dict[str, int]:
    id = uploaded(house, table(*addresses), slug=slug)
    check(house, id)
    start(house, id)
    return work(house, id)


def test_who_leaves_while_it_runs_is_not_taken(either_house: House, small: None) -> None:
    house = either_house
    newsroom.found(house)
    id = uploaded(house, table(*many(30), ANN))
    check(house, id)
    start(house, id)
    steps(house, id, 1)
    put_on_the_list(house, SuppressionReason.COMPLAINT)
    assert work(house, id) == {"taken": 30, "complained": 1}


# Killed, and two at once


def steps(house: House, id: int, batches: int) -> None:
    """So many batches, and then the power fails: the lease is not given back."""
    done = 0

    class PowerFailure(BaseException):
        pass

    def fail(_one: Import) -> None:
        nonlocal done
        done += 1
        if done == batches:
            raise PowerFailure

    with house.app.app_context(), pytest.raises(PowerFailure):
        import_runs.work(id, "the one that died", house.clock, house.keys, progress=fail)


@pytest.mark.parametrize("mode", ImportMode)
def test_it_goes_on_from_where_it_was(either_house: House, small: None, mode: ImportMode) -> None:
    house = either_house
    newsroom.found(house)
    id = uploaded(house, "email,name\n" + "".join(f'{one},"of two\nlines"\n' for one in many(95)))
    check(house, id, mode, an_hour=1500)
    start(house, id)
    for _ in range(9):
        if state(house, id) == "running":
            steps(house, id, 1)
            house.later(minutes=2)
    assert work(house, id) == {"taken": 95}
    assert state(house, id) == "done"
    if mode is ASK:
        house.work()
        assert sorted(mail.recipient for mail in house.inbox.mails) == many(95)
    else:
        assert readers(house) == many(95)
        assert len(story_of(house, "r7@example.org")) == 1


def test_what_fails_in_the_middle_of_a_batch_takes_nobody_of_it(
    either_house: House, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = either_house
    newsroom.found(house)
    id = uploaded(house, table(*many(35)))
    check(house, id)
    start(house, id)
    steps(house, id, 2)
    monkeypatch.setattr(import_runs, "_move", lambda *given: 1 / 0)
    house.later(minutes=2)
    with house.app.app_context(), pytest.raises(ZeroDivisionError):
        import_runs.work(id, "another", house.clock, house.keys)
    assert len(readers(house)) == 20
    monkeypatch.undo()
    assert work(house, id) == {"taken": 35}
    assert readers(house) == many(35)


@pytest.mark.slow
def test_a_process_that_is_killed_is_gone_on_with_by_another(
    either_house: House, either_database: str, tmp_path: Path
) -> None:
    house = either_house
    house.clock.at = SystemClock().now()
    newsroom.found(house)
    id = uploaded(house, table(*many(6000)))
    check(house, id)
    start(house, id)
    config = tmp_path / "config.toml"
    config.write_text(f"[database]\nurl = {json.dumps(either_database)}\n")
    command = [sys.executable, "-m", "tests.support.importing_process", str(config), str(id)]
    for batches in (1, 2, 1):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(batches):
                assert process.stdout.readline(), "it has ended before it was killed"
            process.send_signal(signal.SIGKILL)
        with house.app.app_context(), transaction() as session:
            session.execute(sa.update(Import).values(leased_until=None))
    assert state(house, id) == "running"
    assert 0 < len(readers(house)) < 6000
    assert work(house, id) == {"taken": 6000}
    assert readers(house) == many(6000)


def test_two_who_work_at_once_take_each_once(either_house: House, small: None) -> None:
    house = either_house
    newsroom.found(house)
    id = uploaded(house, table(*many(200)))
    check(house, id)
    start(house, id)

    def one(number: int) -> int:
        with house.app.app_context():
            return import_runs.work(id, f"worker {number}", house.clock, house.keys)

    done = at_once(2, one)
    assert sorted(done) == [0, 200], "one of them holds it"
    assert (counts(house, id), readers(house)) == ({"taken": 200}, many(200))


def test_who_comes_back_after_the_lease_has_run_out_takes_nobody(either_house: House, small: None) -> None:
    house = either_house
    newsroom.found(house)
    id = uploaded(house, table(*many(50)))
    check(house, id)
    start(house, id)

    def overtaken(one: Import) -> None:
        if one.holder == "slow" and one.rows == 10:
            house.later(minutes=2)
            import_runs.work(id, "quick", house.clock, house.keys)

    with house.app.app_context():
        assert import_runs.work(id, "slow", house.clock, house.keys, progress=overtaken) == 10
    assert (counts(house, id), readers(house)) == ({"taken": 50}, many(50))


def test_two_files_of_the_same_people_at_once_take_each_once(either_house: House, small: None) -> None:
    house = either_house
    newsroom.found(house)
    ids = [uploaded(house, table(*order)) for order in (many(100), reversed(many(100)))]
    for id in ids:
        check(house, id)
        start(house, id)
    at_once(2, lambda number: work(house, ids[number]))
    both = [counts(house, id) for id in ids]
    assert sum(one.get("taken", 0) for one in both) == sum(one.get("already", 0) for one in both) == 100
    assert readers(house) == many(100)


@pytest.mark.parametrize("other_way_round", [False, True])
def test_who_stands_in_one_part_and_in_the_next_comes_once(
    either_house: House, small: None, other_way_round: bool
) -> None:
    """Where several parts are worked on at a time, the next waits for the one before."""
    house = either_house
    newsroom.found(house)
    again = many(10)[::-1] if other_way_round else many(10)
    id = uploaded(house, table(*many(10), *again, *many(20)))
    assert check(house, id) == {"taken": 20, "doubled": 20}
    start(house, id)
    assert work(house, id) == {"taken": 20, "doubled": 20}
    assert readers(house) == many(20)
    assert {len(story_of(house, one)) for one in many(20)} == {1}


@pytest.mark.postgresql
def test_a_part_lets_go_when_somebody_waits_for_it_for_whom_the_part_before_waits(
    build_house: BuildHouse, postgres_url: str, small: None
) -> None:
    """Nobody but the import could see that all three wait in a circle."""
    house = build_house(postgres_url)
    newsroom.found(house)
    newsroom.found(house, "ridge-courier").readers("r13@example.org", "r3@example.org")
    id = uploaded(house, table(*many(20)), slug="morning-post")
    check(house, id)
    start(house, id)
    address = postgres_url.replace("+psycopg", "")
    with psycopg.connect(address) as staff, psycopg.connect(address, autocommit=True) as looking:
        staff.execute(KEPT, ["r13@example.org"])
        with ThreadPoolExecutor(1) as pool:
            importing = pool.submit(work, house, id)
            while not is_kept(looking, "r3@example.org"):
                assert not importing.done(), importing.result()
            staff.execute(KEPT, ["r3@example.org"])
            staff.commit()
            assert importing.result() == {"taken": 20}


KEPT = "SELECT id FROM subscribers WHERE normalised = %s FOR UPDATE"


def is_kept(connection: psycopg.Connection, address: str) -> bool:
    try:
        connection.execute(f"{KEPT} NOWAIT", [address])
    except psycopg.errors.LockNotAvailable:
        return True
    return False


def test_who_would_come_into_a_slot_that_is_closed_meanwhile_comes_into_another(
    either_house: House, small: None
) -> None:
    house = either_house
    newsroom.found(house)
    with house.app.app_context():
        late = slots.add("morning-post", "Europe/Paris", time(18), house.now, COMMAND).id
    id = uploaded(house, "email,slot\n" + "".join(f"{one},18:00 Europe/Paris\n" for one in many(40)))
    check(house, id)
    start(house, id)

    def close(one: Import) -> None:
        if one.rows == 10:
            closing.close("morning-post", late, newsletter(None).default_slot.id, house.now, COMMAND)

    with house.app.app_context():
        assert import_runs.work(id, "me", house.clock, house.keys, progress=close) == 40
        usual = newsletter(None).default_slot.id
        assert set(db.session.scalars(sa.select(Subscription.slot_id))) == {usual}
    assert (counts(house, id), readers(house)) == ({"taken": 40}, many(40))


@pytest.mark.postgresql
def test_batches_that_wait_for_their_turn_keep_nobody_from_deciding_about_a_slot(
    build_house: BuildHouse, postgres_url: str, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_runs, "PATIENCE_SECONDS", 60)
    house = build_house(postgres_url)
    newsroom.found(house)
    id = uploaded(house, table(*many(50)))
    check(house, id)
    start(house, id)
    decided = []

    def decide(one: Import) -> None:
        if one.rows == 10:
            with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as looking:
                while not looking.execute(WROTE_AND_WAITS).fetchone():
                    pass
            with transaction() as session:
                session.execute(sa.text("SET LOCAL lock_timeout = '10s'"))
                lock_slot(one.newsletter.default_slot.id)
                decided.append(one.id)

    with house.app.app_context():
        assert import_runs.work(id, "me", house.clock, house.keys, progress=decide) == 50
    assert (decided, counts(house, id)) == ([id], {"taken": 50})


WROTE_AND_WAITS = """SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND state = 'idle in transaction' AND query LIKE 'INSERT INTO consent_events%'"""


def test_a_cancelled_import_takes_nobody_more_and_who_was_taken_stays(either_house: House, small: None) -> None:
    house = either_house
    newsroom.found(house)
    id = uploaded(house, table(*many(50)))
    check(house, id)
    start(house, id)

    def stop(one: Import) -> None:
        if one.rows == 20:
            importing.cancel(id, house.now, COMMAND)

    with house.app.app_context():
        import_runs.work(id, "me", house.clock, house.keys, progress=stop)
    assert (state(house, id), counts(house, id)) == ("cancelled", {"taken": 20})
    assert work(house, id) == {"taken": 20}
    assert len(readers(house)) == 20
    with house.app.app_context(), pytest.raises(ImportNotNow):
        importing.start(id, house.now, COMMAND)
    assert brought(house, table(*many(50))) == {"already": 20, "taken": 30}, "the same file again takes the rest"


# The file


def test_the_file_is_gone_after_seven_days_and_what_was_said_of_it_stays(house: House) -> None:
    newsroom.found(house)
    brought(house, table(ANN, "nobody"))
    never = uploaded(house, table(BOB))
    house.later(days=7)
    with house.app.app_context():
        assert uploading.tidy(house.now) == 0
        house.later(seconds=1)
        assert uploading.tidy(house.now) == 2
        assert uploading.tidy(house.now) == 0
    assert count(house, ImportPart) == 0
    assert BOB not in repr(everything(house))
    assert state(house, never) == "cancelled"
    with house.app.app_context():
        kept = an_import(1)
        assert (kept.proof, kept.counts) == ("the log of the old system", {"taken": 1, "invalid": 1})
        assert importing.samples(kept) == {}


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a workbook", b"\0\1\2\3" * 1000])
def test_of_what_is_no_table_nothing_is_kept(house: House, content: bytes) -> None:
    newsroom.found(house)
    before = everything(house)
    with pytest.raises(uploading.FileUnusable, match="Nothing was changed"):
        uploaded(house, content)
    assert everything(house) == before


def test_a_file_that_is_too_large_is_not_kept(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploading, "PART", 100)
    monkeypatch.setattr(uploading, "LARGEST", 500)
    newsroom.found(house)
    with pytest.raises(uploading.FileTooLarge):
        uploaded(house, table(*many(100)))
    assert (count(house, Import), count(house, ImportPart)) == (0, 0)


def test_a_file_in_many_parts_is_read_as_one(either_house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploading, "PART", 64)
    monkeypatch.setattr(uploading.pieces, "__defaults__", (0, 64))
    house = either_house
    newsroom.found(house)
    text = "email;name\r\n" + "".join(f"{one};Zoë あ\r\n" for one in many(60))
    assert brought(house, text.encode("utf-16")) == {"taken": 60}
    assert count(house, ImportPart) > 40


def test_it_is_read_anew_in_another_way(house: House) -> None:
    newsroom.found(house)
    id = uploaded(house, "почта;имя\nann@example.org;Анна\n".encode("cp1251"))
    with house.app.app_context():
        importing.read_as(id, "cp1251", ";", None)
        assert uploading.look(an_import(id)).table.titles == ("почта", "имя")
        assert an_import(id).columns == {"address": 0}
        importing.read_as(id, "cp1251", ";", False)
    assert check(house, id) == {"invalid": 1, "taken": 1}, "the first row holds a reader now"


def test_what_must_be_said_is_asked_for(house: House) -> None:
    newsroom.found(house)
    id = uploaded(house, "a,b\nann@example.org,x\n")
    good = wish(house, id)
    with house.app.app_context():
        for wrong, error in (
            (importing.Wish({}, "x"), importing.ColumnMissing),
            (importing.Wish(dict.fromkeys(importing.Meaning, 0), "x"), importing.ColumnTwice),
            (importing.Wish(good.columns, " "), importing.SourceMissing),
            (importing.Wish(good.columns, "x", CONFIRMED, " "), importing.ProofMissing),
        ):
            with pytest.raises(error):
                importing.check(id, wrong, house.now, COMMAND)
        with pytest.raises(ImportNotNow):
            importing.start(id, house.now, COMMAND)
        assert an_import(id).state.value == "uploaded"


def test_what_was_done_is_written_down_without_an_address(house: House) -> None:
    newsroom.found(house)
    brought(house, table(ANN, "nobody"))
    with house.app.app_context():
        acts = db.session.scalars(sa.select(AuditRecord).where(AuditRecord.subject == "import:1")).all()
        told = {act.action: act.details for act in acts}
    assert list(told) == ["import.upload", "import.start", "import.done"]
    assert told["import.start"]["proof"] == "the log of the old system"
    assert told["import.start"]["expected"] == told["import.done"]["counts"] == {"taken": 1, "invalid": 1}
    assert ANN not in repr(told)


def test_only_so_many_refusals_are_kept_and_all_are_counted(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_runs, "REFUSALS_KEPT", 15)
    monkeypatch.setattr(import_runs, "BATCH_OF_FILE", 10)
    newsroom.found(house)
    assert brought(house, table(*["nobody"] * 40)) == {"invalid": 40}
    with house.app.app_context():
        assert len(list(importing.refused(an_import(1)))) == 15


def test_memory_does_not_grow_with_the_file(house: House) -> None:
    newsroom.found(house)
    peaks = []
    for rows in (3000, 12_000):
        id = uploaded(house, table(*(f"r{n}@{rows}.example.org" for n in range(rows))))
        check(house, id)
        start(house, id)
        tracemalloc.start()
        work(house, id)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.5 + 1_000_000


def test_an_import_ends_with_its_slice_and_goes_on_with_the_next(either_house: House, small: None) -> None:
    house = either_house
    newsroom.found(house)
    id = uploaded(house, table(*many(50)))
    check(house, id)
    start(house, id)
    with house.app.app_context():
        assert import_runs.work(id, "me", house.clock, house.keys, until=house.clock.steady()) == 10
        assert an_import(id).leased_until is None, "the next one need not wait"
        assert import_runs.work_due(house.clock, house.keys) == 40
    assert state(house, id) == "done"


def test_a_lease_of_a_clock_that_was_set_back_holds_nobody_up(house: House) -> None:
    newsroom.found(house)
    id = uploaded(house, table(ANN))
    check(house, id)
    start(house, id)
    with house.app.app_context():
        with transaction():
            db.session.get_one(Import, id).leased_until = house.now + timedelta(days=1)
        assert import_runs.work_due(house.clock, house.keys) == 1


def test_readers_who_came_in_get_the_next_edition(house: House) -> None:
    paper = newsroom.found(house)
    paper.tells(*newsroom.SUBJECTS)
    brought(house, table(ANN, BOB))
    newsroom.send(house, paper.draft())
    house.work()
    assert sorted(mail.recipient for mail in house.inbox.mails) == [ANN, BOB]
    assert [str(one) for one in state_of(house)] == ["active"]
    assert count(house, Subscriber) == count(house, Subscription) == 2
    assert leases.MAY_DIFFER < import_runs.LIFE * 2
