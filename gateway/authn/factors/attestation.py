"""Which models of security keys count: lists of AAGUIDs, and the FIDO Metadata Service's blob (MDS3) from a file.

A key says of itself which model it is (its AAGUID, WebAuthn §6.5.2). With metadata its maker must vouch for that: the
attestation's certificates lead to a root that the metadata has for this very model. The blob is a JWT whose own
certificates must lead to a root that the operator keeps; nothing is fetched.
"""

import base64
import binascii
import itertools
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.clock import Clock
from gateway.config.sections.attestation import Attestation
from gateway.errors import ConfigError, Mistake

log = logging.getLogger("gateway.webauthn")

SIGNER = "mds.fidoalliance.org"
"""Whom the blob's certificate must name: its root signs for half the web (FIDO MDS3 §3.2)."""
COMPROMISED = frozenset(
    {
        "REVOKED",
        "USER_VERIFICATION_BYPASS",
        "ATTESTATION_KEY_COMPROMISE",
        "USER_KEY_REMOTE_COMPROMISE",
        "USER_KEY_PHYSICAL_COMPROMISE",
    }
)
"""Reports (FIDO MDS3 §3.1.4) after which a model counts no more."""
_MODEL = x509.ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4")  # WebAuthn §8.2.1: id-fido-gen-ce-aaguid
_LARGEST = 64 * 1024 * 1024


class _Unsound(Exception):
    """What is wrong with a blob."""


@dataclass(frozen=True, slots=True)
class KeyApproval:
    """What `webauthn.attestation` says of models, which are AAGUIDs as text. `roots` is None without metadata."""

    allow: frozenset[str] = frozenset()
    deny: frozenset[str] = frozenset()
    roots: Mapping[str, Sequence[bytes]] | None = field(default=None, repr=False)
    required: bool = True
    """Whether keys that the metadata does not vouch for count nowhere, rather than where no rule asks for a model."""

    @property
    def any(self) -> bool:
        """Whether anything is asked of keys at all."""
        return bool(self.allow or self.deny or self.roots is not None)

    def approves(self, aaguid: bytes, *, attested: bool) -> bool:
        """Whether a key of this model counts; `attested`: its maker vouched for it when it was added."""
        model = str(UUID(bytes=aaguid)) if len(aaguid) == 16 else ""
        if model in self.deny:
            return False
        if self.roots is None:
            return not self.allow
        if not self.required:
            return True
        return attested and model in self.roots and (not self.allow or model in self.allow)

    def vouched(self, aaguid: bytes, *, attested: bool) -> str:
        """Return the model of a key that its maker vouched for and that the metadata still knows, else ""."""
        model = str(UUID(bytes=aaguid)) if attested and len(aaguid) == 16 else ""
        return model if model in (self.roots or {}) and model not in self.deny else ""

    def roots_of(self, aaguid: str) -> list[bytes]:
        """Return the root certificates (PEM) that may vouch for a model."""
        return list((self.roots or {}).get(aaguid, ()))


def names_model(certificate: bytes, aaguid: bytes) -> bool:
    """Whether an attestation certificate is for this model, or for none in particular (WebAuthn §8.2.1)."""
    try:
        found = x509.load_der_x509_certificate(certificate).extensions.get_extension_for_oid(_MODEL)
    except x509.ExtensionNotFound:
        return True
    except ValueError:
        return False
    value = found.value
    return isinstance(value, x509.UnrecognizedExtension) and value.value == b"\x04\x10" + aaguid


def key_approval(settings: Attestation, clock: Clock) -> KeyApproval:
    """Read the lists and the metadata. Raises ConfigError for a blob that can't be trusted."""
    lists = KeyApproval(frozenset(settings.allow), frozenset(settings.deny))
    if settings.metadata_file is None or settings.metadata_root_file is None:
        return lists
    try:
        roots = _models(settings.metadata_file, settings.metadata_root_file, clock())
    except (_Unsound, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        mistake = Mistake(
            file=str(settings.metadata_file),
            line=0,
            key="webauthn.attestation.metadata_file",
            problem=f"is no metadata that can be trusted: {error}",
            mend="fetch it anew from https://mds3.fidoalliance.org, and the root that it is signed under",
        )
        raise ConfigError([mistake]) from None
    return KeyApproval(lists.allow, lists.deny, roots, required=settings.required == "everywhere")


def _models(blob: Path, root: Path, now: float) -> dict[str, list[bytes]]:
    """AAGUID -> roots in PEM, of models that are not compromised. Raises _Unsound."""
    if blob.stat().st_size > _LARGEST:
        raise _Unsound("it is too large")
    payload = _verified(
        blob.read_text("ascii").strip(), x509.load_pem_x509_certificates(root.read_bytes()), now
    )
    if str(payload.get("nextUpdate", "")) < datetime.fromtimestamp(now, UTC).date().isoformat():
        log.warning("%s is out of date: newer reports about keys are not in it", blob)
    models: dict[str, list[bytes]] = {}
    for entry in payload.get("entries", ()):
        said = {str(report.get("status")) for report in entry.get("statusReports", ())}
        if "aaguid" in entry and not said & COMPROMISED:
            roots = entry.get("metadataStatement", {}).get("attestationRootCertificates", ())
            model = str(UUID(entry["aaguid"]))
            models[model] = [pem for text in roots if (pem := _pem(text, model))]
    return models


def _verified(token: str, roots: Sequence[x509.Certificate], now: float) -> dict[str, Any]:
    """The payload of the blob once signature and certificates hold (FIDO MDS3 §3.2, RFC 7515 §5.2). Raises _Unsound."""
    signed, _, signature = token.rpartition(".")
    try:
        header = json.loads(_unpadded(signed.partition(".")[0]))
        chain = [x509.load_der_x509_certificate(base64.b64decode(text)) for text in header["x5c"]]
        _check_chain(chain, roots, datetime.fromtimestamp(now, UTC))
        _check_signature(chain[0], str(header.get("alg")), signed.encode(), _unpadded(signature))
        payload: Any = json.loads(_unpadded(signed.partition(".")[2]))
    except (KeyError, TypeError, IndexError, RecursionError, binascii.Error, x509.ExtensionNotFound) as error:
        raise _Unsound(f"{type(error).__name__}: {error}") from None
    if not isinstance(payload, dict):
        raise _Unsound("its payload is no object")
    return payload


def _check_signature(signer: x509.Certificate, algorithm: str, signed: bytes, signature: bytes) -> None:
    """RS256 and ES256 (RFC 7518 §3.3, §3.4), as the kind of the signer's key wants it. Raises _Unsound."""
    key = signer.public_key()
    try:
        if algorithm == "RS256" and isinstance(key, RSAPublicKey):
            key.verify(signature, signed, PKCS1v15(), SHA256())
        elif algorithm == "ES256" and isinstance(key, EllipticCurvePublicKey) and len(signature) == 64:
            halves = (int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
            key.verify(encode_dss_signature(*halves), signed, ECDSA(SHA256()))
        else:
            raise _Unsound(f"it is signed by {algorithm}, not RS256 or ES256")
    except InvalidSignature:
        raise _Unsound("its signature is wrong") from None


def _check_chain(chain: Sequence[x509.Certificate], roots: Sequence[x509.Certificate], now: datetime) -> None:
    for certificate in chain:
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            raise _Unsound("a certificate is not valid now")
    names = chain[0].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    if SIGNER not in names.get_values_for_type(x509.DNSName):
        raise _Unsound(f"it is not signed by {SIGNER}")
    for issued, issuer in itertools.pairwise(chain):
        _check_issued(issued, issuer)
    if chain[-1] in roots:
        return
    for root in roots:
        try:
            _check_issued(chain[-1], root)
        except _Unsound:
            continue
        return
    raise _Unsound("its certificates don't lead to the root")


def _check_issued(issued: x509.Certificate, issuer: x509.Certificate) -> None:
    try:
        may = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        issued.verify_directly_issued_by(issuer)
    except (x509.ExtensionNotFound, InvalidSignature, ValueError, TypeError):
        may = False
    if not may:
        raise _Unsound("a certificate was not issued by the next one")


def _unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _pem(text: str, model: str) -> bytes:
    """A root as PEM; b"" for one that can't be read: it vouches for no key, and costs no other model."""
    try:
        return x509.load_der_x509_certificate(base64.b64decode(text)).public_bytes(Encoding.PEM)
    except (ValueError, TypeError) as error:
        log.warning("a root certificate of model %s can't be read, nobody vouches by it: %s", model, error)
        return b""
