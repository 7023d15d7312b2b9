"""The one place where the parts are put together."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event

from flask import Flask

from newsletter import web
from newsletter.delivery.engine import Worker
from newsletter.delivery.sending import Job
from newsletter.foundation import database, secrets
from newsletter.foundation.clock import Clock, SystemClock, the_clock
from newsletter.foundation.config import Config, MailTransport, the_config
from newsletter.foundation.links import Links, the_links
from newsletter.foundation.secrets import the_keys
from newsletter.mail import relays, signing, templates
from newsletter.mail.folder import FolderTransport
from newsletter.mail.relays import FirstUsable, Relay, the_relays
from newsletter.mail.signing import Key, Signer, the_signer
from newsletter.mail.smtp import Transport, the_transport
from newsletter.newsletters.senders import Memory, the_memory
from newsletter.stories.fetching import Fetcher, HttpFetcher, the_fetcher
from newsletter.stories.pictures import PictureStore, the_pictures


def create_app(
    config: Config,
    *,
    clock: Clock | None = None,
    transport: Transport | None = None,
    fetcher: Fetcher | None = None,
) -> Flask:
    """The app of one installation. Clock, transport and fetcher are the config's unless others are handed in.

    Raises KeyMissing when the installation has no keys yet, ConfigUnreadable when a secret's file cannot be read,
    DkimKeyUnusable.
    """
    app = Flask("newsletter", template_folder=str(templates.folder()), static_folder=str(web.STATIC))
    keys = secrets.read(config.path(config.secret_key_file), config.path(config.suppression_key_file))
    the_config.install(app, config)
    the_keys.install(app, keys)
    the_clock.install(app, clock or SystemClock())
    the_links.install(app, Links(keys.secret, config.site_url))
    ways = _relays(config, transport)
    the_relays.install(app, ways)
    the_transport.install(app, FirstUsable(ways) if len(ways) > 1 else ways[0].transport)
    the_signer.install(app, Signer(_keys(config)))
    the_fetcher.install(app, fetcher or HttpFetcher(config.fetching))
    the_memory.install(app, Memory())
    the_pictures.install(app, PictureStore(config.path(config.pictures.folder)))
    database.install(app, config.database_url)
    web.install(app, config, keys.secret)
    return app


def _keys(config: Config) -> Iterator[Key]:
    for one in config.mail.dkim:
        yield Key(one.domain, one.selector, signing.read(config.path(one.key_file)))


def _relays(config: Config, transport: Transport | None) -> tuple[Relay, ...]:
    if transport is not None:
        return relays.by(transport, config)
    if config.mail.transport is MailTransport.FOLDER:
        return relays.by(FolderTransport(config.path(config.mail.folder)), config)
    return relays.by_smtp(config)


def worker(app: Flask, stop: Event | None = None) -> Worker:
    """A worker for the app: answers sign-ups, empties the outbox, sends editions."""
    with app.app_context():
        job = Job(the_config(), the_links(), the_clock(), the_transport(), the_relays(), stop or Event())
        return Worker(app, job, the_keys())
