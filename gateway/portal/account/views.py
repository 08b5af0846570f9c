"""The account page: one page to look at, and the changes that its forms ask for."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from aiohttp import web

from gateway.authn.factors.approval_questions import ApprovalQuestions
from gateway.errors import TooManyAttempts, WeakPassword
from gateway.i18n.text import N_
from gateway.model import Principal
from gateway.portal.account.activity import recent_activity
from gateway.portal.account.change_password import PasswordChange
from gateway.portal.account.factors import AccountFactors, AccountRights
from gateway.portal.account.sessions import AccountSessions
from gateway.portal.forms import posted
from gateway.portal.rendering.render import Pages
from gateway.portal.rendering.texts import FACTOR_LABELS, STALE_FORM
from gateway.portal.request import PortalRequest, see_other
from gateway.portal.return_url import with_return
from gateway.session import Sessions
from gateway.stores.protocols.core import AuditLog

Form = Mapping[str, str]
Change = Callable[[PortalRequest, Principal, Form], Awaitable[web.StreamResponse]]

DONE = {
    "renamed": N_("The new name is saved."),
    "preferred": N_("This is what you will be asked for first."),
    "removed": N_("It is removed."),
    "password": N_("Your password is changed. All other sessions have ended."),
    "ended": N_("Signed out there."),
    "forgotten": N_("That device will be asked for the second factor again."),
}
GONE = N_("That is not there any more, or it is your last second factor, which has to stay.")
WRONG_PASSWORD = N_("The current password is not right.")


class AccountViews:
    """The account page."""

    def __init__(
        self,
        account: AccountFactors,
        places: AccountSessions,
        passwords: PasswordChange | None,
        activity: AuditLog,
        asks: ApprovalQuestions,
        sessions: Sessions,
        pages: Pages,
        doors: Callable[[Principal], Sequence[tuple[str, str]]],
        *,
        prefix: str,
    ) -> None:
        self._account, self._places, self._passwords = account, places, passwords
        self._asks, self._doors = asks, doors
        self._activity, self._sessions, self._pages = activity, sessions, pages
        self._here, self._prefix = f"{prefix}/account", prefix
        self._changes: Mapping[str, Change] = {
            "rename": self._rename,
            "prefer": self._prefer,
            "remove": self._remove,
            "recovery": self._recovery,
            "password": self._password,
        }
        self._endings: Mapping[str, Change] = {
            "end": self._end,
            "end_others": self._end_others,
            "forget": self._forget,
        }

    async def page(self, request: PortalRequest) -> web.StreamResponse:
        """Show the account, as far as the session may see it."""
        principal = request.visit.principal
        if principal is None:
            return self._first(request, "login")
        access = await self._account.access(principal)
        if access is AccountRights.NONE:
            return self._first(request, "verify")
        return await self._show(
            request, principal, access, notice=DONE.get(request.http.query.get("done", ""))
        )

    async def submit(self, request: PortalRequest) -> web.StreamResponse:
        """Take a change. Whoever may only look may end sessions, which makes nothing less safe."""
        form = await posted(request)
        principal = request.visit.principal
        if principal is None:
            return self._first(request, "login")
        access = await self._account.access(principal)
        if access is AccountRights.NONE:
            return self._first(request, "verify")
        if not form.genuine:
            return await self._show(request, principal, access, error=STALE_FORM, status=403)
        wanted = form.get("do", "")
        if wanted in self._endings:  # whoever may look may also end
            return await self._endings[wanted](request, principal, form)
        if access is not AccountRights.CHANGE:
            return self._first(request, "verify")
        return await self._change(request, principal, wanted, form)

    async def _change(
        self, request: PortalRequest, principal: Principal, wanted: str, form: Form
    ) -> web.StreamResponse:
        change = self._changes.get(wanted)
        if change is None or (wanted == "password" and self._passwords is None):
            return await self._show(
                request, principal, AccountRights.CHANGE, error=N_("That can’t be done here."), status=400
            )
        try:
            return await change(request, principal, form)
        except TooManyAttempts as limit:
            return self._pages.limited(limit, request.reader, request.request_id)

    # -- changes ---------------------------------------------------------------------------------------------------

    async def _rename(self, request: PortalRequest, principal: Principal, form: Form) -> web.StreamResponse:
        done = await self._account.rename(request.client, principal, form.get("id", ""), form.get("name", ""))
        return await self._after(request, principal, "renamed", done)

    async def _prefer(self, request: PortalRequest, principal: Principal, form: Form) -> web.StreamResponse:
        done = await self._account.prefer(principal, form.get("kind", ""))
        return await self._after(request, principal, "preferred", done)

    async def _remove(self, request: PortalRequest, principal: Principal, form: Form) -> web.StreamResponse:
        done = await self._account.remove(request.client, principal, form.get("id", ""))
        return await self._after(request, principal, "removed", done)

    async def _recovery(self, request: PortalRequest, principal: Principal, form: Form) -> web.StreamResponse:
        codes = await self._account.renew_recovery(request.client, principal)
        return self._pages.render(
            "recovery_codes.html",
            reader=request.reader,
            request_id=request.request_id,
            codes=codes,
            onward=self._here,
        )

    async def _password(self, request: PortalRequest, principal: Principal, form: Form) -> web.StreamResponse:
        assert self._passwords is not None
        old, new = form.get("old_password", ""), form.get("password", "")
        try:
            record = await self._passwords.change(request.client, principal, old, new)
        except WeakPassword as weak:
            return await self._show(request, principal, AccountRights.CHANGE, error=weak.public, status=422)
        if record is None:
            return await self._show(
                request, principal, AccountRights.CHANGE, error=WRONG_PASSWORD, status=401
            )
        response = see_other(f"{self._here}?done=password")
        await self._sessions.attach(request.http, response, record.sid)
        return response

    # -- endings ---------------------------------------------------------------------------------------------------

    async def _end(self, request: PortalRequest, principal: Principal, form: Form) -> web.StreamResponse:
        done = await self._places.end(request.client, principal, form.get("id", ""))
        return await self._after(request, principal, "ended", done)

    async def _end_others(
        self, request: PortalRequest, principal: Principal, form: Form
    ) -> web.StreamResponse:
        await self._places.end_others(request.client, principal, principal.session.sid)
        return await self._after(request, principal, "ended", True)

    async def _forget(self, request: PortalRequest, principal: Principal, form: Form) -> web.StreamResponse:
        done = await self._places.forget_device(request.client, principal, form.get("id", ""))
        return await self._after(request, principal, "forgotten", done)

    async def _after(
        self, request: PortalRequest, principal: Principal, word: str, done: bool
    ) -> web.StreamResponse:
        if done:
            return see_other(f"{self._here}?done={word}")
        access = await self._account.access(principal)
        return await self._show(request, principal, access, error=GONE, status=409)

    # -- shared ----------------------------------------------------------------------------------------------------

    async def _show(
        self,
        request: PortalRequest,
        principal: Principal,
        access: AccountRights,
        *,
        notice: str | None = None,
        error: str | None = None,
        status: int = 200,
    ) -> web.StreamResponse:
        user = await self._account.user(principal)
        return self._pages.render(
            "account.html",
            status,
            reader=request.reader,
            request_id=request.request_id,
            csrf_token=request.visit.csrf,
            user=user,
            may_change=access is AccountRights.CHANGE,
            items=await self._account.items(user),
            preferred=await self._account.preferred(user),
            second_phone_addable=self._account.second_phone_addable(user),
            addable=[(name, FACTOR_LABELS[name]) for name in self._account.addable],
            recovery_left=await self._account.recovery_left(user),
            can_change_password=self._passwords is not None,
            sessions=await self._places.sessions(request.client, principal),
            devices=await self._places.devices(request.client, principal),
            activity=await recent_activity(self._activity, user.username),
            asked=await self._asks.waiting(user.username) is not None,
            doors=self._doors(principal),
            here=self._here,
            notice=notice,
            error=error,
        )

    def _first(self, request: PortalRequest, page: str) -> web.Response:
        return see_other(with_return(f"{self._prefix}/{page}", self._here))
