"""Codes of an authenticator app (RFC 6238). A time step that was used once is refused ever after (§5.2).

The secret rests sealed in the Credentials store, and sealed in the ledger while it is being set up.
"""

import hmac
import secrets
from collections.abc import Callable, Mapping

import pyotp
import segno

from gateway.authn.factors.base import Attempt, HeldAsCredential, Outcome, Prompt, Setup, given_name
from gateway.authn.factors.challenge import Tries, normal_code
from gateway.clock import Clock
from gateway.i18n.catalogues import language
from gateway.i18n.text import N_
from gateway.stores.protocols.core import Credential, Credentials
from gateway.stores.protocols.ledger import Ledger

STEP = 30
"""Seconds for which a code is shown (RFC 6238 §5.2). Many apps ignore any other value, and other DIGITS."""
DIGITS = 6
DRIFT = (0, -1, 1)
"""Steps around now that count: clocks differ, and people type slowly (RFC 6238 §5.2)."""
_SETUP = 900.0
"""Seconds that a user may take to scan the code and to type the first one."""
Seal = Callable[[bytes], bytes]


def random_id() -> str:
    return secrets.token_urlsafe(16)


class TotpFactor(HeldAsCredential):
    """The factor `totp`. `seal` and `open` are the key ring's."""

    name = "totp"

    def __init__(
        self,
        credentials: Credentials,
        ledger: Ledger,
        clock: Clock,
        *,
        issuer: str,
        seal: Seal,
        open: Seal,
        new_secret: Callable[[], str] = pyotp.random_base32,
        new_id: Callable[[], str] = random_id,
    ) -> None:
        self._credentials, self._ledger, self._clock = credentials, ledger, clock
        self._issuer, self._seal, self._open = label(issuer), seal, open
        self._new_secret, self._new_id = new_secret, new_id
        self._tries = Tries(self.name, ledger)

    async def begin(self, attempt: Attempt, *, again: bool = False) -> Prompt:
        await self._tries.check(attempt)
        return Prompt(code_length=DIGITS)

    async def verify(self, attempt: Attempt, form: Mapping[str, str]) -> Outcome:
        """Judge a code: it must be of a time step that is later than the last one used (RFC 6238 §5.2)."""
        if await self._tries.spent(attempt):
            return Outcome.EXHAUSTED
        # A user may have several apps. They share the tries, or each further app would give a thief five more.
        code, now = normal_code(form.get("code", "")), self._clock()
        for app in await self._credentials.list(attempt.user.username, self.name):
            step = matching_step(app.secret.decode(), code, now)
            # Of two requests with the same code, exactly one moves the counter; the other is a replay.
            if step is not None and await self._credentials.advance(app.id, step, now):
                await self._tries.forget(attempt)
                return Outcome.RIGHT
        return Outcome.WRONG

    async def enrol_begin(self, attempt: Attempt, form: Mapping[str, str]) -> Setup:
        """Start adding; while the setup runs the secret stays the same, so that a reloaded page fits the code already
        scanned.
        """
        pending = await self._ledger.get(_slot(attempt))
        secret = self._open(pending).decode() if pending else self._new_secret()
        if pending is None:
            await self._ledger.put(_slot(attempt), self._seal(secret.encode()), _SETUP)
        # SHA-1 is the standard's default (RFC 6238 §1.2) and the one hash that all apps know. An HMAC does not suffer
        # from its collisions.
        app = pyotp.TOTP(secret, digits=DIGITS, interval=STEP)
        uri = str(app.provisioning_uri(name=attempt.user.username, issuer_name=self._issuer))
        return Setup(prompt=Prompt(code_length=DIGITS), secret=_grouped(secret), uri=uri, qr=qr_image(uri))

    async def enrol_finish(self, attempt: Attempt, form: Mapping[str, str]) -> Outcome:
        pending, now = await self._ledger.get(_slot(attempt)), self._clock()
        if pending is None:
            return Outcome.EXPIRED
        secret = self._open(pending).decode()
        step = matching_step(secret, normal_code(form.get("code", "")), now)
        if step is None:
            return Outcome.WRONG
        # Of two requests that finish one setup, one adds an app.
        if await self._ledger.take(_slot(attempt)) != pending:
            return Outcome.EXPIRED
        await self._credentials.add(
            Credential(
                id=self._new_id(),
                username=attempt.user.username,
                kind=self.name,
                name=given_name(form, language(attempt.lang).text(N_("Authenticator app"))),
                secret=secret.encode(),
                created_at=now,
                last_used_at=now,
                counter=step,  # the code that proved the app can't sign anyone in again
            )
        )
        return Outcome.RIGHT


def matching_step(secret: str, code: str, now: float) -> int | None:
    """Return the time step (RFC 6238 §4.2, 30 s) whose code this is, among that of `now` and DRIFT, or None.

    All are compared, each in constant time.
    """
    app = pyotp.TOTP(secret, digits=DIGITS, interval=STEP)
    current = int(now) // STEP
    found = None
    for step in (current + drift for drift in DRIFT):
        if hmac.compare_digest(app.generate_otp(step).encode(), code.encode()) and found is None:
            found = step
    return found


def label(issuer: str) -> str:
    """Return the name of a service as apps can read it: a colon ends it (Key Uri Format, "Label")."""
    return " ".join(issuer.replace(":", " ").split())


def qr_image(text: str) -> str:
    """Return an SVG as data: URI, which our CSP allows for images. It is black on white in dark mode too: scanners
    need it.
    """
    code = segno.make(text, error="m", micro=False)
    return str(code.svg_data_uri(scale=5, border=4, dark="#000", light="#fff"))


def _slot(attempt: Attempt) -> str:
    return f"enrol:totp:{attempt.user.username}:{attempt.sid}"


def _grouped(secret: str) -> str:
    """In fours, for those who type it."""
    return " ".join(secret[start : start + 4] for start in range(0, len(secret), 4))
