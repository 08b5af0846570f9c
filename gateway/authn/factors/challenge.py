"""One-time codes: made, kept as a keyed hash, tried at most five times by one user, consumed once (security rule 2).

Every factor that sends a code uses this. The hash is bound to session, user and factor, so that a code of one of them
is worth nothing in another; a new code replaces the old one.
"""

import hmac
import json
import re
import secrets
import unicodedata
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256

from gateway.authn.factors.base import Attempt, Outcome
from gateway.clock import Clock
from gateway.errors import GatewayError, TooManyAttempts
from gateway.stores.protocols.ledger import Ledger, Value

TRIES = 5
WINDOW = 300.0
"""Seconds for which wrong guesses are remembered: as long as a code lives."""


_LONGEST_TEXT = 500
_RUNS = re.compile(r"\d(?:[ .·-]?\d)*")
"""Digits, perhaps in groups."""


class Tries:
    """Counts guesses at one factor of one user: five in `window` seconds.

    They are counted for the user, not for the session or the code: starting again, or having another code sent, brings
    no fresh ones. Five guesses at six digits succeed once in 200,000 times.
    """

    def __init__(self, factor: str, ledger: Ledger, window: float = WINDOW) -> None:
        self._factor, self._ledger, self._window = factor, ledger, window

    async def check(self, attempt: Attempt, *, wanted: int = 0) -> None:
        """Raise TriesSpent if fewer than `wanted` guesses are left; spends nothing."""
        count, remaining = await self._ledger.count(self.slot(attempt))
        if count + wanted > TRIES:
            raise TriesSpent(f"no tries left at {self._factor}", retry_after=int(remaining) + 1)

    async def spent(self, attempt: Attempt) -> bool:
        """Count one guess, before it is judged; True if there was none left."""
        return await self._ledger.hit(self.slot(attempt), self._window) > TRIES

    async def forget(self, attempt: Attempt) -> None:
        """Give the guesses back after a right one."""
        await self._ledger.delete(self.slot(attempt))

    def slot(self, attempt: Attempt) -> str:
        """Return the key of the counter."""
        return f"tries:{self._factor}:{attempt.user.username}"


class TriesSpent(TooManyAttempts):
    """All tries at one factor are spent; the user's other factors may be tried."""


def random_digits(length: int) -> str:
    """Return `length` random decimal digits, of the operating system's source."""
    return "".join(secrets.choice("0123456789") for _ in range(length))


def normal_code(text: str, length: int = 6) -> str:
    """Return the digits of a code however it was typed or pasted: of any script, with signs between them, or the whole
    message in which it came. Where a text has several numbers of `length` digits, none of them is meant for sure.
    """
    plain = unicodedata.normalize("NFKC", text[:_LONGEST_TEXT])
    plain = "".join(str(unicodedata.digit(one)) if one.isdecimal() else one for one in plain)
    if not any(one.isalpha() for one in plain):
        return "".join(one for one in plain if one.isdigit())
    found = {re.sub(r"\D", "", run) for run in _RUNS.findall(plain)}
    codes = {run for run in found if len(run) == length}
    return codes.pop() if len(codes) == 1 else ""


class Codes:
    """Challenges of one factor in the Ledger.

    Args:
        factor: its name, part of what the code is bound to.
        keys: hash keys, newest first; older ones keep codes good across a key rotation.
        length: digits of a code.
        lifetime: seconds for which a code is good.
    """

    def __init__(
        self,
        factor: str,
        ledger: Ledger,
        keys: Callable[[], Sequence[bytes]],
        clock: Clock,
        *,
        length: int,
        lifetime: float,
        digits: Callable[[int], str] = random_digits,
    ) -> None:
        self._factor, self._ledger, self._keys, self._clock = factor, ledger, keys, clock
        self._digits = digits
        self.length, self.lifetime = length, lifetime
        self._tries = Tries(factor, ledger, lifetime)

    async def turn(self, attempt: Attempt, pause: float, *, again: bool) -> tuple[float, bool]:
        """Whether a code is to be sent now: none is out, or `again` wants another and `pause` seconds have passed.

        Of requests at the same time one is told so. Returns the seconds until another may be sent, and whether one is
        to be sent now. Raises TriesSpent: a code that can't be tried is not sent.
        """
        issued = await self.issued_at(attempt)
        wait = None if issued is None else max(0.0, issued + pause - self._clock())
        if wait is not None and (not again or wait > 0):
            return wait, False
        await self._tries.check(attempt, wanted=1)
        if not await self._ledger.claim_once(self._sending_slot(attempt), pause):
            return pause, False
        # Who read long ago may get a turn that another has had already, and whose time is over.
        return pause, await self.issued_at(attempt) == issued

    @asynccontextmanager
    async def replacing(self, attempt: Attempt) -> AsyncIterator[None]:
        """Inside, a new code is issued and delivered. One that can't be is forgotten, and another may be sent at once.

        The code from before stays good if sending is refused before it is replaced.
        """
        before = await self._ledger.get(self._slot(attempt))
        try:
            yield
        except GatewayError:
            if await self._ledger.get(self._slot(attempt)) != before:
                await self.void(attempt)
            await self._ledger.delete(self._sending_slot(attempt))
            raise

    async def issue(self, attempt: Attempt) -> str:
        """Make a code for this attempt, replacing any before it, and return it."""
        code, challenge = self.draw(attempt)
        await self.keep(challenge)
        return code

    def draw(self, attempt: Attempt) -> tuple[str, Value]:
        """Make a code for this attempt; return it, and the challenge that makes it good once it is in the ledger."""
        code = self._digits(self.length)
        challenge = {"hash": self._hash(self._keys()[0], attempt, code), "at": self._clock()}
        return code, Value(self._slot(attempt), json.dumps(challenge).encode(), self.lifetime)

    async def keep(self, challenge: Value) -> None:
        """Put a challenge into the ledger, replacing any before it."""
        await self._ledger.put(challenge.key, challenge.value, challenge.ttl)

    async def void(self, attempt: Attempt) -> None:
        """Forget the code; the next one still waits its time."""
        await self._ledger.delete(self._slot(attempt))

    async def issued_at(self, attempt: Attempt) -> float | None:
        """Return when the running challenge was issued (Unix seconds), None if there is none."""
        stored = await self._ledger.get(self._slot(attempt))
        return float(json.loads(stored)["at"]) if stored else None

    async def verify(self, attempt: Attempt, code: str) -> Outcome:
        """Compare `code` with the one issued and consume it if it is right."""

        async def matches(stored: bytes) -> bool:
            expected = str(json.loads(stored)["hash"])
            given = [self._hash(key, attempt, code) for key in self._keys()]
            return any(hmac.compare_digest(expected, candidate) for candidate in given)

        return await self.consume_if(attempt, matches)

    async def consume_if(self, attempt: Attempt, matches: Callable[[bytes], Awaitable[bool]]) -> Outcome:
        """Count the try first, so that parallel guesses can't outrun the limit; then ask `matches` of the challenge
        as it was found; then consume that very one.
        """
        stored = await self._ledger.get(self._slot(attempt))
        if stored is None:
            return Outcome.EXPIRED
        if await self._tries.spent(attempt):
            await self._ledger.delete(self._slot(attempt))
            return Outcome.EXHAUSTED
        if not await matches(stored):
            return Outcome.WRONG
        # Of two requests with the right code, exactly one takes the challenge; a newer code makes it differ.
        mine = await self._ledger.consume(self._slot(attempt), stored, self._tries.slot(attempt))
        return Outcome.RIGHT if mine else Outcome.EXPIRED

    def _hash(self, key: bytes, attempt: Attempt, code: str) -> str:
        # With a key: a plain hash of six digits is reversed by trying a million of them. NUL stands in no part, so that
        # no two different triples read the same.
        bound = "\0".join((self._factor, attempt.sid, attempt.user.username, code))
        return hmac.new(key, bound.encode(), sha256).hexdigest()

    def _slot(self, attempt: Attempt) -> str:
        return f"challenge:{self._factor}:{attempt.sid}"

    def _sending_slot(self, attempt: Attempt) -> str:
        return f"sending:{self._factor}:{attempt.sid}"
