"""The page of one's own API tokens. To make one takes two factors, the second one proven just now."""

from dataclasses import dataclass
from functools import partial

from aiohttp import web

from gateway.clock import Clock
from gateway.directory.base import Directory, existing
from gateway.errors import TooManyAttempts
from gateway.i18n.text import N_
from gateway.model import Principal, User
from gateway.policy.decide import proven_recently
from gateway.portal.account.api_tokens import NotMade, OwnTokenDesk, TokenRequest
from gateway.portal.account.change_notices import AccountNews
from gateway.portal.account.enrolment import FactorEnrolment
from gateway.portal.forms import PostedForm, posted
from gateway.portal.rendering.render import Pages
from gateway.portal.rendering.texts import STALE_FORM, too_many
from gateway.portal.request import PortalRequest, Views, see_other
from gateway.portal.return_url import with_return
from gateway.portal.services import Services

_ROUTE = "route:"
ENDED = N_("The token is ended.")
NO_SUCH = N_("That token is not there any more.")


def token_pages(services: Services, enrolment: FactorEnrolment, news: AccountNews) -> Views:
    """Pages by path, below the prefix; none where users make no tokens."""
    if not services.config.user_tokens.enabled:
        return {}
    desk = OwnTokenDesk(
        config=services.config.user_tokens,
        routes=services.config.routes,
        store=services.stores.own_tokens,
        enrolment=enrolment,
        news=news,
        key=partial(services.ring.derive, b"tokens"),
        clock=services.clock,
    )
    views = OwnTokenViews(
        desk=desk,
        pages=services.pages,
        directory=services.users.directory,
        clock=services.clock,
        prefix=services.prefix,
    )
    return {"/tokens": {"GET": views.page, "POST": views.submit}}


@dataclass(frozen=True, slots=True)
class OwnTokenViews:
    """The page of one's own API tokens."""

    desk: OwnTokenDesk
    pages: Pages
    directory: Directory
    clock: Clock
    prefix: str

    async def page(self, request: PortalRequest) -> web.StreamResponse:
        """Show the tokens, once a second factor was proven."""
        principal = request.visit.principal
        if principal is None or not self._proven(principal):
            return self._prove_first(principal)
        notice = ENDED if request.http.query.get("done") == "ended" else None
        return await self._show(request, await self._user(principal), notice=notice)

    async def submit(self, request: PortalRequest) -> web.StreamResponse:
        """Make a token, or end one."""
        form = await posted(request)
        principal = request.visit.principal
        if principal is None or not self._proven(principal):
            return self._prove_first(principal)
        user = await self._user(principal)
        if not form.genuine:
            return await self._show(request, user, error=STALE_FORM, status=403)
        if form.get("do") == "end":
            if await self.desk.revoke(request.client, user, form.get("id", "")):
                return see_other(f"{self.prefix}/tokens?done=ended")
            return await self._show(request, user, error=NO_SUCH, status=409)
        return await self._make(request, user, form)

    async def _make(self, request: PortalRequest, user: User, form: PostedForm) -> web.StreamResponse:
        routes = tuple(name.removeprefix(_ROUTE) for name in form if name.startswith(_ROUTE))
        wish = TokenRequest(
            title=form.get("name", ""),
            routes=routes,
            days=form.get("days", ""),
            reading_only=form.get("reading") == "on",
        )
        try:
            token = await self.desk.make(request.client, user, wish)
        except NotMade as refused:
            return await self._show(request, user, error=refused.public, status=refused.status)
        except TooManyAttempts as limit:
            return await self._show(request, user, error=too_many(limit), status=429)
        return await self._show(request, user, made=token)

    async def _user(self, principal: Principal) -> User:
        """As the directory has it now. Raises UserUnknown."""
        return await existing(self.directory, principal.username)

    async def _show(
        self,
        request: PortalRequest,
        user: User,
        *,
        made: str = "",
        notice: str | None = None,
        error: str | None = None,
        status: int = 200,
    ) -> web.Response:
        return self.pages.render(
            "tokens.html",
            status,
            reader=request.reader,
            request_id=request.request_id,
            csrf_token=request.visit.csrf,
            username=user.username,
            made=made,
            tokens=await self.desk.list(user),
            routes=self.desk.offered(user),
            choices=self.desk.choices,
            notice=notice,
            error=error,
        )

    def _proven(self, principal: Principal) -> bool:
        return proven_recently(principal.session, self.clock())

    def _prove_first(self, principal: Principal | None) -> web.Response:
        page = "login" if principal is None else "verify"
        return see_other(with_return(f"{self.prefix}/{page}", f"{self.prefix}/tokens"))
