"""What the groups of a provider are called here. Pure.

Only those that the configuration names count, or all with a prefix of the provider's own: else a provider could put
anybody into any group that a rule mentions.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.authn.federation.base import NotSignedIn
from gateway.authn.federation.claims import claim_texts
from gateway.config.sections.identity_providers import ProviderBase
from gateway.directory import identifiers
from gateway.errors import InvalidUser

MOST = 200
"""Groups of one account. Who has more does not come in: a rule may deny one that was left out."""


def groups_from(config: ProviderBase, named: Sequence[str]) -> tuple[str, ...]:
    """Return our names of an account's groups. Raises NotSignedIn for too many, and for names that no group has."""
    if config.groups is None:
        return ()
    found: list[str] = []
    for name in named:
        found += config.groups.map.get(name, ())
        if config.groups.prefix:
            try:
                found.append(identifiers.group_elsewhere(config.groups.prefix + name))
            except InvalidUser as error:
                raise NotSignedIn(f"{config.name}: {error.detail}") from None
    groups = tuple(dict.fromkeys(found))
    if len(groups) > MOST:
        raise NotSignedIn(f"{config.name}: the account is in more than {MOST} groups")
    return groups


def groups_claimed(config: ProviderBase, claims: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the groups in an account's claims. Raises NotSignedIn where Entra says that it has left them out."""
    if config.groups is None:
        return ()
    claim = config.groups.claim
    elsewhere = claims.get("_claim_names")
    if (isinstance(elsewhere, Mapping) and claim in elsewhere) or claims.get("hasgroups") is True:
        raise NotSignedIn(
            f"{config.name}: the token does not hold the groups of this account, it has too many; let Entra send only "
            "groups assigned to the application, or use roles (`claim: roles`)"
        )
    return claim_texts(claims, claim)
