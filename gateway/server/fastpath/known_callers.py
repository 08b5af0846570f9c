"""Whom a request comes from, as far as this worker knows that without asking anybody."""

from collections.abc import Sequence

from gateway.authn.api_credentials import ApiCredentials
from gateway.authn.shown_credentials import ApiPrincipal
from gateway.config.schema import Route
from gateway.model import Target
from gateway.server.fastpath.header_plans import HeaderPlan
from gateway.session import Sessions

_NOBODY = ApiPrincipal()


class KnownCallers:
    """Sessions and credentials that were read or checked a moment ago."""

    def __init__(self, sessions: Sessions, credentials: ApiCredentials) -> None:
        self._sessions, self._credentials = sessions, credentials

    def find(
        self,
        route: Route,
        target: Target,
        method: str,
        plan: HeaderPlan,
        authorization: Sequence[str],
    ) -> ApiPrincipal | None:
        """Return who asks. As on the ordinary path, credentials come before the session.

        Of `target` only the host and the client count here, of `plan` the cookies and the User-Agent, which a session
        may be bound to. `authorization` are the values of Authorization that count. All three are the same for each
        request with this plan.
        None: a store has to be asked, a password to be checked, or credentials to be refused.
        """
        shown = _NOBODY
        if authorization:
            presented = plan.presented.get(id(route))
            if presented is None:
                presented = self._credentials.presented(route, str(target.client), authorization)
                plan.presented[id(route)] = presented
            known = self._credentials.known(presented, route, method)
            if known is None:
                return None
            shown = known
        if shown.principal is not None or not plan.session:
            return shown
        principal = self._sessions.cached(plan.session, target.host, target.client, plan.agent, plan.bound)
        return None if principal is None else ApiPrincipal(principal, consumed=shown.consumed)
