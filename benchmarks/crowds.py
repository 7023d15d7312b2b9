"""A large house with a past: readers of three newsletters, and what ninety days leave in the tables.

PostgreSQL makes the rows by itself, each from its number, so that they are the same in every run.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta

import sqlalchemy as sa

from benchmarks import houses
from newsletter.editions.models import Edition, EditionState
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.database import db, transaction
from newsletter.newsletters import settings
from newsletter.newsletters.models import Slot
from newsletter.newsletters.settings import NewNewsletter

DAYS = 90
PAPERS = (("harbor", "Harbor Gazette", 1), ("ridge", "Ridge Courier", 3), ("bay", "Bay Herald", 20))
"""Newsletters, and of how many readers one reads it."""

REMEMBERED = 50
"""Of so many readers one has ninety days of copies; of the others the ledger holds only the last edition."""

FIRST = "ann bob cleo dora emil fred gina hugo iris jack kate leon mona nils olga paul rosa sven tina umar vera will"
LAST = "abbott baker carver draper eaton fisher glover hooper ivory jagger keeler lawson marlow norris oakley palmer"
DOMAINS = "mail.example mail.example mail.example post.example post.example inbox.example letters.example web.example"

STATEMENTS = (
    """INSERT INTO subscribers (id, address, normalised, address_hash, created_at, language, text_only, former_hashes,
        bounced_at)
    SELECT n, address, lower(address), lpad(n::text, 64, '0'), :now - (n % 1000) * interval '1 day', '', false, '[]',
        CASE WHEN n % 211 = 0 THEN :now - interval '1 day' END
    FROM (SELECT n, initcap(firsts[1 + n % cardinality(firsts)]) || '.' || lasts[1 + n / 7 % cardinality(lasts)] || n
            || '@' || CASE WHEN n % 997 = 0 THEN 'old' || n % 20 || '.example'
                ELSE domains[1 + n / 3 % cardinality(domains)] END AS address
        FROM generate_series(1, :readers) n, (SELECT string_to_array(:firsts, ' ') firsts,
            string_to_array(:lasts, ' ') lasts, string_to_array(:domains, ' ') domains) words) made""",
    "SELECT setval('subscribers_id_seq', :readers)",
    """INSERT INTO subscriptions (subscriber_id, newsletter_id, slot_id, state, paused_until, confirmed_at,
        unsubscribed_at, welcomed_at, origin)
    SELECT n, newsletter_id, CASE WHEN n % 5 = 0 THEN slots[cardinality(slots)] ELSE slots[1] END,
        CASE WHEN (n + newsletter_id) % 17 = 0 THEN 'unsubscribed' ELSE 'active' END,
        CASE WHEN n % 41 = 0 THEN (:now)::date + 20 END, :now - (n % 1000) * interval '1 day',
        CASE WHEN (n + newsletter_id) % 17 = 0 THEN :now - (n % 90) * interval '1 day' END, :now,
        (ARRAY['form', 'embed', 'import', 'embed', 'form', 'staff'])[1 + n % 6]
    FROM generate_series(1, :readers) n, (SELECT newsletter_id, array_agg(id ORDER BY id) slots FROM slots GROUP BY 1) s
    WHERE n % (CASE newsletter_id WHEN 1 THEN :all WHEN 2 THEN :some ELSE :few END) = 0""",
    """INSERT INTO consent_events (address_hash, newsletter_id, kind, at, by, ip, user_agent, page_url, note)
    SELECT lpad(n::text, 64, '0'), 1, kind, :now - (n % 1000) * interval '1 day', 'the reader', '192.0.2.7', '', '', ''
    FROM generate_series(1, :readers) n, unnest(ARRAY['requested', 'confirmed']) kind""",
    """INSERT INTO suppressions (address_hash, reason, note, created_at)
    SELECT lpad(n::text, 64, '0'), 'hard_bounce', '', :now FROM generate_series(1, :readers, 50) n""",
)

LEFT_BEHIND = (
    """INSERT INTO deliveries (edition_id, shard, subscriber_id, subscription_id, newsletter_id, local_date, kind,
        state, attempts, next_attempt_at, last_reply, updated_at)
    SELECT e.id, 1 + s.id / 1000, s.subscriber_id, s.id, s.newsletter_id, e.local_date, 'daily',
        CASE WHEN s.id % 400 = 0 THEN 'refused' ELSE 'accepted' END, 1, e.slot_at, '250 2.0.0 Ok', e.slot_at
    FROM editions e JOIN subscriptions s USING (slot_id)
    WHERE e.local_date = (:now)::date OR s.subscriber_id % :remembered = 0""",
    "UPDATE editions SET audience = (SELECT count(*) FROM deliveries WHERE edition_id = editions.id)",
    """INSERT INTO bounces (received_at, digest, kind, deed, status, diagnostic, address, sender, subject,
        subscriber_id, needs_staff)
    SELECT :now - (n % 90) * interval '1 day', lpad(n::text, 64, '0'), 'soft', 'counted', '4.2.2', 'mailbox full', '',
        '', '', n, false FROM generate_series(211, :readers, 211) n""",
    """INSERT INTO outbox_mails (name, recipient, sender_name, sender_address, data, message_id, state, attempts,
        next_attempt_at, created_at, sent_at)
    SELECT 'welcome', address, 'Harbor Gazette', 'news@example.org', '{}', id || '@example.org', 'sent', 1, :now,
        :now - (id % 30) * interval '1 day', :now FROM subscribers WHERE id % 20 = 0""",
    """INSERT INTO sign_up_requests (address, mailbox, kind, newsletter_id, language, origin, requested_at, expires_at,
        user_agent, page_url, answer, answered_at)
    SELECT 'new' || n || '@mail.example', 'new' || n || '@mail.example', 'sign-up', 1, '', 'form',
        :now - (n % 7) * interval '1 day', :now + interval '1 day', '', '', 'confirm', :now
    FROM generate_series(1, :readers / 100) n""",
    "VACUUM ANALYZE",
)


def gather(readers: int, now: datetime) -> None:
    """Fill the house's empty PostgreSQL database."""
    for slug, name, _ in PAPERS:
        made = settings.add(NewNewsletter(slug, name, "news@example.org"), now, COMMAND)
        if slug == PAPERS[0][0]:
            with transaction() as session:
                session.add(Slot(newsletter_id=made.id, zone="Asia/Tokyo", local_time=time(7), created_at=now))
    given: dict[str, object] = {
        "readers": readers,
        "now": now,
        "remembered": REMEMBERED,
        "firsts": FIRST,
        "lasts": LAST,
        "domains": DOMAINS,
        **dict(zip(("all", "some", "few"), (every for *_, every in PAPERS), strict=True)),
    }
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for statement in STATEMENTS:
            _execute(connection, statement, given)
        _editions(now)
        for statement in LEFT_BEHIND:
            _execute(connection, statement, given)


def _execute(connection: sa.Connection, statement: str, given: dict[str, object]) -> None:
    connection.execute(sa.text(statement), {name: of for name, of in given.items() if f":{name}" in statement})


def _editions(now: datetime) -> None:
    """One a day and slot, which went out at this time of the day."""
    with transaction() as session:
        for slot in session.scalars(sa.select(Slot)):
            for day in range(DAYS):
                at = now - timedelta(days=day)
                session.add(_edition(slot, at))


def _edition(slot: Slot, at: datetime) -> Edition:
    return Edition(
        newsletter_id=slot.newsletter_id,
        slot_id=slot.id,
        local_date=at.date(),
        state=EditionState.SENT,
        slot_at=at,
        cutoff_at=at,
        start_by=at,
        finish_by=at,
        frozen_at=at,
        sent_at=at + timedelta(minutes=20),
        created_at=at,
        revisions=[houses.revision()],
    )
