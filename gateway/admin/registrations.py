"""Lets administrators decide about people who ask for an account. Each decision is in the audit log."""

from collections.abc import Sequence

from gateway.admin.actor import Actor
from gateway.admin.services import AdminServices
from gateway.admin.users import KeptElsewhere
from gateway.authn.invitations import Invitations
from gateway.authn.registration_decisions import DecidedRegistration, RegistrationDecisions
from gateway.stores.protocols.registrations import Registration


class AdminRegistrations:
    """Lists requests and decides about them on behalf of an actor."""

    def __init__(self, admin: AdminServices) -> None:
        self._services = admin.services

    async def waiting(self) -> Sequence[Registration]:
        """Return who waits, the oldest first."""
        services = self._services
        return [] if services.users.writable is None else await self._decisions().waiting()

    async def approve(self, actor: Actor, id: str) -> Registration:
        """Add the user, and mail the invitation. Raises NotWaiting, UserExists, InvalidUser."""
        return self._told(actor, await self._decisions().approve(id, actor.name))

    async def refuse(self, actor: Actor, id: str) -> Registration:
        """Refuse a request, and tell who asked. Raises NotWaiting."""
        return self._told(actor, await self._decisions().refuse(id, actor.name))

    def _told(self, actor: Actor, decision: DecidedRegistration) -> Registration:
        asked, about = decision.asked, f"registration_{decision.what}"
        self._services.audit.record(about, asked.address, actor.ip, by=actor.name)
        self._services.messaging.notices.mail(
            asked.address, asked.address, decision.subject, decision.text, about=about, lang=asked.lang
        )
        return asked

    def _decisions(self) -> RegistrationDecisions:
        services = self._services
        if services.users.writable is None:
            raise KeptElsewhere("users are in another directory")
        invitations = Invitations(
            services.users.writable, services.stores.ledger, services.clock, base=services.pages_url
        )
        return RegistrationDecisions(
            services.stores.registrations,
            invitations,
            services.clock,
            groups=services.config.registration.groups,
            brand=services.config.branding.name,
        )
