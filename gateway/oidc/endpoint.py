"""What the endpoints for programs share: JSON, errors as in RFC 6749 §5.2, and CORS for browser apps."""

from collections.abc import Mapping

from aiohttp import web

from gateway.errors import RequestRefused, TooManyAttempts
from gateway.oidc.clients import Apps
from gateway.oidc.errors import OAuthError
from gateway.portal.request import PortalRequest, View

_HEADERS = {"Cache-Control": "no-store", "Pragma": "no-cache", "X-Content-Type-Options": "nosniff"}
# The Fetch standard's CORS: a script of another origin may send Authorization and a form only after such an answer.
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Type",
    "Access-Control-Max-Age": "600",
}


def answer(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Make a JSON answer that no cache keeps (RFC 6749 §5.1)."""
    return web.json_response(body, status=status, headers={**_HEADERS, **(headers or {})})


class Machine:
    """Wraps views for programs. No cookie counts there, so allowing an origin gives it nothing that its
    app has not.
    """

    def __init__(self, apps: Apps) -> None:
        self._apps = apps

    def views(self, view: View, *methods: str) -> Mapping[str, View]:
        """Return `view` under these methods, and the answer to CORS preflights."""

        async def guarded(request: PortalRequest) -> web.StreamResponse:
            return self._with_cors(request, await _answered(view, request))

        return {**dict.fromkeys(methods, guarded), "OPTIONS": self._preflight}

    async def _preflight(self, request: PortalRequest) -> web.StreamResponse:
        return self._with_cors(request, web.Response(status=204, headers=_PREFLIGHT))

    def _with_cors(self, request: PortalRequest, response: web.StreamResponse) -> web.StreamResponse:
        # The origin itself and never "*": only pages of registered apps may read answers. Vary keeps a cache from
        # giving one origin's answer to another.
        origin = request.http.headers.get("Origin", "")
        response.headers["Vary"] = "Origin"
        if self._apps.allows_origin(origin):
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = "WWW-Authenticate"
        return response


async def _answered(view: View, request: PortalRequest) -> web.StreamResponse:
    try:
        return await view(request)
    except OAuthError as error:
        headers = {"WWW-Authenticate": error.challenge} if error.challenge else {}
        return answer({"error": error.code, "error_description": error.detail}, error.status, headers)
    except TooManyAttempts as limit:
        body = {"error": "slow_down", "error_description": limit.public}
        return answer(body, 429, {"Retry-After": str(limit.retry_after)})
    except RequestRefused as refused:
        return answer({"error": "invalid_request", "error_description": refused.detail}, refused.status)
