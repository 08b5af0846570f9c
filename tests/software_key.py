"""A security key in software (W3C WebAuthn Level 3, ES256): what a browser with a key would answer, or an attacker."""

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from webauthn.helpers import bytes_to_base64url

from gateway.authn.factors.webauthn_relying_party import RegisteredKey
from gateway.stores.protocols.core import Credential

_PRESENT, _VERIFIED, _ATTESTED = 0x01, 0x04, 0x40


@dataclass
class SoftwareKey:
    """`id` may be set to one that no key would have. `count` is what the key says next; 0 for ever is a synced one."""

    id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    handle: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    backup: int = 0
    """0x08 may be synced, 0x18 is synced (WebAuthn §6.1, BE and BS)."""
    count: int = 0
    private: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    @property
    def public(self) -> bytes:
        """COSE_Key (RFC 9053 §7.1.1)."""
        numbers = self.private.public_key().public_numbers()
        x, y = numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big")
        return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: x, -3: y})

    def stored(self, username: str, now: float = 1_800_000_000.0) -> Credential:
        """As if it had been enrolled."""
        name = hashlib.sha256(self.id).hexdigest()
        secret = RegisteredKey(self.id, self.public, self.handle).packed()
        return Credential(name, username, "webauthn", "Key", secret, now, now, self.count)

    def answer(self, options: str, origin: str, **client_data: object) -> str:
        """To navigator.credentials.get(), as the page sends it; `client_data` is what else the browser says."""
        asked = json.loads(options)
        client = _client_data("webauthn.get", asked["challenge"], origin, client_data)
        data = self._data(asked["rpId"])
        signed = self.private.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(SHA256()))
        response = {"authenticatorData": data, "clientDataJSON": client, "signature": signed}
        return self._said({**response, "userHandle": self.handle})

    def registration(self, options: str, origin: str, **client_data: object) -> str:
        """To navigator.credentials.create(), without attestation."""
        asked = json.loads(options)
        client = _client_data("webauthn.create", asked["challenge"], origin, client_data)
        attested = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + self.public
        data = self._data(asked["rp"]["id"], flags=_ATTESTED) + attested
        made = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        return self._said({"attestationObject": made, "clientDataJSON": client})

    def _data(self, rp_id: str, *, flags: int = 0) -> bytes:
        flags |= _PRESENT | _VERIFIED | self.backup
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")

    def _said(self, response: Mapping[str, bytes]) -> str:
        id = bytes_to_base64url(self.id)
        fields = {name: bytes_to_base64url(value) for name, value in response.items()}
        return json.dumps({"id": id, "rawId": id, "type": "public-key", "response": fields})


def _client_data(type: str, challenge: str, origin: str, more: Mapping[str, object]) -> bytes:
    said = {"type": type, "challenge": challenge, "origin": origin, "crossOrigin": False, **more}
    return json.dumps(said).encode()
