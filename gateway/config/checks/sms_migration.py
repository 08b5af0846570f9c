"""Checks of the plan to leave SMS: its days, and that nobody is left without a way in."""

from collections.abc import Iterator

from gateway.config.checks.finding import Check, Finding
from gateway.config.schema import Config
from gateway.config.yaml_document import KeyPath

_BASE: KeyPath = ("sms", "migration")


def migration(config: Config) -> Iterator[Finding]:
    """Find a plan whose days don't fit, or that refuses SMS where nothing can take its place."""
    plan = config.sms.migration
    if plan.nudge_from and plan.deadline and plan.deadline <= plan.nudge_from:
        yield Finding((*_BASE, "deadline"), "is not after `nudge_from`", "give people some weeks")
    if plan.after != "deny":
        return
    if plan.deadline is None:
        yield Finding((*_BASE, "deadline"), "is missing", "write the day from which SMS is refused")
    if not {"totp", "webauthn"} & set(config.enrolment.factors):
        problem = "refuses SMS, but users can add neither an app nor a passkey"
        yield Finding((*_BASE, "after"), problem, "add `totp` or `webauthn` to `enrolment.factors`")
    yield from _rules(config)


def _rules(config: Config) -> Iterator[Finding]:
    """Rules that nothing but SMS meets let nobody in from that day on."""
    places: list[tuple[KeyPath, tuple[str, ...]]] = [
        (("rules", number), tuple(rule.factors)) for number, rule in enumerate(config.rules)
    ]
    for number, route in enumerate(config.routes):
        places += [
            (("routes", number, "access", place), tuple(rule.factors))
            for place, rule in enumerate(route.access)
        ]
    for path, factors in places:
        if set(factors) == {"sms"}:
            mend = "add `totp` or `webauthn` there"
            yield Finding((*path, "factors"), "is SMS alone, which `sms.migration` ends", mend, warning=True)


SMS_MIGRATION_CHECKS: tuple[tuple[frozenset[str], Check], ...] = (
    (frozenset({"sms", "enrolment", "rules", "routes"}), migration),
)
"""Each check with the sections it reads."""
