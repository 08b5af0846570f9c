"""Tells a waiting sign-in page whether another tab has done its work meanwhile, so that it can go on by itself.

It says nothing that the page would not show when loaded again, and starts nothing: no code is sent for it.
"""

from aiohttp import web

from gateway.authn.login import SignIn
from gateway.model import Verdict
from gateway.policy.routes import Routes
from gateway.portal.request import PortalRequest
from gateway.portal.return_url import href, read_return, with_return


class Tabs:
    def __init__(self, signin: SignIn, routes: Routes, *, prefix: str) -> None:
        self._signin, self._routes, self._prefix = signin, routes, prefix

    async def state(self, ask: PortalRequest) -> web.StreamResponse:
        """GET {prefix}/tab?rd=…: which step is due (login, verify, done) and the address to go on at."""
        destination = read_return(ask.request.query.get("rd", ""), ask.here, self._routes, self._prefix)
        principal, where = ask.visit.principal, href(destination, ask.here)
        verdict = self._signin.decision(destination, principal).verdict
        if principal is None or verdict is Verdict.SIGN_IN:
            step, where = "login", with_return(f"{self._prefix}/login", where)
        elif verdict is Verdict.STEP_UP:
            step, where = "verify", with_return(f"{self._prefix}/verify", where)
        else:
            step = "done"
        return web.json_response({"step": step, "location": where}, headers={"Cache-Control": "no-store"})
