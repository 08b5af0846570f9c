"""Checks of how people come to identity providers: that there is a way in, and one where a provider is away."""

from collections.abc import Iterator

from gateway.config.checks.finding import Check, Finding
from gateway.config.schema import Config, DirectoryDatabase

BREAK_GLASS = "/login?local=1"
"""The page with the password form, below the prefix, where it is hidden."""


def federation(config: Config) -> Iterator[Finding]:
    """Find pages that lead nowhere at once, and forms that are hidden from those who need them."""
    providers, section = config.identity_providers, config.federation
    if section.auto and not providers:
        yield Finding(("federation", "auto"), "has no provider to go to", "name one in `identity_providers`")
    if section.auto and len(providers) > 1 and not any(one.domains for one in providers):
        problem = f"goes nowhere at once: there are {len(providers)} providers, and none has `domains`"
        mend = "keep one, or name the mail `domains` of each: then a `login_hint` chooses"
        yield Finding(("federation", "auto"), problem, mend, warning=True)
    if not section.hides_password:
        return
    path = ("federation", "password_form")
    if not providers:
        yield Finding(path, "hides the only way in", "name a provider, or write `shown`")
        return
    yield from _outage(config)


def _outage(config: Config) -> Iterator[Finding]:
    """Who could sign in while the only provider is away."""
    if len(config.identity_providers) > 1 or config.email_link.enabled:
        return
    [provider] = config.identity_providers
    page = f"{config.server.pages_url}{BREAK_GLASS}"
    problem = f"locks everybody out while `{provider.name}` is away, but for who has a password here"
    mend = f"let an administrator have one; it is asked for at {page}"
    if isinstance(config.directory, DirectoryDatabase):
        mend = (
            f"`auth-gateway user set NAME --password` gives an administrator one; it is asked for at {page}"
        )
    yield Finding(("federation", "password_form"), problem, mend, warning=True)


FEDERATION_CHECKS: tuple[tuple[frozenset[str], Check], ...] = (
    (frozenset({"federation", "identity_providers", "directory", "email_link", "server"}), federation),
)
