"""What the doctor makes of what it sees, as far as that needs nobody to be asked."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from newsletter.foundation.config import WebConfig
from newsletter.foundation.text import in_octets
from newsletter.operations.doctor import certificates, clocks, databases, disks, senders, zones
from newsletter.operations.doctor.databases import OVER_A_NETWORK
from newsletter.operations.doctor.findings import Found, Status

NOW = datetime(2026, 3, 3, 5, 20, tzinfo=UTC)
FOUND = Found("something")
GB = 10**9
MOUNTS = """\
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
22 21 0:40 / /srv/shared\\040disk rw - nfs4 nas:/export rw
23 21 0:41 / /srv rw master:2 - xfs /dev/sdb1 rw
nonsense
24 21 0:42 / /proc rw - proc
"""


# Disk


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("/newsletter.db", "ext4"),
        ("/srv/newsletter.db", "xfs"),
        ("/srvx/newsletter.db", "ext4"),
        ("/srv/shared disk/newsletter.db", "nfs4"),
    ],
)
def test_the_filesystem_of_a_file_is_that_of_the_nearest_mount(file: str, kind: str) -> None:
    assert disks.filesystem_of(Path(file), MOUNTS) == kind
    assert (kind in OVER_A_NETWORK) == (kind == "nfs4")


def test_where_the_kernel_tells_nothing_nothing_is_claimed() -> None:
    assert disks.filesystem_of(Path("/newsletter.db"), "") is None


@pytest.mark.parametrize(
    ("free", "size", "days", "words"),
    [
        (100 * GB, GB, 100, "longer than ten years"),
        (100 * GB, 10 * GB, 100, "about 3 years"),
        (10 * GB, 10 * GB, 100, "about 3 months"),
        (GB, 10 * GB, 100, "about 10 days"),
        (GB // 10, 10 * GB, 100, "about 1 day."),
        (GB, 10 * GB, 2, "too early to say"),
        (GB, 0, 100, "too early to say"),
        (GB, 10 * GB, None, "too early to say"),
    ],
)
def test_how_long_the_space_lasts_is_told_in_plain_words(free: int, size: int, days: int | None, words: str) -> None:
    assert words in disks.how_long(free, size, timedelta(days=days) if days is not None else None)


@pytest.mark.parametrize(
    ("octets", "words"), [(900, "1 KB"), (3_200_000_000, "3.2 GB"), (250 * 10**9, "250 GB"), (10**13, "10.0 TB")]
)
def test_sizes_are_told_as_disks_are_sold(octets: int, words: str) -> None:
    assert in_octets(octets) == words


# Database


@pytest.mark.parametrize(
    ("major", "status"),
    [(11, Status.ERROR), (12, Status.WARNING), (14, Status.WARNING), (15, Status.OK), (18, Status.OK)],
)
def test_an_old_postgresql_is_told(major: int, status: Status) -> None:
    (finding,) = databases.postgresql_version(major, FOUND)
    assert (finding.status, str(major) in finding.message) == (status, True)


@pytest.mark.parametrize(
    ("workers", "threads", "there", "others", "status"),
    [
        (1, 8, 97, 0, Status.OK),
        (4, 16, 97, 0, Status.OK),
        (4, 16, 97, 8, Status.WARNING),
        (5, 8, 69, 0, Status.WARNING),
        (5, 8, 70, 0, Status.OK),
    ],
)
def test_more_connections_than_there_are_is_a_warning(
    workers: int, threads: int, there: int, others: int, status: Status
) -> None:
    (finding,) = databases.connections(WebConfig(workers=workers, threads=threads), there, others, FOUND)
    assert finding.status is status


@pytest.mark.parametrize(
    ("megabytes", "readers", "told"), [(128, 0, []), (128, 199_999, []), (128, 200_000, ["128 MB"]), (1024, 10**7, [])]
)
def test_postgresql_as_it_came_is_too_small_for_many_readers(megabytes: int, readers: int, told: list[str]) -> None:
    found = list(databases.memory(megabytes << 20, readers, FOUND))
    assert [one.status for one in found] == [Status.WARNING] * len(told)
    assert all(words in one.message for words, one in zip(told, found, strict=True))


# Clock


@pytest.mark.parametrize(
    ("seconds", "status", "words"),
    [
        (0, Status.OK, "agrees"),
        (4, Status.OK, "agrees"),
        (20, Status.WARNING, "20 seconds behind that of time.example.org"),
        (-20, Status.WARNING, "20 seconds ahead of"),
        (300, Status.ERROR, "300 seconds behind"),
    ],
)
def test_a_clock_is_judged_by_how_far_it_is_off(seconds: int, status: Status, words: str) -> None:
    difference = clocks.between(NOW, NOW, NOW + timedelta(seconds=seconds))
    finding = clocks.judged(difference, "that of time.example.org", FOUND)
    assert (finding.status, words in finding.message) == (status, True)


def test_a_slow_answer_is_no_difference() -> None:
    difference = clocks.between(NOW, NOW + timedelta(seconds=120), NOW)
    assert clocks.judged(difference, "theirs", FOUND).status is Status.OK


def test_the_kernel_is_asked_whether_somebody_sets_the_clock() -> None:
    assert clocks.is_steered() in (True, False, None)


# Time zones


@pytest.mark.parametrize(
    ("version", "status"),
    [
        ("2025b", Status.OK),
        ("2025.2", Status.OK),
        ("2024a", Status.WARNING),
        (None, Status.UNKNOWN),
        ("?", Status.UNKNOWN),
    ],
)
def test_old_time_zone_data_is_told(version: str | None, status: Status) -> None:
    assert zones.age(version, date(2026, 3, 3), FOUND).status is status


# Certificates


@pytest.mark.parametrize(
    ("ends", "status", "words"),
    [
        ("Jun  1 12:00:00 2026 GMT", Status.OK, "90 more days"),
        ("Mar 17 06:00:00 2026 GMT", Status.OK, "14 more days"),
        ("Mar 17 05:00:00 2026 GMT", Status.WARNING, "13 more days"),
        ("Mar  4 06:00:00 2026 GMT", Status.WARNING, "1 more day."),
    ],
)
def test_a_certificate_that_ends_soon_is_a_warning(ends: str, status: Status, words: str) -> None:
    finding = certificates.judged({"notAfter": ends}, "relay.example.org", NOW, FOUND)
    assert (finding.status, words in finding.message) == (status, True)


def test_of_a_certificate_that_nobody_sees_nothing_is_claimed() -> None:
    assert certificates.judged(None, "relay.example.org", NOW, FOUND).status is Status.UNKNOWN


# SPF


@pytest.mark.parametrize(
    ("addresses", "host", "record"),
    [
        (["192.0.2.25", "2001:db8::25"], "relay.test", "v=spf1 ip4:192.0.2.25 ip6:2001:db8::25 ~all"),
        ([], "relay.test", "v=spf1 a:relay.test ~all"),
        ([], "127.0.0.1", "v=spf1 ip4:ADDRESS-OF-YOUR-RELAY ~all"),
        ([], "localhost", "v=spf1 ip4:ADDRESS-OF-YOUR-RELAY ~all"),
    ],
)
def test_the_record_to_add_names_the_relay_and_nobody_else(addresses: list[str], host: str, record: str) -> None:
    assert senders.spf_for(addresses, host) == record
