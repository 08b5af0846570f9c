"""Checks of what apps are told: claims that would pass for the protocol's own, and names that mean nothing."""

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches

from gateway.config.checks.finding import Check, Finding
from gateway.config.checks.oidc import uri_problem
from gateway.config.header_templates import UserFact, read_template
from gateway.config.patterns import glob_test
from gateway.config.schema import Config
from gateway.config.sections.oidc import OidcClient
from gateway.config.sections.oidc_claims import CLAIMS_OF_SCOPES, MADE_BY_US, OF_THE_PROTOCOL
from gateway.config.yaml_document import KeyPath

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:/-]{0,99}")


def claims(config: Config) -> Iterator[Finding]:
    """Find claims that nobody can make, and names of claims that stand for nothing."""
    own = config.oidc.claims
    for name, value in own.items():
        path: KeyPath = ("oidc", "claims", name)
        if not _NAME.fullmatch(name):
            yield Finding(
                path, "is no name of a claim", "write letters, digits and `_`, such as `department`"
            )
        elif name in OF_THE_PROTOCOL:
            yield Finding(path, "is a claim by which tokens are checked", f"call it `user_{name.strip('_')}`")
        elif name in MADE_BY_US:
            scope = next(scope for scope, names in CLAIMS_OF_SCOPES.items() if name in names)
            yield Finding(
                path, f"comes with the scope `{scope}` already", f"remove it, or call it `my_{name}`"
            )
        try:
            facts = [part for part in read_template(value) if isinstance(part, UserFact)]
        except ValueError as problem:
            yield Finding(path, f"`{value}` can't be read", str(problem))
            continue
        if not facts or not all(fact.name for fact in facts):
            mend = 'write `"{user.department}"`'
            yield Finding(path, f"`{value}` names no one fact of the user", mend)
    for scope, told in config.oidc.scopes.items():
        yield from _names(("oidc", "scopes", scope), told.claims, own)
    for index, client in enumerate(config.oidc.clients):
        yield from _of_client(("oidc", "clients", index), client, own)


def _of_client(path: KeyPath, client: OidcClient, own: Iterable[str]) -> Iterator[Finding]:
    yield from _names((*path, "claims"), client.claims, own)
    yield from _names((*path, "access_token_claims"), client.access_token_claims, own)
    for number, pattern in enumerate(client.groups.only):
        try:
            glob_test(pattern)
        except ValueError:
            yield Finding((*path, "groups", "only", number), f"`{pattern}` is no glob", "write `app-*`")
    several = len(client.redirect_hosts) > 1
    if client.subject_type == "pairwise" and several and client.sector_identifier_uri is None:
        mend = "write the address of a JSON list of all redirect URIs, or make it one client for each host"
        hosts = " and ".join(f"`{host}`" for host in client.redirect_hosts[:2])
        yield Finding((*path, "sector_identifier_uri"), f"is missing: users return to {hosts}", mend)
    if (uri := client.sector_identifier_uri) and uri_problem(uri, native=False):
        yield Finding(
            (*path, "sector_identifier_uri"), "is http: anybody on the way can answer", "write https"
        )
    if client.sector_identifier_uri is not None and client.subject_type == "public":
        mend = "write `subject_type: pairwise`, or remove it"
        yield Finding((*path, "sector_identifier_uri"), "means nothing without pairwise subjects", mend)


def _names(path: KeyPath, names: Iterable[str], own: Iterable[str]) -> Iterator[Finding]:
    known = {*own, *MADE_BY_US}
    for name in names:
        if name in known:
            continue
        if not _NAME.fullmatch(name):
            yield Finding(
                path, "is no name of a claim", "write letters, digits and `_`, such as `department`"
            )
        elif name in OF_THE_PROTOCOL:
            yield Finding(
                path, f"`{name}` is no fact of a user", "leave it out: tokens have it where it belongs"
            )
            continue
        near = get_close_matches(name, sorted(known), n=1)
        mend = f"did you mean `{near[0]}`?" if near else f"write in `oidc.claims` how `{name}` is made"
        yield Finding(path, f"there is no claim `{name}`", mend)


OIDC_CLAIMS_CHECKS: tuple[tuple[frozenset[str], Check], ...] = ((frozenset({"oidc"}), claims),)
