"""The page of a user's apps, their pins and their pictures."""

from itertools import groupby

from aiohttp import web

from gateway.authn.login import SignIn
from gateway.config.patterns import path_matches
from gateway.errors import RequestRefused
from gateway.i18n.text import N_
from gateway.model import Principal, Verdict
from gateway.policy.visible_apps import AppAccess, ListedApp
from gateway.portal.apps.app_list import AppList, UserApp
from gateway.portal.apps.icons import Icons
from gateway.portal.forms import posted
from gateway.portal.rendering.render import Pages
from gateway.portal.request import PortalRequest, Views, see_other
from gateway.portal.return_url import href, with_return
from gateway.portal.services import Services

_PICTURE_HEADERS = {
    "Cache-Control": "private, max-age=86400",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Opened by its own address a picture is a document; it must not run anything.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
}


def app_pages(services: Services, apps: AppList, icons: Icons) -> Views:
    """Pages by path, below the prefix; "/" is the page of apps itself."""
    views = AppViews(
        apps=apps,
        icons=icons,
        signin=services.authn.signin,
        pages=services.pages,
        prefix=services.prefix,
        home_url=services.config.server.home_url,
    )
    return {"/": {"GET": views.page, "POST": views.pin}, "/icon/*": {"GET": views.icon}}


class AppViews:
    """The page of apps. `home_url` is the operator's own page, shown instead; "" for none."""

    def __init__(
        self, apps: AppList, icons: Icons, signin: SignIn, pages: Pages, *, prefix: str, home_url: str
    ) -> None:
        self._apps, self._icons, self._signin, self._pages = apps, icons, signin, pages
        self._prefix, self._home_url = prefix, home_url

    async def page(self, request: PortalRequest) -> web.StreamResponse:
        """Show what this user may open, after a sign-in."""
        if self._home_url:
            return see_other(self._home_url)
        principal = request.visit.principal
        verdict = self._signin.decision(request.target, principal).verdict
        if principal is None or verdict is not Verdict.ALLOW:
            page = "verify" if verdict is Verdict.STEP_UP else "login"
            here = self._here(request)
            return see_other(with_return(f"{self._prefix}/{page}", here))
        found = await self._apps.of(principal, request.target)
        opened = [one for one in found if one.access is not AppAccess.ASK]
        pinned = [one for one in opened if one.pinned]
        return self._pages.render(
            "apps.html",
            reader=request.reader,
            request_id=request.request_id,
            csrf_token=request.visit.csrf,
            here=f"{self._prefix}/",
            user=principal.user,
            groups=[(N_("Pinned"), pinned), *_grouped([one for one in opened if not one.pinned])],
            askable=[one for one in found if one.access is AppAccess.ASK],
            address=lambda one: href(one.app.target, request.target),
        )

    async def pin(self, request: PortalRequest) -> web.StreamResponse:
        """Pin an app, or take its pin away."""
        form = await posted(request)
        principal, here = request.visit.principal, self._here(request)
        if principal is not None and form.genuine:
            app = self._known(request, principal, form.get("app", ""))
            await self._apps.pin(principal.username, app, pinned=form.get("do") == "pin")
        return see_other(here)

    def _here(self, request: PortalRequest) -> str:
        """Return the one of the two addresses of this page that the browser is at."""
        return f"{self._prefix}/" if path_matches(self._prefix, request.target.path) else self._apps.href

    async def icon(self, request: PortalRequest) -> web.StreamResponse:
        """The picture of an app, for who may know of it."""
        if request.visit.principal is None:
            raise _nothing()
        id = request.target.path.rpartition("/")[2]
        picture = await self._icons.of(self._known(request, request.visit.principal, id))
        return web.Response(
            body=picture.body, headers={"Content-Type": picture.content_type, **_PICTURE_HEADERS}
        )

    def _known(self, request: PortalRequest, principal: Principal, id: str) -> ListedApp:
        """Raises RequestRefused (404), the same for an app that is not there and for one that this user may not
        know of.
        """
        app = self._apps.find(id, principal, request.target)
        if app is None:
            raise _nothing()
        return app


def _nothing() -> RequestRefused:
    return RequestRefused("no such app for this user", status=404, public=N_("There is nothing here."))


def _grouped(apps: list[UserApp]) -> list[tuple[str, list[UserApp]]]:
    """By group, in the order in which groups are first named; those without one come first."""
    order = list(dict.fromkeys(["", *(one.app.group for one in apps)]))
    apps = sorted(apps, key=lambda one: order.index(one.app.group))
    return [(group, list(members)) for group, members in groupby(apps, key=lambda one: one.app.group)]
