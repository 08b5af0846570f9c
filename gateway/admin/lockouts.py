"""Lets administrators see and lift locks and limits. Each lifting is in the audit log."""

from collections.abc import Sequence

from gateway.admin.actor import Actor
from gateway.admin.services import AdminServices
from gateway.authn.attacks import Attack
from gateway.authn.lockouts import Lockout, Lockouts
from gateway.errors import GatewayError
from gateway.i18n.text import N_
from gateway.model import User


class NotBlocked(GatewayError):
    """Nothing is blocked under this name."""

    status = 404
    public = N_("Nothing of that name is blocked any more.")


class AdminBlocks:
    """Lists and lifts on behalf of an actor."""

    def __init__(self, admin: AdminServices) -> None:
        services = admin.services
        self._audit = services.audit
        self._attacks = services.users.passwords.attacks
        self._blocks = Lockouts(
            limits=services.limits,
            directory=services.users.directory,
            fingerprint=services.users.passwords.fingerprint,
            clock=services.clock,
        )

    async def now(self) -> Sequence[Lockout]:
        return await self._blocks.now()

    async def attacks(self) -> Sequence[Attack]:
        """Who is attacked, and from where."""
        return await self._attacks.now()

    async def of(self, user: User) -> Sequence[Lockout]:
        return await self._blocks.of(user)

    async def unlock(self, actor: Actor, user: User) -> Sequence[Lockout]:
        """Lift every lock and limit of a user."""
        lifted = await self._blocks.unlock(user)
        self._note(actor, user.username, user.username, lifted)
        return lifted

    async def lift(self, actor: Actor, name: str) -> Sequence[Lockout]:
        """Lift what is about an address or another name of `now`. Raises NotBlocked."""
        lifted = await self._blocks.lift(name)
        if not lifted:
            raise NotBlocked("nothing to lift")
        self._note(actor, lifted[0].username, lifted[0].name, lifted)
        return lifted

    def _note(self, actor: Actor, username: str, of: str, lifted: Sequence[Lockout]) -> None:
        budgets = [one.budget for one in lifted]
        self._audit.record("unlocked", username, actor.ip, by=actor.name, of=of, budgets=budgets)
