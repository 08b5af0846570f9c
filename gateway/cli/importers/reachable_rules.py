"""Drops rules that an earlier one hides: harmless in the originals, a mistake in our configuration."""

from collections.abc import Iterable

from gateway.cli.importers.findings import LeftOut, Values
from gateway.config.checks.rules import covers
from gateway.config.schema import Rule


def reachable(rules: Iterable[Values], left_out: list[LeftOut]) -> list[Values]:
    """The rules that can be reached, in their order; those with a name that can't are told in `left_out`."""
    kept: list[tuple[Values, Rule]] = []
    for values in rules:
        rule = Rule.model_validate(values)
        if not any(covers(other, rule) for _, other in kept):
            kept.append((values, rule))
        elif "name" in values:
            left_out.append(LeftOut(values["name"], "never counted: an earlier rule takes all its requests"))
    return [values for values, _ in kept]
