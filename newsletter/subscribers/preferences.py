"""What readers change by a link from a mail, without a password."""

from __future__ import annotations

from datetime import datetime

from newsletter.foundation.database import db, locked, transaction
from newsletter.foundation.links import Links, Purpose
from newsletter.foundation.secrets import Keys
from newsletter.subscribers.consent import Origin, remember
from newsletter.subscribers.models import ConsentKind, Subscription, SubscriptionState


def subscription_of(token: str, links: Links) -> Subscription | None:
    """The subscription behind an unsubscribe link; None when the person has been erased. Raises LinkInvalid."""
    return db.session.get(Subscription, links.read(Purpose.UNSUBSCRIBE, token))


def unsubscribe(token: str, origin: Origin, now: datetime, keys: Keys, links: Links) -> Subscription | None:
    """Leave the newsletter. A second call, or one for somebody who was erased, is no error. Raises LinkInvalid."""
    subscription_id = links.read(Purpose.UNSUBSCRIBE, token)
    with transaction():
        leaving = locked(Subscription, subscription_id)
        if leaving is not None and leaving.state is SubscriptionState.ACTIVE:
            leaving.state, leaving.unsubscribed_at = SubscriptionState.UNSUBSCRIBED, now
            remember(ConsentKind.UNSUBSCRIBED, leaving.subscriber.address, leaving.newsletter_id, origin, now, keys)
    return leaving
