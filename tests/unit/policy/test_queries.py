"""What an app may read in a query, and what rules make of it."""

from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.loader import read_text
from gateway.config.schema import Config
from gateway.config.sections.policy import QueryParameter
from gateway.errors import ConfigError
from gateway.forwardauth.engine_pass import is_settled
from gateway.model import Target, Verdict
from gateway.policy.decide import decide
from gateway.policy.explain import explain
from gateway.policy.queries import query_holds, query_readings
from tests.unit.config.test_rules import NOW, config, target, who


def asked(query: str) -> Target:
    return target("/x", query=query)


def verdict(made: Config, query: str) -> tuple[Verdict, str]:
    found = decide(made.routes[0], asked(query), None, NOW)
    return found.verdict, found.reason


@pytest.mark.parametrize(
    ("wanted", "hits", "misses"),
    [
        ({"present": True}, ["a", "a=", "a=1", "%61=1", "b&a"], ["", "b=a", "A=1", "aa=1"]),
        ({"present": False}, ["", "b=1", "A"], ["a", "a=1", "%61"]),
        ({"one_of": ["1", "x y"]}, ["a=1", "a=%31", "a=x+y", "a=x%20y"], ["", "a", "a=2", "a=11", "b=1"]),
        ({"none_of": ["1"]}, ["", "a", "a=2", "b=1"], ["a=1", "a=%31"]),
        ({"matches": "[0-9]+"}, ["a=1", "a=22"], ["", "a=", "a=x1", "a=1%0A", "a=%0A1"]),
        ({"matches_not": ".*evil.*"}, ["", "a=good"], ["a=evil", "a=x%0Aevil%0A"]),
        ({"present": True, "none_of": ["1"], "matches": ".*"}, ["a", "a=2"], ["", "a=1"]),
    ],
)
def test_a_parameter_is_there_is_like_this_or_is_not(wanted: Any, hits: list[str], misses: list[str]) -> None:
    parameter = ({"a": QueryParameter.model_validate(wanted)},)
    names = frozenset("a")
    found = [
        q for q in [*hits, *misses] if all(query_holds(parameter, one) for one in query_readings(q, names))
    ]
    assert found == hits


def test_of_several_entries_one_is_enough_and_all_parameters_of_one_must_hold() -> None:
    made = config(
        {
            "query": [{"a": {"present": True}, "b": {"present": False}}, {"c": {"one_of": ["1"]}}],
            "require": "bypass",
        }
    )
    assert verdict(made, "a")[0] is Verdict.ALLOW
    assert verdict(made, "c=1&b")[0] is Verdict.ALLOW
    assert verdict(made, "a&b") == (Verdict.DENY, "query")


TWICE = ["a=1&a=0", "a=0&a=1", "a=0&%61=1", "a=0;a=1", "b=0;a=1", "a[]=1", "a%5Bx%5D=1", "a=0&a[0]=1"]


@pytest.mark.parametrize("query", TWICE)
def test_what_apps_read_in_different_ways_opens_nothing(query: str) -> None:
    opening = config({"query": [{"a": {"one_of": ["1"]}}], "require": "bypass"}, {"require": "deny"})
    closing = config({"query": [{"a": {"one_of": ["1"]}}], "require": "deny"}, {"require": "bypass"})
    assert verdict(opening, query) == verdict(closing, query) == (Verdict.DENY, "ambiguous_query")


@pytest.mark.parametrize("query", ["a=%FF", "a=%zz", "a=1%"])
def test_what_some_apps_can_not_decode_is_there_and_is_not(query: str) -> None:
    made = config({"query": [{"a": {"present": False}}], "require": "bypass"}, {"require": "deny"})
    assert verdict(made, query) == (Verdict.DENY, "ambiguous_query")


def test_parameters_that_no_rule_asks_about_may_come_as_they_like() -> None:
    made = config({"query": [{"a": {"one_of": ["1"]}}], "require": "bypass"})
    assert verdict(made, "a=1&b=1&b=2&c[]=3&d=%FF&e;f")[0] is Verdict.ALLOW
    assert verdict(made, "&".join(f"a={n}" for n in range(5000)))[1] == "ambiguous_query"


def test_values_that_the_rules_treat_alike_may_be_given_twice() -> None:
    made = config({"query": [{"id": {"matches": "[0-9]+"}}], "require": "bypass"})
    assert verdict(made, "id=1&id=2")[0] is Verdict.ALLOW
    assert verdict(made, "id=1&id=x")[0] is Verdict.DENY


def test_an_explanation_says_what_was_wanted_and_what_there_is() -> None:
    made = config({"query": [{"a": {"one_of": ["1"]}, "b": {"present": False}}], "require": "bypass"})
    told = explain(made.routes[0], asked("a=2&secret=x"), who(), NOW)
    (answer,) = told.rules[0].answers
    assert (answer.criterion, answer.has, answer.holds) == ("query", "a=2", False)
    assert answer.wants == "a one_of=('1',) and b present=False"


@pytest.mark.parametrize(
    ("yaml", "problem"),
    [
        ("[{query: [{}]}]", "names no parameter"),
        ("[{query: [{a: {}}]}]", "asks nothing"),
        ("[{query: [{a: {present: false, one_of: [x]}}]}]", "says all there is to say"),
        ("[{query: [{a: {matches: '(x'}}]}]", "is not a regular expression"),
        ("[{query: [{a: {equals: x}}]}]", "rules[0].query[0].a.equals: is not a known key"),
        ("[{query: [{a: {one_of: [1]}}]}]", "rules[0].query[0].a.one_of[0]"),
        (
            "[{query: [{a: {present: true}}]}, {query: [{a: {present: true}}], users: [x]}]",
            "is never reached",
        ),
    ],
)
def test_mistakes_have_their_place(yaml: str, problem: str) -> None:
    text = f"routes:\n  - upstream: http://127.0.0.1:1\n    rules: {yaml}\n"
    with pytest.raises(ConfigError) as caught:
        read_text(text, "config.yaml", {})
    assert problem in str(caught.value)
    assert "config.yaml:3" in str(caught.value)


queries = st.text(alphabet="ab=&;%+[]16\xff\udcff0", max_size=24)


@given(queries)
def test_no_parser_reads_a_value_that_the_rules_did_not_see(query: str) -> None:
    """Security rule 1, for what is let through: as Python, PHP or Perl split it, first value or last."""
    closing = config(
        {"query": [{"a": {"present": True, "none_of": ["0"]}}], "require": "deny"}, {"require": "bypass"}
    )
    if verdict(closing, query)[0] is Verdict.ALLOW:
        for separator in "&;":
            for name, value in parse_qsl(query, keep_blank_values=True, separator=separator):
                assert name.partition("[")[0] != "a" or value == "0"


def test_no_pass_holds_what_a_query_decides() -> None:
    """HAProxy would let every query in with it."""
    assert is_settled(config({"require": "one_factor"}).routes[0])
    assert not is_settled(config({"query": [{"a": {"present": True}}], "require": "one_factor"}).routes[0])
