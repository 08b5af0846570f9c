"""Decides which claims an app is told about a user, and makes them (OpenID Connect Core §5.4). Pure.

What is empty is left out, but for `groups`: an app that may know them hears that there are none.
"""

from base64 import b64encode
from collections.abc import Collection, Iterable
from typing import Any

from gateway.config.header_templates import Template, UserFact, read_template
from gateway.config.patterns import glob_test
from gateway.config.sections.oidc import Oidc
from gateway.config.sections.oidc_claims import CLAIMS_OF_SCOPES, MORE_OF_PROFILE, ToldGroups
from gateway.model import User
from gateway.oidc.clients import Client

Claims = dict[str, Any]


class ClaimRules:
    """The claims of the configuration, read once."""

    def __init__(self, settings: Oidc) -> None:
        """Read the claims and scopes of `settings`. Raises ValueError for a value that can't be read."""
        self._own = {name: read_template(value) for name, value in settings.claims.items()}
        more = {scope: own.claims for scope, own in settings.scopes.items()}
        profile = tuple(name for name in self._own if name in MORE_OF_PROFILE)
        self._of_scopes = {
            scope: frozenset((*CLAIMS_OF_SCOPES.get(scope, ()), *more.get(scope, ())))
            | (frozenset(profile) if scope == "profile" else frozenset())
            for scope in {*CLAIMS_OF_SCOPES, *more}
        }
        self.all = (*(name for names in CLAIMS_OF_SCOPES.values() for name in names), *self._own)
        """All claims about users, in the order in which they are told."""

    def of(self, scopes: Iterable[str]) -> frozenset[str]:
        """Return the claims that scopes stand for."""
        return frozenset().union(*(self._of_scopes.get(scope, frozenset()) for scope in scopes))

    def askable(self, app: Client) -> frozenset[str]:
        """Return the claims that an app may ask for one by one."""
        return self.of(app.settings.offered) | frozenset(app.settings.claims)

    def told(self, user: User, names: Collection[str], groups: ToldGroups | None = None) -> Claims:
        """Return those claims of `names` that there are for a user; `groups` says how the app is told groups."""
        heard = told_groups(groups, user.groups) if groups is not None else user.groups
        made: Claims = {
            "name": user.name or user.username,
            "preferred_username": user.username,
            "email": user.email,
            "email_verified": bool(user.email),
            "phone_number": user.phone,
            "phone_number_verified": bool(user.phone),
        }
        told: Claims = {}
        for name in (one for one in self.all if one in names):
            value = (
                list(heard)
                if name == "groups"
                else made[name]
                if name in made
                else _filled(self._own[name], user, heard)
            )
            if value or name == "groups":
                told[name] = value
        return told


def claim_wish(name: str) -> str:
    """Return how a claim stands among scopes that a user allowed. No scope has a blank in it (RFC 6749 §3.3)."""
    return f"claim {name}"


def told_groups(settings: ToldGroups, groups: Iterable[str]) -> tuple[str, ...]:
    """Return groups as an app hears them: those that it may, under the names that it knows."""
    tests = [glob_test(pattern) for pattern in settings.only]
    heard = (group for group in groups if not tests or any(test(group) for test in tests))
    named = (settings.map.get(group) or f"{settings.prefix}{group}" for group in heard)
    return tuple(dict.fromkeys(named))


def _filled(template: Template, user: User, groups: tuple[str, ...]) -> object:
    """Return the value of an own claim, None where the user lacks one of its facts.

    One fact alone is text, or a list where it has several values; as JSON it is always a list.
    """
    if len(template) == 1 and isinstance(fact := template[0], UserFact) and fact.form != "base64":
        values = list(_values(fact, user, groups))
        return values if fact.form == "json" or len(values) > 1 else "".join(values) or None
    texts = [part if isinstance(part, str) else _text(part, user, groups) for part in template]
    return "".join(texts) if all(texts) else None


def _text(fact: UserFact, user: User, groups: tuple[str, ...]) -> str:
    text = ",".join(_values(fact, user, groups))
    return b64encode(text.encode("utf-8", "replace")).decode() if fact.form == "base64" else text


def _values(fact: UserFact, user: User, groups: tuple[str, ...]) -> tuple[str, ...]:
    known = {
        "username": (user.username,),
        "name": (user.name,),
        "email": (user.email,),
        "groups": groups,
    }
    return tuple(value for value in known.get(fact.name, user.attribute(fact.name)) if value)
