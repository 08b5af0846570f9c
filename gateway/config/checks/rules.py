"""Checks of policies and rules: what can't hold, what has no effect, and rules that no request can reach.

A rule that never counts is a mistake, not a warning: its author believes that it protects something.
"""

import re
from collections.abc import Iterator, Sequence
from zoneinfo import ZoneInfo

from gateway.config.checks.finding import Check, Finding
from gateway.config.checks.identity import NAMED_SO, NO_ATTRIBUTE
from gateway.config.checks.routes import TOKEN, covers_host
from gateway.config.countries import countries_of, policies_of_clients
from gateway.config.error_messages import did_you_mean
from gateway.config.names import is_attribute_name
from gateway.config.patterns import USER, asks_user, expression, path_matches, path_test, user_segment
from gateway.config.schema import Config, Network, Policy, Route, Rule
from gateway.config.sections.policy import QueryParameter
from gateway.config.yaml_document import KeyPath

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY")
_FIRST = {"password", "federated", "email_link"}
_NOT_CANONICAL = re.compile(r"//|/\.{1,2}(/|$)|[;\\#\x00-\x20\x7f-\uffff]|%(?![0-9A-F]{2})")


def policies(config: Config) -> Iterator[Finding]:
    for path, policy in _all_policies(config):
        yield from _effects(path, policy)
        yield from _values(path, policy)


def _all_policies(config: Config) -> Iterator[tuple[KeyPath, Policy]]:
    yield from ((("rules", number), rule) for number, rule in enumerate(config.rules))
    for index, route in enumerate(config.routes):
        yield ("routes", index, "policy"), route.policy
        yield from ((("routes", index, "rules", number), rule) for number, rule in enumerate(route.rules))


def _effects(base: KeyPath, policy: Policy) -> Iterator[Finding]:
    proof = ("factors", "key_models", "max_age")
    for key in ("users", "groups", "attributes", *proof) if policy.require == "bypass" else ():
        if getattr(policy, key):
            problem = "has no effect: `require: bypass` asks nobody to sign in"
            yield Finding((*base, key), problem, "use `one_factor` or `two_factor`, or remove it")
    for key in proof if policy.require == "deny" else ():
        if getattr(policy, key):
            yield Finding((*base, key), "has no effect: `require: deny` lets nobody pass", "remove it")
    if policy.require == "two_factor" and policy.factors and set(policy.factors) <= _FIRST:
        problem = "leaves no second factor: `two_factor` needs one beside the password"
        yield Finding((*base, "factors"), problem, "add `totp`, `webauthn`, `sms` or `email`")
    if policy.key_models and policy.factors and "webauthn" not in policy.factors:
        problem = "wants a security key, which `factors` does not take"
        yield Finding((*base, "key_models"), problem, "add `webauthn` to `factors`, or remove `factors`")


def _values(base: KeyPath, policy: Policy) -> Iterator[Finding]:
    for name, values in policy.attributes.items():
        if not is_attribute_name(name):
            yield Finding((*base, "attributes", name), NO_ATTRIBUTE, NAMED_SO)
        elif not values:
            yield Finding((*base, "attributes", name), "is empty", "name the values that count")
    for number, method in enumerate(policy.methods):
        if not TOKEN.fullmatch(method) or method != method.upper():
            guess = did_you_mean(method, map(str.lower, METHODS)).upper()
            mend = guess.replace("DID YOU MEAN", "did you mean")
            yield Finding((*base, "methods", number), f"`{method}` is not an HTTP method", mend)
    try:
        ZoneInfo(policy.times.timezone)
    except (KeyError, OSError, ValueError):  # unknown, or not even a name
        problem = f"`{policy.times.timezone}` is not a time zone"
        yield Finding((*base, "times", "timezone"), problem, 'write an IANA name such as "Europe/Berlin"')
    for number, span in enumerate(policy.times.hours):
        if span[:5] == span[6:]:
            yield Finding((*base, "times", "hours", number), f"`{span}` is empty", "remove it for all day")


def key_models(config: Config) -> Iterator[Finding]:
    """Find rules that ask for models of security keys which nobody vouches for, so that nobody could pass."""
    section = config.webauthn.attestation
    for path, policy in (*_all_policies(config), *policies_of_clients(config)):
        if not policy.key_models:
            continue
        if section.metadata_file is None:
            problem = "needs `webauthn.attestation.metadata_file`: nobody vouches for any model without it"
            yield Finding((*path, "key_models"), problem, "name FIDO's blob.jwt there")
        for number, model in enumerate(policy.key_models):
            if model in section.deny:
                yield Finding(
                    (*path, "key_models", number), "is in `webauthn.attestation.deny`", "remove one"
                )


def countries(config: Config) -> Iterator[Finding]:
    """Find countries that don't exist, or that can't be told without a database."""
    for path, policy in (*_all_policies(config), *policies_of_clients(config)):
        yield from countries_of(path, policy, config)


def paths(config: Config) -> Iterator[Finding]:
    """Find patterns that can't be read or never match, and `{user}` where nobody signs in."""
    for base, policy in _all_policies(config):
        if not isinstance(policy, Rule):
            continue
        for number, pattern in enumerate(policy.paths):
            yield from _path((*base, "paths", number), pattern)
        for number, pattern in enumerate(policy.hosts):
            if "{" in pattern.removeprefix(f"{USER}."):
                mend = 'write "{user}.example.com": what is in front is then the user\'s name'
                yield Finding((*base, "hosts", number), f"`{pattern}` is not a host pattern", mend)
        if policy.require == "bypass" and any(map(asks_user, (*policy.hosts, *policy.paths))):
            problem = "asks nobody to sign in, so nobody's name can be compared with `{user}`"
            yield Finding((*base, "require"), problem, "use `one_factor` or `two_factor`")


def _path(base: KeyPath, pattern: str) -> Iterator[Finding]:
    try:
        (user_segment if asks_user(pattern) else path_test)(pattern)
    except ValueError as error:
        mend = "write `/prefix`, `/a/*/glob`, `/of/{user}` or `~/regular/expression`; RE2 has no look-around"
        yield Finding(base, f"`{pattern}` {error}", mend)
        return
    if not pattern.startswith("~") and _NOT_CANONICAL.search(pattern):
        mend = "rules see canonical paths: no `..`, `//`, `;`, `#` or blanks; other alphabets as `%C3%A4`"
        yield Finding(base, f"`{pattern}` can never match", mend)


def queries(config: Config) -> Iterator[Finding]:
    """Find conditions on the query that ask nothing, or can't be read."""
    for base, policy in _all_policies(config):
        for number, one in enumerate(policy.query if isinstance(policy, Rule) else ()):
            place = (*base, "query", number)
            if not one:
                yield Finding(place, "names no parameter, so it asks nothing", "name one, or remove it")
            for name, wanted in one.items():
                yield from _parameter((*place, name), wanted)


def _parameter(base: KeyPath, wanted: QueryParameter) -> Iterator[Finding]:
    given = wanted.model_dump(exclude_defaults=True)
    if not given:
        yield Finding(base, "asks nothing", "write `present: true`, `one_of`, `none_of` or `matches`")
    if wanted.present is False and len(given) > 1:
        yield Finding(
            (*base, "present"), "says all there is to say of what is absent", "remove the other keys"
        )
    for key in ("matches", "matches_not"):
        try:
            expression(getattr(wanted, key))
        except ValueError as error:
            mend = "write an expression for the whole value; RE2 has no look-around or back-references"
            yield Finding((*base, key), f"`{getattr(wanted, key)}` {error}", mend)


def either(config: Config) -> Iterator[Finding]:
    """Find routes that have both a policy and rules, or an empty list of rules."""
    for index, route in enumerate(config.routes):
        given = {"policy", "rules"} & route.model_fields_set
        if len(given) == 2:
            problem = "is given beside `rules`, so it is not clear which counts"
            mend = "make it the last of the rules, or remove it"
            yield Finding(("routes", index, "policy"), problem, mend)
        if "rules" in given and not route.rules:
            yield Finding(
                ("routes", index, "rules"), "is empty: nobody could pass", "add a rule or remove it"
            )


def reachable(config: Config) -> Iterator[Finding]:
    """First match wins, so a rule below one that covers it never counts."""
    shared = [(f"rules[{n}]", rule) for n, rule in enumerate(config.rules)]
    yield from _unreached(("rules",), [], shared)
    for index, route in enumerate(config.routes):
        own = [(f"rules[{n}]", _within(route, rule)) for n, rule in enumerate(route.rules)]
        yield from _unreached(("routes", index, "rules"), shared, own)
        if "policy" in route.model_fields_set and not route.rules:
            alone = [("policy", _within(route, Rule(**_keys(route.policy))))]
            yield from _unreached(("routes", index, "policy"), shared, alone)


def _keys(policy: Policy) -> dict[str, object]:
    return {key: getattr(policy, key) for key in Policy.model_fields}


def _within(route: Route, rule: Rule) -> Rule:
    """The rule with what its route narrows it to."""
    return rule.model_copy(
        update={"hosts": rule.hosts or (route.host,), "paths": rule.paths or (route.path,)}
    )


def _unreached(
    base: KeyPath, before: Sequence[tuple[str, Rule]], rules: Sequence[tuple[str, Rule]]
) -> Iterator[Finding]:
    above = list(before)
    for number, (label, rule) in enumerate(rules):
        taker = next((name for name, other in above if covers(other, rule)), None)
        if taker is not None:
            place = base if base[-1] == "policy" else (*base, number)
            yield Finding(place, f"is never reached: {taker} takes all its requests", "put it above that one")
        above.append((label, rule))


def covers(first: Rule, second: Rule) -> bool:
    """Whether every request that `second` matches is matched by `first` too. False where it is not plain to see."""
    lists = ("users", "groups", "methods")
    return (
        all(_holds_all(getattr(first, key), getattr(second, key)) for key in lists)
        and _covers_countries(first, second)
        and (not first.times or first.times == second.times)
        and (not first.attributes or first.attributes == second.attributes)
        and (not first.query or first.query == second.query)
        and _covered(first.networks, second.networks, _within_network)
        and _covered(first.hosts, second.hosts, covers_host)
        and _covered(first.paths, second.paths, _covers_path)
    )


def _holds_all(first: Sequence[str], second: Sequence[str]) -> bool:
    return not first or (bool(second) and set(second) <= set(first))


def _covered(first: Sequence[object], second: Sequence[object], one: object) -> bool:
    assert callable(one)
    return not first or (bool(second) and all(any(one(a, b) for a in first) for b in second))


def _within_network(first: Network, second: Network) -> bool:
    return first.version == second.version and second.subnet_of(first)  # type: ignore[arg-type]  # same version


def _covers_countries(first: Policy, second: Policy) -> bool:
    """Only a rule that denies holds an unknown country to be none of those it names with `!`."""
    if not first.countries:
        return True
    if any(entry.startswith("!") for entry in first.countries):
        return first.countries == second.countries and (first.require == "deny" or second.require != "deny")
    return _holds_all(first.countries, second.countries)


def _covers_path(first: str, second: str) -> bool:
    plain = not any(set("*?~") & set(pattern) for pattern in (first, second))
    return first == second or (plain and path_matches(first.rstrip("/") or "/", second))


RULE_CHECKS: tuple[tuple[frozenset[str], Check], ...] = (
    *((frozenset({"routes", "rules"}), check) for check in (policies, paths, queries, either, reachable)),
    (frozenset({"routes", "rules", "oidc", "risk"}), countries),
    (frozenset({"routes", "rules", "oidc", "webauthn"}), key_models),
)
