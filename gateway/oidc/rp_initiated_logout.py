"""Signs a user out at the request of an app (OpenID Connect RP-Initiated Logout 1.0).

An id token of the session at hand proves that its own app asks. Anybody else could have made up the address, so the
user is asked. The browser goes on only to an address that is registered for that app.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from gateway.authn.login import SignIn
from gateway.model import Principal
from gateway.oidc.authorization_response import with_query
from gateway.oidc.clients import Apps, Client
from gateway.oidc.errors import UnknownApp
from gateway.oidc.subjects import NamesForApps
from gateway.oidc.tokens import ACCESS, ID, LOGOUT, TokenSigner, unverified_claim
from gateway.portal.forms import confirmed, posted_by_anyone
from gateway.portal.rendering.render import Pages
from gateway.portal.request import PortalRequest, see_other
from gateway.portal.signin.provider_sign_out import ProviderSignOut
from gateway.portal.signin.provider_ways import ProviderWays
from gateway.session import Sessions

END_SESSION = "/oidc/end-session"


@dataclass(frozen=True, slots=True)
class LogoutRequest:
    """What an app asks for. `onward` is where to go afterwards, "" for our own page; `sid` the session that the id
    token speaks of, in the words of `app`.
    """

    onward: str
    sid: str
    form: Mapping[str, str]
    app: Client | None = None


class EndSessionViews:
    """The page at which apps end a session, and its form."""

    def __init__(
        self,
        *,
        apps: Apps,
        tokens: TokenSigner,
        names: NamesForApps,
        signin: SignIn,
        sessions: Sessions,
        ways: ProviderWays,
        elsewhere: ProviderSignOut,
        pages: Pages,
        prefix: str,
    ) -> None:
        self._apps, self._tokens, self._names, self._ways = apps, tokens, names, ways
        self._elsewhere = elsewhere
        self._signin, self._sessions, self._pages, self._prefix = signin, sessions, pages, prefix

    async def page(self, request: PortalRequest) -> web.StreamResponse:
        """Take a request that came by redirect (RP-Initiated Logout §2)."""
        return await self._begin(request, self._read(dict(request.http.query)))

    async def submit(self, request: PortalRequest) -> web.StreamResponse:
        """Take our own form, which comes with `do`; apps may post here as well, and are then treated as if they had
        redirected.
        """
        fields = await posted_by_anyone(request)
        wish = self._read(fields)
        if fields.get("do") != "sign_out":
            return await self._begin(request, wish)
        form = confirmed(request, fields)
        principal = request.visit.principal
        if principal is not None and not form.genuine:
            return self._ask(request, wish, principal)
        return await self._end(request, wish)

    async def _begin(self, request: PortalRequest, wish: LogoutRequest) -> web.StreamResponse:
        principal = request.visit.principal
        # Any site can send a browser here. Only an id token of this very session shows that an app asks to which its
        # user is signed in (§2, id_token_hint); without one the user decides.
        if principal is not None and not await self._is_of(wish, principal):
            return self._ask(request, wish, principal)
        return await self._end(request, wish)

    async def _is_of(self, wish: LogoutRequest, principal: Principal) -> bool:
        """Whether an id token of this session came along."""
        if wish.app is None or not wish.sid:
            return False
        session = principal.session
        return wish.sid == await self._names.of_session(wish.app, session.username, session.created_at)

    async def _end(self, request: PortalRequest, wish: LogoutRequest) -> web.StreamResponse:
        away = ""
        if (principal := request.visit.principal) is not None:
            sign_in = await self._elsewhere.sign_in_of(principal)
            await self._signin.sign_out(request.client, principal)
            away = await self._elsewhere.onward(request, sign_in, wish.onward)
        response = see_other(away or wish.onward or f"{self._prefix}/logout")
        await self._sessions.detach(request.http, response)
        self._ways.stay(response)
        return response

    def _ask(self, request: PortalRequest, wish: LogoutRequest, principal: Principal) -> web.Response:
        kept = ("id_token_hint", "post_logout_redirect_uri", "client_id", "state")
        return self._pages.render(
            "oidc_logout.html",
            reader=request.reader,
            request_id=request.request_id,
            csrf_token=request.visit.csrf,
            username=principal.username,
            fields={name: wish.form[name] for name in kept if wish.form.get(name)},
        )

    def _read(self, form: Mapping[str, str]) -> LogoutRequest:
        """Raises UnknownApp where the app, its token or its address don't fit together."""
        # An expired id token will do (§2): a user may sign out long after the sign-in.
        hint, uri = form.get("id_token_hint", ""), form.get("post_logout_redirect_uri", "")
        claims = self._tokens.read(hint, ID, expired=True) if hint else None
        if claims is None and any(self._tokens.read(hint, kind, expired=True) for kind in (ACCESS, LOGOUT)):
            raise UnknownApp("end-session: id_token_hint is a token of ours, but no id token")
        # A hint that we can't verify, signed by a key that is gone or made up, proves nothing, so the user is asked and
        # stays here (§4). It only says among whose registered addresses to look.
        id = str(claims["aud"]) if claims else form.get("client_id") or unverified_claim(hint, "aud")
        if form.get("client_id", id) != id:
            raise UnknownApp("end-session: id_token_hint was issued to another client")
        app = self._apps.find(id)
        if uri and (app is None or not app.may_end_at(uri)):
            raise UnknownApp(
                f"end-session: {uri[:200]!r} is not among post_logout_redirect_uris of {id[:80]!r}"
            )
        if hint and claims is None:
            return LogoutRequest(onward="", sid="", form=form)
        onward = with_query(uri, {"state": form["state"]}) if uri and form.get("state") else uri
        sid = str(claims["sid"]) if claims else ""
        return LogoutRequest(onward=onward, sid=sid, form=form, app=app)
