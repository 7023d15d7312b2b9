"""A worker that dies at any moment: SIGKILL at what it asks of the system, one point after the other.

strace kills it at the n-th call of one kind in one of its threads. Then somebody else takes over, eleven minutes later.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from newsletter.foundation.clock import SystemClock
from newsletter.foundation.config import MailConfig
from tests.conftest import BuildHouse, missing
from tests.support.misbehaving_relay import MisbehavingRelay
from tests.support.newsroom import edition_state, ledger_of, really_sending
from tests.support.worker_process import running_worker

CONNECTIONS = 2
READERS = 16

CALLS = {
    "sqlite": {"pwrite64": 8, "fdatasync": 5, "sendto": 5, "recvfrom": 4},
    "postgresql": {"sendto": 10, "recvfrom": 10},
}
"""By the database: a kind of call, and at how many points of it the worker is killed; 42 in all."""


def points(trace: Path, how_many: int) -> list[int]:
    """Evenly over the calls that the busiest thread of a whole run makes, but for what it asks before it begins."""
    busiest = max(Counter(line.split()[0] for line in trace.read_text().splitlines()).values())
    first = busiest // 3 if busiest > 30 else 1
    return [first + (busiest - first) * number // how_many for number in range(how_many)]


@pytest.mark.slow
def test_whenever_it_is_killed_the_ledger_adds_up_and_nobody_gets_two(
    build_house: BuildHouse, either_database: str, tmp_path: Path, relay: MisbehavingRelay
) -> None:
    strace = shutil.which("strace")
    if strace is None or subprocess.run([strace, "-qq", "-o", "/dev/null", "true"], check=False).returncode:
        missing("strace", "strace is not installed, or may not trace a process here")
        raise AssertionError
    relay.extensions = ("PIPELINING",)
    house = build_house(either_database, mail=MailConfig(port=relay.port))
    trace = tmp_path / "trace"

    def run(slug: str, kind: str, *inject: str) -> tuple[int, list[str], int]:
        """A worker that sends one edition: the edition, its readers, and how the worker ended."""
        readers = [f"{slug}-{number}@example.org" for number in range(READERS)]
        edition_id = really_sending(house, slug, *readers)
        under = [strace, "-f", "-qq", "-o", str(trace), "-e", f"trace={kind}", *inject]
        with running_worker(tmp_path, either_database, relay, connections=CONNECTIONS, under=under) as process:
            return edition_id, readers, process.wait(120)

    seen = set()
    for kind, how_many in CALLS[either_database.partition(":")[0].partition("+")[0]].items():
        run(f"whole-{kind}", kind)
        for at in points(trace, how_many):
            edition_id, readers, killed = 0, [], False
            while not killed:  # no two runs are the same: one that ended before dies a little earlier
                assert at > 0, f"it never died at {kind}"
                killing = f"inject={kind}:signal=KILL:when={at}"
                edition_id, readers, ended = run(f"killed-{kind}-{at}", kind, "-e", killing)
                killed = ended == -signal.SIGKILL
                at -= not killed
            seen.add(tuple(sorted(ledger_of(house, edition_id).items())))
            house.clock.at = SystemClock().now() + timedelta(minutes=11)
            house.work()

            counts = ledger_of(house, edition_id)
            taken = [relay.taken.count(reader) for reader in readers]
            where = f"{kind} {at}: {counts}, taken {taken}"
            assert sum(counts.values()) == READERS, where
            assert set(counts) <= {"accepted", "uncertain"}, where
            assert counts.get("uncertain", 0) <= CONNECTIONS, where
            assert max(taken) == 1, f"nobody gets two: {where}"
            assert taken.count(0) <= counts.get("uncertain", 0), f"who has none is known to be uncertain: {where}"
            assert edition_state(house, edition_id) == "sent"
    assert len(seen) > 3, f"it died in different states: {seen}"
