"""A message that is to be sent: whose it is, where it goes, and what was counted for it."""

from dataclasses import dataclass
from hashlib import sha256

from gateway.messaging.sms.budgets import Counted
from gateway.messaging.sms.spending import Channel


@dataclass(frozen=True, slots=True)
class OutgoingSms:
    """A code that is to be sent: whose it is and where it goes. `session` is the id of the session that
    waits for it.
    """

    username: str
    phone: str
    session: str
    ip: str
    text_only: bool = False
    """It is no code, so nobody can read it out."""
    no_other_way: bool = False
    """The user has no other factor that would do."""
    known_device: bool = False
    """The user had this browser remembered."""

    @property
    def digest(self) -> str:
        """Return a digest of the session's id."""
        return digest(self.session)


def digest(session: str) -> str:
    """Return a digest of a session id. Ids open sessions; records beside the sessions keep only this."""
    return sha256(f"sms\0{session}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Admission:
    """A message that may go, through `channel`; its price is counted already."""

    outgoing: OutgoingSms
    channel: Channel
    micros: int
    counted: Counted = ()
    """The budgets that it was counted against."""
    kept: bool = False
    """Whether what `admit` was to keep is stored."""


@dataclass(slots=True)
class Sending:
    """A message on its way to the provider."""

    id: str
    """Ours."""
    sid: str = ""
    """The provider's, once it has the message."""
