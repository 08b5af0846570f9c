"""Recovery codes: ten for the day that every other factor is lost. Each works once and is kept only as a keyed hash.

The key of the hash belongs to the set of codes and is sealed with it by the key ring, so codes survive the ring's
rotation, which may be years before they are needed.
"""

import hmac
import secrets
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256

from gateway.authn.factors.base import Attempt, HeldAsCredential, Outcome, Prompt
from gateway.authn.factors.challenge import Tries
from gateway.clock import Clock
from gateway.model import User
from gateway.stores.protocols.core import Credential, Credentials
from gateway.stores.protocols.ledger import Ledger

COUNT = 10
ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
"""Without what people mistake for something else: 0 o 1 l i."""
_LENGTH = 12  # 59 bits: out of reach at five tries a sign-in
_KEY = 32


def random_code() -> str:
    """Return a new code, as the operating system's random source gives it."""
    return "".join(secrets.choice(ALPHABET) for _ in range(_LENGTH))


class RecoveryFactor(HeldAsCredential):
    """The factor `recovery`."""

    name = "recovery"

    def __init__(
        self,
        credentials: Credentials,
        ledger: Ledger,
        clock: Clock,
        *,
        new_code: Callable[[], str] = random_code,
        new_key: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._credentials, self._clock = credentials, clock
        self._new_code, self._new_key = new_code, new_key
        self._tries = Tries(self.name, ledger)

    async def left(self, user: User) -> int:
        """Return how many codes are still good."""
        return len(await self._credentials.list(user.username, self.name))

    async def begin(self, attempt: Attempt, *, again: bool = False) -> Prompt:
        await self._tries.check(attempt)
        return Prompt(hint=str(await self.left(attempt.user)))

    async def verify(self, attempt: Attempt, form: Mapping[str, str]) -> Outcome:
        """Judge a code, and use it up if it is right."""
        if await self._tries.spent(attempt):
            return Outcome.EXHAUSTED
        code, username = normal_code(form.get("code", "")), attempt.user.username
        stored = await self._credentials.list(username, self.name)
        matches = [one for one in stored if _matches(one.secret, username, code)]
        # Of two requests with the same code, exactly one removes it.
        if matches and await self._credentials.remove(username, matches[0].id):
            await self._tries.forget(attempt)
            return Outcome.RIGHT
        return Outcome.WRONG

    async def renew(self, user: User) -> Sequence[str]:
        """Make ten new codes, void the old ones, and return them to be shown once."""
        now, key = self._clock(), self._new_key(_KEY)
        codes = [self._new_code() for _ in range(COUNT)]
        await self.clear(user.username)
        for number, code in enumerate(codes, start=1):
            id = f"{sha256(key).hexdigest()[:32]}-{number}"
            secret = key + _hash(key, user.username, code)
            await self._credentials.add(
                Credential(
                    id=id,
                    username=user.username,
                    kind=self.name,
                    name=f"Code {number}",
                    secret=secret,
                    created_at=now,
                )
            )
        return [spelled(code) for code in codes]

    async def clear(self, username: str) -> None:
        """Void all codes of a user."""
        for old in await self._credentials.list(username, self.name):
            await self._credentials.remove(username, old.id)


def spelled(code: str) -> str:
    """Return a code in groups of four, as it is shown."""
    return "-".join(code[start : start + 4] for start in range(0, len(code), 4))


def normal_code(text: str) -> str:
    """Return the code that was meant: people leave out dashes and type capitals."""
    return "".join(
        character for character in unicodedata.normalize("NFKC", text).casefold() if character.isalnum()
    )


def _hash(key: bytes, username: str, code: str) -> bytes:
    return hmac.new(key, f"{username}\0{code}".encode(), sha256).digest()


def _matches(secret: bytes, username: str, code: str) -> bool:
    key, expected = secret[:_KEY], secret[_KEY:]
    return hmac.compare_digest(_hash(key, username, code), expected)
