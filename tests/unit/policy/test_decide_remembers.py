"""What `decide` remembers changes no answer: asked in any order, by anybody, under any configuration."""

from dataclasses import replace
from ipaddress import ip_address
from itertools import product
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from gateway.config.path_readings import readings
from gateway.config.patterns import asks_user, host_holds, path_holds
from gateway.config.schema import Route, Rule
from gateway.model import Principal, SessionRecord, Target, User, Verdict
from gateway.policy import criteria
from gateway.policy import decide as policy
from gateway.proxy import request_headers

PATTERNS = (
    "/a",
    "/a/",
    "/a/*",
    "/a/**",
    "/{user}",
    "/a/{user}/",
    "/*/{user}/b",
    "~/a.*",
    "~/(a|alice)",
    "/alice",
)
PATHS = (
    "/",
    "/a",
    "/a/b",
    "/a/alice",
    "/a/bob/b",
    "/alice",
    "/bob",
    "/x/alice/b",
    "/a;x/b",
    "/a%252Fb",
    "/a//b",
)
REMEMBERS = (
    policy._readings,
    policy._enough,
    criteria._one_holds,
    criteria._ask_user,
    criteria.criteria_of,
)

rules = st.fixed_dictionaries(
    {"require": st.sampled_from(["bypass", "deny", "one_factor", "two_factor"])},
    optional={
        "paths": st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=3),
        "methods": st.just(["POST"]),
        "hosts": st.sampled_from([["{user}.app.test"], ["alice.app.test"]]),
        "users": st.just(["alice"]),
        "groups": st.just(["ops"]),
        "factors": st.sampled_from([["sms"], ["totp", "sms"]]),
        "max_age": st.just("60s"),
    },
).filter(
    lambda rule: rule["require"] in ("one_factor", "two_factor") or not rule.keys() & {"factors", "max_age"}
)


def route(*own: dict[str, object]) -> Route:
    return Route.model_validate({"host": "*", "upstream": "http://127.0.0.1:1", "rules": list(own)})


routes = st.lists(
    st.lists(rules, min_size=1, max_size=3).map(lambda own: route(*own)), min_size=1, max_size=3
)
principals = st.none() | st.builds(
    lambda name, amr, groups, at: Principal(
        User(name, groups=groups), SessionRecord("s", name, amr, dict.fromkeys(amr, at), 1.0, 1.0, 9e9)
    ),
    st.sampled_from(["alice", "bob"]),
    st.sampled_from(
        [("password",), ("password", "sms"), ("password", "device"), ("password", "totp"), ("token",)]
    ),
    st.sampled_from([(), ("ops",)]),
    st.sampled_from([0.0, 90.0]),
)


def proven_enough(rule: Rule, amr: tuple[str, ...]) -> bool:
    borrowed = (
        {"device", "upstream_mfa"} if rule.factors or rule.max_age or rule.require == "one_factor" else set()
    )
    proven = set(amr) - borrowed
    first = bool(proven & {"password", "federated"})
    number = len(proven - {"password", "federated"}) + first
    return number >= (2 if rule.require == "two_factor" else 1) and (
        not rule.factors or not proven.isdisjoint(rule.factors)
    )


def matches(rule: Rule, target: Target, who: Principal | None) -> tuple[bool, bool]:
    """Whether what is asked for matches, and whether who asks does; without anything that is remembered."""
    name = who.username if who else None
    of_request = (
        (not rule.hosts or any(host_holds(one, target.host, name) for one in rule.hosts))
        and (not rule.paths or any(path_holds(one, target.path, name) for one in rule.paths))
        and (not rule.methods or target.method in rule.methods)
    )
    of_subject = (not rule.users or name in rule.users) and (
        not rule.groups or (who is not None and not set(rule.groups).isdisjoint(who.groups))
    )
    return of_request, of_subject


def plainly(route: Route, target: Target, who: Principal | None, now: float) -> Verdict:
    """The same as `decide`, written anew and remembering nothing."""
    refused = False
    for rule in route.access:
        of_request, of_subject = matches(rule, target, who)
        personal = rule.users or rule.groups or any(map(asks_user, (*rule.hosts, *rule.paths)))
        if of_request and who is None and personal:
            if rule.require != "deny":
                return Verdict.SIGN_IN
            refused = True
            continue
        if of_request and of_subject:
            found = judged(rule, who, now)
            return Verdict.SIGN_IN if refused and found is Verdict.ALLOW else found
    return Verdict.DENY


def judged(rule: Rule, who: Principal | None, now: float) -> Verdict:
    if rule.require in ("deny", "bypass"):
        return Verdict.DENY if rule.require == "deny" else Verdict.ALLOW
    if who is None:
        return Verdict.SIGN_IN
    if rule.machine_suffices and "token" in who.amr:
        return Verdict.ALLOW
    if proven_enough(rule, who.amr) and (not rule.max_age or policy.is_fresh(rule, who, now)):
        return Verdict.ALLOW
    only_password = (
        set(rule.factors) <= {"password", "federated"} if rule.factors else rule.require == "one_factor"
    )
    return Verdict.SIGN_IN if only_password else Verdict.STEP_UP


@given(routes, st.lists(principals, min_size=2, max_size=4), st.randoms(use_true_random=False))
def test_who_asked_before_and_under_which_rules_makes_no_difference(
    all_routes: list[Route], everybody: list[Principal | None], order: Random
) -> None:
    asked = list(product(all_routes, everybody, ("GET", "POST"), PATHS, ("alice.app.test", "bob.app.test")))
    for route, who, method, path, host in order.sample(asked, 60):
        target = Target("http", host, None, method, path, "", ip_address("192.0.2.1"))
        found = policy.decide(route, target, who, 100.0)
        answers = {plainly(route, replace(target, path=one), who, 100.0) for one in readings(path)}
        if found.reason == "ambiguous_path":
            assert found.verdict is Verdict.DENY
        else:
            assert answers == {found.verdict}


def test_nothing_that_is_remembered_grows_without_bound() -> None:
    for one in REMEMBERS:
        assert one.cache_info().maxsize is not None
    criteria._one_holds.cache_clear()
    policy._readings.cache_clear()
    long = "/a" + "x" * 10_000
    target = Target("http", "h", None, "GET", long, "", ip_address("192.0.2.1"))
    policy.decide(route({"paths": ["/a"], "require": "deny"}), target, None, 1.0)
    assert criteria._one_holds.cache_info().currsize == 0
    assert policy._readings.cache_info().currsize == 0
    request_headers._known_canonical.cache_clear()
    request_headers.canonical(b"X" * 10_000)
    assert request_headers._known_canonical.cache_info().currsize == 0


@given(st.text(max_size=80) | st.binary(max_size=80))
def test_names_of_headers_are_remembered_as_they_would_be_read(name: str | bytes) -> None:
    assert (
        request_headers.canonical(name) == request_headers.canonical(name) == request_headers._canonical(name)
    )
