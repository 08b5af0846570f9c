"""The token endpoint (RFC 6749 §3.2): a code or refresh token comes in, tokens go out."""

import base64
import hmac
import re
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256

from aiohttp import web

from gateway.observability.audit import Audit
from gateway.oidc.client_authentication import Authentication
from gateway.oidc.clients import Client
from gateway.oidc.device_flow import DEVICE_GRANT, DeviceFlow
from gateway.oidc.endpoint import answer
from gateway.oidc.errors import OAuthError
from gateway.oidc.grants import INVALID, Code, Issuing
from gateway.oidc.tokens import TokenSigner
from gateway.portal.forms import posted_by_anyone
from gateway.portal.request import PortalRequest

Form = Mapping[str, str]
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")  # RFC 7636 §4.1
_NAMES = {DEVICE_GRANT: "device_code"}


class TokenEndpointViews:
    """Gives tokens for what an app brings: a code, a refresh token, its own credentials, a device's code."""

    def __init__(
        self,
        authentication: Authentication,
        issuing: Issuing,
        devices: DeviceFlow,
        tokens: TokenSigner,
        audit: Audit,
    ) -> None:
        self._authentication, self._issuing, self._devices = authentication, issuing, devices
        self._tokens, self._audit = tokens, audit
        self._grants: Mapping[str, Callable[[PortalRequest, Client, Form], Awaitable[dict[str, object]]]] = {
            "authorization_code": self._by_code,
            "refresh_token": self._by_refresh_token,
            "client_credentials": self._by_client,
            DEVICE_GRANT: self._by_device,
        }

    async def token(self, request: PortalRequest) -> web.StreamResponse:
        """Answer one call. Raises OAuthError (RFC 6749 §5.2), TooManyAttempts and RequestRefused."""
        form = await posted_by_anyone(request)
        app = await self._authentication.app(request, form)
        grant = form.get("grant_type", "")
        if grant not in self._grants:
            raise OAuthError("unsupported_grant_type")
        if _NAMES.get(grant, grant) not in app.settings.grants:
            raise OAuthError("unauthorized_client", "this client may not use this grant_type")
        try:
            return answer(await self._grants[grant](request, app, form))
        except OAuthError as error:
            # A device asks every few seconds until its owner has answered: that is no event (RFC 8628 §3.5).
            if error.code not in ("authorization_pending", "slow_down"):
                self._audit.record("oidc_refused", "", request.client.ip, client=app.id, error=error.code)
            raise

    async def _by_code(self, request: PortalRequest, app: Client, form: Form) -> dict[str, object]:
        # The code is used up before anything else is checked: a wrong guess at the verifier costs it. The redirect URI
        # must be that of the request (RFC 6749 §4.1.3), so a code that was sent elsewhere is worth nothing here.
        code = await self._issuing.take_code(app, _needed(form, "code"), request.client.ip)
        if not hmac.compare_digest(form.get("redirect_uri", "").encode(), code.redirect_uri.encode()):
            raise OAuthError("invalid_grant", "redirect_uri is not the one of the sign-in")
        _check_verifier(code, form.get("code_verifier", ""))
        resource = form.get("resource", "")
        return await self._issuing.redeem(app, code.grant, code.nonce, request.client.ip, resource=resource)

    async def _by_refresh_token(self, request: PortalRequest, app: Client, form: Form) -> dict[str, object]:
        token = _needed(form, "refresh_token")
        scope, resource = form.get("scope", ""), form.get("resource", "")
        return await self._issuing.refresh(app, token, scope, request.client.ip, resource=resource)

    async def _by_client(self, request: PortalRequest, app: Client, form: Form) -> dict[str, object]:
        """The app for itself: no user, so no scope about one and no refresh token (RFC 6749 §4.4)."""
        # RFC 6749 §4.4: such a token is about the app. A scope about users would promise what nobody has signed in for.
        about_users = {"openid", "profile", "email", "phone", "groups", "offline_access"}
        scopes = tuple(form.get("scope", "").split())
        if app.settings.is_public:
            raise OAuthError("unauthorized_client", "client_credentials needs a client with a secret")
        if set(scopes) - (set(app.settings.scopes) - about_users):
            raise OAuthError("invalid_scope", "a scope is not for this client without a user")
        resource = form.get("resource", "")
        if resource and resource not in app.settings.audience:
            raise OAuthError("invalid_target", "the resource is not one of this client's")
        access = self._tokens.access_token(app, scopes, None, resources=(resource,) if resource else ())
        self._audit.record(
            "oidc_tokens_issued", "", request.client.ip, client=app.id, scopes=list(scopes), how="client"
        )
        return {
            "access_token": access.text,
            "token_type": "Bearer",
            "expires_in": access.lifetime,
            "scope": " ".join(scopes),
        }

    async def _by_device(self, request: PortalRequest, app: Client, form: Form) -> dict[str, object]:
        grant = await self._devices.collect(app, _needed(form, "device_code"))
        return await self._issuing.redeem(app, grant, "", request.client.ip)


def _check_verifier(code: Code, verifier: str) -> None:
    """A verifier without a challenge is refused too: somebody took the challenge out (RFC 9700 §2.1.1)."""
    if not code.challenge and not verifier:
        return
    # RFC 7636 §4.6: the challenge was the verifier's digest. Who has only seen the code, or even the challenge, can't
    # name the verifier.
    digest = sha256(verifier.encode(errors="surrogatepass")).digest()
    made = base64.urlsafe_b64encode(digest).rstrip(b"=")
    right = hmac.compare_digest(made, code.challenge.encode())
    if not right or not _VERIFIER.fullmatch(verifier):
        raise OAuthError("invalid_grant", INVALID)


def _needed(form: Form, name: str) -> str:
    if not form.get(name):
        raise OAuthError("invalid_request", f"{name} is missing")
    return form[name]
