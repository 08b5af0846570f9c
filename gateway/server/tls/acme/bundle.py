"""A certificate with its chain and key, and what goes before it: keys, requests, and one that we sign ourselves."""

from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from gateway.config.checks.acme import covers

_UNTRUSTED = "auth-gateway has no certificate yet"
_UNTRUSTED_DAYS = 90
_PUBLIC = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A certificate that fits its key.

    Args:
        chain: PEM, the certificate first.
        key: its private key, PEM; never shown or logged.
        names: DNS names that it is for.
        serial: its number, in hexadecimal.
        not_before: from when it is good.
        not_after: until when.
    """

    chain: str
    key: str = field(repr=False)
    names: tuple[str, ...]
    serial: str
    not_before: float
    not_after: float

    @classmethod
    def read(cls, chain: str, key: str) -> "Bundle":
        """Read both. Raises ValueError for what is no certificate for DNS names, or belongs to another key."""
        leaf = x509.load_pem_x509_certificates(chain.encode())[0]
        try:
            private = load_pem_private_key(key.encode(), password=None)
            found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        except (TypeError, UnsupportedAlgorithm, x509.ExtensionNotFound) as error:
            raise ValueError(str(error)) from None
        if leaf.public_key().public_bytes(*_PUBLIC) != private.public_key().public_bytes(*_PUBLIC):
            raise ValueError("the certificate is for another key")
        return cls(
            chain=chain,
            key=key,
            names=tuple(found.value.get_values_for_type(x509.DNSName)),
            serial=f"{leaf.serial_number:x}",
            not_before=leaf.not_valid_before_utc.timestamp(),
            not_after=leaf.not_valid_after_utc.timestamp(),
        )

    @classmethod
    def parse(cls, pem: str) -> "Bundle":
        """Read what `pem` is. Raises ValueError."""
        key, mark, chain = pem.partition("-----BEGIN CERTIFICATE-----")
        return cls.read(mark + chain, key)

    @property
    def pem(self) -> str:
        """Return key and chain as one text, which can be replaced whole."""
        return self.key.rstrip() + "\n" + self.chain

    @property
    def lifetime(self) -> float:
        """Seconds for which it is good in all."""
        return self.not_after - self.not_before

    @property
    def renewal_id(self) -> str:
        """Return its name in questions about renewal: key identifier of the issuer and serial number (RFC 9773 §4.1).

        Empty if it names no issuer's key.
        """
        leaf = x509.load_pem_x509_certificates(self.chain.encode())[0]
        try:
            issuer = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
        except x509.ExtensionNotFound:
            return ""
        # A DER integer: one more bit than the number needs, for its sign.
        serial = leaf.serial_number.to_bytes(leaf.serial_number.bit_length() // 8 + 1, "big")
        return f"{_base64url(issuer)}.{_base64url(serial)}" if issuer else ""

    def is_for(self, hosts: Sequence[str]) -> bool:
        """Tell whether all these names are on it; a wildcard itself must be there as such."""
        return all(host in self.names or (host[:2] != "*." and covers(self.names, host)) for host in hosts)


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def new_key() -> str:
    """Make a P-256 key; PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def signing_request(key: str, hosts: Sequence[str]) -> x509.CertificateSigningRequest:
    """Make the request for a certificate for `hosts` (RFC 8555 §7.4)."""
    names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.add_extension(names, critical=True).sign(_loaded(key), SHA256())


def self_signed(hosts: Sequence[str], now: float) -> Bundle:
    """Make one that no browser trusts, to serve with until there is another."""
    key = new_key()
    private, start = _loaded(key), datetime.fromtimestamp(now, UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _UNTRUSTED)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - timedelta(hours=1))
        .not_valid_after(start + timedelta(days=_UNTRUSTED_DAYS))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
        .sign(private, SHA256())
    )
    return Bundle.read(certificate.public_bytes(Encoding.PEM).decode(), key)


def _loaded(key: str) -> ec.EllipticCurvePrivateKey:
    private = load_pem_private_key(key.encode(), password=None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    return private
