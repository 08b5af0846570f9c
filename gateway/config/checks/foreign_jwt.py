"""Checks of tokens of other issuers (`jwt` of a route): who could get one that counts, and names that could collide."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from gateway.config.checks.certificates import file_problem
from gateway.config.checks.finding import Check, Finding
from gateway.config.patterns import glob_test
from gateway.config.schema import Config
from gateway.config.sections.foreign_jwt import ForeignIssuer
from gateway.config.yaml_document import KeyPath

_FOR_EVERYBODY = {
    "token.actions.githubusercontent.com": "repository_owner_id",
    "gitlab.com": "namespace_id",
    "accounts.google.com": "sub",
    "agent.buildkite.com": "organization_id",
    "oidc.vercel.com": "owner_id",
    "app.terraform.io": "terraform_organization_id",
}
"""Issuers at which anybody gets tokens for any audience, and a claim that says whose they are."""
_FETCHED = ("jwks_url", "ca_file", "bearer_file")


def foreign_issuers(config: Config) -> Iterator[Finding]:
    """Find entries that would let in strangers, that can't work, and names that two issuers could give."""
    seen: list[tuple[KeyPath, ForeignIssuer]] = []
    for number, route in enumerate(config.routes):
        for place, one in enumerate(route.jwt):
            path: KeyPath = ("routes", number, "jwt", place)
            for key in ("audience", "claims", "algorithms"):
                if not getattr(one, key):
                    yield Finding((*path, key), "is empty", "name what a token must have")
            yield from _claims(path, one)
            yield from _files(path, one)
            yield from _beside_others(path, one, [other for _, other in seen])
            seen.append((path, one))


def _claims(path: KeyPath, one: ForeignIssuer) -> Iterator[Finding]:
    for claim, patterns in one.claims.items():
        if not patterns:
            yield Finding((*path, "claims", claim), "is empty", "name the values that count")
        for number, pattern in enumerate(patterns):
            try:
                glob_test(pattern)
            except ValueError as error:
                yield Finding((*path, "claims", claim, number), str(error), "write a shorter one")
    claim = _FOR_EVERYBODY.get(urlsplit(one.issuer).hostname or "", "")
    # A pattern that begins with a wildcard may be met by a name that a stranger chose.
    if (
        claim
        and one.claims
        and not any(
            patterns and all(pattern[0] not in "*?" for pattern in patterns)
            for patterns in one.claims.values()
        )
    ):
        problem = f"would let in strangers: anybody gets tokens of {one.issuer} for any audience"
        yield Finding((*path, "claims"), problem, f"name your own `{claim}`, or another claim of yours alone")


def _files(path: KeyPath, one: ForeignIssuer) -> Iterator[Finding]:
    for key in ("jwks_file", "ca_file", "bearer_file"):
        file = getattr(one, key)
        if file is not None and (problem := file_problem(file)):
            yield Finding((*path, key), problem, "check the path and who may read it")
    if one.jwks_file is not None:
        for key in _FETCHED:
            if getattr(one, key) is not None:
                yield Finding((*path, key), "has no effect beside `jwks_file`", "remove one of them")


def _beside_others(path: KeyPath, one: ForeignIssuer, others: list[ForeignIssuer]) -> Iterator[Finding]:
    for other in others:
        if other.issuer == one.issuer:
            if any(getattr(other, key) != getattr(one, key) for key in ("jwks_file", *_FETCHED)):
                problem = f"gets the keys of {one.issuer} from elsewhere than an entry before"
                yield Finding((*path, "issuer"), problem, "write the same keys for both")
                return
        elif _could_meet(one.as_.user, other.as_.user):
            problem = f"could be a name that a token of {other.issuer} gets, too"
            mend = "begin each issuer's names with a word of its own, such as `github:`"
            yield Finding((*path, "as", "user"), problem, mend)
            return


def _could_meet(one: str, other: str) -> bool:
    """Whether two templates could make the same name; names don't tell capitals."""
    (first, brace, _), (second, other_brace, _) = one.lower().partition("{"), other.lower().partition("{")
    if brace and other_brace:
        return first.startswith(second) or second.startswith(first)
    if brace:
        return second.startswith(first)
    return first.startswith(second) if other_brace else first == second


FOREIGN_CHECKS: tuple[tuple[frozenset[str], Check], ...] = ((frozenset({"routes"}), foreign_issuers),)
