"""What `decide` remembers changes no answer: asked in any order, by anybody, under any configuration."""

from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from gateway.config.schema import Route
from gateway.model import Decision, Principal, SessionRecord, Target, User
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
REMEMBERS = (policy._one_holds, policy._ask_user, policy._enough, policy._criteria)

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
questions = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(["GET", "POST"]),
        st.sampled_from(PATHS),
        st.sampled_from(["alice.app.test", "bob.app.test"]),
        principals,
    ),
    min_size=1,
    max_size=12,
)


def forget() -> None:
    for one in REMEMBERS:
        one.cache_clear()


@given(routes, questions)
def test_who_asked_before_and_under_which_rules_makes_no_difference(
    all_routes: list[Route], asked: list[tuple[int, str, str, str, Principal | None]]
) -> None:
    def ask(number: int, method: str, path: str, host: str, who: Principal | None) -> Decision:
        target = Target("http", host, None, method, path, "", ip_address("192.0.2.1"))
        return policy.decide(all_routes[number % len(all_routes)], target, who, 100.0)

    remembered = [ask(*question) for question in asked]
    for question, answer in zip(asked, remembered, strict=True):
        forget()
        assert ask(*question) == answer


def test_nothing_that_is_remembered_grows_without_bound() -> None:
    for one in REMEMBERS:
        assert one.cache_info().maxsize is not None
    forget()
    long = "/a" + "x" * 10_000
    target = Target("http", "h", None, "GET", long, "", ip_address("192.0.2.1"))
    policy.decide(route({"paths": ["/a"], "require": "deny"}), target, None, 1.0)
    assert policy._one_holds.cache_info().currsize == 0
    request_headers._known_canonical.cache_clear()
    request_headers.canonical(b"X" * 10_000)
    assert request_headers._known_canonical.cache_info().currsize == 0


@given(st.text(max_size=80) | st.binary(max_size=80))
def test_names_of_headers_are_remembered_as_they_would_be_read(name: str | bytes) -> None:
    assert (
        request_headers.canonical(name) == request_headers.canonical(name) == request_headers._canonical(name)
    )
