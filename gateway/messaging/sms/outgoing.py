"""A message that is to be sent: whose it is and where it goes."""

from dataclasses import dataclass


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
    known_device: bool = False
    """The user had this browser remembered."""
