"""Sign-in with GitHub: OAuth 2.0 (RFC 6749) and an API that says who came. There is no ID token; the API's answer
counts.
"""

from collections.abc import Mapping
from typing import Any

from gateway.authn.federation.base import NO_HINTS, NotSignedIn, ProviderAccount, ProviderHints, ProviderLogin
from gateway.authn.federation.http_client import ProviderHttp
from gateway.authn.federation.openid import challenge, with_query
from gateway.config.sections.identity_providers import GithubProvider as GithubConfig

_PER_PAGE, _MOST_PAGES = 100, 5


class Github:
    """Sign-in with GitHub or GitHub Enterprise."""

    def __init__(self, config: GithubConfig) -> None:
        self._config = config
        self._http = ProviderHttp(config.name)

    async def address(self, attempt: ProviderLogin, hints: ProviderHints = NO_HINTS) -> str:
        query = {
            **({"login": hints.login} if hints.login else {}),
            **self._config.authorize,
            "client_id": self._config.client_id,
            "redirect_uri": attempt.redirect_uri,
            "scope": "read:user user:email" + (" read:org" if self._config.groups else ""),
            "state": attempt.state,
            "code_challenge": challenge(attempt.verifier),
            "code_challenge_method": "S256",
        }
        return with_query(f"{self._config.base_url.rstrip('/')}/login/oauth/authorize", query)

    async def account(self, attempt: ProviderLogin, answer: Mapping[str, str]) -> ProviderAccount:
        """Ask GitHub's API who came. Raises NotSignedIn if the user refused or the API does not say."""
        if "code" not in answer:
            raise NotSignedIn(f"the provider said {answer.get('error', 'nothing')[:60]!r}")
        token = await self._token(attempt, answer["code"])
        api = self._config.api_url.rstrip("/")
        user = await self._http.get(f"{api}/user", token=token)
        if not isinstance(user, dict) or not isinstance(user.get("id"), int):
            raise NotSignedIn(f"{self._config.name}: the API does not say who came")
        emails = await self._http.get(f"{api}/user/emails", token=token)
        return ProviderAccount(
            subject=str(user["id"]),  # logins can be renamed and taken by others; the number can't
            username=str(user.get("login") or ""),
            email=_primary(emails),
            name=str(user.get("name") or ""),
            groups=await self._groups(api, token) if self._config.groups else (),
        )

    async def _groups(self, api: str, token: str) -> tuple[str, ...]:
        """Organisations by name, and teams as `organisation/team`. Raises NotSignedIn if GitHub does not tell all."""
        orgs = await self._all(f"{api}/user/memberships/orgs?state=active", token)
        teams = await self._all(f"{api}/user/teams?", token)
        found = [_named(one.get("organization")) for one in orgs]
        found += [f"{_named(one.get('organization'))}/{one.get('slug')}" for one in teams]
        return tuple(found)

    async def _all(self, url: str, token: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for page in range(1, _MOST_PAGES + 1):
            some = await self._http.get(f"{url}&per_page={_PER_PAGE}&page={page}", token=token)
            if not isinstance(some, list) or not all(isinstance(one, dict) for one in some):
                raise NotSignedIn(f"{self._config.name}: the API does not tell organisations and teams")
            found += some
            if len(some) < _PER_PAGE:
                return found
        raise NotSignedIn(f"{self._config.name}: the account is in too many organisations or teams")

    async def _token(self, attempt: ProviderLogin, code: str) -> str:
        form = {
            "client_id": self._config.client_id,
            "client_secret": self._config.client_secret.get_secret_value(),
            "code": code,
            "redirect_uri": attempt.redirect_uri,
            "code_verifier": attempt.verifier,
        }
        tokens = await self._http.post(f"{self._config.base_url.rstrip('/')}/login/oauth/access_token", form)
        if not isinstance(tokens, dict) or not tokens.get("access_token"):
            error = tokens.get("error") if isinstance(tokens, dict) else "no object"
            raise NotSignedIn(f"{self._config.name}: no access token: {str(error)[:100]!r}")
        return str(tokens["access_token"])

    async def close(self) -> None:
        await self._http.close()


def _named(organization: object) -> str:
    """GitHub's names have no capitals that count."""
    login = organization.get("login") if isinstance(organization, dict) else None
    if not isinstance(login, str) or not login:
        raise NotSignedIn("GitHub: an organisation without a name")
    return login.lower()


def _primary(emails: Any) -> str:
    for one in emails if isinstance(emails, list) else ():
        if isinstance(one, dict) and one.get("primary") is True and one.get("verified") is True:
            return str(one.get("email", ""))
    return ""
