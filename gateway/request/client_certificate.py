"""Reads a client's certificate that Envoy, our front door, has checked: into what `ssl.getpeercert` says of one."""

import warnings
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_to_bytes

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.dsa import DSAPublicKey
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509 import (
    Certificate,
    DNSName,
    ExtensionNotFound,
    NameOID,
    RFC822Name,
    SubjectAlternativeName,
    UniformResourceIdentifier,
    load_pem_x509_certificate,
)

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_KINDS = ((RFC822Name, "email"), (DNSName, "DNS"), (UniformResourceIdentifier, "URI"))


@lru_cache(maxsize=256)
def read_certificate(text: str) -> dict[str, Any] | None:
    """Return what counts in a certificate, in the words of `ssl.getpeercert`; None for what can't be read, or is weak.

    `text` is PEM in percent-encoding.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", CryptographyDeprecationWarning
            )  # of odd ones, which OpenSSL takes, too
            found = load_pem_x509_certificate(unquote_to_bytes(text))
            if _is_weak(found):
                return None
            names = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
            return {
                "subject": tuple((("commonName", name.value),) for name in names),
                "subjectAltName": tuple(_alternatives(found)),
                "notAfter": _moment(found.not_valid_after_utc),
            }
    except (ValueError, UnsupportedAlgorithm):
        return None


def _moment(when: datetime) -> str:
    """As OpenSSL writes it, in English wherever we are."""
    return f"{_MONTHS[when.month - 1]} {when.day:2d} {when:%H:%M:%S} {when.year} GMT"


def _is_weak(found: Certificate) -> bool:
    """OpenSSL ends the handshake for a short key or a hash that can be forged (security level 2), Envoy does not."""
    key, digest = found.public_key(), found.signature_hash_algorithm
    short = isinstance(key, RSAPublicKey | DSAPublicKey) and key.key_size < 2048
    curve = isinstance(key, EllipticCurvePublicKey) and key.key_size < 224
    return short or curve or (digest is not None and digest.digest_size < 28)


def _alternatives(found: Certificate) -> list[tuple[str, str]]:
    try:
        names = found.extensions.get_extension_for_class(SubjectAlternativeName).value
    except ExtensionNotFound:
        return []
    return [(word, value) for kind, word in _KINDS for value in names.get_values_for_type(kind)]
