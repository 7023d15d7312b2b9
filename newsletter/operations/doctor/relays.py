"""The relay: a conversation up to the login, and no mail."""

from __future__ import annotations

import base64
import ipaddress
import smtplib  # noqa: TID251 - doctor asks the relay itself, apart from the client that sends, and tells what it sees
import ssl
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from newsletter.foundation.config import Config, MailTransport, RelayConfig, SmtpSecurity
from newsletter.operations.doctor import certificates
from newsletter.operations.doctor.findings import Finding, Found, listed
from newsletter.operations.doctor.patient import Patient

TOLD = ("pipelining", "size", "8bitmime", "smtputf8")
SMALLEST = 1_000_000
"""Octets: an edition is far below, and a relay that takes less was set up for something else."""

WAITS = "Until then mails wait, and none is lost."


@dataclass
class RelaySeen:
    """What the relay said: `step` is the last thing that was tried, `trouble` why it failed there, `refused` whether it
    was the login that it did not take."""

    step: str = "connect"
    trouble: str = ""
    refused: bool = False
    banner: str = ""
    extensions: dict[str, str] = field(default_factory=dict)
    certificate: dict[str, Any] | None = None


def look(patient: Patient, found: Found) -> Iterator[Finding]:
    mail = patient.config.mail
    if mail.transport is MailTransport.FOLDER:
        folder = patient.config.path(mail.folder)
        yield found.warning(
            f"Mails are written to {folder}, and nobody gets them.",
            'Set transport = "smtp" under [mail] when it is time.',
        )
        return
    for relay in mail.all_relays:
        yield from _look_at(relay, patient, found)


def _look_at(relay: RelayConfig, patient: Patient, found: Found) -> Iterator[Finding]:
    seen = see(relay, patient.config, min(relay.timeout_seconds, patient.config.doctor.timeout_seconds * 0.8))
    yield from _reached(seen, relay, found)
    if seen.certificate is not None:
        yield certificates.judged(seen.certificate, relay.host, patient.machine.now(), found)
    if seen.extensions:
        yield from _offered(seen.extensions, found)


def see(relay: RelayConfig, config: Config, seconds: float) -> RelaySeen:
    """Talk to the relay as far as it goes. Raises SecretUnreadable."""
    seen, password = RelaySeen(), config.relay_password(relay) or ""
    smtp: smtplib.SMTP | None = None
    try:
        smtp = _connected(relay, config.site_url, seconds)
        seen.step = "greet"
        _greet(smtp, seen)
        if relay.security is SmtpSecurity.STARTTLS:
            seen.step = "protect"
            smtp.starttls(context=ssl.create_default_context())
            _greet(smtp, seen)
        if relay.security is not SmtpSecurity.NONE and isinstance(smtp.sock, ssl.SSLSocket):
            seen.certificate = smtp.sock.getpeercert()
        if relay.username:
            seen.step = "log in"
            smtp.login(relay.username, password)
        seen.step = ""
    except smtplib.SMTPAuthenticationError as error:
        seen.refused, seen.trouble = True, _without(password, _words(error))
    except (OSError, smtplib.SMTPException, UnicodeError) as error:
        seen.trouble = _without(password, _words(error))
    finally:
        if smtp is not None:
            with suppress(OSError, smtplib.SMTPException):
                smtp.quit()
            smtp.close()
    return seen


def _connected(relay: RelayConfig, site_url: str, seconds: float) -> smtplib.SMTP:
    ours = urlsplit(site_url).hostname or "localhost"
    if relay.security is SmtpSecurity.TLS:
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(relay.host, relay.port, ours, timeout=seconds, context=context)
    return smtplib.SMTP(relay.host, relay.port, ours, timeout=seconds)


def _greet(smtp: smtplib.SMTP, seen: RelaySeen) -> None:
    smtp.ehlo_or_helo_if_needed()
    seen.extensions = {name.lower(): str(value).strip() for name, value in smtp.esmtp_features.items()}


def _words(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return certificates.fault(error)
    if isinstance(error, smtplib.SMTPResponseException):
        text = error.smtp_error
        said = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
        return f"it said {error.smtp_code} {' '.join(said.split())[:200]}"
    if isinstance(error, TimeoutError) or "timed out" in str(error):
        return "it did not answer in time"
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return "it closed the connection"
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__)[:200]


def _without(password: str, text: str) -> str:
    """A relay may repeat what it was told."""
    for secret in (password, base64.b64encode(password.encode()).decode()):
        text = text.replace(secret, "…") if secret else text
    return text


def _reached(seen: RelaySeen, mail: RelayConfig, found: Found) -> Iterator[Finding]:
    where = f"The relay {mail.host}, port {mail.port},"
    if not seen.trouble:
        login = f" and takes the login of {mail.username}" if mail.username else ""
        yield found.ok(f"{where} answers{login}.")
    elif seen.refused:
        remedy = f"Check username and password_file under [mail]. {WAITS}"
        yield found.error(f"{where} does not take the login of {mail.username}: {seen.trouble}.", remedy)
    elif seen.step == "protect" or (seen.step == "connect" and "certificate" in seen.trouble):
        remedy = (
            f"Use the name that its certificate is for as host under [mail], or have the certificate mended. {WAITS}"
        )
        yield found.error(f"{where} cannot be trusted: {seen.trouble}.", remedy)
    else:
        remedy = f"Check host, port and security under [mail], and whether a firewall is between. {WAITS}"
        yield found.error(f"{where} cannot be used: {seen.trouble}.", remedy)
    if mail.security is SmtpSecurity.NONE and not is_near(mail.host):
        risk = "the password and all mails" if mail.username else "all mails"
        remedy = f'Set security = "{"tls" if mail.port == 465 else "starttls"}" under [mail].'
        yield found.warning(f"The connection to {mail.host} is not protected: who is on the way reads {risk}.", remedy)


def is_near(host: str) -> bool:
    """Whether it is this machine, or next door: no part of the open internet."""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _offered(extensions: dict[str, str], found: Found) -> Iterator[Finding]:
    size = extensions.get("size", "")
    limit = int(size) if size.isascii() and size.isdigit() and len(size) < 16 else 0
    has = [f"SIZE {limit:,}" if name == "size" and limit else name.upper() for name in TOLD if name in extensions]
    lacks = [name.upper() for name in TOLD if name not in extensions]
    words = f"It offers {listed(has)}" if has else "It offers no extension that matters"
    words += f", and not {listed(lacks)}." if lacks else "."
    if 0 < limit < SMALLEST:
        yield found.warning(words, f"It takes mails up to {limit:,} octets only. Ask its keeper for {SMALLEST:,}.")
    elif "pipelining" in lacks:
        yield found.ok(f"{words} Without PIPELINING sending takes several times as long.")
    else:
        yield found.ok(words)
