"""The sockets of the fetcher: they connect to public addresses only.

A feed's address is typed in by staff and redirects are chosen by strangers, so a name is resolved here, every address
it has is checked, and the checked address itself is connected to. Nothing is resolved a second time, which is what a
rebinding name server would wait for. The check happens on every connection, thus on every redirect.
"""

from __future__ import annotations

import errno
import ipaddress
import socket  # noqa: TID251 - one of the two places for it
import ssl
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import httpcore2
import httpx2

from newsletter.foundation.errors import CannotStart, NewsletterError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052
INNER = (
    ipaddress.ip_network("100.64.0.0/10"),  # shared by carriers, RFC 6598
    ipaddress.ip_network("::/96"),  # IPv4-compatible, RFC 4291 §2.5.5.1
    ipaddress.ip_network("64:ff9b:1::/48"),  # local NAT64, RFC 8215
    ipaddress.ip_network("3fff::/20"),  # documentation, RFC 9637
    ipaddress.ip_network("5f00::/16"),  # segment routing, RFC 9602
    ipaddress.ip_network("fec0::/10"),  # site-local, RFC 3879
)
"""Networks that are not the open internet's and that Python's tables of 3.11 let through."""


class AddressForbidden(NewsletterError):
    """{host} is not a public address, so it is not fetched. If it is yours, add its network to allow_networks
    under [fetching]."""


class PortForbidden(NewsletterError):
    """Port {port} of {host} is not fetched. If it is right, add it to allow_ports under [fetching]."""


class Unreachable(NewsletterError):
    """{host} cannot be reached: {cause}."""


def is_public(address: Address) -> bool:
    """Whether an address belongs to the open internet, looking into the IPv4 address that an IPv6 one carries."""
    inner = _carried(address)
    if inner is not None and not is_public(inner):
        return False
    inside = any(address in network for network in INNER)
    return address.is_global and not address.is_multicast and not inside


def _carried(address: Address) -> ipaddress.IPv4Address | None:
    if not isinstance(address, ipaddress.IPv6Address):
        return None
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)


class CannotListen(CannotStart):
    """The web cannot listen on {host}, port {port}: {cause}. Change host or port under [web]."""


class Deadline(threading.local):
    """When the request that this thread is at must have ended, by the monotonic clock; 0.0 for never."""

    at = 0.0

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        self.at = time.monotonic() + seconds
        try:
            yield
        finally:
            self.at = 0.0

    def cap(self, timeout: float | None) -> float | None:
        """`timeout`, or what is left if that is less. Raises httpcore2.ReadTimeout when nothing is."""
        if not self.at:
            return timeout
        left = self.at - time.monotonic()
        if left <= 0:
            raise httpcore2.ReadTimeout("the whole time is over")
        return left if timeout is None else min(timeout, left)


class _Stream(httpcore2.NetworkStream):
    """A connection on which every wait ends with the request's deadline: a server that sends an octet a second would
    never run into a timeout of the single read."""

    def __init__(self, inner: httpcore2.NetworkStream, deadline: Deadline) -> None:
        self._inner = inner
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._deadline.cap(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._deadline.cap(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        inner = self._inner.start_tls(ssl_context, server_hostname, self._deadline.cap(timeout))
        return _Stream(inner, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class GuardedBackend(httpcore2.NetworkBackend):
    """Opens connections for httpx2. `allow` are networks that are let through although they are not public."""

    def __init__(self, allow: Sequence[str] = (), ports: Iterable[int] = (80, 443)) -> None:
        self.deadline = Deadline()
        self._allow: list[Network] = [ipaddress.ip_network(network, strict=False) for network in allow]
        self._ports = frozenset(ports)
        self._plain = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        """Raises AddressForbidden, PortForbidden, Unreachable."""
        addresses = self._checked(host, port)
        for number, address in enumerate(addresses, 1):
            try:
                capped = self.deadline.cap(timeout)
                stream = self._plain.connect_tcp(str(address), port, capped, local_address, socket_options)
                return _Stream(stream, self.deadline)
            except httpcore2.ConnectError:
                if number == len(addresses):
                    raise
        raise Unreachable(host=host, cause="it has no address")

    def _checked(self, host: str, port: int) -> list[Address]:
        addresses = _resolve(host, port)
        if all(self._allowed(address) for address in addresses):
            return addresses
        if not all(is_public(address) for address in addresses):
            raise AddressForbidden(host=host)
        if port not in self._ports:
            raise PortForbidden(host=host, port=port)
        return addresses

    def _allowed(self, address: Address) -> bool:
        return any(address in network for network in self._allow)


def _resolve(host: str, port: int) -> list[Address]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unreachable(host=host, cause=getattr(error, "strerror", None) or "it is not a host name") from error
    unique = dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found)
    return [ipaddress.ip_address(address) for address in unique]


class GuardedTransport(httpx2.HTTPTransport):
    """httpx2's transport on guarded sockets. It knows no proxy, since a proxy would resolve names itself."""

    def __init__(self, backend: GuardedBackend, connections: int = 20) -> None:
        context = _certificates()
        super().__init__(verify=context, trust_env=False)
        self._pool.close()
        self._pool = httpcore2.ConnectionPool(
            ssl_context=context,
            max_connections=connections,
            network_backend=backend,
        )


@cache
def _certificates() -> ssl.SSLContext:
    """Whom we believe; read once, because it takes a tenth of a second."""
    return httpx2.create_ssl_context(trust_env=False)


def port_is_free(host: str, port: int) -> bool:
    """Whether a server could listen there. Raises CannotListen when it is not a matter of waiting."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise CannotListen(host=host, port=port, cause=error.strerror or error) from error
    return True


def ask_udp(host: str, port: int, question: bytes, seconds: float) -> bytes:
    """The first packet that comes back from where one was sent, such as that of a time server. Raises OSError."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, socket.SOCK_DGRAM) as asking:
        asking.settimeout(seconds)
        asking.connect(address)
        asking.send(question)
        return asking.recv(2048)


def network_of(ip: str) -> str:
    """What sign-ups are counted by: an IPv4 address, or the /64 that an IPv6 address is in."""
    address = ipaddress.ip_address(ip)
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network(f"{address}/64", strict=False).network_address)
