"""Pages on which users see what they let which app have, and what is known about their session."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from aiohttp import web

from gateway.clock import Clock
from gateway.model import Decision, Principal, Target, Verdict
from gateway.observability.audit import Audit
from gateway.oidc.claims import ClaimRules
from gateway.oidc.clients import Apps
from gateway.oidc.consents import described
from gateway.oidc.session_names import context, methods, session_name
from gateway.oidc.subjects import NamesForApps
from gateway.policy.decide import has_two
from gateway.portal.forms import posted
from gateway.portal.rendering.render import Pages
from gateway.portal.rendering.texts import STALE_FORM
from gateway.portal.request import PortalRequest, see_other
from gateway.portal.return_url import with_return
from gateway.stores.protocols.oidc import Consent, Consents, Grant, Grants, Logins

GRANTS, DIAGNOSTICS = "/oidc/grants", "/oidc/diagnostics"


@dataclass(frozen=True, slots=True)
class Shared:
    """What one app has of this user. Times are Unix times; `expires_at` is None where only the consent is left."""

    client_id: str
    name: str
    scopes: list[str]
    created_at: float
    expires_at: float | None


class OwnPages:
    """What a user let which app have, and what is known about the session."""

    def __init__(
        self,
        *,
        apps: Apps,
        grants: Grants,
        consents: Consents,
        logins: Logins,
        names: NamesForApps,
        rules: ClaimRules,
        pages: Pages,
        audit: Audit,
        clock: Clock,
        scopes: Mapping[str, str],
        prefix: str,
    ) -> None:
        self._apps, self._pages, self._audit = apps, pages, audit
        self._clock, self._scopes, self._prefix = clock, scopes, prefix
        self._grants, self._consents, self._logins = grants, consents, logins
        self._names, self._rules = names, rules
        self._own = tuple(f"{prefix}{path}" for path in (GRANTS, DIAGNOSTICS))

    # -- grants ----------------------------------------------------------------------------------------------------

    async def grants(self, request: PortalRequest) -> web.StreamResponse:
        """Show what apps have of this user."""
        principal = self._signed_in(request)
        return await self._show(request, principal) if principal else self._first(request)

    async def revoke(self, request: PortalRequest) -> web.StreamResponse:
        """End tokens and consent of one app, and let it be told."""
        form = await posted(request)
        principal = self._signed_in(request)
        if principal is None:
            return self._first(request)
        if not form.genuine:
            return await self._show(request, principal, error=STALE_FORM, status=403)
        username, client = principal.username, form.get("client", "")
        had_consent = await self._consents.remove(username, client) if client else False
        ended = await self._grants.end(username=username, client_id=client) if client else 0
        # The app hears of it as of a sign-out (Back-Channel Logout 1.0 §2.4): its own session must end, too.
        if had_consent or ended:
            await self._logins.end(username, client, self._clock())
            self._audit.record("oidc_revoked", username, request.client.ip, client=client, kind="grants")
        return see_other(f"{self._prefix}{GRANTS}")

    async def _show(
        self, request: PortalRequest, principal: Principal, *, error: str | None = None, status: int = 200
    ) -> web.Response:
        return self._pages.render(
            "oidc_grants.html",
            status,
            reader=request.reader,
            request_id=request.request_id,
            csrf_token=request.visit.csrf,
            here=f"{self._prefix}{GRANTS}",
            error=error,
            shared=await self._shared(principal.username),
        )

    async def _shared(self, username: str) -> list[Shared]:
        now = self._clock()
        consents = {one.client_id: one for one in await self._consents.list(username)}
        grants = [one for one in await self._grants.list(username) if one.redeemed and one.expires_at > now]
        found = []
        for client in sorted({*consents, *(grant.client_id for grant in grants)}):
            mine = [grant for grant in grants if grant.client_id == client]
            given: list[Grant | Consent] = [*mine, *([consents[client]] if client in consents else [])]
            app = await self._apps.load(client)
            scopes = dict.fromkeys(scope for one in given for scope in one.scopes)
            found.append(
                Shared(
                    client_id=client,
                    name=app.settings.label if app else client,
                    scopes=described(list(scopes), self._scopes),
                    created_at=min(one.created_at for one in given),
                    expires_at=max((grant.expires_at for grant in mine), default=None),
                )
            )
        return found

    # -- diagnostics -----------------------------------------------------------------------------------------------

    async def diagnostics(self, request: PortalRequest) -> web.StreamResponse:
        """Show one's own claims and session, as apps see them; never the session's id or the cookie."""
        principal = self._signed_in(request)
        if principal is None:
            return self._first(request)
        session = principal.session
        proven = [(factor, session.proven_at[factor]) for factor in session.amr]
        user = replace(principal.user, groups=principal.groups)
        claims = {
            "sub": await self._names.public(user),
            **self._rules.told(user, self._rules.all),
            "acr": context(principal),
            "amr": methods(session.amr),
            "sid": session_name(session.username, session.created_at),
        }
        times = {name: getattr(session, name) for name in ("created_at", "last_seen", "expires_at")}
        return self._pages.render(
            "oidc_diagnostics.html",
            reader=request.reader,
            request_id=request.request_id,
            claims=claims,
            proven=proven,
            times=times,
            ip=session.ip,
            user_agent=session.user_agent,
        )

    # -- shared ----------------------------------------------------------------------------------------------------

    def decision(self, destination: Target, principal: Principal | None) -> Decision | None:
        """These pages want a full sign-in, as the portal's own do."""
        if destination.path not in self._own:
            return None
        verdict = Verdict.SIGN_IN if principal is None else Verdict.STEP_UP
        if principal is not None and has_two(principal.amr) and not principal.session.step_up:
            verdict = Verdict.ALLOW
        return Decision(verdict, "oidc", "own_page")

    def _signed_in(self, request: PortalRequest) -> Principal | None:
        decision = self.decision(request.target, request.visit.principal)
        return request.visit.principal if decision and decision.verdict is Verdict.ALLOW else None

    def _first(self, request: PortalRequest) -> web.Response:
        page = "login" if request.visit.principal is None else "verify"
        return see_other(with_return(f"{self._prefix}/{page}", request.target.path))
