"""Ordered rules: the first that matches decides, nobody gets in by accident, `explain` says what `decide` does."""

from dataclasses import replace
from datetime import datetime
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.loader import read_text
from gateway.config.path_readings import readings
from gateway.config.patterns import path_test
from gateway.config.schema import Config
from gateway.errors import ConfigError
from gateway.model import Decision, Principal, SessionRecord, Target, User, Verdict
from gateway.policy.decide import decide
from gateway.policy.explain import explain

NOW = 1_800_000_000.0  # Friday 2027-01-15 08:00 UTC
TWO = ("password", "sms")


def config(*rules: dict[str, Any], shared: tuple[dict[str, Any], ...] = (), **route: Any) -> Config:
    given = {"upstream": "http://127.0.0.1:1", "rules": list(rules), **route}
    return Config.model_validate({"rules": list(shared), "routes": [given]})


def who(name: str = "alice", *groups: str, amr: tuple[str, ...] = TWO, proven: float = NOW) -> Principal:
    session = SessionRecord("sid", name, amr, dict.fromkeys(amr, proven), proven, proven, NOW + 9)
    return Principal(User(name, groups=groups), session)


def target(
    path: str = "/",
    method: str = "GET",
    client: str = "192.0.2.1",
    host: str = "app.test",
    query: str = "",
    country: str = "",
) -> Target:
    return Target("https", host, None, method, path, query, ip_address(client), country)


def decided(where: Config, what: Target, principal: Principal | None, now: float = NOW) -> Decision:
    return decide(where.routes[0], what, principal, now)


def test_the_first_matching_rule_decides_and_no_match_is_no() -> None:
    rules = config(
        {"paths": ["/health"], "require": "bypass", "name": "health"},
        {"paths": ["/admin"], "groups": ["admins"]},
        {"methods": ["GET"], "require": "one_factor"},
    )
    assert decided(rules, target("/health"), None) == Decision(Verdict.ALLOW, "*/ health", "bypass")
    assert decided(rules, target("/admin"), who("alice", "admins")).rule == "*/ rules[1]"
    assert decided(rules, target("/x"), who(amr=("password",))).verdict is Verdict.ALLOW
    assert decided(rules, target("/x", "POST"), who()) == Decision(Verdict.DENY, "*/", "no_rule")


def test_rules_of_the_top_level_are_asked_first() -> None:
    rules = config(
        {"require": "one_factor"},
        shared=({"networks": ["198.51.100.0/24"], "require": "deny", "name": "ban"},),
    )
    banned = decided(rules, target(client="198.51.100.7"), who())
    assert (banned.verdict, banned.rule) == (Verdict.DENY, "ban")
    assert decided(rules, target(), who()).verdict is Verdict.ALLOW


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([{"users": ["alice"]}], Verdict.SIGN_IN),
        ([{"groups": ["ops"], "require": "deny"}, {"require": "bypass"}], Verdict.SIGN_IN),
        ([{"groups": ["ops"], "require": "deny"}], Verdict.DENY),
        ([{"groups": ["ops"], "require": "deny"}, {"require": "deny"}], Verdict.DENY),
        ([{"users": ["alice"], "methods": ["POST"]}, {"require": "bypass"}], Verdict.ALLOW),
        ([{"users": ["alice"], "methods": ["POST"]}], Verdict.DENY),
    ],
)
def test_strangers_sign_in_only_where_that_could_help(rules: list[dict[str, Any]], expected: Verdict) -> None:
    assert decided(config(*rules), target(), None).verdict is expected


@pytest.mark.parametrize(
    ("pattern", "hits", "misses"),
    [
        ("/app", ["/app", "/app/x", "/app;v=1"], ["/apple", "/", "/App"]),
        ("/api/*/public", ["/api/v1/public"], ["/api/public", "/api/a/b/public", "/api/v1/public/x"]),
        ("/api/**", ["/api/", "/api/a/b"], ["/api", "/apix/"]),
        ("/f?le", ["/file"], ["/f/le", "/fle"]),
        ("~/v[0-9]+/export", ["/v1/export", "/v22/export"], ["/v/export", "/x/v1/export", "/v1/export/x"]),
        ("~(?i)/admin.*", ["/ADMIN/x"], ["/x/admin"]),
    ],
)
def test_path_patterns_match_whole_paths(pattern: str, hits: list[str], misses: list[str]) -> None:
    assert [path for path in [*hits, *misses] if path_test(pattern)(path)] == hits


def test_a_pattern_that_would_backtrack_for_ever_is_linear() -> None:
    assert not path_test("~/(a+)+b")("/" + "a" * 60_000)


@pytest.mark.parametrize(
    "path",
    [
        "/admin%2Fx",
        "//admin",
        "/admin;x/y",
        "/admin%3Bx/y",
        "/%2561dmin",
        "/x/%252e%252e/admin",
        "/x/..%252fadmin",
        "/x/..%255Cadmin",
        "/%252e%252e/admin%253bx",
    ],
)
def test_a_path_that_an_app_could_read_as_another_gets_past_no_rule(path: str) -> None:
    rules = config({"paths": ["/admin"], "require": "deny"}, {"require": "bypass"})
    assert readings(path)[-1] in ("/admin", "/admin/x", "/admin/y")
    assert decided(rules, target(path), None).verdict is Verdict.DENY


@pytest.mark.parametrize(
    ("times", "moment", "holds"),
    [
        ({"hours": ["08:00-18:00"]}, "2027-01-15T08:00+00:00", True),
        ({"hours": ["08:00-18:00"]}, "2027-01-15T18:00+00:00", False),
        ({"hours": ["08:00-18:00"], "timezone": "Europe/Berlin"}, "2027-01-15T17:30+00:00", False),
        ({"hours": ["08:00-18:00"], "timezone": "Europe/Berlin"}, "2027-07-15T06:30+00:00", True),
        ({"days": ["fri"]}, "2027-01-15T12:00+00:00", True),
        ({"days": ["sat", "sun"]}, "2027-01-15T12:00+00:00", False),
        ({"days": ["fri"], "hours": ["22:00-06:00"]}, "2027-01-16T05:59+00:00", True),
        ({"days": ["fri"], "hours": ["22:00-06:00"]}, "2027-01-15T05:59+00:00", False),
        ({"hours": ["00:00-24:00"]}, "2027-01-15T23:59+00:00", True),
    ],
)
def test_times_are_local_and_spans_past_midnight_belong_to_their_first_day(
    times: dict[str, Any], moment: str, holds: bool
) -> None:
    now = datetime.fromisoformat(moment).timestamp()
    found = decided(config({"times": times, "require": "bypass"}), target(), None, now)
    assert (found.verdict is Verdict.ALLOW) is holds


def test_an_old_proof_must_be_given_again_by_the_factor_that_counts() -> None:
    rules = config({"max_age": "5m"})
    assert decided(rules, target(), who(proven=NOW - 300)).verdict is Verdict.ALLOW
    stale = decided(rules, target(), who(proven=NOW - 301))
    assert (stale.verdict, stale.reason) == (Verdict.STEP_UP, "proof_too_old")
    fresh_password = who(proven=NOW - 301)
    times = {"password": NOW, "sms": NOW - 301}
    fresh_password = replace(fresh_password, session=replace(fresh_password.session, proven_at=times))
    assert decided(rules, target(), fresh_password).verdict is Verdict.STEP_UP
    one = config({"max_age": "5m", "require": "one_factor"})
    assert decided(one, target(), who(amr=("password",), proven=NOW - 301)).verdict is Verdict.SIGN_IN


def test_only_phishing_resistant_factors_can_be_asked_for() -> None:
    rules = config({"factors": ["webauthn"]})
    assert decided(rules, target(), who()) == Decision(
        Verdict.STEP_UP, "*/ rules[0]", "factor", frozenset({"webauthn"})
    )
    assert decided(rules, target(), who(amr=("password", "webauthn"))).verdict is Verdict.ALLOW


@pytest.mark.parametrize(
    ("yaml", "problem"),
    [
        ("[{require: one_factor}, {users: [a]}]", "is never reached: rules[0] takes all its requests"),
        ("[{paths: [/a]}, {paths: [/a/b], users: [x]}]", "is never reached: rules[0]"),
        ("[{networks: [10.0.0.0/8]}, {networks: [10.1.0.0/16]}]", "is never reached: rules[0]"),
        ("[]", "is empty: nobody could pass"),
        ("[{paths: ['~(a']}]", "is not a regular expression"),
        (r"[{paths: ['~(a)\1']}]", "is not a regular expression"),
        ("[{paths: [admin]}]", "starts with neither"),
        ("[{paths: [/a/../b]}]", "can never match"),
        ("[{times: {timezone: Mars/Base}}]", "is not a time zone"),
        ("[{times: {hours: ['8-18']}}]", "hours such as"),
        ("[{require: bypass, max_age: 5m}]", "has no effect"),
        ("[{require: deny, factors: [sms]}]", "has no effect"),
        ("[{user: [a]}]", "did you mean `users`"),
    ],
)
def test_rules_that_can_not_mean_what_they_say_are_mistakes(yaml: str, problem: str) -> None:
    text = f"routes:\n  - upstream: http://127.0.0.1:1\n    rules: {yaml}\n"
    with pytest.raises(ConfigError) as caught:
        read_text(text, "config.yaml", {})
    assert problem in str(caught.value)


def test_policy_and_rules_together_are_a_mistake_and_shared_rules_may_not_hide_a_route() -> None:
    both = "routes: [{upstream: 'http://127.0.0.1:1', policy: {require: deny}, rules: [{users: [a]}]}]"
    with pytest.raises(ConfigError, match="beside `rules`"):
        read_text(both, "config.yaml", {})
    hidden = "rules: [{hosts: ['*'], require: one_factor}]\n" + both.replace(", rules: [{users: [a]}]", "")
    with pytest.raises(ConfigError, match="is never reached"):
        read_text(hidden, "config.yaml", {})


words = st.sampled_from(["a", "b", "c"])
rule = st.fixed_dictionaries(
    {"require": st.sampled_from(["bypass", "one_factor", "two_factor", "deny"])},
    optional={
        "users": st.lists(words, max_size=2),
        "groups": st.lists(words, max_size=2),
        "methods": st.lists(st.sampled_from(["GET", "POST"]), max_size=1),
        "paths": st.lists(st.sampled_from(["/a", "/a/*", "~/[ab]", "/b", "/{user}"]), max_size=2),
        "networks": st.lists(st.sampled_from(["192.0.2.0/24", "10.0.0.0/8"]), max_size=1),
        "countries": st.sampled_from([["DE"], ["!DE"], ["!FR"]]),
        "query": st.sampled_from([[{"a": {"present": True}}], [{"a": {"one_of": ["1"]}}]]),
    },
)
someone = st.none() | st.builds(who, words, words, amr=st.sampled_from([TWO, ("password",)]))


asked_for = st.builds(
    target,
    path=st.sampled_from(["/", "/a", "/a/x", "/b", "/c"]),
    query=st.sampled_from(["", "a", "a=1", "b=1"]),
    country=st.sampled_from(["", "DE", "FR"]),
)


@given(st.lists(rule, min_size=1, max_size=4), someone, asked_for)
def test_explain_agrees_with_decide(
    rules: list[dict[str, Any]], principal: Principal | None, what: Target
) -> None:
    made = config(*rules)
    told = explain(made.routes[0], what, principal, NOW)
    assert told.decision == decided(made, what, principal)
    if principal is not None:
        first = next((one for one in told.rules if one.matches), None)
        assert told.decision.rule == (first.rule if first else "*/")
        assert [one for one in told.rules if one.decides] == ([first] if first else [])


@given(st.lists(rule, min_size=1, max_size=4), asked_for)
def test_strangers_get_in_only_where_everybody_does(rules: list[dict[str, Any]], what: Target) -> None:
    """Security rule 1: what nobody in particular may have, each one may have."""
    made = config(*rules)
    if decided(made, what, None).verdict is Verdict.ALLOW:
        for name in ("a", "b", "c"):
            assert decided(made, what, who(name, name)).verdict is Verdict.ALLOW
