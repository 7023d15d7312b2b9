"""A name server on loopback that answers what a test tells it, over UDP and TCP, and misbehaves when told to."""

from __future__ import annotations

import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
from dns.message import Message

LARGEST_PACKET = 1232


@dataclass
class NameServer:
    """`zone` has the records of each name and type, as a zone file writes them: ("example.org", "A"): ["192.0.2.1"].
    A name that has some record, or is in `empty`, exists. `troubled` names get SERVFAIL, `silent` ones no answer."""

    port: int = 0
    zone: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    empty: set[str] = field(default_factory=set)
    troubled: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    garbled: set[str] = field(default_factory=set)
    asked: list[tuple[str, str]] = field(default_factory=list)
    by_tcp: int = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def has(self, name: str, kind: str, *values: str) -> None:
        self.zone[name, kind] = list(values)

    def says(self, name: str, text: str) -> None:
        """A TXT record, cut into strings of 255 octets as the DNS needs it."""
        parts = [text[at : at + 255] for at in range(0, len(text), 255)] or [""]
        quoted = " ".join(f'"{part}"' for part in parts)
        self.zone.setdefault((name, "TXT"), []).append(quoted)

    def answer(self, packet: bytes, limit: int | None) -> bytes | None:
        """None where nothing is said."""
        try:
            question = dns.message.from_wire(packet)
        except dns.exception.DNSException:
            return None
        name = question.question[0].name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.question[0].rdtype)
        self.asked.append((name, kind))
        if name in self.silent:
            return None
        if name in self.garbled:
            return packet[:2] + b"\xff" * 30
        answer = self._answer(question, name, kind)
        octets = answer.to_wire(max_size=65535)
        if limit is not None and len(octets) > limit:
            short = dns.message.make_response(question)
            short.flags |= dns.flags.TC
            octets = short.to_wire()
        return octets

    def _answer(self, question: Message, name: str, kind: str) -> Message:
        answer = dns.message.make_response(question, recursion_available=True)
        if name in self.troubled:
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif values := self.zone.get((name, kind)):
            answer.answer.append(dns.rrset.from_text_list(question.question[0].name, 60, "IN", kind, values))
        elif name not in self.empty and not any(known == name for known, _ in self.zone):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer


Handler = type[socketserver.BaseRequestHandler]


def _on_one_port(stack: ExitStack, udp: Handler, tcp: Handler) -> tuple[socketserver.UDPServer, socketserver.TCPServer]:
    """The system chooses a port for the one; that it is free for the other too is a matter of luck."""
    for _ in range(50):
        with ExitStack() as attempt:
            by_udp = attempt.enter_context(socketserver.ThreadingUDPServer(("127.0.0.1", 0), udp))
            try:
                by_tcp = attempt.enter_context(socketserver.ThreadingTCPServer(by_udp.server_address, tcp))
            except OSError:
                continue
            stack.enter_context(attempt.pop_all())
            return by_udp, by_tcp
    raise AssertionError("no port is free for both")


@contextmanager
def running_name_server() -> Iterator[NameServer]:
    server = NameServer()

    class Udp(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            packet, socket = self.request
            if (octets := server.answer(packet, LARGEST_PACKET)) is not None:
                socket.sendto(octets, self.client_address)

    class Tcp(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            server.by_tcp += 1
            (length,) = struct.unpack(">H", self.rfile.read(2))
            if (octets := server.answer(self.rfile.read(length), None)) is not None:
                self.wfile.write(struct.pack(">H", len(octets)) + octets)

    with ExitStack() as stack:
        udp, tcp = _on_one_port(stack, Udp, Tcp)
        server.port = int(udp.server_address[1])
        threads = [threading.Thread(target=one.serve_forever, args=(0.01,), daemon=True) for one in (udp, tcp)]
        for thread in threads:
            thread.start()
        try:
            yield server
        finally:
            for one in (udp, tcp):
                one.shutdown()
            for thread in threads:
                thread.join()
