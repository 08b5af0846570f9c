"""Issues tokens: grants, codes, refresh tokens, and when all of them are void.

Codes and refresh tokens are random and kept as digests only. A code is taken from the ledger, so of several who bring
it one gets tokens; bringing it again ends the grant with everything that was issued (RFC 6749 §4.1.2). The same goes
for a refresh token that was used before: either its owner or a thief has its successor, and nobody knows which (RFC
9700 §4.14.2).
"""

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from gateway.clock import Clock
from gateway.model import Principal, User
from gateway.observability.audit import Audit
from gateway.oidc.authorization_request import SignInRequest
from gateway.oidc.claims import ClaimRules
from gateway.oidc.clients import Client
from gateway.oidc.errors import OAuthError
from gateway.oidc.living_grants import LivingGrants
from gateway.oidc.session_names import context, met, methods
from gateway.oidc.subjects import NamesForApps
from gateway.oidc.tokens import ASKED, ID_TOKEN, PROVEN, RESOURCES, SESSION, USERINFO, TokenSigner, narrowed
from gateway.stores.protocols.core import SessionStore
from gateway.stores.protocols.ledger import Ledger
from gateway.stores.protocols.oidc import Grant, Grants, Login, Logins

GRACE = 10.0
"""Seconds in which an app with a secret may use a refresh token again: its first answer may have been lost, or two of
its processes refreshed at once. Apps without a secret get none, since there the token alone is what a thief needs."""
_REPLAYS_KNOWN = 86400.0
"""Seconds after which a code that is brought again is merely unknown: its grant is not looked for any more."""
INVALID = "the code or token is unknown, used, expired, or was issued to another client"


@dataclass(frozen=True, slots=True)
class Code:
    """What an authorization code stands for."""

    grant: str
    client_id: str
    redirect_uri: str
    challenge: str
    nonce: str


class Issuing:
    """Grants, codes and refresh tokens."""

    def __init__(
        self,
        tokens: TokenSigner,
        grants: Grants,
        logins: Logins,
        rules: ClaimRules,
        names: NamesForApps,
        living: LivingGrants,
        ledger: Ledger,
        sessions: SessionStore,
        audit: Audit,
        clock: Clock,
        *,
        token: Callable[[], str] = secrets.token_urlsafe,
    ) -> None:
        self._tokens, self._grants, self._logins, self._ledger = tokens, grants, logins, ledger
        self._rules, self._names, self._living = rules, names, living
        self._sessions, self._audit, self._clock, self._token = sessions, audit, clock, token

    # -- after a sign-in -------------------------------------------------------------------------------------------

    async def grant(
        self,
        app: Client,
        principal: Principal,
        scopes: tuple[str, ...],
        life: float,
        *,
        wanted: SignInRequest | None = None,
    ) -> Grant:
        """Store what the user lets the app have. It lives for `life` seconds, until the app redeems it.

        `wanted` is what the app asked for; a device asks for scopes alone.
        """
        session, now = principal.session, self._clock()
        subject = await self._names.of_user(app, principal.user)
        facts: dict[str, object] = {
            "sub": subject,
            "amr": methods(session.amr),
            "acr": context(principal),
            PROVEN: dict(session.proven_at),
            SESSION: await self._names.of_session(app, principal.username, session.created_at),
            **(asked_facts(self._rules, wanted, principal, scopes) if wanted is not None else {}),
        }
        # When something was proven could tell apps of different sectors that two users are one. So an app with pairwise
        # subjects hears it only where it asks.
        if app.settings.subject_type == "public" or (wanted is not None and wanted.tell_time):
            facts["auth_time"] = int(session.auth_time)
        grant = Grant(
            id=self._token(),
            client_id=app.id,
            username=principal.username,
            session_started=session.created_at,
            scopes=scopes,
            facts=facts,
            created_at=now,
            expires_at=now + life,
        )
        await self._grants.add(grant)
        await self._logins.note(
            Login(
                username=principal.username,
                session_started=session.created_at,
                client_id=app.id,
                expires_at=session.expires_at,
                subject=subject,
            )
        )
        return grant

    async def code(self, app: Client, grant: Grant, redirect_uri: str, challenge: str, nonce: str) -> str:
        """Make an authorization code for the grant (RFC 6749 §4.1.2); `challenge` is PKCE's."""
        code, life = self._token(), app.settings.lifetimes.code
        stands_for = Code(
            grant=grant.id, client_id=app.id, redirect_uri=redirect_uri, challenge=challenge, nonce=nonce
        )
        await self._ledger.put(_slot("replayed", code), grant.id.encode(), _REPLAYS_KNOWN)
        await self._ledger.put(_slot("code", code), json.dumps(_fields(stands_for)).encode(), life)
        return code

    async def take_code(self, app: Client, code: str, ip: str) -> Code:
        """Return what the code stands for and use it up. Raises OAuthError."""
        # A code that comes twice was read on its way by somebody. Which of the two is the thief nobody knows, so what
        # the first one got ends (RFC 6749 §4.1.2).
        taken = await self._ledger.take(_slot("code", code))
        if taken is None:
            if issued := await self._ledger.get(_slot("replayed", code)):
                await self._void(issued.decode(), "code_replayed", app, ip)
            raise OAuthError("invalid_grant", INVALID)
        found = Code(**json.loads(taken))
        # Bound to the client (RFC 6749 §4.1.3): another one has it from somewhere it should not have been.
        if found.client_id != app.id:
            await self._void(found.grant, "code_of_another_client", app, ip)
            raise OAuthError("invalid_grant", INVALID)
        return found

    async def redeem(
        self, app: Client, grant_id: str, nonce: str, ip: str, *, resource: str = ""
    ) -> dict[str, object]:
        """Return the token response for a grant that was not redeemed yet. Raises OAuthError."""
        grant = await self._grants.get(grant_id)
        user = await self._living.user(app, grant) if grant else None
        if grant is None or user is None:
            raise OAuthError("invalid_grant", INVALID)
        resources = narrowed(app, grant, resource)
        now, lives = self._clock(), app.settings.lifetimes
        refreshes = "refresh_token" in app.settings.grants
        refresh = self._token() if refreshes else ""
        end = now + (lives.refresh if refreshes else lives.access)
        # Two ends: of the whole grant, however much it is used, and of a refresh token that nobody uses.
        until = min(end, now + lives.refresh_idle)
        if not await self._grants.redeem(grant.id, end, token_digest(refresh) if refresh else "", until):
            raise OAuthError("invalid_grant", INVALID)
        self._note(grant, ip, "sign_in")
        return self._answer(app, grant, user, grant.scopes, refresh, nonce, resources)

    # -- refreshing ------------------------------------------------------------------------------------------------

    async def refresh(
        self, app: Client, text: str, scope: str, ip: str, *, resource: str = ""
    ) -> dict[str, object]:
        """Return the token response for a refresh token, with its successor. Raises OAuthError."""
        known = await self._grants.refresh_token(token_digest(text))
        grant = await self._grants.get(known.grant_id) if known else None
        if known is None or grant is None:
            raise OAuthError("invalid_grant", INVALID)
        if grant.client_id != app.id:
            await self._void(grant.id, "refresh_of_another_client", app, ip)
            raise OAuthError("invalid_grant", INVALID)
        now = self._clock()
        user = await self._living.user(app, grant)
        if user is None or min(known.expires_at, grant.expires_at) <= now:
            await self._void(grant.id, "refresh_refused", app, ip)
            raise OAuthError("invalid_grant", INVALID)
        # RFC 6749 §6: fewer scopes may be asked for, never more.
        scopes = tuple(scope.split()) or grant.scopes
        if not set(scopes) <= set(grant.scopes):
            raise OAuthError("invalid_scope", "the scope is more than was granted")
        resources = narrowed(app, grant, resource)
        # Each refresh gives a new token and voids the old one (RFC 9700 §4.14.2). `rotate` fails for one that was used
        # before, beyond the grace: then there are two who have it.
        fresh = self._token()
        until = min(grant.expires_at, now + app.settings.lifetimes.refresh_idle)
        grace = 0.0 if app.settings.is_public else GRACE
        if not await self._grants.rotate(token_digest(text), now, token_digest(fresh), until, grace=grace):
            await self._void(grant.id, "refresh_reused", app, ip)
            raise OAuthError("invalid_grant", INVALID)
        # An app at work keeps its user's session from idling out, as requests through the proxy do.
        if session := await self._living.session_of(grant):
            await self._sessions.touch(session.sid, now)
        self._note(grant, ip, "refresh")
        return self._answer(app, grant, user, scopes, fresh, "", resources)

    async def refreshable(self, text: str) -> Grant | None:
        """Return the grant of a refresh token, whatever its state."""
        known = await self._grants.refresh_token(token_digest(text))
        return await self._grants.get(known.grant_id) if known else None

    # -- shared ----------------------------------------------------------------------------------------------------

    def _answer(
        self,
        app: Client,
        grant: Grant,
        user: User,
        scopes: tuple[str, ...],
        refresh: str,
        nonce: str,
        resources: tuple[str, ...],
    ) -> dict[str, object]:
        """RFC 6749 §5.1 and OpenID Connect Core §3.1.3.3."""
        access = self._tokens.access_token(app, scopes, grant, user, resources=resources)
        answer: dict[str, object] = {
            "access_token": access.text,
            "token_type": "Bearer",
            "expires_in": access.lifetime,
            "scope": " ".join(scopes),
        }
        if refresh:
            answer["refresh_token"] = refresh
        if "openid" in scopes:
            answer["id_token"] = self._tokens.id_token(
                app, grant, user, scopes, nonce=nonce, access_token=access.text
            )
        return answer

    async def _void(self, grant_id: str, why: str, app: Client, ip: str) -> None:
        grant = await self._grants.get(grant_id)
        await self._grants.end(id=grant_id)
        username = grant.username if grant else ""
        self._audit.record("oidc_grant_voided", username, ip, client=app.id, grant=grant_id[:8], why=why)

    def _note(self, grant: Grant, ip: str, how: str) -> None:
        self._audit.record(
            "oidc_tokens_issued",
            grant.username,
            ip,
            client=grant.client_id,
            grant=grant.id[:8],
            scopes=list(grant.scopes),
            how=how,
        )


def asked_facts(
    rules: ClaimRules, wanted: SignInRequest, principal: Principal, scopes: tuple[str, ...]
) -> dict[str, object]:
    """Return what a grant for `scopes` notes of a request: nothing that its user has not allowed."""
    allowed = rules.of(scopes) | frozenset(wanted.beyond)
    places = {ID_TOKEN: wanted.id_token, USERINFO: wanted.userinfo}
    asked = {place: [name for name in names if name in allowed] for place, names in places.items() if names}
    return {
        **({RESOURCES: list(wanted.resources)} if wanted.resources else {}),
        **({ASKED: asked} if asked else {}),
        **({"acr": met(principal, wanted.acr_needed)} if wanted.acr_needed else {}),
    }


def _fields(code: Code) -> dict[str, str]:
    return {name: getattr(code, name) for name in Code.__dataclass_fields__}


def token_digest(text: str) -> str:
    """Return under what a code or token is kept. It has 256 random bits, so a plain SHA-256 can't be reversed."""
    return sha256(text[:200].encode(errors="surrogatepass")).hexdigest()


def _slot(kind: str, text: str) -> str:
    return f"oidc:{kind}:{token_digest(text)}"
