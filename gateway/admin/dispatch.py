"""Takes a request into the console: authorization first, then the form's token, then the page."""

from dataclasses import replace

from aiohttp import web

from gateway.admin.authorization import ConsoleAuthorization
from gateway.admin.pages.base import Call, Screens, sentence
from gateway.admin.services import AdminServices
from gateway.errors import GatewayError, RequestRefused
from gateway.i18n.text import N_
from gateway.model import Verdict
from gateway.portal.dispatch import MethodNotAllowed
from gateway.portal.forms import posted
from gateway.portal.request import PortalRequest


class Console:
    """The console's pages. Whoever may not see them learns nothing of what there is."""

    def __init__(self, admin: AdminServices, door: ConsoleAuthorization, screens: Screens) -> None:
        self._admin, self._door, self._screens = admin, door, screens

    async def handle(self, request: PortalRequest) -> web.StreamResponse:
        """Answer a request for a page. Raises RequestRefused (404) and MethodNotAllowed, to administrators only."""
        decision = self._door.decide(request)
        principal = request.visit.principal
        if decision.verdict is not Verdict.ALLOW or principal is None:
            return self._door.refuse(request, decision)
        screens = self._screens.get(request.target.path.removeprefix(self._admin.home))
        if screens is None:
            raise RequestRefused("no such admin page", status=404, public=N_("There is nothing here."))
        method = "GET" if request.target.method == "HEAD" else request.target.method
        if method not in screens:
            raise MethodNotAllowed("method", ", ".join(sorted(screens)))
        call = Call(request, self._door.actor(request, principal))
        if method == "GET":
            return await screens["GET"](call)
        form = await self._form(request)
        try:
            return await screens["POST"](replace(call, form=form))
        except GatewayError as error:
            if error.status >= 500 and "public" not in vars(error):
                raise
            # The page that the form was on, with what was entered and why it was refused.
            refused = replace(call, form=form, error=sentence(error), status=error.status)
            return await screens["GET"](refused)

    async def _form(self, request: PortalRequest) -> dict[str, str]:
        """Raises ForeignForm for what was not sent from a page of ours (security rule 6)."""
        form = await posted(request)
        return {name: value.replace("\0", "") for name, value in form.items()}
