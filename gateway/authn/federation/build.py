"""Makes the configured identity providers, one of each for a worker: what they have read of a provider is shared."""

from collections.abc import Sequence

from gateway.authn.federation.base import FederationProvider
from gateway.authn.federation.github import Github
from gateway.authn.federation.openid import OpenIdProvider
from gateway.clock import Clock
from gateway.config.sections.identity_providers import GithubProvider, IdentityProvider


def build_providers(configured: Sequence[IdentityProvider], clock: Clock) -> dict[str, FederationProvider]:
    """Return the providers by name; nothing is asked yet."""
    return {one.name: _provider(one, clock) for one in configured}


def _provider(config: IdentityProvider, clock: Clock) -> FederationProvider:
    return Github(config) if isinstance(config, GithubProvider) else OpenIdProvider(config, clock)
