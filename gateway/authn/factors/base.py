"""The Protocols of second factors: one file per kind behind them.

A challenge belongs to one session, user and factor; success consumes it atomically. Wrong input is an Outcome, not an
exception. A factor never decides who may pass: policy does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from gateway.messaging.sms.outlook import NOTHING_SENT, Outlook
from gateway.model import User
from gateway.stores.protocols.core import Credentials


class Outcome(StrEnum):
    """What became of an attempt to prove a factor."""

    RIGHT = "right"
    WRONG = "wrong"
    EXPIRED = "expired"
    """The challenge is gone (too old, used, or replaced by a newer one)."""
    EXHAUSTED = "exhausted"
    """Too many tries at this challenge, or somebody refused it: the sign-in starts over."""
    PENDING = "pending"
    """Nobody has answered yet: this is no failure."""


class Resend(StrEnum):
    """What a user whose code has not come asks for: another by SMS, a call, the other number. The values are the
    form's.
    """

    SAME = "1"
    CALL = "call"
    OTHER_NUMBER = "other"

    @classmethod
    def of(cls, form: Mapping[str, str]) -> "Resend | None":
        """Read the choice of a form, None if it asks for nothing."""
        wanted = form.get("resend", "")
        return next((one for one in cls if one == wanted), cls.SAME) if wanted else None


@dataclass(frozen=True, slots=True)
class Attempt:
    """Who is proving a factor, and from where.

    `host` is the public host, for messages bound to it; `origin` what the browser will call the page's origin;
    `lang` the language that they read.
    """

    user: User
    sid: str
    ip: str
    host: str
    origin: str = ""
    lang: str = "en"
    known_device: bool = False
    """The user had this browser remembered."""
    no_other_way: bool = False
    """The user has no other factor that would do."""
    key_models: frozenset[str] = frozenset()
    """Of which models a security key must be, none for any (`Decision.key_models`)."""
    resend: Resend | None = None
    """None unless they ask for another code."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the page must know to ask: a masked destination, code length, seconds until another may be sent.

    `options` is for scripts: the JSON that WebAuthn's browser side starts from.
    """

    hint: str = ""
    code_length: int = 6
    resend_after: int = 0
    sent: bool = False
    options: str = ""
    outlook: Outlook = NOTHING_SENT
    """Of a code by SMS or call: how far it is."""
    can_call: bool = False
    other: str = ""
    """The user's other number, masked: codes may go there instead."""
    cooling: bool = False
    """The number was changed, and the code went to the one before."""
    number: str = ""
    """To be typed on the device that approves."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What the page must show while a factor is being added.

    `secret`, `uri` and `qr` (an image as data: URI) are for authenticator apps; `needs_address` asks for a phone
    number or mail address first.
    """

    prompt: Prompt = Prompt()
    secret: str = ""
    uri: str = ""
    qr: str = ""
    needs_address: bool = False


def given_name(form: Mapping[str, str], otherwise: str) -> str:
    """Return what the user calls the factor being added, as one printable line; `otherwise` if nothing was typed."""
    text = "".join(character if character.isprintable() else " " for character in form.get("name", ""))
    return text.strip()[:60] or otherwise


class Factor(Protocol):
    """One kind of second factor."""

    name: str

    async def enrolled(self, user: User) -> bool:
        """Tell whether the user can use this factor. Raises StoreUnavailable."""
        ...

    async def begin(self, attempt: Attempt, *, again: bool = False) -> Prompt:
        """Start a challenge, or describe the one that is running; `again` asks for a new code.

        Raises SendFailed, TooManyAttempts, StoreUnavailable.
        """
        ...

    async def verify(self, attempt: Attempt, form: Mapping[str, str]) -> Outcome:
        """Judge the user's answer (the fields of the form); a right one is consumed. Raises TooManyAttempts,
        StoreUnavailable.
        """
        ...


class Enrols(Protocol):
    """How a factor is added to an account. Whether that is allowed, the portal decides (security rule 10)."""

    name: str

    async def enrol_begin(self, attempt: Attempt, form: Mapping[str, str]) -> Setup:
        """Start adding, or describe what was started.

        Raises InvalidUser for an address that can't be, SendFailed, TooManyAttempts.
        """
        ...

    async def enrol_finish(self, attempt: Attempt, form: Mapping[str, str]) -> Outcome:
        """Add the factor if the user has proven it; the setup is used up then."""
        ...


class HeldAsCredential:
    """A factor that a user has because something is kept of it: a secret, a key, a list of codes."""

    name: str
    _credentials: Credentials

    async def enrolled(self, user: User) -> bool:
        return bool(await self._credentials.list(user.username, self.name))
