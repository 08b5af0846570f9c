"""The key ring: a file of secrets that seals cookies and enrolled factors and signs assertions.

Newest key first. Old keys still open and verify until rotation drops them, so rotating signs nobody out.
Keys never appear in a log, an error or a repr.
"""

import base64
import logging
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from gateway import keyfile
from gateway.clock import Clock
from gateway.errors import ConfigError

logger = logging.getLogger(__name__)
CHECK_SECONDS = 1.0
_NEVER = (0, 0, 0)
"""The signature of no file."""


@dataclass(frozen=True, slots=True)
class KeyGeneration:
    """One generation: a secret that all symmetric keys are derived from, and an ES256 signing key."""

    id: str
    created_at: float
    secret: bytes = field(repr=False)
    signing: ECKey = field(repr=False)

    def derive(self, purpose: bytes) -> bytes:
        """32 bytes for one purpose (RFC 5869); other purposes tell nothing about them."""
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"auth-gateway " + purpose).derive(
            self.secret
        )


def new_key(now: float, token: Callable[[int], bytes] = secrets.token_bytes) -> KeyGeneration:
    id = token(8).hex()
    signing = ECKey.generate_key("P-256", {"kid": id, "use": "sig", "alg": "ES256"}, private=True)
    return KeyGeneration(id=id, created_at=now, secret=token(32), signing=signing)


def keep_in_memory(path: Path) -> None:
    """For `serve`: workers that start again use these keys should the file be gone by then."""
    keyfile.keep(path)


class _Fernets(MultiFernet):
    """Before it says that no key opens something, `newer` is asked for keys that have come meanwhile."""

    def __init__(self, keys: Sequence[KeyGeneration], newer: "Callable[[_Fernets], _Fernets | None]") -> None:
        super().__init__([Fernet(base64.urlsafe_b64encode(key.derive(b"fernet"))) for key in keys])
        self._newer = newer

    def decrypt(self, msg: bytes | str, ttl: int | None = None) -> bytes:
        try:
            return super().decrypt(msg, ttl)
        except InvalidToken:
            newer = self._newer(self)
            if newer is None:
                raise
        return newer.decrypt(msg, ttl)


class _Derived(Sequence[bytes]):
    """What keys give for a purpose. At its end the file is looked at, for keys that the caller has not tried yet."""

    def __init__(
        self,
        keys: Sequence[KeyGeneration],
        purpose: bytes,
        newer: Callable[[Sequence[KeyGeneration]], Sequence[KeyGeneration]],
    ) -> None:
        self._keys, self._purpose, self._newer = keys, purpose, newer

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, index: Any) -> Any:  # one, or a slice
        if isinstance(index, slice):
            return [key.derive(self._purpose) for key in self._keys[index]]
        return self._keys[index].derive(self._purpose)

    def __iter__(self) -> Iterator[bytes]:
        yield from (key.derive(self._purpose) for key in self._keys)
        yield from (key.derive(self._purpose) for key in self._newer(self._keys))


class KeyRing:
    """Follows its file: a rotation by another process is seen within CHECK_SECONDS of the next use.

    That process uses its new key at once. So the file is looked at before it is said that no key opens or has signed
    something: there is no moment in which one worker refuses what another has just made.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        """Raises ConfigError if the file can't be used and `keep_in_memory` has not been called for it."""
        self._path = path
        self._clock = clock
        self._checked_at = clock()
        self._problem = ""
        self._told_at = float("-inf")
        try:
            self._read()
        except ConfigError as error:
            kept = keyfile.kept(path, _from_json)
            if kept is None:
                raise
            logger.error("the key ring can't be read, using the keys in memory: %s", error)
            self._problem = str(error)
            self._use(kept, _NEVER)

    @classmethod
    def load_or_create(cls, path: Path, clock: Clock) -> "KeyRing":
        """The ring in `path`, made first if it is missing. Raises ConfigError if it can't be used."""
        keyfile.create(path, [_to_json(new_key(clock()))])
        return cls(path, clock)

    @property
    def keys(self) -> Sequence[KeyGeneration]:
        self._follow()
        return self._keys

    def fernet(self) -> MultiFernet:
        """Encrypts with the newest key, decrypts with any, also with one that comes later."""
        self._follow()
        return self._fernet

    @property
    def signing_keys(self) -> Sequence[ECKey]:
        """Private ES256 keys, newest first: sign with the first, publish the public half of all."""
        self._look()
        return [key.signing for key in self._keys]

    def derive(self, purpose: bytes) -> bytes:
        """The newest key's 32 bytes for `purpose`; they change with each rotation."""
        return self.keys[0].derive(purpose)

    def derive_all(self, purpose: bytes) -> Sequence[bytes]:
        """Every key's bytes for `purpose`, newest first: make with the first, check against all.

        Who looks at all of them is also given those of keys that have come meanwhile.
        """
        return _Derived(self.keys, purpose, self._newer_keys)

    def seal(self, data: bytes) -> bytes:
        """Encrypt with the newest key there is: one that was rotated out may be dropped by the next rotation."""
        self._look()
        return self._fernet.encrypt(data)

    def open(self, sealed: bytes) -> bytes:
        """Open what `seal` has sealed. Raises ValueError for what no key of the ring opens."""
        try:
            return self.fernet().decrypt(sealed)
        except InvalidToken as error:
            raise ValueError("sealed with a key that is not in the ring") from error

    def rotate(self, now: float, keep: int = 3) -> KeyGeneration:
        """Add a new key in front and drop the oldest beyond `keep`.

        At least two stay, so what the previous key sealed or signed is still good.
        """
        with keyfile.locked(self._path):
            self._read()
            fresh = new_key(now)
            kept = [fresh, *self._keys][: max(2, keep)]
            keyfile.replace(self._path, [_to_json(key) for key in kept])
            self._read()
        return fresh

    def reload(self) -> bool:
        """Read the file again if it changed; True if it did. If broken: ConfigError, and the keys stay."""
        if keyfile.signature(self._path) == self._signature:
            return False
        self._read()
        return True

    def _follow(self) -> None:
        if not 0 <= self._clock() - self._checked_at < CHECK_SECONDS:
            self._look()

    def _look(self) -> None:
        """Look whether the file has changed. One that can't be read leaves the keys in memory, which are still good: an
        operator's slip must not stop sign-ins.
        """
        self._checked_at = now = self._clock()
        try:
            self.reload()
        except ConfigError as error:
            self._problem = str(error)
            if not 0 <= now - self._told_at < CHECK_SECONDS:
                self._told_at = now
                logger.error("the key ring can't be read again, keeping the keys in memory: %s", error)
        else:
            self._problem = ""

    def _newer_keys(self, known: Sequence[KeyGeneration]) -> Sequence[KeyGeneration]:
        self._look()
        ids = {key.id for key in known}
        return [key for key in self._keys if key.id not in ids]

    def problem(self) -> str:
        """Return why the file can't be read, "" if it can. The keys in memory are used meanwhile."""
        self._look()
        return self._problem

    def _newer(self, held: _Fernets) -> _Fernets | None:
        self._look()
        return self._fernet if self._fernet is not held else None

    def _read(self) -> None:
        signature = keyfile.signature(self._path)
        self._use(keyfile.parse(self._path, _from_json), signature)

    def _use(self, keys: Sequence[KeyGeneration], signature: keyfile.Signature) -> None:
        self._keys = keys
        self._fernet = _Fernets(keys, self._newer)
        self._signature = signature
        self._checked_at = self._clock()


def _to_json(key: KeyGeneration) -> keyfile.Entry:
    secret = base64.urlsafe_b64encode(key.secret).decode()
    signing = key.signing.as_dict(private=True)
    return {"id": key.id, "created_at": key.created_at, "secret": secret, "signing": signing}


def _from_json(entry: keyfile.Entry) -> KeyGeneration:
    """Raises KeyError, TypeError or ValueError."""
    secret = base64.urlsafe_b64decode(str(entry["secret"]))
    if len(secret) != 32:
        raise ValueError("a secret must have 32 bytes")
    try:
        signing = ECKey.import_key(entry["signing"])  # type: ignore[arg-type]  # JSON; joserfc checks what it is
    except JoseError as error:
        raise ValueError("not a signing key") from error
    if not signing.is_private or signing.curve_name != "P-256":
        raise ValueError("a signing key must be a private P-256 key")
    return KeyGeneration(
        id=str(entry["id"]), created_at=float(str(entry["created_at"])), secret=secret, signing=signing
    )
