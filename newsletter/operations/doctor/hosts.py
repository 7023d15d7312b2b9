"""The names behind addresses: of the machine that mails leave from, and of the one that bounces go to."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from newsletter.mail import sender_dns
from newsletter.mail.answers import Heard, ascii_name
from newsletter.operations.doctor.findings import Finding, Found, Record, listed
from newsletter.operations.doctor.patient import Patient
from newsletter.operations.doctor.relays import is_near
from newsletter.operations.doctor.senders import AGAIN, LATER, NOBODY, addresses_of, is_sent, sending_addresses


def reverse_names(patient: Patient, found: Found) -> Iterator[Finding]:
    """Mailboxes refuse an address without a name, or whose name does not lead back to it."""
    if not is_sent(patient):
        yield found.unknown(NOBODY)
        return
    addresses, certain = sending_addresses(patient)
    if not addresses:
        yield found.unknown(
            "From which address mails leave cannot be seen from here, since the relay is "
            f"{patient.config.mail.all_relays[0].host}.",
            'Write it into the config: sending_addresses = ["…"] under [doctor].',
        )
    for address in addresses:
        yield _reverse(address, certain, patient, found)


def _reverse(address: str, certain: bool, patient: Patient, found: Found) -> Finding:
    ip = ipaddress.ip_address(address)
    answer = patient.ask(ip.reverse_pointer, "PTR")
    if answer.failed:
        return found.unknown(f"The name server {answer.trouble} when asked for the name of {address}.", AGAIN)
    tell = found.error if certain else found.warning
    host = ascii_name(patient.config.mail.all_relays[0].host)
    wanted = [Record(f"{ip.reverse_pointer}.", "PTR", f"{host}.")] if host and not is_near(host) else []
    remedy = "Ask whoever gave you the address to set this record, with the name of the machine that sends."
    if not answer.records:
        return tell(
            f"The address {address} has no name (PTR), so many mailboxes refuse what it sends.", remedy, *wanted
        )
    kind = "A" if ip.version == 4 else "AAAA"
    backs = [(name, patient.ask(name, kind)) for name in answer.records[:10]]
    if good := [name for name, back in backs if str(ip) in back.records]:
        return found.ok(f"{address} is called {good[0]}, and {good[0]} leads back to it.")
    if any(back.failed for _, back in backs):
        return found.unknown(
            f"Whether {listed([name for name, _ in backs])} leads back to {address} cannot be told.", AGAIN
        )
    name = backs[0][0]
    record = Record(f"{name}.", kind, address)
    return tell(f"{address} is called {name}, but that name does not lead back to it.", "Add this record.", record)


def mail_exchangers(patient: Patient, found: Found) -> Iterator[Finding]:
    """Where bounces go, somebody must take mail."""
    if not is_sent(patient):
        yield found.unknown(NOBODY)
        return
    domains = sorted(
        {sender_dns.envelope_domain(patient.config.mail.bounce_address, one) for one in addresses_of(patient)}
    )
    if not domains:
        yield found.unknown(LATER)
    for domain in domains:
        yield _takes_mail(domain, patient, found)


def _takes_mail(domain: str, patient: Patient, found: Found) -> Finding:
    answer = patient.ask(domain, "MX")
    if answer.failed:
        return found.unknown(f"The name server {answer.trouble} when asked who takes mail for {domain}.", AGAIN)
    lost = "Bounces go there, so nobody would learn which addresses are dead."
    remedy = "Add an MX record with the name of the machine that takes its mail, or set another bounce_address."
    if answer.records == ("",):  # RFC 7505
        return found.error(f"{domain} says that it takes no mail. {lost}", remedy)
    if answer.heard is Heard.FOUND:
        return _reachable(domain, answer.records[:10], patient, found)
    addresses = [patient.ask(domain, kind) for kind in ("A", "AAAA")]
    if any(one.records for one in addresses):
        return found.ok(f"{domain} has no MX record, so the machine of that name takes its mail.")
    if any(one.failed for one in addresses):
        return found.unknown(f"Who takes mail for {domain} cannot be told.", AGAIN)
    return found.error(f"Nobody takes mail for {domain}. {lost}", remedy)


def _reachable(domain: str, names: tuple[str, ...], patient: Patient, found: Found) -> Finding:
    asked = {name: [patient.ask(name, kind) for kind in ("A", "AAAA")] for name in names}
    if good := [name for name, answers in asked.items() if any(one.records for one in answers)]:
        return found.ok(f"Mail for {domain}, where bounces go, is taken by {good[0]}.")
    if any(one.failed for answers in asked.values() for one in answers):
        return found.unknown(
            f"Whether {listed(names)}, which takes mail for {domain}, has an address cannot be told.", AGAIN
        )
    return found.error(
        f"Mail for {domain} is taken by {listed(names)}, and no such machine is in the DNS.",
        "Mend the MX record, or add an A record for that name.",
    )
