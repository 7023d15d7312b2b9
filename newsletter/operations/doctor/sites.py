"""The public address: every link in every mail leads there."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx2

from newsletter.operations.doctor import certificates
from newsletter.operations.doctor.findings import Finding, Found
from newsletter.operations.doctor.patient import Patient
from newsletter.operations.doctor.relays import is_near

MOST = 100
REMEDY = "See that “newsletter serve” runs, that the proxy in front of it leads there, and that site_url is right."


def look(patient: Patient, found: Found) -> Iterator[Finding]:
    url = patient.config.site_url
    parts = urlsplit(url)
    if parts.scheme != "https" and not is_near(parts.hostname or ""):
        yield found.warning(
            f"{url} is not protected: who is on the way sees which links readers follow, and staff's passwords.",
            "Put a proxy with a certificate in front, and begin site_url with https://.",
        )
    try:
        with (
            _client(patient.config.doctor.timeout_seconds * 0.8) as client,
            client.stream("GET", f"{url}/healthz") as answer,
        ):
            certificate = _certificate(answer)
            yield _answered(answer, url, found)
            if parts.scheme == "https":
                yield certificates.judged(certificate, parts.hostname or url, patient.machine.now(), found)
    except httpx2.TimeoutException:
        yield found.error(f"{url} does not answer in time.", REMEDY)
    except (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError, ValueError, OSError) as error:
        yield found.error(f"{url} cannot be reached: {_words(error)}.", REMEDY)


def _client(seconds: float) -> httpx2.Client:
    context = httpx2.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return httpx2.Client(verify=context, timeout=seconds, trust_env=False, follow_redirects=False)


def _answered(answer: httpx2.Response, url: str, found: Found) -> Finding:
    if answer.is_redirect:
        where = urlsplit(answer.headers.get("location", "")).netloc or "another page"
        return found.warning(
            f"{url} sends its visitors on to {where[:MOST]}.",
            "Write the address that it ends at into site_url; one click to leave must work without being sent on.",
        )
    said = b"".join(_first(answer))
    if answer.status_code == 200 and said.strip() == b"ok":
        return found.ok(f"{url} answers.")
    return found.error(f"At {url} something else answers ({answer.status_code}).", REMEDY)


def _first(answer: httpx2.Response) -> Iterator[bytes]:
    size = 0
    for chunk in answer.iter_bytes(MOST):
        yield chunk
        size += len(chunk)
        if size > MOST:
            return


def _certificate(answer: httpx2.Response) -> dict[str, object] | None:
    stream = answer.extensions.get("network_stream")
    connection = stream.get_extra_info("ssl_object") if stream is not None else None
    return connection.getpeercert() if connection is not None else None


def _words(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return certificates.fault(cause)
        cause = cause.__cause__ or cause.__context__
    return "nobody listens there" if "refused" in str(error) else (str(error) or type(error).__name__)[:MOST]
