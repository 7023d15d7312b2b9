"""A newsroom in a few lines: a newsletter with stories, readers and an edition, without feeds and forms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

import sqlalchemy as sa

from newsletter.delivery import releasing
from newsletter.delivery.models import Delivery, DeliveryKind, DeliveryState, states_of
from newsletter.editions import composing, publishing
from newsletter.editions.models import Edition, edition_of
from newsletter.foundation import alerts
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.clock import SystemClock
from newsletter.foundation.database import db, transaction
from newsletter.mail import addresses
from newsletter.newsletters import settings
from newsletter.newsletters.models import Slot, newsletter
from newsletter.newsletters.settings import NewNewsletter
from newsletter.stories import marking
from newsletter.stories.models import Mark, NewsletterSource, Source, Story
from newsletter.subscribers.consent import Origin
from newsletter.subscribers.models import Subscriber, Subscription, SubscriptionState, subscriber_at
from newsletter.subscribers.preferences import unsubscribe
from tests.conftest import House

SUBJECTS = ("Harbor bridge closes", "New school opens", "Ferry gets a hull", "Snow on the pass", "Choir wins a prize")


@dataclass(frozen=True)
class Paper:
    """A newsletter of one house, as tests name it."""

    house: House
    id: int
    slug: str
    slot_id: int

    def tells(self, *titles: str) -> None:
        """Stories of an hour ago, each from an outlet of its own."""
        with self.house.app.app_context(), transaction() as session:
            for title in titles:
                session.add_all(_story(self.id, title, self.house.now))

    def story(self, title: str, outlet: str, use: dict[str, object] | None = None, **columns: object) -> int:
        """A story of an hour ago from an outlet's one feed, which the paper uses as `use` says; its id."""
        with self.house.app.app_context(), transaction() as session:
            source, story = _story(self.id, title, self.house.now, outlet)
            known = session.scalar(sa.select(Source).where(Source.outlet == outlet))
            story.source = known or source
            if use:
                story.source.newsletters = [NewsletterSource(newsletter_id=self.id, **use)]
            for name, value in columns.items():
                setattr(story, name, value)
            session.add(story)
            session.flush()
            return int(story.id)

    def mark(self, kind: str, story_id: int, other: int | None = None) -> None:
        with self.house.app.app_context():
            marking.mark(newsletter(self.slug), story_id, Mark(kind), self.house.now, COMMAND, other)

    def compose(self) -> composing.Draft:
        """What its edition would be now."""
        with self.house.app.app_context():
            slot = db.session.get_one(Slot, self.slot_id)
            return composing.compose(slot.newsletter, slot, self.house.now)

    def draft(self) -> int:
        """Today's edition, drafted as the scheduler does it; its id."""
        with self.house.app.app_context():
            publishing.draft_due(self.house.now)
            slot = db.session.get_one(Slot, self.slot_id)
            drafted = edition_of(self.slot_id, publishing.today(slot, self.house.now))
            assert drafted is not None
            return drafted.id

    def slot(self, zone: str, at: time) -> int:
        """Another slot of it; its id."""
        with self.house.app.app_context(), transaction() as session:
            made = Slot(newsletter_id=self.id, zone=zone, local_time=at, created_at=self.house.now)
            session.add(made)
            session.flush()
            return made.id

    def readers(self, *readers: str, slot_id: int | None = None, **columns: object) -> None:
        """Active readers; `columns` are the subscription's."""
        with self.house.app.app_context(), transaction() as session:
            session.add_all(_reader(self, address, slot_id or self.slot_id, columns) for address in readers)

    def change(self, address: str, **columns: object) -> None:
        """Change a reader's subscription in the table itself."""
        with self.house.app.app_context(), transaction():
            for name, value in columns.items():
                setattr(_subscription(self.id, address), name, value)

    def leave(self, address: str) -> None:
        """The reader presses unsubscribe."""
        with self.house.app.app_context():
            token = self.house.links.make("unsubscribe", _subscription(self.id, address).id)  # type: ignore[arg-type]
            unsubscribe(token, Origin(), self.house.now, self.house.keys, self.house.links)


def found(
    house: House,
    slug: str = "morning-post",
    *,
    zone: str = "UTC",
    at: time = time(6, 0),
    cooling: int = 0,
    **changed: str,
) -> Paper:
    """A newsletter that is content with two stories, and whose Send takes effect at once, unless told otherwise."""
    with house.app.app_context():
        new = NewNewsletter(slug, slug.replace("-", " ").title(), "post@example.org", zone, at)
        usual = {"items_at_least": "2", "cooling_minutes": str(cooling)}
        made = settings.add(new, house.now, COMMAND, **usual | changed)
        return Paper(house, made.id, slug, made.default_slot.id)


def _story(newsletter_id: int, title: str, now: datetime, outlet: str | None = None) -> Sequence[Any]:
    key = "".join(c if c.isalnum() else "-" for c in f"{title} {outlet or ''}".strip().lower())
    feed = f"https://{newsletter_id}.example/{key}.xml"
    source = Source(url=feed, outlet=outlet or title, next_poll_at=now, created_at=now)
    source.newsletters = [NewsletterSource(newsletter_id=newsletter_id)]
    story = Story(
        source=source,
        identity=key,
        page=key,
        url=f"https://{newsletter_id}.example/{key}",
        title=title,
        summary=f"All about it: {title}.",
        published_at=now - timedelta(hours=1),
        first_seen_at=now,
        updated_at=now,
    )
    return source, story


def _reader(paper: Paper, address: str, slot_id: int, columns: dict[str, object]) -> Subscriber:
    normalised = addresses.normalise(address)
    values = {
        "newsletter_id": paper.id,
        "slot_id": slot_id,
        "state": SubscriptionState.ACTIVE,
        "confirmed_at": paper.house.now,
    }
    return Subscriber(
        address=address,
        normalised=normalised,
        address_hash=paper.house.keys.address_hash(normalised),
        created_at=paper.house.now,
        subscriptions=[Subscription(**values | columns)],
    )


def _subscription(newsletter_id: int, address: str) -> Subscription:
    reader = subscriber_at(addresses.normalise(address))
    assert reader is not None
    return next(s for s in reader.subscriptions if s.newsletter_id == newsletter_id)


def sending(house: House, *readers: str, **changed: str) -> tuple[Paper, int]:
    """A paper whose edition of today was sent just now by hand: frozen, and not a mail out yet."""
    paper = found(house, **changed)
    paper.tells(*SUBJECTS)
    paper.readers(*readers)
    edition_id = paper.draft()
    send(house, edition_id)
    return paper, edition_id


def really_sending(house: House, slug: str, *readers: str) -> int:
    """An edition that is going out by the machine's own clock, which other processes go by; its id."""
    house.clock.at = SystemClock().now()
    paper = found(house, slug)
    paper.tells(*SUBJECTS[:2])
    paper.readers(*readers, welcomed_at=house.now)
    with house.app.app_context():
        today = house.now.date()
        drafted = publishing.compose(db.session.get_one(Slot, paper.slot_id), today, house.now, COMMAND)
        return releasing.send(drafted.id, house.now, COMMAND, today.isoformat()).id


def send(house: House, edition_id: int, typed_date: str | None = None) -> None:
    with house.app.app_context():
        releasing.send(edition_id, house.now, COMMAND, typed_date)


def edition_state(house: House, edition_id: int) -> str:
    """The state in a word, with "held" before it when a hold lies over it."""
    with house.app.app_context():
        found = db.session.get_one(Edition, edition_id)
        return f"held {found.state}" if found.held_at else str(found.state)


def ledger_of(house: House, edition_id: int) -> dict[str, int]:
    """How many rows are in each state that any is in, skipped ones by reason.

    Looks at what must be true after every fault: the states add up to the audience, and every row has its edition and
    its reader (rules 8 and 9).
    """
    with house.app.app_context():
        edition = db.session.get_one(Edition, edition_id)
        daily = Delivery.edition_id == edition_id, Delivery.kind != DeliveryKind.WELCOME
        rows = db.session.scalars(sa.select(Delivery).where(*daily)).all()
        assert edition.audience == len(rows) == sum(states_of(edition_id).values()), "the states do not add up"
        assert orphans() == []
        counts: dict[str, int] = {}
        for row in rows:
            word = f"skipped({row.skip_reason})" if row.state is DeliveryState.SKIPPED else str(row.state)
            counts[word] = counts.get(word, 0) + 1
        return counts


def orphans() -> list[int]:
    """Deliveries without their edition or their reader; the table has no foreign keys (rule 8)."""
    return list(
        db.session.scalars(
            sa.select(Delivery.id)
            .join(Edition, Edition.id == Delivery.edition_id, isouter=True)
            .join(Subscription, Subscription.id == Delivery.subscription_id, isouter=True)
            .join(Subscriber, Subscriber.id == Delivery.subscriber_id, isouter=True)
            .where(sa.or_(Edition.id.is_(None), Subscription.id.is_(None), Subscriber.id.is_(None)))
        )
    )


def delivery(house: House, address: str) -> Delivery:
    """The reader's latest row, to look at and not to change."""
    with house.app.app_context():
        reader = subscriber_at(addresses.normalise(address))
        assert reader is not None
        query = sa.select(Delivery).where(Delivery.subscriber_id == reader.id).order_by(Delivery.id.desc())
        found = db.session.scalars(query).first()
        assert found is not None
        db.session.expunge(found)
        return found


def open_alert_keys(house: House) -> list[str]:
    with house.app.app_context():
        return [alert.key for alert in alerts.open_alerts()]


def alerts_raised(house: House, key: str) -> int:
    """How often an alert was raised so far, open or not."""
    with house.app.app_context():
        query = sa.select(sa.func.count()).select_from(alerts.Alert).where(alerts.Alert.key == key)
        return db.session.scalar(query) or 0
