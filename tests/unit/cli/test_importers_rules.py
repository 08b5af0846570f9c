"""Authelia's rules and queries in our words: they decide as they did, or are named as what can't be said."""

from pathlib import Path
from typing import Any

import pytest

from gateway.cli.importers.authelia.queries import query_of
from gateway.cli.importers.findings import NotOurs
from gateway.model import User
from tests.importers_rig import DATA, translated, verdict

JOHN = User("john", groups=("admins", "dev"))
EVE = User("eve", groups=("staff",))
MAL = User("mal")
APP, WIKI, PUBLIC = "https://app.example.com", "https://wiki.example.com", "https://public.example.com"
INSIDE = {"ip": "10.1.2.3"}
CASES: list[tuple[str, dict[str, Any], str]] = [
    (f"{PUBLIC}/x", {}, "allow"),
    (f"{APP}/api/health", {}, "allow"),
    (f"{APP}/api/health/db", {}, "allow"),
    (f"{APP}/api/healthy", {}, "sign_in"),
    (f"{WIKI}/static/x.css", {}, "allow"),
    (f"{APP}/admin", {"who": JOHN, **INSIDE}, "allow"),
    (f"{APP}/admin", {"who": JOHN}, "deny"),
    (f"{APP}/admin/x", {"who": EVE, **INSIDE}, "deny"),
    (f"{APP}/admin", {"who": User("root"), **INSIDE}, "allow"),
    (f"{APP}/admin", INSIDE, "sign_in"),
    # Could not be said, so refused, whatever comes after:
    (f"{WIKI}/page", {"who": JOHN}, "deny"),
    ("https://john.home.example.com/", {"who": JOHN}, "allow"),
    ("https://john.home.example.com/", {"who": MAL}, "deny"),
    ("https://john.home.example.com/", {}, "sign_in"),
    # A bypass that could not be said opens nothing; the rules after it decide:
    (f"{APP}/version", {}, "sign_in"),
    (f"{APP}/page?token=1", {}, "allow"),
    (f"{APP}/page?Token=1", {}, "sign_in"),
    (f"{APP}/page", {"who": JOHN}, "allow"),
    (f"{APP}/page", {"who": MAL, "method": "POST"}, "deny"),
    ("https://git-1.example.com/", {}, "sign_in"),
    ("https://git-1.example.com/", {"who": JOHN}, "allow"),
    ("https://git-1.example.com/", {"who": EVE}, "allow"),
    ("https://new.example.com/", {"who": MAL}, "deny"),
]


@pytest.mark.parametrize(("url", "how", "expected"), CASES)
def test_authelias_rules_decide_as_they_did_or_refuse(
    take_over, url: str, how: dict[str, Any], expected: str
) -> None:
    config, _ = translated(take_over, "authelia", "--configuration", DATA / "authelia_configuration.yml")
    assert verdict(config, url, **how) == expected


def test_each_rule_that_could_not_be_said_is_named(take_over) -> None:
    config, said = translated(take_over, "authelia", "--configuration", DATA / "authelia_configuration.yml")
    for words in (
        "rules[2]: resource `^/version$` looks at the query, too; --ignore-queries",
        "rules[5]: subject wants dev and admins at once",
        "rules[8]: domain_regex",
        "rules[11]: never counted",
        "session.cookies[1] (example.org)",
        "notifier: not read",
    ):
        assert words in said
    assert config.server.public_url == "https://auth.example.com"
    assert (config.session.domain, config.forward.compatible) == ("example.com", ("authelia",))


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ([[{"key": "a"}]], [{"a": {"present": True}}]),
        ([{"operator": "absent", "key": "a"}], [{"a": {"present": False}}]),
        ([{"key": "a", "value": "1"}], [{"a": {"one_of": ["1"]}}]),
        ([{"operator": "not equal", "key": "a", "value": "1"}], [{"a": {"none_of": ["1"]}}]),
        ([{"operator": "not equal", "key": "a", "value": ""}], [{"a": {"present": True, "none_of": [""]}}]),
        ([{"operator": "pattern", "key": "a", "value": "^1$"}], [{"a": {"matches": ".*(?-s:^1$).*"}}]),
        (
            [[{"key": "a"}, {"operator": "absent", "key": "b"}], [{"key": "c"}]],
            [{"a": {"present": True}, "b": {"present": False}}, {"c": {"present": True}}],
        ),
    ],
)
def test_authelias_queries_are_said_in_our_words(theirs: Any, ours: Any) -> None:
    assert query_of({"query": theirs}) == ours


@pytest.mark.parametrize(
    "condition",
    [
        {"operator": "equal", "key": "a", "value": ""},
        {"operator": "pattern", "key": "a", "value": "^(1|2)?$"},
        {"operator": "pattern", "key": "a", "value": "(?=x)"},
        {"operator": "like", "key": "a", "value": "x"},
        {"operator": "present"},
    ],
)
def test_a_query_that_can_not_be_said_exactly_is_not_said_at_all(condition: Any) -> None:
    with pytest.raises(NotOurs, match="query: "):
        query_of({"query": [condition]})


def test_queries_may_be_ignored_if_that_is_said(take_over) -> None:
    file = DATA / "authelia_configuration.yml"
    config, _ = translated(take_over, "authelia", "--configuration", file, "--ignore-queries")
    assert verdict(config, f"{APP}/version") == "allow"
    assert verdict(config, f"{APP}/versions") == "sign_in"


def test_two_factors_there_are_not_met_by_codes_that_were_none_there(take_over, tmp_path: Path) -> None:
    file = tmp_path / "configuration.yml"
    file.write_text(
        "access_control: {default_policy: two_factor, rules: []}\nsession: {domain: example.com}\n"
    )
    config, _ = translated(take_over, "authelia", "--configuration", file)
    (route,) = config.routes
    assert route.policy.factors == ("totp", "webauthn")
