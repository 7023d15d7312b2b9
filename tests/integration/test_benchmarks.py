"""What `make bench` measures can be measured, if only of very little."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import pytest
import sqlalchemy as sa

from benchmarks import __main__ as command
from benchmarks import (
    admin,
    apart,
    crews,
    crowds,
    databases,
    desk,
    houses,
    pages,
    relays,
    send,
    sinks,
    transfer,
)
from benchmarks.__main__ import BENCHMARKS, PAGE, main
from benchmarks.figures import Figures
from newsletter.delivery.models import Delivery
from newsletter.editions.models import Edition
from newsletter.foundation.database import db
from newsletter.subscribers.models import Subscriber, Subscription
from tests.support import postgres

SOURCE_PER_S = 1000.0


@pytest.mark.parametrize("measured", [apart._measured, pytest.param(apart.apart, marks=pytest.mark.slow)])
def test_the_desk_is_measured_and_its_figures_are_told(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    measured: Callable[..., tuple[object, float]],
) -> None:
    """In this process; and, as when figures are wanted, with each part in one of its own."""
    monkeypatch.setattr(postgres, "binaries", lambda: None)
    monkeypatch.setattr(desk, "apart", measured)
    rows = [{"title": f"Mayor{n} closes bridge{n}", "outlet": f"outlet{n}.example"} for n in range(20)]
    (tmp_path / "pool.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    main(["desk", "--sources", "2", "--stories", "50", "--pools", str(tmp_path), "--rounds", "1", "--json"])
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])

    assert set(figures) == {
        *(f"choose_{pool}_{figure}" for pool in ("50", "pools") for figure in ("s", "cpu_s", "mb")),
        *("rank_50_s", "rank_pools_s", "parse_cpu_s"),
        *(f"sqlite_{figure}" for figure in ("collect_s", "collect_cpu_s", "collect_mb", "parse_ratio", "unchanged_s")),
        *("sqlite_collect_one_host_s", "sqlite_unchanged_one_host_s"),
    }
    assert all(figure > 0 for figure in figures.values())
    share = figures["parse_cpu_s"] / figures["sqlite_collect_cpu_s"]
    assert figures["sqlite_parse_ratio"] == pytest.approx(share, rel=0.02)


@pytest.mark.parametrize("name", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def test_readers_in_and_out_are_measured(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
    name: str,
) -> None:
    only(monkeypatch, name, request.getfixturevalue("postgres_url" if name == "postgresql" else "sqlite_url"))
    monkeypatch.setattr(transfer, "apart", apart._measured)
    main(["transfer", "--readers", "230", "--json"])
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])

    assert set(figures) == {
        *(
            f"{name}_{part}_{figure}"
            for part in ("dry_run", "import", "export_csv", "export_jsonl")
            for figure in ("s", "rows_per_s", "mb")
        ),
        f"{name}_upload_s",
    }
    assert all(figure > 0 for figure in figures.values())


@pytest.fixture
def nearby(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers are threads of this process, and smtp-source is always as fast."""
    monkeypatch.setattr(crews, "process", lambda: ThreadPoolExecutor(1))
    monkeypatch.setattr(sinks, "tool", lambda name: None)
    monkeypatch.setattr(sinks, "source_per_s", lambda port, messages: SOURCE_PER_S)


def only(monkeypatch: pytest.MonkeyPatch, name: str, url: str) -> None:
    """Let there be no other database on this machine."""
    here = [(name, nullcontext(url))]
    monkeypatch.setattr(databases, "each", lambda among=databases.KINDS: [one for one in here if one[0] in among])


@pytest.mark.usefixtures("nearby")
def test_sending_is_measured_on_sqlite(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], sqlite_url: str
) -> None:
    only(monkeypatch, "sqlite", sqlite_url)
    main(["send", "--readers", "3", "--rounds", "1", "--json"])
    said = capsys.readouterr().out
    figures = json.loads(said.splitlines()[-1])

    assert set(figures) == {
        *(f"sqlite_connections_{count}_per_s" for count in (8, 16, 32)),
        *(f"sqlite_{figure}" for figure in ("per_s", "cpu_a_message_us", "smtp_source_per_s", "ratio_to_smtp_source")),
        *("sqlite_best_connections", "sqlite_growth_ratio", "sqlite_growth_cpu_ratio"),
        *(f"sqlite_readers_3_{figure}" for figure in ("a_message_us", "cpu_a_message_us", "mb")),
        *(f"sqlite_freeze_{part}_s" for part in ("insert", "shards", "look", "rest")),
        "sqlite_freeze_s",
    }
    assert figures["sqlite_per_s"] == figures[f"sqlite_connections_{figures['sqlite_best_connections']}_per_s"]
    assert figures["sqlite_ratio_to_smtp_source"] == pytest.approx(figures["sqlite_per_s"] / SOURCE_PER_S, abs=1e-4)
    assert figures["sqlite_growth_ratio"] == 1
    assert "our own sink" in said
    assert "PostgreSQL's server is missing here" in said


@pytest.mark.postgresql
@pytest.mark.usefixtures("nearby")
def test_on_postgresql_keys_a_far_relay_and_two_workers_are_measured_too(
    monkeypatch: pytest.MonkeyPatch, postgres_url: str
) -> None:
    only(monkeypatch, "postgresql", postgres_url)
    figures = send.measure(send.Size(speed=3, growth=(3, 5), freeze=7), rounds=1).values()

    assert figures["per_s"] == figures[f"connections_{figures['best_connections']}_per_s"]
    for kind in ("", "dkim_rsa_", "dkim_ed25519_"):
        ratio = figures[f"{kind}per_s"] / SOURCE_PER_S
        assert figures[f"{kind}ratio_to_smtp_source"] == pytest.approx(ratio, abs=1e-4)
    for count in (8, 32):
        possible = count / 0.02
        ratio = figures[f"relay_10ms_{count}_per_s"] / possible
        assert figures[f"relay_10ms_{count}_ratio"] == pytest.approx(ratio, abs=1e-4)
    assert figures["relay_10ms_ratio"] == min(figures["relay_10ms_8_ratio"], figures["relay_10ms_32_ratio"])
    for where in ("", "_10ms"):
        ratio = figures[f"two_workers{where}_per_s"] / figures[f"one_worker{where}_per_s"]
        assert figures[f"two_workers{where}_ratio"] == pytest.approx(ratio, rel=1e-2)
    grown = figures["readers_5_a_message_us"] / figures["readers_3_a_message_us"]
    assert figures["growth_ratio"] == pytest.approx(grown, rel=1e-3)
    parts = sum(figures[f"freeze_{part}_s"] for part in ("insert", "shards", "look", "rest"))
    assert figures["freeze_s"] == pytest.approx(parts, abs=1e-3)
    assert figures["freeze_choosing_s"] >= 0


@pytest.mark.postgresql
def test_the_newsroom_s_pages_are_measured_over_readers_with_a_past(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], postgres_url: str
) -> None:
    only(monkeypatch, "postgresql", postgres_url)
    monkeypatch.setattr(admin, "TIMES", 1)
    monkeypatch.setattr(crowds, "DAYS", 3)
    main(["admin", "--readers", "500", "--json"])
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    pages = {name.removesuffix("_p95_ms") for name in figures if name.endswith("_p95_ms")}

    assert {"home", "subscribers", "search_rare", "filter_newsletter", "segment_count", "person", "delivery"} < pages
    assert set(figures) == {f"{page}_{figure}_ms" for page in pages for figure in ("p50", "p95")}
    assert all(0 < figures[f"{page}_p50_ms"] <= figures[f"{page}_p95_ms"] for page in pages)
    with houses.house(postgres_url) as config, houses.inside(config):
        assert [db.session.scalar(sa.select(sa.func.count(one.id))) for one in (Subscriber, Edition)] == [500, 4 * 3]
        assert db.session.scalars(sa.select(Edition.audience)).all() == [
            len(deliveries_of(edition)) for edition in db.session.scalars(sa.select(Edition.id))
        ]


def deliveries_of(edition_id: int) -> Sequence[int]:
    return db.session.scalars(sa.select(Delivery.subscriber_id).where(Delivery.edition_id == edition_id)).all()


def test_without_postgresql_the_newsroom_is_not_measured_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "binaries", lambda: None)
    figures = admin.measure(10)
    assert figures.values() == {}
    assert figures.notes == [admin.MISSING]


@pytest.mark.slow
def test_a_worker_in_a_process_of_its_own_tells_what_it_took(sqlite_url: str) -> None:
    with relays.relay() as relay, houses.house(sqlite_url) as config, houses.inside(config):
        houses.fill(3)
        with crews.hired(houses.with_relay(config, relay.port, 2)) as crew:
            houses.send(3)
            work = crew.work()
        received = relay.received()

    assert received == {f"reader{number}@example.org": 1 for number in range(3)}
    assert work.wall > 0
    assert work.cpu > 0
    assert work.peak_mb > 10


def test_an_edition_that_not_everybody_got_is_not_measured(sqlite_url: str) -> None:
    with houses.house(sqlite_url) as config, houses.inside(config):
        houses.fill(2)
        edition_id = houses.send(2)
        with pytest.raises(RuntimeError, match="an edition to 2 readers ended as"):
            houses.ensure_accepted(edition_id, 2)


def test_readers_are_added_to_those_who_are_there(either_database: str) -> None:
    with houses.house(either_database) as config, houses.inside(config):
        for readers in (2, 5, 5):
            houses.fill(readers)
        people = db.session.scalars(sa.select(Subscriber).order_by(Subscriber.id)).all()
        reading = db.session.scalars(sa.select(Subscription.subscriber_id).order_by(Subscription.id)).all()

    assert [person.address for person in people] == [f"reader{number}@example.org" for number in range(5)]
    assert [person.address_hash for person in people] == [f"{number:064}" for number in range(5)]
    assert [person.former_hashes for person in people] == [[]] * 5
    assert reading == [person.id for person in people]


@pytest.mark.parametrize(
    ("given", "size"),
    [
        ({}, send.Size(5_000, (10_000, 100_000), 1_000_000)),
        ({"to_the_most": True}, send.Size(5_000, (10_000, 100_000, 1_000_000), 1_000_000)),
        ({"readers": 300}, send.Size(300, (300,), 300)),
        ({"readers": 20_000}, send.Size(5_000, (10_000, 20_000), 20_000)),
        ({"readers": 1_000_000}, send.Size(5_000, (10_000, 100_000, 1_000_000), 1_000_000)),
    ],
)
def test_nothing_is_sent_to_more_readers_than_are_asked_for(given: dict[str, int], size: send.Size) -> None:
    assert send.sized(**{"readers": None, **given}) == size


class Line(asyncio.Transport):
    """What a relay says, and whether it has hung up."""

    def __init__(self) -> None:
        super().__init__()
        self.said, self.closed = b"", False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.said += bytes(data)

    def close(self) -> None:
        self.closed = True


def hear(conversation: relays.Conversation, octets: bytes) -> None:
    conversation.get_buffer(-1)[: len(octets)] = octets
    conversation.buffer_updated(len(octets))


TALK = (
    b"EHLO us.example\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<ann@example.org>\r\nDATA\r\n"
    b"Subject: one\r\n\r\n..\r\n.x\r\n.\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<bob@example.org>\r\nRSET\r\n"
    b"RCPT TO:<cy@example.org>\r\nDATA\r\n.\r\nHELP\r\nQUIT\r\nNOOP\r\n"
)
ANSWERS = "220 250 250 250 250 250 250 354 250 250 250 250 250 354 250 502 221"


@pytest.mark.parametrize("at_a_time", [1, 2, 3, 7, len(TALK)])
def test_our_own_sink_understands_a_conversation_in_whatever_pieces_it_comes(at_a_time: int) -> None:
    received: Counter[str] = Counter()
    line, conversation = Line(), relays.Conversation(received, relays.at_once)
    conversation.connection_made(line)
    for start in range(0, len(TALK), at_a_time):
        hear(conversation, TALK[start : start + at_a_time])

    assert " ".join(answer[:3].decode() for answer in line.said.splitlines()) == ANSWERS
    assert received == {"ann@example.org": 1, "cy@example.org": 1}
    assert line.closed


def test_a_far_relay_reads_what_comes_while_its_answers_are_on_their_way() -> None:
    under_way: list[tuple[Callable[..., None], *tuple[object, ...]]] = []
    line = Line()
    conversation = relays.Conversation(Counter(), lambda *call: under_way.append(call))
    conversation.connection_made(line)
    line.said = b""
    hear(conversation, b"MAIL FROM:<a@example.org>\r\nRCPT TO:<ann@example.org>\r\n")
    hear(conversation, b"DATA\r\n")
    assert line.said == b""

    for call, *given in under_way:
        call(*given)
    assert [answer[:3] for answer in line.said.splitlines()] == [b"250", b"250", b"354"]
    assert len(under_way) == 2, "a batch of commands is one round trip"


PROSE = "# How fast\n\n<!-- measured: send -->\n<!-- /measured: send -->\n\nWords after it.\n"


def measured(**values: float) -> Figures:
    figures = Figures(notes=["A note."])
    for name, value in values.items():
        figures.add(name, value)
    return figures


def test_a_table_is_written_between_its_marks_and_twice_is_as_once(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(PROSE, "utf-8")
    pages.write(page, "send", measured(ratio=0.5), "2026-11-23")
    once = page.read_text("utf-8")
    pages.write(page, "send", measured(ratio=0.5), "2026-11-23")

    assert page.read_text("utf-8") == once
    assert once.startswith("# How fast\n\n<!-- measured: send -->\n| figure |")
    assert once.endswith("<!-- /measured: send -->\n\nWords after it.\n")
    assert "| `ratio` | 0.500 | 0.500 | 0.500 | 1 | 2026-11-23 |" in once
    assert once.count("A note.") == 1
    assert list(tmp_path.iterdir()) == [page]


def test_what_was_not_measured_again_keeps_its_row_and_its_day(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(PROSE, "utf-8")
    pages.write(page, "send", measured(ratio=0.5, growth_mb=200), "2026-11-22")
    pages.write(page, "send", measured(ratio=0.75), "2026-11-23")

    rows = [line for line in page.read_text("utf-8").splitlines() if line.startswith("| `")]
    assert rows == [
        "| `ratio` | 0.750 | 0.750 | 0.750 | 1 | 2026-11-23 |",
        "| `growth_mb` | 200.000 | 200.000 | 200.000 | 1 | 2026-11-22 |",
    ]


def test_a_page_without_the_marks_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text("No place for it.\n", "utf-8")

    with pytest.raises(pages.MarksMissing):
        pages.write(page, "send", measured(ratio=0.5), "2026-11-23")
    assert page.read_text("utf-8") == "No place for it.\n"


def test_each_table_is_on_the_page_as_soon_as_it_is_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(PROSE, "utf-8")
    monkeypatch.setattr(command, "PAGE", page)
    monkeypatch.setattr(
        command, "BENCHMARKS", {"send": lambda wanted: measured(ratio=0.5), "desk": lambda wanted: 1 / 0}
    )

    with pytest.raises(ZeroDivisionError):
        main(["all"])
    assert "| `ratio` | 0.500 |" in page.read_text("utf-8")


def test_the_page_has_a_place_for_each_benchmark() -> None:
    page = PAGE.read_text("utf-8")

    assert [name for name in BENCHMARKS if f"<!-- measured: {name} -->\n" not in page] == []
    assert [name for name in BENCHMARKS if f"\n<!-- /measured: {name} -->" not in page] == []
