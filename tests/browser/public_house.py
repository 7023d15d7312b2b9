"""A running service with every public page in every state, for a real browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import time, timedelta
from threading import Thread

import sqlalchemy as sa
from playwright.sync_api import Page
from werkzeug.serving import make_server

from newsletter.foundation.database import db, transaction
from newsletter.foundation.links import Purpose
from newsletter.mail import addresses, suppression
from newsletter.mail.suppression import SuppressionReason
from newsletter.subscribers.models import RequestKind, SignUpRequest, Subscription, subscriber_at
from tests.conftest import BuildHouse, House
from tests.support import newsroom
from tests.support.ports import free_port

ANN, BOB, CARLA, DORA, EMIL = (f"{name}@example.org" for name in ("ann", "bob", "carla", "dora", "emil"))


@dataclass
class PublicHouse:
    """A house that answers on loopback. Ann reads two newsletters, Bob has paused, Carla has left.

    `said` is how its pages say some English.
    """

    house: House
    site: str
    papers: list[newsroom.Paper] = field(default_factory=list)
    said: Callable[[str], str] = str

    def token(self, purpose: Purpose, subject: int) -> str:
        return self.house.links.make(purpose, subject)

    def preferences(self, address: str) -> str:
        with self.house.app.app_context():
            reader = subscriber_at(addresses.normalise(address))
            assert reader is not None
            return f"{self.site}/preferences/{self.token(Purpose.PREFERENCES, reader.id)}"

    def leaving(self, address: str) -> str:
        with self.house.app.app_context():
            reader = subscriber_at(addresses.normalise(address))
            assert reader is not None
            return f"{self.site}/unsubscribe/{self.token(Purpose.UNSUBSCRIBE, reader.subscriptions[0].id)}"

    def asked(self, address: str, *slugs: str) -> str:
        """The confirmation link of somebody who asked for these newsletters."""
        form = {"email": address, "newsletter": list(slugs)}
        assert self.house.browser.post("/subscribe", data=form).status_code == 200
        return f"{self.site}/confirm/{self.token(Purpose.CONFIRM, self._latest(RequestKind.SIGN_UP))}"

    def moving(self, address: str, to: str) -> str:
        """The link by which the owner of another address says yes."""
        path = self.preferences(address).removeprefix(self.site)
        assert self.house.browser.post(f"{path}/address", data={"email": to}).status_code == 200
        return f"{self.site}/change/{self.token(Purpose.CHANGE, self._latest(RequestKind.CHANGE))}"

    def _latest(self, kind: RequestKind) -> int:
        with self.house.app.app_context():
            query = sa.select(SignUpRequest.id).where(SignUpRequest.kind == kind).order_by(SignUpRequest.id.desc())
            return db.session.scalars(query.limit(1)).one()

    def never_mail(self, address: str) -> None:
        with self.house.app.app_context(), transaction():
            hashed = self.house.keys.address_hash(addresses.normalise(address))
            suppression.suppress(hashed, SuppressionReason.COMPLAINT, self.house.now)


@contextmanager
def running(build_house: BuildHouse, url: str, **settings: object) -> Iterator[PublicHouse]:
    """Served on loopback, with two newsletters of which one comes at several times."""
    port = free_port()
    site = f"http://127.0.0.1:{port}"
    house = build_house(url, site_url=site, **settings)
    server = make_server("127.0.0.1", port, house.app, threaded=True)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield PublicHouse(house, site)
    finally:
        server.shutdown()
        thread.join(30)
        server.server_close()


def furnish(public: PublicHouse) -> None:
    morning = newsroom.found(
        public.house,
        "morning-post",
        zone="America/New_York",
        tagline="From The Harbor Gazette",
        promise="The ten stories that matter, each told once, on your table at six.",
        publisher="The Harbor Gazette",
        postal_address="The Harbor Gazette, 1 Quay Street, Port Ellery",
        accent="#1f4e5f",
    )
    morning.slot("Europe/Berlin", time(6, 0))
    morning.slot("Asia/Tokyo", time(18, 30))
    evening = newsroom.found(
        public.house,
        "weekend-courier",
        at=time(17, 0),
        tagline="What to read when there is time",
        promise="Long stories, once a week.",
        publisher="The Harbor Gazette",
        accent="#7a3e10",
        days="6",
    )
    public.papers = [morning, evening]
    morning.readers(ANN, BOB, CARLA)
    morning.change(BOB, paused_until=public.house.now.date() + timedelta(days=14))
    morning.leave(CARLA)
    with public.house.app.app_context(), transaction() as session:
        reader = subscriber_at(ANN)
        assert reader is not None
        session.add(
            Subscription(
                subscriber_id=reader.id,
                newsletter_id=evening.id,
                slot_id=evening.slot_id,
                state="active",
                confirmed_at=public.house.now,
            )
        )


def no_sideways_scroll(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))
