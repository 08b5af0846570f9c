"""Finds which of our users an account at a provider belongs to.

Once linked, only the provider's subject counts. A mail address or name that the provider hands to somebody else later
opens nothing: the user is linked already.
"""

import re
from dataclasses import dataclass

from gateway.authn.federation.base import NotSignedIn, ProviderAccount
from gateway.clock import Clock
from gateway.config.names import mail_address, mail_domain
from gateway.config.schema import Config
from gateway.config.sections.identity_providers import ProviderBase
from gateway.directory.base import Directory, WritableDirectory
from gateway.errors import InvalidUser, UserExists
from gateway.i18n.text import N_
from gateway.model import User
from gateway.observability.audit import Audit
from gateway.stores.protocols.core import FederatedAccounts

UNKNOWN = N_("No user here belongs to that account. Please ask your administrator.")


@dataclass(frozen=True, slots=True)
class AccountLinks:
    """Links accounts to users. `writable` is None where users can't be added (LDAP, a file)."""

    store: FederatedAccounts
    directory: Directory
    writable: WritableDirectory | None
    audit: Audit
    clock: Clock
    taken: frozenset[str]
    """Names that are given to nobody who comes from a provider: those of `named_users`."""

    async def user(self, provider: ProviderBase, account: ProviderAccount, ip: str) -> User:
        """Return the user of this account, linked or added if the provider's section allows it.

        Raises NotSignedIn for accounts of nobody, of the wrong domain, and of users who may not sign in.
        """
        if provider.domains and _domain(account.email) not in provider.domains:
            raise NotSignedIn(f"{provider.name}: the mail domain is not among `domains`", public=UNKNOWN)
        name = await self.store.username(provider.name, account.subject)
        user = await self.directory.get(name) if name else await self._first_time(provider, account, ip)
        if user is None or user.disabled:
            raise NotSignedIn(f"{provider.name}: no user for this account, or a disabled one", public=UNKNOWN)
        return user

    async def _first_time(self, provider: ProviderBase, account: ProviderAccount, ip: str) -> User | None:
        user = await self._match(provider, account)
        if user is None and provider.create:
            user = await self._create(provider, account)
        if user is None or user.disabled:
            return None
        if not await self.store.link(provider.name, account.subject, user.username, self.clock()):
            raise NotSignedIn(
                f"{provider.name}: {user.username} is linked to another account", public=UNKNOWN
            )
        self.audit.record("account_linked", user.username, ip, provider=provider.name)
        return user

    async def _match(self, provider: ProviderBase, account: ProviderAccount) -> User | None:
        if provider.match == "username":
            return await self.directory.get(account.username) if account.username else None
        if not account.email:
            return None
        if not (wanted := mail_address(account.email)):
            return None
        listed = await self.directory.with_email(account.email)
        found = [user for user in listed if mail_address(user.email) == wanted]
        return found[0] if len(found) == 1 else None  # an address of two users says nothing

    async def _create(self, provider: ProviderBase, account: ProviderAccount) -> User | None:
        if self.writable is None or not account.email:
            return None
        name = re.sub(r"[^a-z0-9._-]", "-", (account.username or account.email.partition("@")[0]).casefold())
        if name in self.taken:
            raise NotSignedIn(
                f"{provider.name}: nobody is added as {name}, a name that the configuration's rules mention; add "
                "this user yourself, if it is they",
                public=UNKNOWN,
            )
        try:
            await self.writable.add(
                User(name, name=account.name[:200], email=account.email, groups=provider.create_groups)
            )
        except (InvalidUser, UserExists):
            return None
        return await self.directory.get(name)


def named_users(config: Config) -> frozenset[str]:
    """The users whom rules of routes and apps mention by name: who gets such a name gets what they are allowed."""
    policies = [rule for route in config.routes for rule in route.access]
    return frozenset(name for policy in (*policies, *config.oidc.policies) for name in policy.users)


def _domain(email: str) -> str:
    return mail_domain(email.rpartition("@")[2])
