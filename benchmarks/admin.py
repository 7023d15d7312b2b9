"""What staff wait for: the newsroom's pages over many readers with a past, through the real app, warm."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from statistics import median
from urllib.parse import urlencode, urlsplit

import sqlalchemy as sa
from flask.testing import FlaskClient

from benchmarks import crowds, databases, houses
from benchmarks.figures import Figures
from newsletter.app import create_app
from newsletter.editions.models import Edition
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.config import Config
from newsletter.foundation.database import db
from newsletter.foundation.links import the_links
from newsletter.staff import signing_in
from newsletter.staff.models import Role
from newsletter.subscribers import segmenting
from newsletter.subscribers.segments import AtDomain, InState, OfNewsletter, ReaderState

READERS = 1_000_000
TIMES = 40
"""How often each page is asked for, after some times that are not counted."""

WARM = 5
SITE = "https://news.example.org"
NOTE = (
    "{readers:,} readers of three newsletters on PostgreSQL, ninety days of editions of four slots, the ledger of the "
    "last day whole and of the days before for one reader in {remembered}. Each page {times} times through the app in "
    "this process, each time with another argument where it has one, after {warm} that are not counted; filling took "
    "{filled:.0f} s. An edition's page is of the last day, with as many copies as its slot has readers."
)
MISSING = "PostgreSQL's server is missing here, so nothing was measured."

Paths = Callable[[int], str]
"""A page's address, by the how manieth time it is asked for."""


def measure(readers: int | None) -> Figures:
    figures = Figures()
    url = dict(databases.each()).get("postgresql")
    if url is None:
        figures.notes.append(MISSING)
        return figures
    with url as address, houses.house(address) as config:
        filled = _fill(config, readers or READERS)
        told = {"readers": readers or READERS, "times": TIMES, "warm": WARM, "filled": filled}
        figures.notes.append(NOTE.format(remembered=crowds.REMEMBERED, **told))
        _ask_all(figures, config, readers or READERS)
    return figures


def _fill(config: Config, readers: int) -> float:
    """Seconds that it took."""
    begun = time.perf_counter()
    with houses.inside(config):
        crowds.gather(readers, _now())
    return time.perf_counter() - begun


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the app goes by the machine's clock


def _ask_all(figures: Figures, config: Config, readers: int) -> None:
    app = create_app(config)
    with app.app_context():
        desk = _signed_in(app.test_client())
        pages = _pages(readers)
        db.session.remove()
    for name, path in pages.items():
        spent = [_seconds(desk, path(number)) for number in range(-WARM, TIMES)][WARM:]
        figures.add(f"{name}_p50_ms", median(spent) * 1000)
        figures.add(f"{name}_p95_ms", sorted(spent)[math.ceil(0.95 * len(spent)) - 1] * 1000)
    with app.app_context():
        db.engine.dispose()


def _signed_in(client: FlaskClient) -> FlaskClient:
    signing_in.add("owner@example.org", Role.OWNER, _now(), COMMAND)
    link = urlsplit(signing_in.make_link("owner@example.org", _now(), COMMAND, the_links())).path
    token = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/admin/sign-in", base_url=SITE).text)
    assert token is not None
    client.post(link, base_url=SITE, data={"csrf_token": token[1]})
    return client


def _seconds(desk: FlaskClient, path: str) -> float:
    begun = time.perf_counter()
    answer = desk.get(path, base_url=SITE)
    spent = time.perf_counter() - begun
    if answer.status_code != 200:
        raise RuntimeError(f"{path} was answered with {answer.status_code}")
    return spent


def _pages(readers: int) -> dict[str, Paths]:
    today = _now().date()
    latest = db.session.scalars(sa.select(Edition.id).order_by(Edition.local_date.desc(), Edition.id).limit(1)).one()
    state = InState(ReaderState.UNSUBSCRIBED)
    segment = segmenting.save("Measured", (OfNewsletter(2), state, AtDomain("post.example")), _now(), COMMAND, None)
    week = {"joined_since": str(today - timedelta(days=7)), "joined_until": str(today)}
    return {
        "home": lambda n: "/admin/",
        "subscribers": lambda n: f"/admin/subscribers?before={readers - 50 * (n % 20)}",
        "count": lambda n: "/admin/subscribers/count",
        "search_rare": _listed(lambda n: {"q": f"{_of(crowds.LAST, n)}{_spread(n, readers)}"}),
        "search_common": _listed(lambda n: {"q": _of(crowds.LAST, n)[:4]}),
        "search_none": _listed(lambda n: {"q": f"zz{n}qx"}),
        "search_3_letters": _listed(lambda n: {"q": _of(crowds.FIRST, n)[:3].ljust(3, ".")}),
        "filter_newsletter": _listed(lambda n: {"newsletter": crowds.PAPERS[n % 3][0], "state": _of(STATES, n)}),
        "filter_suppressed": _listed(lambda n: {"newsletter": crowds.PAPERS[n % 2][0], "state": "suppressed"}),
        "filter_nobody": _listed(lambda n: {"newsletter": crowds.PAPERS[2][0], "state": "suppressed"}),
        "filter_domain": _listed(lambda n: {"domain": f"old{n % 20}.example"}),
        "filter_joined": _listed(lambda n: week | {"source": _of("form embed import", n)}),
        "filter_left": _listed(lambda n: {"left_since": str(today - timedelta(days=n % 30)), "newsletter": "ridge"}),
        "filter_bounced": _listed(lambda n: {"bounced": "yes", "newsletter": crowds.PAPERS[n % 3][0]}),
        "segment_count": lambda n: f"/admin/segments/{segment}/count",
        "person": lambda n: f"/admin/subscribers/{_spread(n, readers)}",
        "editions": lambda n: "/admin/editions",
        "delivery": lambda n: f"/admin/editions/{latest}/delivery",
        "delivery_row": lambda n: f"/admin/editions/{latest}/delivery?state=refused",
    }


STATES = "active paused unsubscribed"


def _of(words: str, n: int) -> str:
    every: Sequence[str] = words.split()
    return every[n % len(every)]


def _spread(n: int, readers: int) -> int:
    return 1 + (abs(n) * 7919 * 50) % readers


def _listed(fields: Callable[[int], dict[str, str]]) -> Paths:
    return lambda n: f"/admin/subscribers?{urlencode(fields(n))}"
