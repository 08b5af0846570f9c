"""Checks of how much of the audit log stays."""

from collections.abc import Iterator

from gateway.config.checks.finding import Check, Finding
from gateway.config.schema import Config

SHORTEST = 86400.0
"""Seconds of the audit log that anybody looks for."""


def kept(config: Config) -> Iterator[Finding]:
    """Find an age that is said twice, or is so short that nobody could look at the log."""
    path = ("audit", "keep", "age")
    if config.audit.keep.age is not None and "audit_kept" in config.log.model_fields_set:
        problem = "says how long audit rows stay, and so does `log.audit_kept`"
        yield Finding(path, problem, "keep this one and take `log.audit_kept` out")
    elif config.audit.keep.age is not None and config.audit.keep.age < SHORTEST:
        yield Finding(path, "rows would be gone before anybody looks for them", "write 1d or more")


AUDIT_CHECKS: tuple[tuple[frozenset[str], Check], ...] = ((frozenset({"audit", "log"}), kept),)
