"""Authorities for client certificates in tests, and what they issue: sound, expired, for another use."""

import datetime
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
Pair = tuple[Path, Path]
"""A file with a certificate (and those of its issuers that a client shows with it), and one with its key."""
DAY = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Authority:
    """Issues certificates into a folder."""

    folder: Path
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def new(cls, folder: Path, name: str, issuer: "Authority | None" = None) -> "Authority":
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = _builder(
            subject, issuer.certificate.subject if issuer else subject, key, since=-DAY, until=DAY
        )
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        return cls(folder, builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)

    @property
    def file(self) -> Path:
        return _write(self.folder / f"{self.certificate.serial_number:x}-ca.pem", _pem(self.certificate))

    def issue(
        self,
        name: str,
        *alternatives: x509.GeneralName,
        since: datetime.timedelta = -DAY,
        until: datetime.timedelta = DAY,
        usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.CLIENT_AUTH,
        common_names: tuple[str, ...] | None = None,
        key: Key | None = None,
    ) -> Pair:
        """A certificate with these names, shown with this authority's own."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        names = (name,) if common_names is None else common_names
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one) for one in names])
        builder = _builder(subject, self.certificate.subject, key, since=since, until=until)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        made = builder.sign(self.key, hashes.SHA256())
        place = self.folder / f"{made.serial_number:x}"
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return _write(place.with_suffix(".pem"), _pem(made) + _pem(self.certificate)), _write(
            place.with_suffix(".key"), secret
        )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: Key,
    *,
    since: datetime.timedelta,
    until: datetime.timedelta,
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + since)
        .not_valid_after(now + until)
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _write(file: Path, content: bytes) -> Path:
    file.write_bytes(content)
    return file
