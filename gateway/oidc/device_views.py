"""The device flow's endpoint, where devices ask for codes, and pages, where their owner types one in and answers."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlencode

from aiohttp import web

from gateway.clock import Clock
from gateway.errors import TooManyAttempts
from gateway.i18n.text import N_
from gateway.model import Decision, Principal, Target, Verdict
from gateway.observability.audit import Audit
from gateway.oidc.authorization_request import asked_scopes
from gateway.oidc.client_authentication import Authentication
from gateway.oidc.client_policy import judge
from gateway.oidc.clients import Apps, Client
from gateway.oidc.consents import Asking, described
from gateway.oidc.device_flow import INTERVAL, DeviceFlow, Waiting
from gateway.oidc.endpoint import answer
from gateway.oidc.errors import OAuthError
from gateway.oidc.grants import Issuing
from gateway.portal.forms import posted, posted_by_anyone
from gateway.portal.rendering.render import Pages
from gateway.portal.rendering.texts import STALE_FORM, too_many
from gateway.portal.request import PortalRequest, see_other
from gateway.portal.return_url import with_return

DEVICE = "/oidc/device"
NO_SUCH_CODE = N_("There is no such code, or it has expired. Check it on your device.")


class DeviceViews:
    """What a device asks, and what its owner sees."""

    def __init__(
        self,
        *,
        apps: Apps,
        authentication: Authentication,
        devices: DeviceFlow,
        issuing: Issuing,
        asking: Asking,
        pages: Pages,
        audit: Audit,
        clock: Clock,
        scopes: Mapping[str, str],
        prefix: str,
        pages_url: str,
    ) -> None:
        self._apps, self._authentication = apps, authentication
        self._pages, self._audit, self._clock, self._scopes = pages, audit, clock, scopes
        self._prefix, self._page = prefix, f"{pages_url}{DEVICE}"
        self._devices, self._issuing, self._asking = devices, issuing, asking
        self._here = f"{prefix}{DEVICE}"

    async def start(self, request: PortalRequest) -> web.StreamResponse:
        """Give a device its codes (RFC 8628 §3.1, §3.2).

        Raises OAuthError for an app that has no device flow, or asks for no scope of its own.
        """
        form = await posted_by_anyone(request)
        app = await self._authentication.app(request, form)
        scopes = asked_scopes(form.get("scope", ""), app.settings.offered)
        if "device_code" not in app.settings.grants:
            raise OAuthError("unauthorized_client", "this client may not use the device flow")
        if not scopes:
            raise OAuthError("invalid_scope", "scope is missing or not among those of this client")
        device, user = await self._devices.start(app, scopes, request.client.network)
        page = self._page
        return answer(
            {
                "device_code": device,
                "user_code": user,
                "verification_uri": page,
                "verification_uri_complete": f"{page}?{urlencode({'user_code': user})}",
                "expires_in": int(app.settings.lifetimes.device),
                "interval": INTERVAL,
            }
        )

    # -- pages -----------------------------------------------------------------------------------------------------

    async def page(self, request: PortalRequest) -> web.StreamResponse:
        """Show the form. A code in the address is filled in, not sent: who follows a link has to look at it (RFC 8628
        §5.4).
        """
        principal = request.visit.principal
        typed = request.http.query.get("user_code", "")[:20]
        app = self._apps.find(request.http.query.get("app", ""))
        missing = self.decision(request.target, principal)
        if principal is None or (missing is not None and missing.verdict in _TO_PROVE):
            return self._prove(missing, typed, app)
        return self._form(request, typed)

    async def submit(self, request: PortalRequest) -> web.StreamResponse:
        """Take the code that was typed, and then the answer. Nothing is granted before the app's name was shown (RFC
        8628 §5.4).
        """
        form = await posted(request)
        typed, principal = form.unproven.get("user_code", "")[:20], request.visit.principal
        if principal is None:
            return self._prove(None, typed, None)
        if not form.genuine:
            return self._form(request, typed, error=STALE_FORM, status=403)
        try:
            waiting = await self._devices.find(typed, principal.username, request.client.network)
        except TooManyAttempts as limit:
            return self._form(request, typed, error=too_many(limit), status=429)
        app = self._apps.find(waiting.client_id) if waiting else None
        # Wrong, expired, used: the answer is the same, and the try is counted (RFC 8628 §5.1).
        if waiting is None or app is None:
            self._audit.record("oidc_device_code_wrong", principal.username, request.client.ip)
            return self._form(request, typed, error=NO_SUCH_CODE, status=404)
        decision = judge(app, None, request.target, principal, self._clock())
        if decision.verdict in _TO_PROVE:
            return self._prove(decision, typed, app)
        if decision.verdict is Verdict.DENY:
            self._audit.record(
                "oidc_refused", principal.username, request.client.ip, client=app.id, error=decision.reason
            )
            return self._form(
                request, "", error=N_("Your account is not allowed to use this app."), status=403
            )
        return await self._settle(request, principal, app, waiting, typed, form.get("do", ""))

    async def _settle(
        self, request: PortalRequest, principal: Principal, app: Client, waiting: Waiting, typed: str, do: str
    ) -> web.StreamResponse:
        """First the question, then its answer."""
        # A stranger may have started the flow and sent the code to this user (RFC 8628 §5.4). So the page says which
        # app would get what, before anything is granted.
        if do not in ("allow", "refuse"):
            return self._show(
                request,
                200,
                step="confirm",
                typed=typed,
                app=app.settings.label,
                username=principal.username,
                scopes=described(waiting.scopes, self._scopes),
            )
        grant = ""
        if do == "allow":
            life = max(waiting.ends - self._clock(), 0.0)
            grant = (await self._issuing.grant(app, principal, waiting.scopes, life)).id
        if not await self._devices.settle(typed, waiting, grant):
            return self._form(request, typed, error=NO_SUCH_CODE, status=404)
        if grant:
            await self._asking.allowed(app, principal.username, waiting.scopes, request.client.ip)
        else:
            self._asking.refused(app, principal.username, request.client.ip)
        return self._show(request, 200, step="done" if grant else "refused", app=app.settings.label)

    # -- what has to be proven first -------------------------------------------------------------------------------

    def decision(self, destination: Target, principal: Principal | None) -> Decision | None:
        """Decide for the sign-in pages, which come back here. The app in the address only says whose
        policy to meet.
        """
        if destination.path != self._here:
            return None
        app = self._apps.find(parse_qs(destination.query).get("app", [""])[0])
        if app is not None and principal is not None:
            return judge(app, None, destination, principal, self._clock())
        verdict = Verdict.SIGN_IN if principal is None else Verdict.ALLOW
        return Decision(verdict, "oidc", "device")

    def _prove(self, decision: Decision | None, typed: str, app: Client | None) -> web.Response:
        # The code travels along, so that nobody types it twice; it is filled in again, not sent.
        query = {"user_code": typed, **({"app": app.id} if app else {})}
        page = "verify" if decision and decision.verdict is Verdict.STEP_UP else "login"
        return see_other(with_return(f"{self._prefix}/{page}", f"{self._here}?{urlencode(query)}"))

    def _form(
        self, request: PortalRequest, typed: str, *, error: str | None = None, status: int = 200
    ) -> web.Response:
        return self._show(request, status, step="type", typed=typed, error=error)

    def _show(self, request: PortalRequest, status: int, **context: Any) -> web.Response:
        empty: dict[str, Any] = {"typed": "", "app": "", "username": "", "scopes": [], "error": None}
        return self._pages.render(
            "oidc_device.html",
            status,
            reader=request.reader,
            request_id=request.request_id,
            csrf_token=request.visit.csrf,
            **{**empty, **context},
        )


_TO_PROVE = (Verdict.SIGN_IN, Verdict.STEP_UP)
