"""An OpenID provider: discovery, authorization code with PKCE, checks of its ID token (OpenID Connect Core 1.0)."""

import hashlib
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote_plus, urlencode

import aiohttp
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from gateway.authn.federation.base import (
    NO_HINTS,
    NotSignedIn,
    ProviderAccount,
    ProviderHints,
    ProviderLogin,
    ProviderUnavailable,
)
from gateway.authn.federation.claims import (
    claim_texts,
    hosted_domain_asked,
    is_of_hosted_domain,
    is_subject,
    saw_two_factors,
)
from gateway.authn.federation.group_names import groups_claimed
from gateway.authn.federation.http_client import ProviderHttp
from gateway.clock import Clock
from gateway.config.sections.identity_providers import OidcProvider

ALGORITHMS = ["RS256", "PS256", "ES256", "ES384", "RS384", "RS512", "PS384", "PS512", "EdDSA"]
"""Signatures by a key that only the provider has; never "none", never an HMAC of the shared secret."""
LEEWAY = 60
TENANT = "{tenantid}"
"""Stands in the issuer of discovery documents that are shared by all tenants of Microsoft Entra."""
_FRESH = 3600.0
_KEYS_AGAIN_AFTER = 30.0


class OpenIdProvider:
    """Sign-in with an OpenID provider."""

    def __init__(self, config: OidcProvider, clock: Clock) -> None:
        self._config, self._clock = config, clock
        self._http = ProviderHttp(config.name)
        self._found: dict[str, Any] = {}
        self._found_at = float("-inf")
        self._keys: KeySet | None = None
        self._keys_at = float("-inf")

    async def address(self, attempt: ProviderLogin, hints: ProviderHints = NO_HINTS) -> str:
        found = await self._discovered()
        # OpenID Connect Core §3.1.2.1; what the operator writes comes before what we know.
        told = {"login_hint": hints.login, "ui_locales": hints.language}
        query = {
            **{name: value for name, value in told.items() if value},
            **self._config.authorize,
            "response_type": "code",
            "client_id": self._config.client_id,
            "redirect_uri": attempt.redirect_uri,
            "scope": " ".join(self._config.scopes),
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": challenge(attempt.verifier),
            "code_challenge_method": "S256",
        }
        if self._config.response_mode != "query":
            query["response_mode"] = self._config.response_mode
        if hosted := hosted_domain_asked(self._config):
            query["hd"] = hosted
        return with_query(str(found["authorization_endpoint"]), query)

    async def account(self, attempt: ProviderLogin, answer: Mapping[str, str]) -> ProviderAccount:
        """Return whose account it is, by the verified id token (OpenID Connect Core §3.1.3.7).

        Raises NotSignedIn for the answer of another issuer (RFC 9207 §2.4), for an error, and for accounts that may not
        come.
        """
        found = await self._discovered()
        named = bool(found.get("authorization_response_iss_parameter_supported"))
        if answer.get("iss", "" if named else self._config.issuer) != self._config.issuer:
            raise NotSignedIn("the answer names another issuer (RFC 9207)")
        if "code" not in answer:
            raise NotSignedIn(f"the provider said {answer.get('error', 'nothing')[:60]!r}")
        tokens = await self._tokens(found, attempt, answer["code"])
        id_token = str(tokens.get("id_token", ""))
        claims = await self._verified(id_token, attempt.nonce)
        sid = claims.get("sid")
        groups = self._config.groups
        told = {"email", "email_verified"} <= set(claims)
        told = told and (groups is None or bool(claim_texts(claims, groups.claim)))
        if not told and "userinfo_endpoint" in found:
            claims = await self._with_userinfo(found, claims, str(tokens.get("access_token", "")))
        if not is_of_hosted_domain(self._config, claims):
            raise NotSignedIn(f"{self._config.name}: no account of an organisation among `domains` (`hd`)")
        account = self._account(claims)
        kept = id_token if self._config.logout else ""
        return replace(account, sid=str(sid) if is_subject(sid) else "", id_token=kept)

    async def discovered(self) -> Mapping[str, Any]:
        """Return the discovery document. Raises ProviderUnavailable."""
        return await self._discovered()

    def expected_issuer(self, claims: Mapping[str, Any]) -> str | None:
        """Return who must have issued a token with these claims, None if nobody whom we trust; once `discovered`."""
        return self._expected_issuer(claims)

    async def opened(self, token: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Return header and claims of a token that the provider signed, whatever they say.

        Raises NotSignedIn and ProviderUnavailable.
        """
        await self._discovered()
        try:
            decoded = jwt.decode(token, await self._keys_for(token), algorithms=ALGORITHMS)
        except (JoseError, ValueError, TypeError, RecursionError) as error:
            raise NotSignedIn(f"{self._config.name}: the token can't be verified: {error}") from None
        return dict(decoded.header), dict(decoded.claims)

    async def _discovered(self) -> dict[str, Any]:
        if self._clock() - self._found_at > _FRESH:
            found = await self._http.get(
                f"{self._config.issuer.rstrip('/')}/.well-known/openid-configuration"
            )
            if not isinstance(found, dict) or not self._is_issuer(str(found.get("issuer"))):
                name = found.get("issuer") if isinstance(found, dict) else found
                raise ProviderUnavailable(
                    f"{self._config.name}: discovery names the issuer {str(name)[:200]!r}"
                )
            if missing := {"authorization_endpoint", "token_endpoint", "jwks_uri"} - set(found):
                raise ProviderUnavailable(
                    f"{self._config.name}: discovery lacks {', '.join(sorted(missing))}"
                )
            self._found, self._found_at = found, self._clock()
        return self._found

    def _is_issuer(self, name: str) -> bool:
        """Whether discovery names the issuer that was configured, or a pattern for the tenants that may come.

        Entra's `common` documents have "{tenantid}" in it; with no tenant named nobody could tell whose users come.
        """
        return name == self._config.issuer or (TENANT in name and bool(self._config.tenants))

    def _expected_issuer(self, claims: Mapping[str, Any]) -> str | None:
        """Who must have issued a token with these claims, None if nobody whom we trust."""
        name = str(self._found["issuer"])
        if TENANT not in name:
            return self._config.issuer
        tenant = claims.get("tid")
        return name.replace(TENANT, tenant) if tenant in self._config.tenants else None

    async def _tokens(self, found: Mapping[str, Any], attempt: ProviderLogin, code: str) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": attempt.redirect_uri,
            "code_verifier": attempt.verifier,
        }
        id, secret = self._config.client_id, self._config.client_secret.get_secret_value()
        authorization = ""
        # RFC 8414 §2: client_secret_basic is what is meant where nothing is said.
        if "client_secret_basic" in found.get(
            "token_endpoint_auth_methods_supported", ["client_secret_basic"]
        ):
            authorization = aiohttp.encode_basic_auth(quote_plus(id), quote_plus(secret))  # RFC 6749 §2.3.1
        else:
            form |= {"client_id": id, "client_secret": secret}
        tokens = await self._http.post(str(found["token_endpoint"]), form, authorization)
        if not isinstance(tokens, dict) or tokens["_status"] != 200:
            error = tokens.get("error") if isinstance(tokens, dict) else "no object"
            raise NotSignedIn(f"{self._config.name}: the token endpoint said {str(error)[:100]!r}")
        return tokens

    async def _verified(self, token: str, nonce: str) -> dict[str, Any]:
        """OpenID Connect Core §3.1.3.7."""
        try:
            decoded = jwt.decode(token, await self._keys_for(token), algorithms=ALGORITHMS)
        except (JoseError, ValueError, TypeError, RecursionError) as error:
            raise NotSignedIn(f"{self._config.name}: the ID token can't be verified: {error}") from None
        claims, now = dict(decoded.claims), self._clock()
        audience = claims.get("aud")
        audiences = (
            [audience] if isinstance(audience, str) else audience if isinstance(audience, list) else []
        )
        sound = {
            "iss": claims.get("iss") == self._expected_issuer(claims),
            "aud": self._config.client_id in audiences,
            "azp": (len(audiences) == 1 and "azp" not in claims)
            or claims.get("azp") == self._config.client_id,
            "exp": _is_number(claims.get("exp")) and now < claims["exp"] + LEEWAY,
            "iat": _is_number(claims.get("iat")) and claims["iat"] < now + LEEWAY,
            "nonce": secrets.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()),
            "sub": is_subject(claims.get("sub")),
        }
        if wrong := [name for name, holds in sound.items() if not holds]:
            raise NotSignedIn(f"{self._config.name}: the ID token has a wrong {', '.join(wrong)}")
        return claims

    async def _keys_for(self, token: str) -> KeySet:
        """The provider's keys; read again for a key that we do not know, though not for every forgery."""
        now = self._clock()
        unknown = self._keys is not None and _kid(token) not in {key.kid for key in self._keys.keys}
        if (
            self._keys is None
            or now - self._keys_at > _FRESH
            or (unknown and now - self._keys_at > _KEYS_AGAIN_AFTER)
        ):
            found = await self._http.get(str((await self._discovered())["jwks_uri"]))
            keys = [key for key in found.get("keys", ()) if key.get("kty") in ("RSA", "EC", "OKP")]
            self._keys, self._keys_at = KeySet.import_key_set({"keys": keys}), now
        return self._keys

    async def _with_userinfo(
        self, found: Mapping[str, Any], claims: dict[str, Any], token: str
    ) -> dict[str, Any]:
        more = await self._http.get(str(found["userinfo_endpoint"]), token=token)
        if isinstance(more, str):
            more = await self._signed_userinfo(more)
        if not isinstance(more, dict) or more.get("sub") != claims["sub"]:  # OpenID Connect Core §5.3.2
            raise NotSignedIn(f"{self._config.name}: userinfo speaks of somebody else")
        if "email" in claims and more.get("email") != claims["email"]:
            more.pop("email_verified", None)  # it vouches for another address
        return {**more, **claims}

    async def _signed_userinfo(self, token: str) -> dict[str, Any]:
        """Userinfo as a JWT (OpenID Connect Core §5.3.2): signed by the provider, for us."""
        try:
            decoded = jwt.decode(token, await self._keys_for(token), algorithms=ALGORITHMS)
        except (JoseError, ValueError, TypeError, RecursionError) as error:
            raise NotSignedIn(f"{self._config.name}: userinfo can't be verified: {error}") from None
        claims = dict(decoded.claims)
        audience = claims.get("aud")
        ours = self._config.client_id in (audience if isinstance(audience, list) else [audience])
        if claims.get("iss") != self._expected_issuer(claims) or not ours:
            raise NotSignedIn(f"{self._config.name}: userinfo is for somebody else")
        return claims

    def _account(self, claims: Mapping[str, Any]) -> ProviderAccount:
        return ProviderAccount(
            subject=claims["sub"],
            username=str(claims.get(self._config.username_claim, "")),
            email=str(claims.get("email", "")) if _is_true(claims.get("email_verified")) else "",
            name=str(claims.get("name", "")),
            mfa=self._config.trust_mfa and saw_two_factors(claims),
            groups=groups_claimed(self._config, claims),
        )

    async def close(self) -> None:
        await self._http.close()


def challenge(verifier: str) -> str:
    """Return the PKCE challenge of a verifier (RFC 7636 §4.2, method S256)."""
    return urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def with_query(url: str, query: Mapping[str, str]) -> str:
    """Add parameters to a URL that may have a query."""
    return f"{url}{'&' if '?' in url else '?'}{urlencode(query)}"


def _is_true(value: object) -> bool:
    """Cognito and others write booleans as strings."""
    return value is True or value == "true"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _kid(token: str) -> str | None:
    from joserfc import jws

    try:
        return jws.extract_compact(token.encode()).headers().get("kid")
    except (JoseError, ValueError, RecursionError):
        return None
