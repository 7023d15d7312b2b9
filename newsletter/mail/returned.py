"""What a received mail is: a bounce, a complaint, a robot's answer, a person's, or a wish to leave. Pure.

Standards first: RFC 3464 delivery status and RFC 5965 complaints. Then what some mail servers write instead. Nothing
here is believed: tokens and Message-IDs are what the mail says; whether we signed them is for others to look at.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.message import Message

from newsletter.mail import parts
from newsletter.mail.parts import Part
from newsletter.mail.verdicts import BOUNCES, Kind, code_in, mildest, verdict

TOKEN = re.compile(r"(?<![a-z0-9])([a-z][a-z2-7]{2,15}-[a-z2-7]{16})(?![a-z0-9])", re.IGNORECASE)
"""What `Links.verp` makes: kind and number in base32, a hyphen, 80 bits of a signature."""

LEAVING = "u"
"""The kind of token to whose address one writes in order to leave."""

CAME_TO = ("To", "Cc", "Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To")
MESSAGE_ID = re.compile(r"<([^<>@\s]{1,100}@[^<>@\s]{1,255})>")
QUOTED_ID = re.compile(r"^[>\s]*Message-ID:\s*<([^<>@\s]{1,100}@[^<>@\s]{1,255})>", re.IGNORECASE | re.MULTILINE)
STATUS_KINDS = ("message/delivery-status", "message/global-delivery-status")
RETURNED_KINDS = ("message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers")

ROBOT = re.compile(r"mailer-daemon|postmaster|mail-?daemon|mdaemon|mailer|microsoftexchange\w*|bounces?", re.IGNORECASE)
NOTICES = re.compile(
    r"hi\. this is the .{0,200}(qmail|deliver)"
    r"|this is the (mail system at host|postfix program)"
    r"|this message was created automatically by (the )?mail delivery s(oftware|ystem)"
    r"|the following addresses had permanent (fatal )?errors"
    r"|did not reach (some or all of )?the (intended|following) recipient"
    r"|(delivery|your message to .{0,200}) (has failed|couldn.t be delivered|wasn.t delivered|to these recipients)"
    r"|delivery (has failed )?to (the following|these) recipients?"
    r"|(could|can) ?not be delivered|was not delivered|undeliverable|returned mail|delivery fail(ed|ure)",
    re.IGNORECASE | re.DOTALL,
)
STANDS_FIRST = re.compile(r"^[ \t]*<?([^\s<>@,;:\"]{1,64}@[\w.-]{1,250}\.\w+)>?(?=[:\s])", re.MULTILINE)
COPY = re.compile(
    r"^(-{2,}.{0,80}(copy of|original message|message headers?|below this line|transcript of message).*"
    r"|original message headers:.*|included is a copy.*)$",
    re.IGNORECASE | re.MULTILINE,
)
"""Where a notice ends and the returned mail begins."""

COMPLAINTS = ("abuse", "fraud", "opt-out", "opt-out-list", "other")  # RFC 5965 §7.3; what else there is, no person said
NO_COMPLAINT = ("not-spam", "auth-failure", "dmarc")
OLD_COMPLAINT = re.compile(r"complaint about message from", re.IGNORECASE)

AWAY = re.compile(
    r"^\W*(auto(matic|mated|matische|matisk)?\W?(re:|reply|response|antwort|svar)|out of (the )?office"
    r"|vacation (reply|response|message|notice)|i am (away|out) |abwesenheit|réponse automatique"
    r"|(message|notification) d.absence|respuesta automática|risposta automatica|自動(応答|返信))",
    re.IGNORECASE,
)
CHALLENGE = re.compile(
    r"(confirm|verify|authenticate|approve).{0,40}(your|you sent|this|that).{0,20}(e-?mail|message|mail|sender|address)"
    r"|(requires?|needs?|awaiting|waiting for) .{0,40}(verification|confirmation|authori[sz]ation)"
    r"|click .{0,60}(so that|to have) .{0,40}(delivered|released)",
    re.IGNORECASE,
)
ANSWER = re.compile(r"\s*(re|aw|sv|antw|tr|fwd?)\s*:", re.IGNORECASE)
"""A person answers “Please confirm your address” too."""

CHALLENGERS = ("X-BoxTrapper", "X-TMDA-Fingerprint", "X-Spamarrest", "X-ASK-Info", "X-Challenge-Response")
BULK = ("bulk", "junk", "list", "auto_reply", "auto-reply")


@dataclass(frozen=True)
class Recipient:
    """What is reported of one address. `original` is it as we wrote it, where that is known to differ."""

    address: str
    original: str
    action: str
    status: str
    diagnostic: str
    kind: Kind


@dataclass(frozen=True)
class Returned:
    """A received mail, read.

    `tokens` may be VERP tokens of ours, the most telling first. `message_ids` are those of the mail that came back, or
    that is answered. `automatic`: a robot wrote it, so it is never passed on. `digest` is the same for the same mail,
    by whichever way it came. `text` are its words, for staff.
    """

    kind: Kind
    digest: str
    recipients: tuple[Recipient, ...] = ()
    tokens: tuple[str, ...] = ()
    message_ids: tuple[str, ...] = ()
    own_id: str = ""
    sender: str = ""
    subject: str = ""
    text: str = ""
    automatic: bool = True

    @property
    def status(self) -> str:
        return self.recipients[0].status if self.recipients else ""

    @property
    def diagnostic(self) -> str:
        return self.recipients[0].diagnostic if self.recipients else ""


def read(octets: bytes, envelope_to: str | None = None) -> Returned:
    """What a mail is. `envelope_to` is the address that it was handed over for, where that is known.

    It never raises, and takes time in proportion to the mail's size.
    """
    try:
        return _Reading(parts.read(octets), envelope_to or "").result()
    except Exception as error:  # a mail that we cannot read is for people, not a reason to lose it
        raw = hashlib.sha256(octets).hexdigest()
        return Returned(Kind.UNKNOWN, raw, text=f"{parts.decoded(octets[:4000])}\n\n({type(error).__name__}: {error})")


class _Reading:
    def __init__(self, mail: Part, envelope_to: str) -> None:
        self._mail = mail
        self._status = mail.first(*STATUS_KINDS)
        self._feedback = mail.first("message/feedback-report")
        self._came_to = [envelope_to, *(value for name in CAME_TO for value in mail.values(name))]
        self._back = [parts.read(part.content) for part in mail.every() if part.kind in RETURNED_KINDS][:5]
        words = mail.first("text/plain") or mail.first("text/html")
        self._text = words.text if words else ""
        self._notice = COPY.split(self._text, maxsplit=1)[0]
        self._sender = mail.address("From")
        self._subject = mail.value("Subject")

    def result(self) -> Returned:
        recipients = tuple(self._reported())
        kind = self._kind(recipients)
        recipients = recipients or tuple(self._told(kind))
        tokens = tuple(self._tokens())
        return Returned(
            kind=kind,
            digest=self._digest(tokens),
            recipients=recipients,
            tokens=tokens,
            message_ids=tuple(dict.fromkeys(self._message_ids(kind))),
            own_id=next(iter(MESSAGE_ID.findall(self._mail.value("Message-ID"))), ""),
            sender=self._sender[:254],
            subject=self._subject[:300],
            text=self._text,
            automatic=self._is_automatic(),
        )

    def _kind(self, recipients: tuple[Recipient, ...]) -> Kind:
        if self._feedback:
            return _complaint(parts.read(self._feedback.content))
        if recipients:
            return mildest([one.kind for one in recipients])
        if self._status:
            return Kind.UNKNOWN
        if any(token.startswith(LEAVING) for token in _tokens_in(self._came_to)):
            return Kind.UNSUBSCRIBE
        if OLD_COMPLAINT.search(self._subject) and self._back:
            return Kind.COMPLAINT
        if self._is_notice():
            return verdict("", "", self._notice[:4000])
        return self._written()

    def _written(self) -> Kind:
        """What is neither a bounce nor a complaint."""
        head = self._mail.head
        asks = CHALLENGE.search(self._subject) and not ANSWER.match(self._subject)
        if asks or any(name in head for name in CHALLENGERS):
            return Kind.CHALLENGE
        if self._is_by_robot():
            return Kind.UNKNOWN
        if self._is_automatic():
            return Kind.AUTOMATIC
        return Kind.REPLY

    def _is_notice(self) -> bool:
        """A bounce in plain words: from where bounces come, and beginning as they do."""
        opening = f"{self._subject}\n{self._notice[:2000]}"
        failed = bool(self._mail.value("X-Failed-Recipients"))
        return failed or (self._is_by_robot() and NOTICES.search(opening) is not None)

    def _is_by_robot(self) -> bool:
        """No person's address: the empty sender of bounces, or a mail system's."""
        return_path = self._mail.values("Return-Path")
        nobody = any(one.strip() == "<>" for one in return_path) and not self._is_marked()
        return not self._sender or nobody or ROBOT.fullmatch(self._sender.partition("@")[0]) is not None

    def _is_automatic(self) -> bool:
        return self._is_marked() or self._is_by_robot()

    def _is_marked(self) -> bool:
        """RFC 3834 first, then what robots wrote before it and still do."""
        mail = self._mail
        submitted = mail.value("Auto-Submitted").partition(";")[0].strip().lower()
        names = ("X-Autoreply", "X-Autorespond", "X-Autoresponder", "X-Auto-Reply-From", "List-Id", "List-Unsubscribe")
        return (
            submitted not in ("", "no")
            or mail.value("Precedence").strip().lower() in BULK
            or any(name in mail.head for name in names)
            or mail.first("message/disposition-notification") is not None
            or AWAY.search(self._subject) is not None
        )

    def _reported(self) -> Iterator[Recipient]:
        """What a delivery status says of each recipient; some software forgets the empty line before the first."""
        blocks = re.split(rb"\r?\n[ \t]*\r?\n", self._status.content[:262_144])[:100] if self._status else []
        for block in blocks:
            fields = parts.read(block.strip() + b"\r\n\r\n")
            final, original = (_address(fields.value(name)) for name in ("Final-Recipient", "Original-Recipient"))
            action = fields.value("Action").partition(" ")[0].strip().lower()
            status = code_in(fields.value("Status"))
            if not (final or original or action or status):
                continue
            diagnostic = fields.value("Diagnostic-Code")[:500]
            yield Recipient(
                final, original, action, status or code_in(diagnostic), diagnostic, verdict(action, status, diagnostic)
            )

    def _told(self, kind: Kind) -> Iterator[Recipient]:
        """Of whom a bounce in plain words, or a complaint, speaks."""
        if kind is Kind.COMPLAINT:
            yield from (_complained(address) for address in self._complained_of())
        elif kind in BOUNCES:
            notice = " ".join(self._notice.split())
            address = self._mail.address("X-Failed-Recipients") or _found_by_others(self._mail, self._notice)
            yield Recipient(address[:254], "", "failed", code_in(notice[:4000]), notice[:500], kind)

    def _complained_of(self) -> list[str]:
        report = parts.read(self._feedback.content) if self._feedback else None
        named = report.address("Original-Rcpt-To") if report else ""
        return [named or next((back.address("To") for back in self._back), "")]

    def _tokens(self) -> Iterator[str]:
        """Where it came to says most; then what the returned mail and the reports say that its return path was."""
        told = [value for back in self._back for value in back.values("Return-Path")]
        if self._feedback:
            told += parts.read(self._feedback.content).values("Original-Mail-From")
        for one in self._reported():
            told += [one.address, one.original]
        yield from dict.fromkeys(_tokens_in([*self._came_to, *told]))

    def _message_ids(self, kind: Kind) -> Iterator[str]:
        if kind in BOUNCES or kind is Kind.COMPLAINT or self._status or self._feedback:
            for back in self._back:
                yield from MESSAGE_ID.findall(back.value("Message-ID"))
            if not self._status and not self._feedback:
                yield from QUOTED_ID.findall(self._text)
        else:
            for name in ("In-Reply-To", "References"):
                yield from MESSAGE_ID.findall(self._mail.value(name))

    def _digest(self, tokens: Iterable[str]) -> str:
        """Without what is added on the way, and whichever ends its lines have."""
        names = ("From", "To", "Date", "Message-ID", "Subject")
        said = [*(self._mail.value(name) for name in names), *sorted(tokens)]
        body = self._mail.body.replace(b"\r\n", b"\n").rstrip()
        return hashlib.sha256("\n".join(said).encode() + b"\n\n" + body).hexdigest()


def _complaint(report: Part) -> Kind:
    kind = report.value("Feedback-Type").strip().lower()
    if kind in NO_COMPLAINT:
        return Kind.AUTOMATIC
    return Kind.COMPLAINT if kind in COMPLAINTS else Kind.UNKNOWN


def _complained(address: str) -> Recipient:
    return Recipient(address[:254], "", "", "", "", Kind.COMPLAINT)


def _tokens_in(values: Iterable[str]) -> list[str]:
    return [token.lower() for value in values for token in TOKEN.findall(value[:2000])]


def _address(field: str) -> str:
    """Of `rfc822; ann@example.org`."""
    return field.rpartition(";")[2].strip().strip("<>")[:254]


def _found_by_others(mail: Part, notice: str) -> str:
    """The address that a notice speaks of, by a library that knows many mail servers' words. Its verdict is not asked
    for: it takes a full mailbox for a dead one."""
    from flufl.bounce import all_failures  # many modules, for the few mails that need them

    small = Message()
    for name in ("From", "To", "Subject"):
        small[name] = mail.value(name)
    small.set_payload(notice[:32_768])
    try:
        temporary, permanent = all_failures(small)
    except Exception:  # strangers' words in strangers' hands
        permanent, temporary = frozenset(), frozenset()
    found = sorted(one.decode("ascii", "replace") for one in (*permanent, *temporary) if b"@" in one)
    return next(iter(found or STANDS_FIRST.findall(notice)), "")
