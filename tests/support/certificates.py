"""Certificates made on the spot: an authority of our own, and what it vouches for."""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

Private = ec.EllipticCurvePrivateKey


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


@dataclass
class Authority:
    """`file` is its certificate; whoever trusts it trusts what it signed."""

    folder: Path
    now: datetime

    def __post_init__(self) -> None:
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.name = _name("An authority of the tests")
        self.file = self.folder / "authority.pem"
        certificate = (
            self._begun(self.name, self.private.public_key(), self.now - timedelta(days=400), 800)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.private.public_key()), critical=False)
            .add_extension(_may_sign(), critical=True)
            .sign(self.private, hashes.SHA256())
        )
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def server(self, address: str = "127.0.0.1", *, days: float = 90, since: float = 100) -> ssl.SSLContext:
        """A server's context for an IP address. `days` are left, from now on; it was made `since` days ago."""
        private = ec.generate_private_key(ec.SECP256R1())
        begun = self.now - timedelta(days=since)
        certificate = (
            self._begun(_name("relay"), private.public_key(), begun, days + since)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.private.public_key()), critical=False
            )
            .sign(self.private, hashes.SHA256())
        )
        file = self.folder / f"server-{address}-{days}.pem"
        key = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file.write_bytes(key + certificate.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _begun(
        self, subject: x509.Name, public: ec.EllipticCurvePublicKey, begun: datetime, days: float
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begun)
            .not_valid_after(begun + timedelta(days=days))
        )


def _may_sign() -> x509.KeyUsage:
    wanted = {"key_cert_sign": True, "crl_sign": True, "digital_signature": True}
    others = (
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**wanted, **dict.fromkeys(others, False))
