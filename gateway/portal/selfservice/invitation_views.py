"""The page behind an invitation link: choose a password, then go on to the second factor."""

from aiohttp import web

from gateway.authn.invitations import Invitations
from gateway.errors import TooManyAttempts, WeakPassword
from gateway.i18n.text import N_
from gateway.observability.audit import Audit
from gateway.portal.forms import VisitorForms, posted
from gateway.portal.rendering.render import Pages
from gateway.portal.rendering.texts import NO_COOKIE, STALE_FORM
from gateway.portal.request import PortalRequest, see_other
from gateway.portal.return_url import with_return
from gateway.rate_limits import LINKS_PER_IP, RateLimits
from gateway.session import Sessions


class InviteViews:
    """The page behind an invitation."""

    def __init__(
        self,
        invitations: Invitations,
        forms: VisitorForms,
        sessions: Sessions,
        limits: RateLimits,
        audit: Audit,
        pages: Pages,
        *,
        prefix: str,
    ) -> None:
        self._invitations, self._forms, self._sessions = invitations, forms, sessions
        self._limits, self._audit, self._pages, self._prefix = limits, audit, pages, prefix

    async def page(self, request: PortalRequest) -> web.StreamResponse:
        """GET: the form. Nothing is used up by looking."""
        return await self._guarded(request, request.http.query.get("token", ""), None)

    async def submit(self, request: PortalRequest) -> web.StreamResponse:
        """Take the first password."""
        form = await posted(request)
        if not form.genuine:
            error = STALE_FORM if request.visit.csrf else NO_COOKIE
            return await self._form(request, form.unproven.get("token", ""), 403, error=error)
        return await self._guarded(request, form.get("token", ""), form.get("password", ""))

    async def _guarded(self, request: PortalRequest, token: str, password: str | None) -> web.StreamResponse:
        try:
            await self._limits.spend(LINKS_PER_IP, request.client.network)
        except TooManyAttempts as limit:
            return self._pages.limited(limit, request.reader, request.request_id)
        if password is None:
            return await self._form(request, token)
        try:
            return await self._accept(request, token, password)
        except WeakPassword as weak:
            return await self._form(request, token, 422, error=weak.public)

    async def _accept(self, request: PortalRequest, token: str, password: str) -> web.StreamResponse:
        """A session with the password alone: what it may have is a second factor to add, as after any sign-in."""
        client = request.client
        user = await self._invitations.accept(token, password, self._audit, client.ip)
        if user is None:
            return self._gone(request)
        record = await self._sessions.rise(
            request.visit.principal, user.username, "password", ip=client.ip, user_agent=client.user_agent
        )
        response = see_other(with_return(f"{self._prefix}/enrol", "/"))
        await self._sessions.attach(request.http, response, record.sid)
        return response

    async def _form(
        self, request: PortalRequest, token: str, status: int = 200, *, error: str | None = None
    ) -> web.StreamResponse:
        user = await self._invitations.invited(token)
        if user is None:
            return self._gone(request)
        return await self._forms.show(
            request, "invite.html", status, token=token, username=user.username, error=error
        )

    def _gone(self, request: PortalRequest) -> web.Response:
        return self._pages.error(
            410,
            title=N_("This invitation is over"),
            message=N_(
                "It was used already, is too old, or was replaced. Please ask your administrator for a new one."
            ),
            reason="invitation_gone",
            reader=request.reader,
            request_id=request.request_id,
            actions=[(N_("Sign in"), f"{self._prefix}/login")],
        )
