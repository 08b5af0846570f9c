"""Decides who may use console and API. There is one refusal for everything below, so that nobody learns what exists
there.
"""

from dataclasses import dataclass, replace

from aiohttp import web

from gateway.admin.actor import Actor
from gateway.admin.services import AdminServices
from gateway.config.sections.admin import admin_route
from gateway.model import Decision, Principal, Verdict
from gateway.policy.decide import decide
from gateway.portal.request import PortalRequest, see_other
from gateway.portal.return_url import with_return
from gateway.request.client_kind import wants_html


@dataclass(frozen=True, slots=True)
class ConsoleAuthorization:
    """Asks the policy about the console's own route."""

    admin: AdminServices

    def decide(self, request: PortalRequest) -> Decision:
        """Decide about a request. Lent groups don't count: who comes in could write their own name into any group,
        for good.
        """
        route = admin_route(self.admin.config.admin, self.admin.services.prefix)
        principal = request.visit.principal
        member = replace(principal, granted=()) if principal else None
        return decide(route, request.target, member, self.admin.services.clock())

    def actor(self, request: PortalRequest, principal: Principal) -> Actor:
        return Actor(principal.username, request.client.ip, principal.session.sid)

    def refuse(self, request: PortalRequest, decision: Decision) -> web.StreamResponse:
        """Send browsers to what is missing, from where they come back; answer everybody else with 401 or 403."""
        services, html = self.admin.services, wants_html(request.http.method, request.http.headers)
        if decision.verdict is Verdict.DENY:
            self.note(request, decision)
            return services.pages.error(
                403,
                reader=request.reader,
                reason=decision.reason,
                request_id=request.request_id,
                accepts_html=html,
            )
        page = "login" if decision.verdict is Verdict.SIGN_IN else "verify"
        if html:
            return see_other(with_return(f"{services.prefix}/{page}", request.target.uri))
        missing = "sign_in_required" if page == "login" else "second_factor_required"
        return services.pages.error(
            401, reader=request.reader, reason=missing, request_id=request.request_id, accepts_html=False
        )

    def note(self, request: PortalRequest, decision: Decision) -> None:
        """Note in the audit log that somebody who is signed in and no administrator was refused."""
        principal = request.visit.principal
        if principal is not None:
            self.admin.services.audit.record(
                "admin_refused", principal.username, request.client.ip, reason=decision.reason
            )
