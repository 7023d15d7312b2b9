"""The relays that mails go by: each with its settings, and for people's own mails the first that can be used."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from newsletter.foundation.config import Config, NamedRelayConfig
from newsletter.foundation.parts import Part
from newsletter.mail.smtp import Conversation, RelayUnavailable, SmtpTransport, Transport

AVOIDED_SECONDS = 60.0
"""So long a relay that could not be used is tried after the others."""


@dataclass(frozen=True)
class Relay:
    settings: NamedRelayConfig
    transport: Transport


the_relays: Part[tuple[Relay, ...]] = Part("relays")


def by_smtp(config: Config) -> tuple[Relay, ...]:
    """Raises SecretUnreadable."""
    relays = config.mail.all_relays
    return tuple(Relay(one, SmtpTransport(one, config.relay_password(one))) for one in relays)


def by(transport: Transport, config: Config) -> tuple[Relay, ...]:
    """All by one way, whatever relays are set."""
    return (Relay(config.mail.all_relays[0], transport),)


class FirstUsable(Transport):
    """The first relay that begins a conversation, for the mails that people wait for."""

    def __init__(self, relays: Sequence[Relay]) -> None:
        self._relays = relays
        self._avoided: dict[str, float] = {}
        """Until when, of time.monotonic(), each that failed is tried last."""

    def open(self) -> Conversation:
        """Raises RelayUnavailable, of the first one, when there is none."""
        now, faults = time.monotonic(), []
        for relay in sorted(self._relays, key=lambda one: self._avoided.get(one.settings.name, 0) > now):
            try:
                return relay.transport.open()
            except RelayUnavailable as error:
                self._avoided[relay.settings.name] = now + AVOIDED_SECONDS
                faults.append(error)
        raise faults[0]
