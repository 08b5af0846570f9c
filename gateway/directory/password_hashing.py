"""Hashes and verifies passwords (Argon2id, RFC 9106). What may be one, `password_strength` says.

The work runs in a small thread pool, so the event loop never waits for it; a flood is turned away. Imported hashes
are in `legacy_hashes`. No password is ever logged or part of an error.
"""

import asyncio
import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from gateway.config.names import password_bytes
from gateway.config.schema import PasswordRules as Settings
from gateway.directory import legacy_hashes
from gateway.directory.password_strength import PasswordStrength
from gateway.errors import Overloaded

T = TypeVar("T")
_LANES = 1
_LENGTH = 32
_PHC = re.compile(r"\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+")
_MOST_MEMORY = 1024 * 1024  # KiB; an imported hash must not be able to exhaust the machine
_MOST_PASSES = 64
_MOST_LANES = 16


class PasswordHashing:
    """Hashes with the settings of `passwords`, verifies what was hashed with any, and says when to hash anew."""

    def __init__(
        self, settings: Settings, salt: Callable[[int], bytes] = os.urandom, *, names: Sequence[str] = ()
    ) -> None:
        """`names` are those of the service, which make bad passwords."""
        self._settings = settings
        self.strength = PasswordStrength(settings, names)
        self._salt = salt
        self._threads = ThreadPoolExecutor(settings.concurrency, thread_name_prefix="passwords")
        self._under_way = 0

    async def hash(self, password: str) -> str:
        """Hash a password with the settings of today. Raises Overloaded, as `verify` does."""
        return await self._run(lambda: self._argon2().derive_phc_encoded(password_bytes(password)))

    async def verify(self, password: str, hash: str) -> bool:
        """False also for an empty or unknown hash, after the work of a real one."""
        if len(password) > self._settings.max_length * 4:  # no password of ours; NFKC may have shortened it
            return await self.dummy_verify()
        return await self._run(lambda: self._verify(password, hash))

    async def dummy_verify(self) -> bool:
        """The work of `verify` for a user who does not exist; always False."""
        return await self._run(self._dummy)

    def needs_rehash(self, hash: str) -> bool:
        """Whether a hash was made by another algorithm or with other parameters than ours are now."""
        match = _PHC.fullmatch(hash)
        wanted = (self._memory, self._settings.argon2_passes, _LANES)
        return match is None or tuple(map(int, match.groups())) != wanted

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    @property
    def _memory(self) -> int:
        return max(8 * _LANES, self._settings.argon2_memory // 1024)  # RFC 9106 §3.1: at least 8 KiB a lane

    def _argon2(self) -> Argon2id:
        return Argon2id(
            salt=self._salt(16),
            length=_LENGTH,
            iterations=self._settings.argon2_passes,
            lanes=_LANES,
            memory_cost=self._memory,
        )

    def _verify(self, password: str, hash: str) -> bool:
        if _ours(hash):
            return _argon2_matches(password, hash)
        # Old hashes may be quick: the dummy on top hides from a stopwatch that this user has one.
        return legacy_hashes.verify(password, hash) or self._dummy()

    def _dummy(self) -> bool:
        self._argon2().derive(b"a password that nobody has")
        return False

    async def _run(self, work: Callable[[], T]) -> T:
        if self._under_way >= self._settings.concurrency + self._settings.queue:
            raise Overloaded(
                f"{self._settings.queue} password checks wait already: many people at once, or a flood of guesses; "
                "passwords.concurrency and server.workers say how many are done at a time"
            )
        self._under_way += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._under_way -= 1


def is_supported(hash: str) -> bool:
    """Whether `verify` could ever say yes to this hash; imports refuse the others."""
    return _ours(hash) or legacy_hashes.is_supported(hash)


def _ours(hash: str) -> bool:
    match = _PHC.fullmatch(hash)
    if match is None:
        return False
    memory, passes, lanes = map(int, match.groups())
    return memory <= _MOST_MEMORY and 1 <= passes <= _MOST_PASSES and 1 <= lanes <= _MOST_LANES


def _argon2_matches(password: str, hash: str) -> bool:
    try:
        Argon2id.verify_phc_encoded(password_bytes(password), hash)
    except (InvalidKey, ValueError):  # ValueError: the hash is damaged
        return False
    return True
