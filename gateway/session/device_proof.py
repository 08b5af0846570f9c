"""Reads what browsers sign with the key of a bound session: a JWT of type `dbsc+jwt` (W3C draft, "DBSC proof").

At registration it is signed with the very key that it shows, later with the key that was registered. The kind of key
says the algorithm, never the token: ES256 with P-256, RS256 with 2048 bits and more (RFC 8725 §3.1).
"""

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry

_LONGEST = 8192
_TYPE = "dbsc+jwt"
_FIELD = re.compile(
    r'(?P<quote>"?)(?P<token>[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)(?P=quote)(?:;.*)?'
)
"""A string of RFC 9651 with its parameters; Chromium 156 leaves the quotes out, here and for ids."""
_NAME = re.compile(r'(?P<quote>"?)(?P<id>[A-Za-z0-9_-]{1,64})(?P=quote)(?:;.*)?')
_SMALLEST, _LARGEST = 2048, 4096  # bits of RSA: more would cost us, not the browser
_EXPONENT = 65537


class _WithKeys(JWSRegistry):
    """Takes headers that hold an RSA key."""

    max_header_length = 2048


_REGISTRIES = {name: _WithKeys(algorithms=[name]) for name in ("ES256", "RS256")}
_UNREADABLE = (JoseError, ValueError, TypeError, KeyError, RecursionError, binascii.Error)


@dataclass(frozen=True, slots=True)
class DeviceProof:
    """A proof whose signature holds. `key` is what it was checked with, a JWK as JSON without anything optional."""

    key: str
    algorithm: str
    challenge: str
    audience: str
    """The address that it says it is for, "" where it says none."""


def session_named(field: str) -> str:
    """Return the id in a Sec-Secure-Session-Id field, "" for what is none of ours."""
    found = _NAME.fullmatch(field)
    return found["id"] if found else ""


def read_registration(field: str) -> DeviceProof | None:
    """Verify a Secure-Session-Response that shows its own key; None unless it is signed with it."""
    token = _token(field)
    try:
        shown = _header(token).get("jwk")
        key = _key(shown) if isinstance(shown, dict) and "d" not in shown else None
    except _UNREADABLE:
        return None
    return _verified(token, key) if key else None


def read_refresh(field: str, key: str) -> DeviceProof | None:
    """Verify a Secure-Session-Response with a key that was registered, as `DeviceProof.key` has it."""
    token = _token(field)
    try:
        known = None if "jwk" in _header(token) else _key(json.loads(key))
    except _UNREADABLE:
        return None
    return _verified(token, known) if known else None


def challenge_in(field: str) -> str:
    """Return the challenge that a proof says it signs. Nothing is verified: good for looking whether it is ours."""
    try:
        challenge = json.loads(_decoded(_token(field).split(".")[1])).get("jti")
    except (*_UNREADABLE, IndexError, AttributeError):
        return ""
    return challenge if isinstance(challenge, str) else ""


def _token(field: str) -> str:
    found = _FIELD.fullmatch(field) if len(field) <= _LONGEST else None
    return found["token"] if found else ""


def _header(token: str) -> dict[str, Any]:
    header = json.loads(_decoded(token.split(".")[0]))
    return header if isinstance(header, dict) else {}


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _number(text: str) -> int:
    return int.from_bytes(_decoded(text), "big")


def _key(said: object) -> ECKey | RSAKey | None:
    """The public key of a JWK, None for what is none, or of a kind or size that doesn't count. Raises what the library
    raises.
    """
    if not isinstance(said, dict):
        return None
    if said.get("kty") == "EC" and said.get("crv") == "P-256":
        return ECKey.import_key({name: said[name] for name in ("kty", "crv", "x", "y")})
    if said.get("kty") == "RSA":
        bits, exponent = _number(said["n"]).bit_length(), _number(said["e"])
        if _SMALLEST <= bits <= _LARGEST and exponent == _EXPONENT:
            return RSAKey.import_key({name: said[name] for name in ("kty", "n", "e")})
    return None


def _verified(token: str, key: ECKey | RSAKey) -> DeviceProof | None:
    algorithm = "ES256" if isinstance(key, ECKey) else "RS256"
    try:
        read = jwt.decode(token, key, registry=_REGISTRIES[algorithm])
    except _UNREADABLE:
        return None
    challenge, audience = read.claims.get("jti"), read.claims.get("aud", "")
    if read.header.get("typ") != _TYPE or not isinstance(challenge, str) or not isinstance(audience, str):
        return None
    return DeviceProof(
        key=json.dumps(key.as_dict(private=False), sort_keys=True),
        algorithm=algorithm,
        challenge=challenge,
        audience=audience,
    )
