"""Makes and reads the signed tokens: id tokens, access tokens (RFC 9068), logout tokens.

A token says what it is in its `typ` (RFC 8725 §3.11), and is read as nothing else.
"""

import base64
import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from joserfc import jwt
from joserfc.errors import JoseError

from gateway.clock import Clock
from gateway.model import User
from gateway.oidc.claims import ClaimRules, Claims
from gateway.oidc.clients import Client
from gateway.oidc.errors import OAuthError
from gateway.oidc.session_names import session_name
from gateway.oidc.signing_keys import SigningKeys
from gateway.stores.protocols.oidc import Grant

ID, ACCESS, LOGOUT = "JWT", "at+jwt", "logout+jwt"
# By it a logout token differs from all others (Back-Channel Logout 1.0 §2.4), like the missing `nonce`.
_LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
FOR_ITSELF = "client:"
"""Begins the `sub` of tokens that stand for an app and no user: no user's name has a colon (RFC 9068 §5)."""
RESOURCES = "resources"
"""The fact of a grant that holds the APIs which were asked for at the sign-in; in a token they are its `aud`."""
PROVEN = "proven"
"""The fact of a grant that holds what was proven when, for our own routes; no token tells it."""
SESSION = "session"
"""The fact of a grant that holds what its app calls the session by, the `sid` of its id tokens."""
ASKED = "asked"
"""The fact of a grant that holds the claims which were asked for one by one, by where they are to stand."""
ID_TOKEN, USERINFO = "id_token", "userinfo"
_OUR_OWN = frozenset({RESOURCES, PROVEN, SESSION, ASKED})


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token as apps get it; `lifetime` in seconds."""

    text: str
    lifetime: int


class TokenSigner:
    """Signs tokens with the key of the moment. `issuer` is `server.public_url`."""

    def __init__(
        self,
        issuer: str,
        keys: SigningKeys,
        claims: ClaimRules,
        clock: Clock,
        *,
        token: Callable[[], str] = secrets.token_urlsafe,
    ) -> None:
        self.issuer = issuer
        self._keys, self._claims, self._clock, self._token = keys, claims, clock, token

    def id_token(
        self, app: Client, grant: Grant, user: User, scopes: Sequence[str], *, nonce: str, access_token: str
    ) -> str:
        """Make an id token (OpenID Connect Core §2)."""
        names = asked_for(app, grant, self._claims, ID_TOKEN)
        if not app.settings.only_asked_in_id_token:
            names |= self._claims.of(scopes)
        claims = {
            # First, so that no fact of a user can stand where a claim of the protocol does.
            **self._claims.told(user, names, app.settings.groups),
            **self._of_now(app.settings.lifetimes.id),
            **_told(grant),
            "sub": grant.subject,
            "aud": app.id,
            "azp": app.id,
            "sid": grant.facts.get(SESSION) or session_name(grant.username, grant.session_started),
            "at_hash": _half_hash(access_token),
        }
        return self._sign(app, claims | ({"nonce": nonce} if nonce else {}), ID)

    def access_token(
        self,
        app: Client,
        scopes: Sequence[str],
        grant: Grant | None,
        user: User | None = None,
        *,
        resources: Sequence[str] = (),
    ) -> AccessToken:
        """Make an access token (RFC 9068 §2); without a grant for the app itself (client credentials)."""
        granted = self._claims.of(scopes)
        if grant is not None:
            granted |= asked_for(app, grant, self._claims, ID_TOKEN, USERINFO)
        names = granted & frozenset(app.settings.access_token_claims)
        lifetime = app.settings.lifetimes.access
        claims = {
            **(self._claims.told(user, names, app.settings.groups) if user is not None else {}),
            **self._of_now(lifetime),
            **(_told(grant) if grant else {}),
            "sub": grant.subject if grant else f"{FOR_ITSELF}{app.id}",
            "aud": [self.issuer, *(resources or app.settings.audience)],
            "client_id": app.id,
            "scope": " ".join(scopes),
            "jti": f"{grant.id if grant else ''}.{self._token()}",
        }
        return AccessToken(self._sign(app, claims, ACCESS), int(lifetime))

    def logout_token(self, app: Client, subject: str, sid: str) -> str:
        """Make a logout token (OpenID Connect Back-Channel Logout 1.0 §2.4)."""
        claims = {
            **self._of_now(120),
            "sub": subject,
            "aud": app.id,
            "sid": sid,
            "jti": self._token(),
            "events": {_LOGOUT_EVENT: {}},
        }
        return self._sign(app, claims, LOGOUT)

    def read(self, text: str, typ: str, *, expired: bool = False) -> Claims | None:
        """Return the claims of a token that we signed, None for anything else; `expired` ones count if asked for."""
        try:
            token = jwt.decode(text, self._keys.verifying(), algorithms=["RS256", "ES256"])
        except (JoseError, ValueError, TypeError, KeyError, RecursionError):
            return None
        # All kinds are signed by the same keys. `typ` keeps an id token, which apps hand around, from passing for an
        # access token (RFC 8725 §3.12).
        claims = token.claims
        if token.header.get("typ") != typ or claims.get("iss") != self.issuer:
            return None
        return claims if expired or self._clock() < float(claims["exp"]) else None

    def _of_now(self, lifetime: float) -> Claims:
        now = int(self._clock())
        return {"iss": self.issuer, "iat": now, "exp": now + int(lifetime)}

    def _sign(self, app: Client, claims: Claims, typ: str) -> str:
        algorithm = app.settings.id_token_alg
        key = self._keys.signing.for_(algorithm)
        return jwt.encode({"alg": algorithm, "typ": typ, "kid": key.kid}, claims, key)


def _told(grant: Grant) -> Claims:
    """What was noted of the sign-in and belongs into tokens as it is."""
    return {name: fact for name, fact in grant.facts.items() if name not in _OUR_OWN}


def asked_for(app: Client, grant: Grant, rules: ClaimRules, *places: str) -> frozenset[str]:
    """Return the claims that were asked for one by one in these places, and that the app may still have."""
    noted = grant.facts.get(ASKED)
    asked = noted if isinstance(noted, dict) else {}
    return frozenset(name for place in places for name in asked.get(place, ())) & rules.askable(app)


def narrowed(app: Client, grant: Grant, resource: str) -> tuple[str, ...]:
    """Return the APIs that an access token is for: those of the sign-in, or one of them (RFC 8707 §2.2).

    Raises OAuthError where one is asked for that was not granted.
    """
    noted = grant.facts.get(RESOURCES, ())
    granted = tuple(map(str, noted)) if isinstance(noted, list) else ()
    if not resource:
        return granted
    # Programs write the address of a whole host with a slash or without (RFC 3986 §6.2.3).
    if resource not in granted and not app.is_listed:
        resource = resource.rstrip("/")
    if resource not in (granted or app.settings.audience):
        raise OAuthError("invalid_target", "the resource was not granted")
    return (resource,)


def grant_of(claims: Claims) -> str:
    """Return the id of an access token's grant, "" if it has none."""
    return str(claims.get("jti", "")).partition(".")[0]


def unverified_claim(token: str, name: str) -> str:
    """The text that a signed token (RFC 7519 §3) says under `name`, whoever has made it; "" if it says none.

    It proves nothing. It only tells where to look for what does, or where a refusal is to go.
    """
    try:
        body = token.split(".")[1]
        value = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))[name]
    except (ValueError, LookupError, TypeError, RecursionError):  # the last: of lists in lists in lists
        return ""
    return value if isinstance(value, str) else ""


def _half_hash(text: str) -> str:
    """The `at_hash` that ties an access token to its id token (OpenID Connect Core §3.1.3.6): the left half of its
    digest.

    SHA-256 fits both of our algorithms, which end in 256.
    """
    return base64.urlsafe_b64encode(sha256(text.encode()).digest()[:16]).rstrip(b"=").decode()
