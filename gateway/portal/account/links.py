"""Which other pages of ours somebody's account page leads to. They check for themselves who may do what."""

from gateway.config.schema import Config
from gateway.i18n.text import N_
from gateway.model import Principal


def doors(config: Config, principal: Principal) -> list[tuple[str, str]]:
    """Words and path below the prefix. Groups that were lent open neither of these."""
    own = set(principal.user.groups)
    found: list[tuple[str, str]] = []
    if own.intersection(config.admin.groups):
        found.append((N_("Administration"), "/admin"))
    if any(own.intersection(offered.approvers) for offered in config.access_requests):
        found.append((N_("Access requests"), "/approvals"))
    if config.user_tokens.enabled:
        found.append((N_("Access tokens"), "/tokens"))
    return found
