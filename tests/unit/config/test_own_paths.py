"""`{user}` in rules: a segment or a host that is the name of who asks, however it is spelt, and nobody else's."""

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.loader import read_text
from gateway.config.names import checked_user_name
from gateway.config.patterns import path_holds
from gateway.errors import ConfigError, InvalidUser, RequestRefused
from gateway.model import Verdict
from gateway.policy.decide import decide
from gateway.policy.explain import explain
from gateway.request.target import canonical_path
from tests.unit.config.test_rules import NOW, config, target, who


@pytest.mark.parametrize(
    ("pattern", "hits", "misses"),
    [
        (
            "/home/{user}",
            ["/home/alice", "/home/alice/", "/home/alice/x/y"],
            [
                "/home",
                "/home/",
                "/home/alicex",
                "/home/Alice",
                "/home/bob",
                "/x/home/alice",
                "/home/bob/alice",
            ],
        ),
        ("/home/{user}/", ["/home/alice/", "/home/alice/x"], ["/home/alice", "/home/bob/"]),
        ("/home/{user}/**", ["/home/alice/", "/home/alice/x/y"], ["/home/alice", "/home/bob/alice/x"]),
        ("/*/{user}/*.txt", ["/a/alice/x.txt"], ["/a/b/alice/x.txt", "/alice/x.txt", "/a/alice/b/x.txt"]),
        ("/{user}", ["/alice", "/alice/x"], ["/", "/bob/alice"]),
        ("/a.b/{user}", ["/a.b/alice"], ["/axb/alice"]),
    ],
)
def test_the_segment_is_the_users_name(pattern: str, hits: list[str], misses: list[str]) -> None:
    assert [path for path in [*hits, *misses] if path_holds(pattern, path, "alice")] == hits


@pytest.mark.parametrize("name", ["a@b.test", "é", "alice+x", "a&b=c", "%41", "a%2fb"])
def test_escapes_make_no_difference_and_are_read_once(name: str) -> None:
    for path in (quote(name, safe=""), quote(name, safe="@&=+")):
        assert path_holds("/home/{user}", canonical_path(f"/home/{path}"), name)
    twice = quote(quote(name, safe=""), safe="")
    assert path_holds("/home/{user}", f"/home/{twice}", name) is (twice == name)


def test_what_is_no_text_is_nobodys() -> None:
    assert not path_holds("/home/{user}", "/home/%FF", "\ufffd")
    assert not path_holds("/home/{user}", "/home/%FF", "")


OWN: tuple[dict[str, Any], ...] = (
    {"paths": ["/home/{user}"]},
    {"paths": ["/home"], "require": "deny"},
    {"require": "one_factor"},
)


def test_others_go_on_to_the_next_rule_and_strangers_to_sign_in() -> None:
    rules = config(*OWN)
    for principal, expected in ((who("alice"), "allow"), (who("bob"), "deny"), (None, "sign_in")):
        found = explain(rules.routes[0], target("/home/alice/x"), principal, NOW)
        assert found.decision.verdict.value == expected
        assert found.rules[0].matches is (expected != "deny")
    assert decide(rules.routes[0], target("/home"), None, NOW).verdict is Verdict.DENY


def test_a_users_own_host_is_the_users_alone() -> None:
    rules = config({"hosts": ["{user}.Home.test"]}, host="*.home.test")
    hosts = ["alice.home.test", "bob.home.test", "x.alice.home.test", "home.test", "alice.home.test.evil"]
    decided = [decide(rules.routes[0], target(host=host), who("alice"), NOW).verdict for host in hosts]
    assert decided == [Verdict.ALLOW, *[Verdict.DENY] * 4]
    assert decide(rules.routes[0], target(host=hosts[0]), None, NOW).verdict is Verdict.SIGN_IN
    assert decide(rules.routes[0], target(host="home.test"), None, NOW).verdict is Verdict.DENY


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ("{paths: ['/a/**/{user}']}", "once, as a whole segment and not behind `**`"),
        ("{paths: ['/{user}/{user}']}", "once, as a whole segment"),
        ("{paths: ['/x{user}']}", "once, as a whole segment"),
        ("{paths: ['/{user}x']}", "once, as a whole segment"),
        ("{paths: ['/~{user}']}", "once, as a whole segment"),
        ("{paths: ['/{user}'], require: bypass}", "nobody's name can be compared"),
        ("{hosts: ['x.{user}.test']}", "is not a host pattern"),
        ("{hosts: ['{group}.test']}", "is not a host pattern"),
    ],
)
def test_where_a_name_can_not_stand_is_a_mistake(rule: str, problem: str) -> None:
    text = f"routes:\n  - upstream: http://127.0.0.1:1\n    rules: [{rule}]\n"
    with pytest.raises(ConfigError) as caught:
        read_text(text, "config.yaml", {})
    assert problem in str(caught.value)


names = st.text(alphabet="abA%2fF/;.@é+ ", min_size=1, max_size=6)


@given(names, st.text(alphabet="abA%2fF/;.@+", max_size=12))
def test_no_path_is_two_users(name: str, rest: str) -> None:
    """Security rule 1: who passes as the owner is the owner, whatever the path looks like."""
    try:
        owner, path = checked_user_name(name), canonical_path("/home/" + rest)
    except (InvalidUser, RequestRefused):
        return
    rules = config(*OWN[:1])
    if decide(rules.routes[0], target(path), who(owner), NOW).verdict is Verdict.ALLOW:
        for other in ("a", "b", "ab", owner + "x"):
            if other != owner:
                assert decide(rules.routes[0], target(path), who(other), NOW).verdict is Verdict.DENY
