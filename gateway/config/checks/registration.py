"""Checks of the section `registration`: it must give nobody the rights of those who decide about others."""

from collections.abc import Iterator

from gateway.config.checks.finding import Check, Finding
from gateway.config.schema import Config, DirectoryDatabase


def registration(config: Config) -> Iterator[Finding]:
    """Find accounts that could not be added, or that would be administrators'."""
    section = config.registration
    if not 300.0 <= section.lifetime <= 86400.0:
        mend = "greylisting takes minutes, and an older link is found by whoever reads the mailbox later"
        yield Finding(("registration", "lifetime"), "must be from 5m to 24h", mend)
    if not section.enabled:
        return
    if not isinstance(config.directory, DirectoryDatabase):
        problem = f"users are in the {config.directory.kind} directory, where the gateway can't add any"
        yield Finding(("registration", "mode"), problem, "write `closed`, or `directory: {kind: database}`")
    if section.phone == "required" and config.sms.migration.after == "deny":
        problem = "`required` proves a number by SMS, which `sms.migration.after: deny` ends"
        yield Finding(("registration", "phone"), problem, "write `none`; users then add another factor")
    yield from _groups(config)
    if section.mode == "open" and not section.domains:
        yield from _anybody(config)


def _groups(config: Config) -> Iterator[Finding]:
    """A group that decides about others is given by somebody, never taken."""
    deciding = {
        **{group: "access_requests" for one in config.access_requests for group in one.approvers},
        **dict.fromkeys(config.registration.approvers, "registration.approvers"),
        **dict.fromkeys(config.admin.groups, "admin.groups"),
    }
    for number, group in enumerate(config.registration.groups):
        if group in deciding:
            problem = f"`{group}` decides about others ({deciding[group]}): whoever registers would"
            yield Finding(("registration", "groups", number), problem, "name another group")


def _anybody(config: Config) -> Iterator[Finding]:
    names = [
        route.name or f"{route.host}{route.path}"
        for route in config.routes
        if any(
            rule.require in ("one_factor", "two_factor") and not (rule.groups or rule.users)
            for rule in route.access
        )
    ]
    if names:
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        problem = f"anybody may register, and who has may open what asks for no group: {shown}"
        mend = "name `registration.domains`, or groups in the rules of those routes"
        yield Finding(("registration", "mode"), problem, mend, warning=True)


REGISTRATION_CHECKS: tuple[tuple[frozenset[str], Check], ...] = (
    (
        frozenset({"registration", "directory", "sms", "admin", "access_requests", "routes", "rules"}),
        registration,
    ),
)
"""As `CHECKS` in `registry.py`."""
