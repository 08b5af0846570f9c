"""Decides whether a user is asked before an app gets what it wants, and remembers the answer.

Also the sentences in which scopes are put to the user.
"""

from collections.abc import Mapping, Sequence

from gateway.clock import Clock
from gateway.config.sections.oidc_claims import CLAIMS_OF_SCOPES, OwnScope
from gateway.i18n.text import N_
from gateway.observability.audit import Audit
from gateway.oidc.claims import claim_wish
from gateway.oidc.clients import Client
from gateway.stores.protocols.oidc import Consent, Consents

_WORDS = {
    "openid": N_("Know who you are"),
    "profile": N_("See your name and username"),
    "email": N_("See your mail address"),
    "phone": N_("See your phone number"),
    "groups": N_("See which groups you are in"),
    "offline_access": N_("Keep its access while you are away"),
}


def described(scopes: Sequence[str], own: Mapping[str, str]) -> list[str]:
    """Return a sentence for each scope, and claim beyond them; `own` are those of the configuration. Unknown ones are
    shown as they are, and none twice.
    """
    return list(dict.fromkeys(own.get(scope) or _WORDS.get(scope) or _of_claim(scope) for scope in scopes))


def _of_claim(wish: str) -> str:
    name = wish.removeprefix(claim_wish(""))
    if name == wish:
        return wish
    made = next((scope for scope, names in CLAIMS_OF_SCOPES.items() if name in names), "")
    return _WORDS[made] if made else N_("See this about you: %(name)s", name=name)


def texts_of(scopes: Mapping[str, OwnScope]) -> Mapping[str, str]:
    """Return what users read of scopes of the configuration: their text, or the claims that they stand for."""
    found = {name: own.text for name, own in scopes.items() if own.text}
    told = {name: ", ".join(own.claims) for name, own in scopes.items() if own.claims}
    return {**{name: N_("See this about you: %(name)s", name=text) for name, text in told.items()}, **found}


class Asking:
    """The consents of users."""

    def __init__(self, consents: Consents, audit: Audit, clock: Clock) -> None:
        self._consents, self._audit, self._clock = consents, audit, clock

    async def needed(self, app: Client, username: str, scopes: tuple[str, ...], *, again: bool) -> bool:
        """Whether to ask. `again` is the app's own wish (prompt=consent); an app with `consent: none` never asks
        without it.
        """
        if again or app.settings.consent == "always":
            return True
        # `none` is for apps of the operator's own, which see what the gateway knows of their users in any case.
        if app.settings.consent == "none":
            return False
        known = await self._consents.get(username, app.id)
        return known is None or not set(scopes) <= set(known.scopes)

    async def allowed(self, app: Client, username: str, scopes: tuple[str, ...], ip: str) -> None:
        """Remember the consent, for these scopes and those that were allowed before."""
        known = await self._consents.get(username, app.id)
        both = tuple(dict.fromkeys((*(known.scopes if known else ()), *scopes)))
        await self._consents.put(
            Consent(username=username, client_id=app.id, scopes=both, created_at=self._clock())
        )
        self._audit.record("oidc_consent", username, ip, client=app.id, scopes=list(scopes))

    def refused(self, app: Client, username: str, ip: str) -> None:
        """Note a refusal in the audit log."""
        self._audit.record("oidc_consent_refused", username, ip, client=app.id)
