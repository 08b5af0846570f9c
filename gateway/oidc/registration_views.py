"""The registration endpoint (RFC 7591): an app says where its users return to, and gets a `client_id`."""

import json

from aiohttp import web

from gateway.observability.audit import Audit
from gateway.oidc.endpoint import answer
from gateway.oidc.errors import OAuthError
from gateway.oidc.registered_clients import RegisteredClients
from gateway.portal.request import PortalRequest
from gateway.rate_limits import Budget, RateLimits
from gateway.request.small_body import read_small

REGISTER = "/oidc/register"
_LARGEST = 16 * 1024
PER_NETWORK = Budget(name="oidc-registration", limit=20, window=3600, about="address")


class ClientRegistrationView:
    """Takes registrations. There is nothing secret in them, and nothing is opened by one: users sign in and consent."""

    def __init__(self, clients: RegisteredClients, limits: RateLimits, audit: Audit) -> None:
        self._clients, self._limits, self._audit = clients, limits, audit

    async def register(self, request: PortalRequest) -> web.StreamResponse:
        """Answer one registration. Raises OAuthError (RFC 7591 §3.2.2), TooManyAttempts and RequestRefused."""
        await self._limits.spend(PER_NETWORK, request.client.network)
        wanted = await _metadata(request)
        kinds, answers = wanted.get("grant_types"), wanted.get("response_types")
        if isinstance(kinds, list) and kinds and "authorization_code" not in kinds:
            raise OAuthError("invalid_client_metadata", "grant_types must have authorization_code")
        if isinstance(answers, list) and answers and "code" not in answers:
            raise OAuthError("invalid_client_metadata", "response_types must have code")
        app = await self._clients.add(
            wanted.get("client_name"),
            wanted.get("redirect_uris"),
            subject_type=wanted.get("subject_type"),
            sector=wanted.get("sector_identifier_uri"),
        )
        self._audit.record("oidc_client_registered", "", request.client.ip, client=app.id, name=app.name)
        # RFC 7591 §3.2.1: the app has to look at what it got, which may be other than what it asked for.
        described = {
            "client_id": app.id,
            "client_id_issued_at": int(app.created_at),
            "redirect_uris": list(app.redirect_uris),
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
            "subject_type": app.subject_type,
            **({"sector_identifier_uri": app.sector} if app.sector else {}),
            **({"client_name": app.name} if app.name else {}),
        }
        return answer(described, 201)


async def _metadata(request: PortalRequest) -> dict[str, object]:
    if request.http.content_type != "application/json":
        raise OAuthError("invalid_client_metadata", "send application/json", status=415)
    try:
        wanted = json.loads(await read_small(request.http, _LARGEST))
    except (ValueError, RecursionError):
        wanted = None
    if not isinstance(wanted, dict):
        raise OAuthError("invalid_client_metadata", "the body is no JSON object")
    return wanted
