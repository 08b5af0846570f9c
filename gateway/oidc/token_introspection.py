"""Answers questions about tokens: userinfo (OpenID Connect Core §5.3), introspection (RFC 7662), revocation (RFC
7009).

A signed token alone is never enough here: its grant has to be alive.
"""

from collections.abc import Collection
from dataclasses import dataclass

from aiohttp import web

from gateway.clock import Clock
from gateway.model import User
from gateway.observability.audit import Audit
from gateway.oidc.claims import ClaimRules, Claims
from gateway.oidc.client_authentication import Authentication
from gateway.oidc.clients import Apps, Client
from gateway.oidc.endpoint import answer
from gateway.oidc.errors import OAuthError
from gateway.oidc.grants import Issuing, token_digest
from gateway.oidc.living_grants import LivingGrants
from gateway.oidc.tokens import ACCESS, USERINFO, TokenSigner, asked_for, grant_of
from gateway.portal.forms import posted_by_anyone
from gateway.portal.request import PortalRequest
from gateway.stores.protocols.ledger import Ledger
from gateway.stores.protocols.oidc import Grant, Grants


@dataclass(frozen=True, slots=True)
class Active:
    """An access token that is good now. `user` is None where an app stands for itself."""

    claims: Claims
    app: Client
    user: User | None
    grant: Grant | None = None


class TokenFacts:
    """The three endpoints at which tokens are asked about or ended."""

    def __init__(
        self,
        authentication: Authentication,
        apps: Apps,
        tokens: TokenSigner,
        issuing: Issuing,
        living: LivingGrants,
        rules: ClaimRules,
        grants: Grants,
        ledger: Ledger,
        audit: Audit,
        clock: Clock,
    ) -> None:
        self._authentication, self._apps, self._tokens = authentication, apps, tokens
        self._issuing, self._living, self._rules = issuing, living, rules
        self._grants, self._ledger = grants, ledger
        self._audit, self._clock = audit, clock

    async def userinfo(self, request: PortalRequest) -> web.StreamResponse:
        """Tell an app about the user of its access token. Raises OAuthError as RFC 6750 §3.1 wants it: invalid_token,
        insufficient_scope.
        """
        active = await self.active(await _bearer(request))
        if active is None or active.user is None or active.grant is None:
            raise _invalid_token("the token is unknown, expired or revoked")
        scopes = str(active.claims["scope"]).split()
        if "openid" not in scopes:
            challenge = 'Bearer error="insufficient_scope", scope="openid"'
            raise OAuthError("insufficient_scope", "needs scope openid", status=403, challenge=challenge)
        names = self._rules.of(scopes) | asked_for(active.app, active.grant, self._rules, USERINFO)
        told = self._rules.told(active.user, names, active.app.settings.groups)
        return answer({**told, "sub": active.claims["sub"]})

    async def introspect(self, request: PortalRequest) -> web.StreamResponse:
        """Answer the app itself and the APIs that the token is for; nobody else learns anything (RFC 7662 §2.1).

        Raises OAuthError for a public client: whoever has found a token could ask what it is good for.
        """
        form = await posted_by_anyone(request)
        app = await self._authentication.app(request, form)
        if app.settings.is_public:
            raise OAuthError("invalid_client", "introspection needs a client with a secret", status=401)
        text = form.get("token", "")
        active = await self.active(text)
        if active is not None and (active.app.id == app.id or app.id in active.claims["aud"]):
            shown = _knows_names(active.app, str(active.claims["scope"]).split())
            username = {"username": active.user.username} if active.user and shown else {}
            return answer({"active": True, "token_type": "Bearer", **active.claims, **username})
        # Unknown, expired, revoked or somebody else's: the answer is the same, "not active" and no more (RFC 7662
        # §2.2).
        return answer(await self._refresh_state(app, text) or {"active": False})

    async def _refresh_state(self, app: Client, text: str) -> dict[str, object] | None:
        grant = await self._issuing.refreshable(text)
        if grant is None or grant.client_id != app.id or await self._living.user(app, grant) is None:
            return None
        known = await self._grants.refresh_token(token_digest(text))
        if known is None or known.used_at or known.expires_at <= self._clock():
            return None
        return {
            "active": True,
            "client_id": app.id,
            "sub": grant.subject,
            **({"username": grant.username} if _knows_names(app, grant.scopes) else {}),
            "scope": " ".join(grant.scopes),
            "exp": int(known.expires_at),
            "iss": self._tokens.issuer,
        }

    async def revoke(self, request: PortalRequest) -> web.StreamResponse:
        """Revoke (RFC 7009 §2.1): a refresh token with its whole grant, an access token alone.

        Unknown ones are no error (§2.2): the app wants the token dead, and it is. Raises OAuthError if none is named.
        """
        form = await posted_by_anyone(request)
        app = await self._authentication.app(request, form)
        text = form.get("token", "")
        if not text:
            raise OAuthError("invalid_request", "token is missing")
        grant = await self._issuing.refreshable(text)
        if grant is not None and grant.client_id == app.id:
            await self._grants.end(id=grant.id)
            self._note(request, app, grant.username, "refresh_token")
        claims = self._tokens.read(text, ACCESS)
        if claims is not None and claims["client_id"] == app.id:
            # A signed token can't be taken back, only remembered as revoked until it would have expired by itself.
            await self._ledger.claim_once(_revoked(claims), float(claims["exp"]) - self._clock())
            of = await self._grants.get(grant_of(claims))
            self._note(request, app, of.username if of else "", "access_token")
        return answer({})

    async def active(self, text: str) -> Active | None:
        """Return what an access token stands for, None if it is not good now."""
        claims = self._tokens.read(text, ACCESS)
        app = await self._apps.load(str(claims["client_id"])) if claims else None
        if claims is None or app is None or (await self._ledger.count(_revoked(claims)))[0]:
            return None
        id = grant_of(claims)
        if not id:
            return Active(claims, app, user=None)
        grant = await self._grants.get(id)
        user = await self._living.user(app, grant) if grant else None
        return Active(claims, app, user=user, grant=grant) if user else None

    def _note(self, request: PortalRequest, app: Client, username: str, kind: str) -> None:
        self._audit.record("oidc_revoked", username, request.client.ip, client=app.id, kind=kind)


def _knows_names(app: Client, scopes: Collection[str]) -> bool:
    """Whether an app with these scopes may hear usernames: by them, apps with pairwise subjects could find out who is
    one person.
    """
    return app.settings.subject_type == "public" or "profile" in scopes


def _revoked(claims: Claims) -> str:
    return f"oidc:revoked:{claims['jti']}"


async def _bearer(request: PortalRequest) -> str:
    """RFC 6750 §2.1 and §2.2; never from the address, which ends up in logs."""
    # Of several Authorization fields none counts: another reader could take another one of them for the token.
    values = request.http.headers.getall("Authorization", ())
    if len(values) == 1 and values[0][:7].lower() == "bearer ":
        return values[0][7:].strip()
    form_type = request.http.content_type == "application/x-www-form-urlencoded"
    if not values and request.target.method == "POST" and form_type:
        return (await posted_by_anyone(request)).get("access_token", "")
    raise OAuthError("invalid_request", "no access token", status=401, challenge="Bearer")


def _invalid_token(detail: str) -> OAuthError:
    return OAuthError("invalid_token", detail, status=401, challenge='Bearer error="invalid_token"')
