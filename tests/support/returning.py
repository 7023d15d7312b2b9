"""Mails that come back, written here in the manner of many mail servers."""

from __future__ import annotations

from email.message import EmailMessage
from email.policy import SMTP

TOKEN = "dae-abcdefghijklmnop"
MESSAGE_ID = f"{TOKEN}@example.org"
BOUNCES = f"bounces+{TOKEN}@example.org"
ANN = "ann@example.net"


def reported(address: str = ANN, status: str = "5.1.1", diagnostic: str = "", action: str = "failed") -> str:
    """One recipient's fields in a delivery status."""
    lines = [f"Final-Recipient: rfc822; {address}", f"Action: {action}", f"Status: {status}"]
    return "\n".join([*lines, f"Diagnostic-Code: smtp; {diagnostic}"] if diagnostic else lines) + "\n"


def dsn(
    *recipients: str, to: str = BOUNCES, message_id: str = MESSAGE_ID, whole: bool = False, date: str = "1"
) -> bytes:
    """A delivery status notification (RFC 3464), with the head of the mail or the whole of it."""
    original = f"Return-Path: <>\nMessage-ID: <{message_id}>\nSubject: Morning Post\nTo: {ANN}\n"
    last = f"Content-Type: message/rfc822\n\n{original}\nThe news.\n"
    if not whole:
        last = f"Content-Type: text/rfc822-headers\n\n{original}"
    fields = "\n".join(recipients or (reported(),))
    return written(
        f"""Return-Path: <>
From: Mail Delivery System <MAILER-DAEMON@mx.example.net>
To: {to}
Subject: Undelivered Mail
Date: Tue, 3 Mar 2026 06:0{date}:00 +0000
Message-ID: <{date}.notice@mx.example.net>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="edge"

--edge
Content-Type: text/plain

We are sorry that your mail did not arrive.

--edge
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net

{fields}
--edge
{last}
--edge--
"""
    )


def arf(kind: str = "abuse", to: str = "bounces@example.org", message_id: str = MESSAGE_ID) -> bytes:
    """A complaint as mailbox providers pass them on (RFC 5965)."""
    return written(
        f"""From: <feedback@provider.example.net>
To: {to}
Subject: FW: Morning Post
Date: Tue, 3 Mar 2026 07:00:00 +0000
Message-ID: <{kind}@provider.example.net>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="edge"

--edge
Content-Type: text/plain

This is a report about an e-mail from 192.0.2.1.

--edge
Content-Type: message/feedback-report

Feedback-Type: {kind}
User-Agent: Feedback/1.0
Version: 1
Original-Rcpt-To: <{ANN}>

--edge
Content-Type: message/rfc822

From: Morning Post <post@example.org>
To: {ANN}
Message-ID: <{message_id}>
Subject: Morning Post

The news.
--edge--
"""
    )


QMAIL = """Hi. This is the qmail-send program at mx.example.net.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<ann@example.net>:
192.0.2.9 does not like recipient.
Remote host said: {said}
Giving up on 192.0.2.9.

--- Below this line is a copy of the message.

Return-Path: <bounces@example.org>
Message-ID: <{message_id}>
Subject: Morning Post

5.1.1 stands in the news.
"""
EXIM = """This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  ann@example.net
    host mx.example.net [192.0.2.9]
    SMTP error from remote mail server after RCPT TO:<ann@example.net>:
    {said}

------ This is a copy of the message, including all the headers. ------

Message-ID: <{message_id}>
"""
POSTFIX = """This is the mail system at host mail.example.net.

I'm sorry to have to inform you that your message could not
be delivered to one or more recipients. It's attached below.

                   The mail system

<ann@example.net>: host mx.example.net[192.0.2.9] said: {said} (in reply to RCPT TO command)

----- Original message -----
Message-ID: <{message_id}>
"""
EXCHANGE = """Delivery has failed to these recipients or groups:

ann@example.net
The address you entered couldn't be found.

Diagnostic information for administrators:

Generating server: exchange.example.net
ann@example.net
Remote Server returned '{said}'

Original message headers:
Message-ID: <{message_id}>
"""
NOTICES = {"qmail": QMAIL, "exim": EXIM, "postfix": POSTFIX, "exchange": EXCHANGE}


def notice(server: str, said: str = "550 5.1.1 no such user", to: str = "bounces@example.org") -> bytes:
    """A bounce in plain words, as servers wrote them before there was a standard, and some do still."""
    text = NOTICES[server].format(said=said, message_id=MESSAGE_ID)
    return mail(text, sender="MAILER-DAEMON@mx.example.net", to=to, subject="failure notice")


def mail(
    text: str,
    *,
    sender: str = ANN,
    to: str = BOUNCES,
    subject: str = "Re: Morning Post",
    **headers: str,
) -> bytes:
    """What somebody writes."""
    made = EmailMessage(policy=SMTP)
    made["From"], made["To"], made["Subject"] = sender, to, subject
    made["Date"] = "Tue, 3 Mar 2026 08:00:00 +0000"
    for name, value in headers.items():
        made[name.replace("_", "-")] = value
    made.set_content(text)
    return made.as_bytes()


def written(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()
