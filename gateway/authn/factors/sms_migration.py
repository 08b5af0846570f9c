"""Decides who is asked to add a safer factor than SMS, and from when on SMS no longer signs in (`sms.migration`).

NIST SP 800-63B-4 §3.2.9 wants such a plan of whoever uses a restricted authenticator. It never takes a factor away from
the account: who has SMS alone is still one with a second factor, to whom a password alone adds nothing.
"""

from datetime import date

from gateway.clock import Clock
from gateway.config.sections.sms_migration import SmsMigration, begins
from gateway.model import User
from gateway.stores.protocols.core import Credentials
from gateway.stores.protocols.user_search import SAFER_KINDS

SAFER = SAFER_KINDS
"""What takes the place of SMS: the kinds of credentials that no telephone company can hand to somebody else."""


class SmsMigrationPlan:
    """The plan, as it stands now."""

    def __init__(self, config: SmsMigration, credentials: Credentials, clock: Clock) -> None:
        self._config, self._credentials, self._clock = config, credentials, clock

    @property
    def deadline(self) -> date | None:
        return self._config.deadline

    @property
    def nudge_every(self) -> float:
        return self._config.nudge_every

    @property
    def denies(self) -> bool:
        """Whether the day has come from which on SMS signs nobody in but the exempt."""
        config = self._config
        return config.after == "deny" and config.deadline is not None and self._reached(config.deadline)

    @property
    def overdue(self) -> bool:
        """Whether the deadline is over, whatever follows from that."""
        return self._config.deadline is not None and self._reached(self._config.deadline)

    def ended_for(self, user: User) -> bool:
        """Tell whether this user's codes by SMS no longer sign in."""
        return self.denies and not self.exempts(user)

    async def asks(self, user: User) -> bool:
        """Tell whether this user is to be asked for a safer factor now."""
        begun = self._config.nudge_from is not None and self._reached(self._config.nudge_from)
        if not (begun or self.overdue) or self.exempts(user):
            return False
        return not await self.has_safer(user)

    async def has_safer(self, user: User) -> bool:
        """Tell whether the user has a factor that can take the place of SMS."""
        held = await self._credentials.list(user.username)
        return any(one.kind in SAFER for one in held)

    def _reached(self, day: date) -> bool:
        return self._clock() >= begins(day)

    def exempts(self, user: User) -> bool:
        """Tell whether the plan leaves this user alone."""
        return not set(self._config.exempt_groups).isdisjoint(user.groups)
