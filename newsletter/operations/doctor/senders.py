"""SPF, DKIM and DMARC of those in whose name mails go out, with the record to add where one is missing."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from contextlib import suppress

from newsletter.foundation.config import MailTransport
from newsletter.foundation.errors import NewsletterError
from newsletter.mail import dkim_records as dkim
from newsletter.mail import dmarc, sender_dns, spf
from newsletter.mail.answers import Heard, domain_of
from newsletter.mail.dkim_records import Fit
from newsletter.mail.sender_dns import Key
from newsletter.mail.spf import MOST_LOOKUPS, Checked, Verdict
from newsletter.newsletters import senders
from newsletter.newsletters.models import newsletters
from newsletter.operations.doctor.findings import Finding, Found, Record, counted, listed
from newsletter.operations.doctor.patient import Patient

AGAIN = "Try again later; if it stays so, look at the name server, or name another as resolvers under [doctor]."
NOBODY = "Mails go to a folder, so the DNS was not asked."
LATER = "Nobody sends yet: there is no newsletter, or the database cannot be read."


def addresses_of(patient: Patient) -> list[str]:
    """Those that mails come from. Where the tables cannot be read, the bounce address and the keys tell something."""
    try:
        with patient.database():
            if found := sorted({one.from_address for one in newsletters()}):
                return found
    except NewsletterError:
        pass
    mail = patient.config.mail
    return [mail.bounce_address] if mail.bounce_address else []


def is_sent(patient: Patient) -> bool:
    return patient.config.mail.transport is not MailTransport.FOLDER


def sending_addresses(patient: Patient) -> tuple[list[str], bool]:
    """The public addresses that mails leave from, and whether that is certain: the operator said so, or else they are
    the relay's own, which may hand mails to another machine."""
    if named := patient.config.doctor.sending_addresses:
        return list(named), True
    hosts = dict.fromkeys(relay.host for relay in patient.config.mail.all_relays)
    found = [address for host in hosts for address in _addresses_at(host, patient)]
    return [one for one in found if ipaddress.ip_address(one).is_global], False


def _addresses_at(host: str, patient: Patient) -> Sequence[str]:
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        return [*patient.ask(host, "A").records, *patient.ask(host, "AAAA").records]


# SPF


def spf_records(patient: Patient, found: Found) -> Iterator[Finding]:
    if not is_sent(patient):
        yield found.unknown(NOBODY)
        return
    addresses, certain = sending_addresses(patient)
    domains = sorted(
        {sender_dns.envelope_domain(patient.config.mail.bounce_address, one) for one in addresses_of(patient)}
    )
    if not domains:
        yield found.unknown(LATER)
    for domain in domains:
        yield from _spf_of(domain, addresses, certain, patient, found)


def _spf_of(domain: str, addresses: list[str], certain: bool, patient: Patient, found: Found) -> Iterator[Finding]:
    answer = spf.records_at(domain, patient.ask)
    if answer.failed:
        yield found.unknown(f"The name server {answer.trouble} when asked for {domain}.", AGAIN)
        return
    if answer.heard is not Heard.FOUND:
        missing = _nobody(domain) if answer.heard is Heard.NO_NAME else f"{domain} has no SPF record."
        yield found.error(
            f"{missing} Mailboxes cannot tell mails of yours from forged ones.",
            "Add this record. If others send for the domain too, their terms belong into it.",
            Record(f"{domain}.", "TXT", spf_for(addresses, patient.config.mail.all_relays[0].host)),
        )
        return
    if len(answer.records) > 1:
        yield found.error(
            f"{domain} has {len(answer.records)} SPF records, and then mailboxes heed none (RFC 7208).",
            "Make one of them: “v=spf1”, then the terms of all, and one “~all” or “-all” at the end.",
        )
        return
    yield from _spf_text(domain, answer.records[0], addresses, certain, patient, found)


def _nobody(domain: str) -> str:
    return f"Nobody has the name {domain} in the DNS."


def spf_for(addresses: Sequence[str], host: str) -> str:
    """The record of a domain whose mail leaves from these addresses only."""
    terms = [_term(address) for address in addresses]
    if not terms:
        terms = ["ip4:ADDRESS-OF-YOUR-RELAY"] if sender_is_unknown(host) else [f"a:{host}"]
    return f"v=spf1 {' '.join(terms)} ~all"


def sender_is_unknown(host: str) -> bool:
    return "." not in host or host.replace(".", "").isdigit() or ":" in host


def _term(address: str) -> str:
    return f"ip{ipaddress.ip_address(address).version}:{address}"


def _spf_text(
    domain: str, record: str, addresses: list[str], certain: bool, patient: Patient, found: Found
) -> Iterator[Finding]:
    whole = spf.check(domain, None, patient.ask)
    if whole.verdict is Verdict.TEMPERROR:
        yield found.unknown(f"The SPF record of {domain} cannot be followed: {whole.why}.", AGAIN)
        return
    if whole.verdict is Verdict.PERMERROR:
        yield found.error(
            f"The SPF record of {domain} cannot be used: {whole.why}.", "Mend it; until then mailboxes heed none of it."
        )
        return
    if whole.verdict is Verdict.PASS:
        yield found.warning(f"The SPF record of {domain} lets everybody send ({whole.by}).", "End it with “~all”.")
        return
    costs = f"It takes {whole.lookups} of {MOST_LOOKUPS} lookups."
    if not addresses:
        yield found.unknown(
            f"{domain} has a sound SPF record. {costs} Whether it names the address that mails leave from cannot be "
            f"seen from here, since the relay is {patient.config.mail.all_relays[0].host}.",
            'Write that address into the config: sending_addresses = ["…"] under [doctor].',
        )
    for address in addresses:
        checked = spf.check(domain, address, patient.ask)
        yield _spf_verdict(domain, record, address, checked, certain, costs, found)


def _spf_verdict(
    domain: str, record: str, address: str, checked: Checked, certain: bool, costs: str, found: Found
) -> Finding:
    if checked.verdict is Verdict.PASS:
        return found.ok(f"{domain} lets {address} send ({checked.by}). {costs}")
    if checked.verdict in (Verdict.UNKNOWABLE, Verdict.TEMPERROR):
        return found.unknown(f"Whether {domain} lets {address} send cannot be told: {checked.why}.", AGAIN)
    if checked.verdict is Verdict.PERMERROR:
        return found.error(f"The SPF record of {domain} cannot be used for {address}: {checked.why}.", "Mend it.")
    mended = Record(f"{domain}.", "TXT", _with_term(record, _term(address)))
    says = f"({checked.verdict}{f', {checked.by}' if checked.by else ''})"
    if certain:
        return found.error(
            f"{domain} does not let {address} send {says}.", "Change its SPF record to this one.", mended
        )
    return found.warning(
        f"{domain} does not name the relay's address {address} {says}. That is right only if mails leave from another.",
        "Ask the relay's keeper for its SPF term; or, if they leave from there, change the record to this one. "
        "Addresses that mails leave from can be named as sending_addresses under [doctor].",
        mended,
    )


def _with_term(record: str, term: str) -> str:
    version, *terms = record.split()
    return " ".join([version, term, *terms])


# DKIM


def dkim_records(patient: Patient, found: Found) -> Iterator[Finding]:
    keys = _usable_keys(patient)
    if not patient.config.mail.dkim:
        yield found.warning(
            "No key signs the mails here. That is right only if the relay signs them with one of its own.",
            "Otherwise make one, which also prints the record: newsletter dkim generate --domain DOMAIN",
        )
        return
    for address in addresses_of(patient) if keys else ():
        if not sender_dns.keys_for(domain_of(address), keys):
            yield found.warning(
                f"Mails from {address} are not signed: the keys under [[mail.dkim]] are for "
                f"{listed(sorted({key.domain for key in keys}))}.",
                f"Make a key: newsletter dkim generate --domain {domain_of(address)}",
            )
    if not is_sent(patient):
        yield found.unknown(NOBODY)
        return
    for key in keys:
        yield _dkim_of(key, patient, found)
    if broken := len(patient.config.mail.dkim) - len(keys):
        yield found.unknown(f"{counted(broken, 'key')} cannot be read here; see “keys” above.")


def _usable_keys(patient: Patient) -> list[Key]:
    """One that is broken hides no other."""
    keys = []
    for one in patient.config.mail.dkim:
        with suppress(NewsletterError):
            keys.append(senders.key_of(patient.config, one))
    return keys


def _dkim_of(key: Key, patient: Patient, found: Found) -> Finding:
    answer = patient.ask(key.name, "TXT")
    wanted = Record(f"{key.name}.", "TXT", key.record)
    if answer.failed:
        return found.unknown(f"The name server {answer.trouble} when asked for {key.name}.", AGAIN)
    if not answer.records:
        return found.error(
            f"There is no record at {key.name}, so the signatures of {key.domain} count for nothing.",
            "Add this record.",
            wanted,
        )
    judged = dkim.judge(answer.records, key.record)
    if judged.fit is not Fit.FITS:
        return found.error(
            f"The record at {key.name} is not the one of the key here: {judged.why}. Signatures look forged.",
            "Change it to this one; or put the key that it is of back in place.",
            wanted,
        )
    if judged.testing:
        return found.warning(
            f"The record at {key.name} fits, but says “t=y”: mailboxes are asked not to count it yet.",
            "Take “t=y” out when all is well.",
            wanted,
        )
    return found.ok(f"The record at {key.name} is that of the key here.")


# DMARC


def dmarc_records(patient: Patient, found: Found) -> Iterator[Finding]:
    if not is_sent(patient):
        yield found.unknown(NOBODY)
        return
    addresses = addresses_of(patient)
    if not addresses:
        yield found.unknown(LATER)
    pairs = {(domain_of(one), sender_dns.envelope_domain(patient.config.mail.bounce_address, one)) for one in addresses}
    for domain, envelope in sorted(pairs):
        yield from _dmarc_of(domain, envelope, patient, found)


def _dmarc_of(domain: str, envelope: str, patient: Patient, found: Found) -> Iterator[Finding]:
    seen = dmarc.look(domain, patient.ask)
    if seen.trouble:
        yield found.unknown(f"Whether {domain} has a DMARC record cannot be told: {seen.trouble}.", AGAIN)
        return
    wanted = Record(f"_dmarc.{domain}.", "TXT", f"v=DMARC1; p=none; rua=mailto:postmaster@{domain}")
    if seen.policy is None:
        yield found.warning(
            f"{domain} has no DMARC record, and large mailbox providers want one from whoever sends much.",
            "Add this record; p=none changes nothing yet, and lets reports come to the address in it.",
            wanted,
        )
    elif seen.policy.problem:
        yield found.error(f"The DMARC record of {domain} cannot be used: {seen.policy.problem}.", "Mend it.", wanted)
    else:
        yield _dmarc_judged(domain, envelope, seen.policy, patient, found)


def _dmarc_judged(domain: str, envelope: str, policy: dmarc.Policy, patient: Patient, found: Found) -> Finding:
    signing = sender_dns.keys_for(domain, _usable_keys(patient))
    by_dkim = any(dmarc.aligned(domain, key.domain, policy.strict_dkim, patient.ask) for key in signing)
    by_spf = dmarc.aligned(domain, envelope, policy.strict_spf, patient.ask)
    says = f"{policy.domain} asks for p={policy.asked}"
    aligned = [name for name, fits in (("DKIM", by_dkim), ("SPF", by_spf)) if fits]
    if aligned:
        stands = "stands" if len(aligned) == 1 else "stand"
        return found.ok(f"{says}; {listed(aligned)} {stands} for mails from {domain}.")
    worse = (
        f"{says}, and nothing here stands for {domain}: mails are signed by no key of it, and bounces go to {envelope}."
    )
    remedy = f"Make a key for it (newsletter dkim generate --domain {domain}), or take bounces at that domain."
    if policy.asked == "none":
        return found.warning(worse, remedy)
    return found.error(f"{worse} Mailboxes may {policy.asked} them.", remedy)
