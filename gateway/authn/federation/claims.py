"""What claims of a provider mean: whether it saw a second factor, whose domain an account is in. Pure."""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from gateway.config.names import mail_domain
from gateway.config.sections.identity_providers import OidcProvider

# RFC 8176 §2, by what each proves. `user` says that somebody was there, not who.
_KINDS: Mapping[str, frozenset[str]] = {
    "knowledge": frozenset({"pwd", "pin", "kba"}),
    "possession": frozenset({"otp", "hwk", "swk", "sc", "sms", "tel", "pop"}),
    "inherence": frozenset({"fpt", "face", "iris", "retina", "vbm"}),
}
MFA_CONTEXTS = frozenset(
    {
        "http://schemas.openid.net/pape/policies/2007/06/multi-factor",  # OpenID PAPE 1.0 §4
        "https://refeds.org/profile/mfa",
        "http://idmanagement.gov/ns/assurance/aal/2",  # NIST SP 800-63B: at least two factors
        "http://idmanagement.gov/ns/assurance/aal/3",
    }
)
_GOOGLE = "accounts.google.com"
_GOOGLE_CONSUMERS = frozenset({"gmail.com", "googlemail.com"})
_LONGEST_SUBJECT = 255


def saw_two_factors(claims: Mapping[str, Any]) -> bool:
    """Whether the provider says that two factors of different kinds were proven: a single code is one."""
    amr = claims.get("amr")
    said = {one for one in amr if isinstance(one, str)} if isinstance(amr, list) else set()
    kinds = sum(bool(said & words) for words in _KINDS.values())
    acr = claims.get("acr")
    return "mfa" in said or kinds >= 2 or (isinstance(acr, str) and acr in MFA_CONTEXTS)


def is_subject(value: object) -> bool:
    """Whether this names an account: text that can be stored (OpenID Connect Core §2: at most 255 characters)."""
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_SUBJECT:
        return False
    return not any(unicodedata.category(character) in ("Cc", "Cs") for character in value)


def claim_texts(claims: Mapping[str, Any], path: str) -> tuple[str, ...]:
    """Return the texts that a claim has: itself, or those in its list; `a.b` is `b` inside `a`. Nothing else is text.

    A claim whose own name has dots is found first. Booleans are `true` and `false`, numbers as they are written.
    """
    return tuple(text for one in _found(claims, path) if (text := _text(one)))


def _found(claims: Mapping[str, Any], path: str) -> Sequence[Any]:
    if path in claims:
        value = claims[path]
        return value if isinstance(value, list) else [value]
    for place in (place for place, sign in enumerate(path) if sign == "."):
        inside = claims.get(path[:place])
        if isinstance(inside, Mapping) and (found := _found(inside, path[place + 1 :])):
            return found
    return ()


def _text(value: object) -> str:
    """ "" for what is no text that can be compared and shown."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if not isinstance(value, str):
        return ""
    return "" if any(unicodedata.category(sign) in ("Cc", "Cs") for sign in value) else value


def hosted_domain_asked(config: OidcProvider) -> str:
    """Google's `hd`: the organisation whose accounts are asked for, "*" for any, "" where it does not matter."""
    if not is_google(config) or not config.domains or set(config.domains) & _GOOGLE_CONSUMERS:
        return ""
    return config.domains[0] if len(config.domains) == 1 else "*"


def is_of_hosted_domain(config: OidcProvider, claims: Mapping[str, Any]) -> bool:
    """Whether an account is its organisation's: at Google, anybody can have a private account with any mail address.

    Only `hd` says that the domain's owner manages the account, but for Google's own mail domains.
    """
    if not is_google(config) or not config.domains:
        return True
    own = mail_domain(str(claims.get("email", "")).rpartition("@")[2])
    if own in _GOOGLE_CONSUMERS:
        return own in config.domains
    return mail_domain(str(claims.get("hd", ""))) in config.domains


def is_google(config: OidcProvider) -> bool:
    return urlsplit(config.issuer).hostname == _GOOGLE
