"""What a visitor may ask with an address, and how often (DESIGN.md §5): every path that can cause a mail goes here."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from newsletter.foundation import alerts
from newsletter.foundation.config import Challenge, the_config
from newsletter.foundation.database import db, one_at_a_time, transaction
from newsletter.foundation.errors import NewsletterError
from newsletter.foundation.languages import LANGUAGES
from newsletter.foundation.network import network_of
from newsletter.foundation.secrets import Keys
from newsletter.mail import addresses, suppression
from newsletter.mail.addresses import AddressDisposable
from newsletter.subscribers.consent import Origin
from newsletter.subscribers.models import BlockedAddress, RequestKind, RequestOrigin, SignUpRequest

LINK_LIFE = timedelta(days=7)
ASKED_AN_HOUR = 20
PROVEN_AN_HOUR = 200
"""By one network: without a proof of work, and with one for each (whole barracks share an address)."""

CALM = timedelta(minutes=10)


class TooManyAsked(NewsletterError):
    """Many sign-ups came from your network in the last hour. Nothing was saved; please try again in an hour."""


class ProofNeeded(NewsletterError):
    """Many sign-ups are coming in. Your browser has to do a small sum first."""


def typed_address(text: str) -> str:
    """The address that a visitor typed. Raises AddressInvalid, of which AddressDisposable is one."""
    address = addresses.parse(text)
    if the_config().sign_up.refuse_disposable and addresses.is_disposable(address):
        raise AddressDisposable(address=address)
    return address


def count_in(origin: Origin, now: datetime) -> None:
    """Let a visitor ask, in the caller's transaction. Raises ProofNeeded, TooManyAsked."""
    rules, network = the_config().sign_up, network_of(origin.ip) if origin.ip else None
    if network:
        one_at_a_time(f"sign-ups from {network}")
    recent, stormy = _lately(network, now)
    wary = rules.challenge is Challenge.ALWAYS or origin.hasty or stormy
    if wary and rules.challenge is not Challenge.NEVER and not origin.proven:
        raise ProofNeeded
    if recent >= (PROVEN_AN_HOUR if origin.proven else ASKED_AN_HOUR):
        raise TooManyAsked if origin.proven or rules.challenge is Challenge.NEVER else ProofNeeded


_LATELY = sa.select(
    sa.select(sa.func.count())
    .where(SignUpRequest.network == sa.bindparam("network"), SignUpRequest.requested_at > sa.bindparam("since"))
    .scalar_subquery(),
    sa.select(SignUpRequest.requested_at)
    .where(SignUpRequest.id <= sa.select(sa.func.max(SignUpRequest.id)).scalar_subquery() - sa.bindparam("many"))
    .order_by(SignUpRequest.id.desc())
    .limit(1)
    .scalar_subquery(),
)
"""Asked with each sign-up, so it is one question, and made once."""


def _lately(network: str | None, now: datetime) -> tuple[int, bool]:
    """How many requests came from a network within an hour, and whether it storms.

    It does when very many came in within CALM, from wherever: that is an attack, or a very good day. Their numbers are
    counted, not the rows: a flood must not make each of its own sign-ups dearer.
    """
    asked = {"network": network, "since": now - timedelta(hours=1), "many": the_config().sign_up.storm_requests}
    recent, many_ago = db.session.connection().execute(_LATELY, asked).one()
    return recent, many_ago is not None and many_ago > now - CALM


def is_stormy(now: datetime) -> bool:
    return _lately(None, now)[1]


def watch(now: datetime) -> None:
    """Tell staff when a storm of requests begins, and forget it when it is over."""
    if the_config().sign_up.challenge is not Challenge.NEVER and is_stormy(now):
        with transaction():
            alerts.raise_(STORM, STORM_MESSAGE, STORM_REMEDY, now)
    elif STORM in {alert.key for alert in alerts.open_alerts()}:
        with transaction():
            alerts.resolve(STORM, now)


STORM = "sign-up-storm"
STORM_MESSAGE = "Very many sign-ups are coming in, so every visitor's browser does a small sum first."
STORM_REMEDY = "Nothing needs to be done: it ends by itself. If it is a flood from one domain, block the domain."


def write(
    kind: RequestKind,
    address: str,
    newsletter_id: int,
    asked_by: RequestOrigin,
    origin: Origin,
    now: datetime,
    *,
    language: str = "",
    subscriber_id: int | None = None,
) -> int:
    """Write a request in the caller's transaction, to be answered in a moment, and say its id."""
    asked: dict[str, object] = {
        "kind": kind,
        "address": address,
        "mailbox": addresses.without_tag(address),
        "newsletter_id": newsletter_id,
        "subscriber_id": subscriber_id,
        "language": language if language in LANGUAGES else "",
        "origin": asked_by,
        "requested_at": now,
        "expires_at": now + LINK_LIFE,
        "network": network_of(origin.ip) if origin.ip and asked_by is RequestOrigin.FORM else None,
        **origin.kept,
    }
    return db.session.connection().execute(_REQUEST, asked).scalar_one()


_REQUEST = sa.insert(SignUpRequest).returning(SignUpRequest.id)
"""Written with each sign-up, so it is made once; and as a row, for the session would take twice as long."""


def may_be_mailed(address: str, keys: Keys) -> bool:
    """Not after a complaint, and not when staff decided against it."""
    reasons = suppression.reasons(keys.address_hash(addresses.normalise(address)))
    return reasons <= set(suppression.LIFTED_BY_CONFIRMING)


def is_blocked(address: str) -> bool:
    """Whether staff blocked the address, or its domain with all below it."""
    return bool(db.session.scalar(sa.select(sa.exists().where(BlockedAddress.pattern.in_(patterns_of(address))))))


def patterns_of(address: str) -> set[str]:
    """What on the blocklist would keep it out."""
    mailbox = addresses.without_tag(address)
    labels = mailbox.rpartition("@")[2].split(".")
    return {addresses.normalise(address), mailbox, *(".".join(labels[n:]) for n in range(len(labels)))}
