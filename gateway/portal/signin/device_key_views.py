"""Where browsers register the key of a bound session, and renew its cookie with it. Pages never lead here.

No form and no token of ours: what is signed is a challenge that only the browser of this very session was given, and
browsers let no page set a field that begins with `Sec-`.
"""

from aiohttp import web

from gateway.authn.elsewhere import BoundSessionNotices
from gateway.portal.request import PortalRequest
from gateway.session.device_binding import REFRESHING
from gateway.session.device_keys import KeyRegistry, Refused
from gateway.session.device_proof import session_named

_NO_STORE = {"Cache-Control": "no-store"}


class DeviceKeyViews:
    """The two endpoints of Device Bound Session Credentials, and what a whole site says of them.

    `site_origins` are those that may register sessions for all of the site.
    """

    def __init__(
        self, registry: KeyRegistry, notices: BoundSessionNotices, site_origins: tuple[str, ...]
    ) -> None:
        self._registry, self._notices, self._site_origins = registry, notices, site_origins

    async def register(self, request: PortalRequest) -> web.StreamResponse:
        """Take the key of this browser's session."""
        field = _field(request, "Secure-Session-Response")
        done = await self._registry.register(request.visit.principal, field, request.target)
        if isinstance(done, Refused):
            if request.visit.principal is not None and done.cause == "wrong":
                await self._notices.wrong_proof(request.visit.principal, request.target.client, "register")
            return web.json_response({"error": done.cause}, status=403, headers=_NO_STORE)
        record, algorithm = done
        self._notices.bound(record, request.client.ip, algorithm)
        response = web.json_response(self._registry.binding.instructions(record), headers=_NO_STORE)
        self._registry.binding.give(response, record)
        return response

    async def refresh(self, request: PortalRequest) -> web.StreamResponse:
        """Renew the bound cookie, or say what must be signed for that. Nothing hangs on the session's cookie here."""
        name = session_named(_field(request, "Sec-Secure-Session-Id"))
        principal = await self._registry.session_of(name) if name else None
        if principal is None:
            gone = {"session_identifier": name, "continue": False}
            return web.json_response(gone, headers=_NO_STORE)
        record, binding = principal.session, self._registry.binding
        field = _field(request, "Secure-Session-Response")
        refused = await self._registry.refresh(record, field, request.target)
        if refused is None:
            response = web.json_response(binding.instructions(record), headers=_NO_STORE)
            binding.give(response, record)
            return response
        if refused.cause == "wrong":  # 401: the browser drops a key that is not the session's
            await self._notices.wrong_proof(principal, request.target.client, "refresh")
            return web.json_response({"error": "wrong"}, status=401, headers=_NO_STORE)
        response = web.json_response({"error": refused.cause}, status=403, headers=_NO_STORE)
        challenge = binding.challenge(REFRESHING, record.device_id)
        response.headers["Secure-Session-Challenge"] = f'"{challenge}";id="{record.device_id}"'
        return response

    async def site(self, request: PortalRequest) -> web.StreamResponse:
        """Name the origins that may register sessions for the whole site."""
        return web.json_response({"registering_origins": list(self._site_origins)}, headers=_NO_STORE)


def _field(request: PortalRequest, name: str) -> str:
    """The one value of a header field, "" where it is absent or comes twice."""
    values = request.http.headers.getall(name, ())
    return values[0] if len(values) == 1 else ""
