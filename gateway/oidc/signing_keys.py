"""The keys that sign tokens: a file of their own beside the key ring, so that no assertion passes for a token.

Newest first. A new key is published for a while before it signs, since apps keep the key set for hours; an old one
stays published until what it signed has expired. So no app notices a rotation.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, RSAKey

from gateway import keyfile
from gateway.clock import Clock
from gateway.config.schema import Config
from gateway.errors import ConfigError

log = logging.getLogger("gateway.oidc")
Algorithm = Literal["RS256", "ES256"]
_CHECK_SECONDS = 1.0
"""So old may the last look at the file be."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One generation: a key for each algorithm, in private."""

    created_at: float
    ec: ECKey = field(repr=False)
    rsa: RSAKey = field(repr=False)

    def for_(self, algorithm: Algorithm) -> ECKey | RSAKey:
        """Return the key that signs by this algorithm."""
        return self.ec if algorithm == "ES256" else self.rsa


def keys_path(config: Config) -> Path:
    """Return where the keys are: as configured, else beside the key ring."""
    return config.oidc.keys_file or Path(config.session.keys_file).with_name("oidc.keys")


def longest_life(config: Config) -> float:
    """Return for how many seconds a token may be good."""
    lives = [max(client.lifetimes.id, client.lifetimes.access) for client in config.oidc.clients]
    return max(lives, default=3600.0)


class SigningKeys:
    """Follows its file: a rotation by another process is seen within a second of the next use."""

    def __init__(self, path: Path, clock: Clock, *, announce: float) -> None:
        """Read the keys, or make the first ones. `announce`: seconds for which a key is published before it signs.

        Raises ConfigError if they can't be used.
        """
        self._path, self._clock, self._announce = path, clock, announce
        self._checked_at = clock()
        # A worker that starts again while the file is gone or broken goes on with what its process had read before.
        remembered = keyfile.kept(path, _from_json)
        missing = not path.exists() and remembered is None  # making keys takes a while
        if missing and keyfile.create(path, [_to_json(new_signing_key(clock()))]):
            log.warning("made new keys to sign tokens in %s: back them up with the key ring", path)
        try:
            self._read()
        except ConfigError as error:
            if remembered is None:
                raise
            log.error("the signing keys can't be read, using those in memory: %s", error)
            self._keys, self._signature = remembered, (0, 0, 0)

    @property
    def keys(self) -> Sequence[SigningKey]:
        """The generations, newest first, as the file has them now."""
        self._follow()
        return self._keys

    @property
    def signing(self) -> SigningKey:
        """Return the newest key that was published for long enough; the oldest if none was."""
        keys = self.keys
        known = [key for key in keys if key.created_at + self._announce <= self._clock()]
        return known[0] if known else keys[-1]

    def verifying(self) -> KeySet:
        """Return all keys that something may still be signed with."""
        return KeySet([half for key in self.keys for half in (key.ec, key.rsa)])

    def published(self) -> dict[str, object]:
        """Return the public halves as a JSON Web Key Set (RFC 7517 §5)."""
        rows = []
        for key in self.keys:
            rows.append(key.rsa.as_dict(private=False, use="sig", alg="RS256"))
            rows.append(key.ec.as_dict(private=False, use="sig", alg="ES256"))
        return {"keys": rows}

    def rotate(self, longest: float) -> SigningKey:
        """Add a key in front; drop those whose last token, good for at most `longest` seconds, has expired.

        Raises ConfigError if the file can't be read or written.
        """
        with keyfile.locked(self._path):
            self._read()
            return self._add(longest)

    def rotate_if_older(self, age: float, longest: float) -> SigningKey | None:
        """Rotate if the newest key is `age` seconds old. Of several callers who find so, one rotates and the others
        see it.
        """
        if not self._is_due(age):
            return None
        with keyfile.locked(self._path):
            self._read()
            return self._add(longest) if self._is_due(age) else None

    def _is_due(self, age: float) -> bool:
        return self._keys[0].created_at + age <= self._clock()

    def _add(self, longest: float) -> SigningKey:
        now = self._clock()
        fresh = new_signing_key(now)
        kept = [fresh]
        # A key signs until its successor is announced, and what it signed last is good for `longest` after that.
        for successor, key in zip((fresh, *self._keys), self._keys, strict=False):
            if now <= successor.created_at + self._announce + longest:
                kept.append(key)
        keyfile.replace(self._path, [_to_json(key) for key in kept])
        self._read()
        return fresh

    def _follow(self) -> None:
        now = self._clock()
        if 0 <= now - self._checked_at < _CHECK_SECONDS:
            return
        self._checked_at = now
        try:
            if keyfile.signature(self._path) != self._signature:
                self._read()
        except ConfigError as error:  # the keys in memory are still good
            log.error("the signing keys can't be read again, keeping those in memory: %s", error)

    def _read(self) -> None:
        self._signature = keyfile.signature(self._path)
        self._keys = keyfile.parse(self._path, _from_json)
        self._checked_at = self._clock()


def new_signing_key(now: float) -> SigningKey:
    """Make one generation, as of `now` (Unix time): P-256 for ES256 and 2048 bits for RS256 (RFC 7518 §3.3, §3.4). The
    `kid` is the key's thumbprint (RFC 7638), by which an app finds it in the published set.
    """
    ec = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, private=True, auto_kid=True)
    rsa = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, private=True, auto_kid=True)
    return SigningKey(now, ec, rsa)


def _to_json(key: SigningKey) -> keyfile.Entry:
    return {
        "created_at": key.created_at,
        "ec": key.ec.as_dict(private=True),
        "rsa": key.rsa.as_dict(private=True),
    }


def _from_json(entry: keyfile.Entry) -> SigningKey:
    """Raises KeyError, TypeError or ValueError."""
    try:
        ec = ECKey.import_key(entry["ec"])  # type: ignore[arg-type]  # JSON; joserfc checks what it is
        rsa = RSAKey.import_key(entry["rsa"])  # type: ignore[arg-type]
    except JoseError as error:
        raise ValueError("not a signing key") from error
    if not (ec.is_private and rsa.is_private):
        raise ValueError("a signing key must be private")
    return SigningKey(float(str(entry["created_at"])), ec, rsa)
