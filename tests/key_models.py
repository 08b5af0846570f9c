"""Makers of security keys and FIDO's metadata, made for tests: roots, attested keys, the blob."""

import base64
import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from webauthn.helpers import bytes_to_base64url

from gateway.authn.factors.attestation import SIGNER
from gateway.config.sections.attestation import Attestation
from tests.software_key import SoftwareKey

NOW = time.time()
MODEL, OTHER = uuid4(), uuid4()
_AAGUID = x509.ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4")


@dataclass
class Issuer:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Any

    @classmethod
    def root(cls, name: str) -> "Issuer":
        return _issued(name, None, ca=True)

    def issue(self, name: str, **more: Any) -> "Issuer":
        return _issued(name, self, **more)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)


def _issued(
    name: str,
    by: Issuer | None,
    *,
    ca: bool = False,
    host: str = "",
    model: UUID | None = None,
    until: float = NOW + 86400,
    key: Any = None,
) -> Issuer:
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "SE"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Maker"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Authenticator Attestation"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.fromtimestamp(NOW, UTC) - timedelta(days=2))
        .not_valid_after(datetime.fromtimestamp(until, UTC))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if host:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
    if model:
        value = x509.UnrecognizedExtension(_AAGUID, b"\x04\x10" + model.bytes)
        builder = builder.add_extension(value, critical=False)
    return Issuer(builder.sign(by.key if by else key, SHA256()), key)


@dataclass
class ModelKey(SoftwareKey):
    """A key of a model; `maker` vouches for it, None = it says so itself."""

    model: UUID = MODEL
    maker: Issuer | None = None
    certified: UUID | None = None

    def registration(self, options: str, origin: str, **client_data: object) -> str:
        asked = json.loads(options)
        said = {
            "type": "webauthn.create",
            "challenge": asked["challenge"],
            "origin": origin,
            "crossOrigin": False,
        }
        client = json.dumps(said).encode()
        attested = self.model.bytes + len(self.id).to_bytes(2, "big") + self.id + self.public
        data = self._data(asked["rp"]["id"], flags=0x40) + attested
        signer = self.maker.issue("Key", model=self.certified or self.model) if self.maker else None
        key = signer.key if signer else self.private
        signature = key.sign(data + sha256(client).digest(), ec.ECDSA(SHA256()))
        statement: dict[str, Any] = {"alg": -7, "sig": signature}
        if signer:
            statement["x5c"] = [signer.der]
        made = cbor2.dumps({"fmt": "packed", "attStmt": statement, "authData": data})
        return self._said({"attestationObject": made, "clientDataJSON": client})


@dataclass
class Metadata:
    """FIDO's blob as an operator has it on disk."""

    folder: Path
    maker: Issuer = field(default_factory=lambda: Issuer.root("Maker"))
    root: Issuer = field(default_factory=lambda: Issuer.root("Root"))

    def entry(self, model: UUID, *status: str) -> dict[str, Any]:
        return {
            "aaguid": str(model),
            "statusReports": [{"status": one} for one in status or ("FIDO_CERTIFIED",)],
            "metadataStatement": {"attestationRootCertificates": [_base64(self.maker.der)]},
        }

    def written(
        self,
        *entries: dict[str, Any],
        signer: Issuer | None = None,
        between: Issuer | None = None,
        **lists: Any,
    ) -> Attestation:
        middle = between or self.root.issue("Middle", ca=True)
        by = signer or middle.issue("Signer", host=SIGNER)
        uses_rsa = isinstance(by.key, rsa.RSAPrivateKey)
        header = {
            "alg": "RS256" if uses_rsa else "ES256",
            "typ": "JWT",
            "x5c": [_base64(by.der), _base64(middle.der)],
        }
        payload = {"no": 1, "nextUpdate": "2999-01-01", "entries": list(entries)}
        signed = ".".join(bytes_to_base64url(json.dumps(part).encode()) for part in (header, payload))
        if uses_rsa:
            signature = by.key.sign(signed.encode(), padding.PKCS1v15(), SHA256())
        else:
            pair = decode_dss_signature(by.key.sign(signed.encode(), ec.ECDSA(SHA256())))
            signature = b"".join(half.to_bytes(32, "big") for half in pair)
        blob = f"{signed}.{bytes_to_base64url(signature)}"
        (self.folder / "blob.jwt").write_text(blob)
        (self.folder / "root.pem").write_bytes(self.root.pem)
        files = {"metadata_file": self.folder / "blob.jwt", "metadata_root_file": self.folder / "root.pem"}
        return Attestation.model_validate({**files, **lists})


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
