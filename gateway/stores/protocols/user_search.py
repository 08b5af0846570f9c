"""The Protocol of finding users as administrators do: by what they are, have and did, in any order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.model import User

SORTS = ("username", "name", "email", "created_at", "last_sign_in")
SAFER_KINDS = ("totp", "webauthn")
"""The kinds of credentials that no telephone company can hand to somebody else."""
PHONE_KIND = "second_phone"
"""The kind of credential that is one more number for codes."""
FACTORS = ("none", "sms", "sms_alone", "totp", "webauthn", "recovery")
"""What can be asked about a user's second factors: none at all, SMS (with others or alone), one of a kind."""


@dataclass(frozen=True, slots=True)
class UserQuery:
    """Which users are wanted, in which order. Empty fields ask nothing.

    `factors` is one of FACTORS. `idle_since` finds who did not sign in since that time in Unix seconds, and those of
    whom no sign-in is known; `never` only these. `outside` leaves out who is in any of these groups. `sort` is one of
    SORTS.
    """

    search: str = ""
    group: str = ""
    disabled: bool | None = None
    factors: str = ""
    idle_since: float = 0.0
    never: bool = False
    outside: tuple[str, ...] = ()
    sort: str = "username"
    descending: bool = False

    @property
    def plain(self) -> bool:
        """Whether a directory answers this by itself."""
        asks = (
            self.group
            or self.disabled is not None
            or self.factors
            or self.idle_since
            or self.never
            or self.outside
        )
        return not asks and self.sort == "username" and not self.descending


@dataclass(frozen=True, slots=True)
class FoundUsers:
    """A page of users, how many fit in all, and when they signed in last (Unix seconds), of whom that is known.

    `complete` is False while the directory is still being read: there may be more.
    """

    users: Sequence[User]
    total: int
    last_sign_in: Mapping[str, float]
    complete: bool = True


class UserSearch(Protocol):
    """Finds users."""

    async def find(self, query: UserQuery, *, after: str = "", limit: int) -> FoundUsers:
        """Return at most `limit` users, from the one after the username `after` on. Raises StoreUnavailable."""
        ...
