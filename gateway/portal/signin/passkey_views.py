"""Signing in with a passkey alone, which has verified its user: that counts as two factors."""

from aiohttp import web

from gateway.authn.factors.webauthn import WebAuthnFactor
from gateway.authn.login import SignIn
from gateway.errors import RequestRefused
from gateway.i18n.text import N_
from gateway.model import Target
from gateway.policy.decide import Routes
from gateway.portal.forms import SignInTokens, posted
from gateway.portal.rendering.render import Pages
from gateway.portal.rendering.texts import STALE_FORM
from gateway.portal.request import PortalRequest, see_other
from gateway.portal.return_url import href, read_return
from gateway.portal.signin.keep_choice import choosing, chosen_by_link
from gateway.rate_limits import Budget, RateLimits
from gateway.session import Sessions

PER_IP = Budget(name="passkey-ip", limit=120, window=600, about="address")
FAILED = N_("That did not work. Please try again, or sign in with your password.")


class PasskeyViews:
    """The page of signing in with a passkey. `keys` is None where passwordless sign-in is switched off."""

    def __init__(
        self,
        keys: WebAuthnFactor | None,
        signin: SignIn,
        sessions: Sessions,
        pages: Pages,
        routes: Routes,
        limits: RateLimits,
        *,
        prefix: str,
        tokens: SignInTokens,
        keep_for: float,
    ) -> None:
        """`keep_for` is for how many seconds sessions may be kept, 0 where they are not."""
        self._tokens, self._keep_for = tokens, keep_for
        self._keys, self._signin, self._sessions = keys, signin, sessions
        self._pages, self._routes, self._limits = pages, routes, limits
        self._prefix = prefix

    async def page(self, request: PortalRequest) -> web.StreamResponse:
        """Show the button. Raises TooManyAttempts: each page makes a challenge."""
        await self._limits.spend(PER_IP, request.client.network)
        destination = read_return(
            request.http.query.get("rd", ""), request.target, self._routes, self._prefix
        )
        return await self._form(request, destination)

    async def options(self, request: PortalRequest) -> web.StreamResponse:
        """GET: what a script of the sign-in page asks the browser with. Each answer may make a challenge.

        Raises RequestRefused for who has no cookie of that page, and TooManyAttempts.
        """
        if not request.visit.csrf:
            raise RequestRefused("no cookie of the sign-in page", status=403)
        await self._limits.spend(PER_IP, request.client.network)
        options = await self._known().passkey_begin(request.visit.csrf)
        return web.Response(
            text=options, content_type="application/json", headers={"Cache-Control": "no-store"}
        )

    async def submit(self, request: PortalRequest) -> web.StreamResponse:
        """Take the passkey's answer, and sign its user in. Raises TooManyAttempts."""
        form = await posted(request, tokens=self._tokens)
        destination = read_return(form.unproven.get("rd", ""), request.target, self._routes, self._prefix)
        if request.visit.principal is not None and not form.of_session:
            return see_other(href(destination, request.target))  # another tab has signed in meanwhile
        if not form.genuine:
            return await self._form(request, destination, error=STALE_FORM, status=403)
        await self._limits.spend(PER_IP, request.client.network)
        client, answer = choosing(request.client, form), form.get("credential", "")
        username = await self._known().passkey_finish(form["csrf_token"], client.origin, answer)
        record = await self._signin.passkey(client, username, form["csrf_token"]) if username else None
        if record is None:
            return await self._form(request, destination, error=FAILED, status=401, keep=client.keep)
        response = see_other(href(destination, request.target))
        await self._sessions.attach(request.http, response, record.sid)
        return response

    async def _form(
        self,
        request: PortalRequest,
        destination: Target,
        *,
        error: str | None = None,
        status: int = 200,
        keep: bool = False,
    ) -> web.StreamResponse:
        csrf = request.visit.csrf or self._sessions.new_csrf()
        response = self._pages.render(
            "passkey.html",
            status,
            reader=request.reader,
            request_id=request.request_id,
            csrf_token=csrf,
            rd=href(destination, request.target),
            options=await self._known().passkey_begin(csrf),
            keep_for=self._keep_for,
            keep=keep or chosen_by_link(request),
            error=error,
        )
        if not request.visit.csrf:
            await self._sessions.attach(request.http, response, None, csrf=csrf)
        return response

    def _known(self) -> WebAuthnFactor:
        if self._keys is None:
            raise RequestRefused(
                "passwordless sign-in is switched off", status=404, public=N_("There is nothing here.")
            )
        return self._keys
