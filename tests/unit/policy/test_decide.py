"""Policy is pure, so every verdict is a row in a table."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.schema import Policy, Route
from gateway.model import Attributes, Principal, SessionRecord, Target, User, Verdict
from gateway.policy.decide import decide

FACTORS = ["password", "sms", "email", "totp", "webauthn", "recovery"]


def principal(
    *amr: str, groups: tuple[str, ...] = (), name: str = "alice", attributes: Attributes = ()
) -> Principal:
    record = SessionRecord("sid", name, amr, dict.fromkeys(amr, 1.0), 1.0, 1.0, 9.0)
    return Principal(User(name, groups=groups, attributes=attributes), record)


def verdict(
    who: Principal | None, method: str = "GET", client: str = "192.0.2.1", **policy: object
) -> Verdict:
    route = Route(upstream="http://127.0.0.1:1", policy=Policy.model_validate(policy))
    target = Target("http", "app.test", None, method, "/", "", ip_address(client))
    return decide(route, target, who, 2.0).verdict


IN_OPS = principal("password", "sms", attributes=(("department", ("dev", "ops")),))


@pytest.mark.parametrize(
    ("who", "policy", "expected"),
    [
        (None, {}, Verdict.SIGN_IN),
        (None, {"require": "bypass"}, Verdict.ALLOW),
        (None, {"require": "deny"}, Verdict.DENY),
        (principal("password"), {}, Verdict.STEP_UP),
        (principal("password"), {"require": "one_factor"}, Verdict.ALLOW),
        (principal("password", "sms"), {}, Verdict.ALLOW),
        (principal("password", "sms"), {"require": "deny"}, Verdict.DENY),
        (principal("password", "sms"), {"factors": ["webauthn"]}, Verdict.STEP_UP),
        (principal("password", "webauthn"), {"factors": ["webauthn", "totp"]}, Verdict.ALLOW),
        (principal("password", "sms"), {"users": ["bob"]}, Verdict.DENY),
        (principal("password", "sms"), {"users": ["alice"]}, Verdict.ALLOW),
        (principal("password", "sms"), {"groups": ["ops"]}, Verdict.DENY),
        (principal("password", "sms", groups=("ops",)), {"groups": ["ops", "x"]}, Verdict.ALLOW),
        (principal("password", "sms"), {"attributes": {"department": ["ops"]}}, Verdict.DENY),
        (None, {"attributes": {"department": ["ops"]}}, Verdict.SIGN_IN),
        (IN_OPS, {"attributes": {"department": ["x", "ops"]}}, Verdict.ALLOW),
        (IN_OPS, {"attributes": {"department": ["Ops"]}}, Verdict.DENY),
        (IN_OPS, {"attributes": {"department": ["ops"], "site": ["here"]}}, Verdict.DENY),
        (IN_OPS, {"attributes": {"department": []}}, Verdict.DENY),
        (principal("password", "sms"), {"networks": ["10.0.0.0/8"]}, Verdict.DENY),
        (principal("password", "sms"), {"methods": ["POST"]}, Verdict.DENY),
        (None, {"require": "bypass", "networks": ["10.0.0.0/8"]}, Verdict.DENY),
    ],
)
def test_verdicts(who: Principal | None, policy: dict[str, object], expected: Verdict) -> None:
    assert verdict(who, **policy) is expected


@given(
    st.lists(st.sampled_from(FACTORS), max_size=6).map(tuple),
    st.lists(st.sampled_from(FACTORS), max_size=3),
)
def test_two_factor_is_never_allowed_with_one_kind_of_proof(
    amr: tuple[str, ...], accepted: list[str]
) -> None:
    if verdict(principal(*amr), require="two_factor", factors=accepted) is Verdict.ALLOW:
        assert len(set(amr)) >= 2
        assert not accepted or set(amr) & set(accepted)


@pytest.mark.parametrize(
    ("passes", "preflight", "require", "expected"),
    [
        (True, True, "two_factor", Verdict.ALLOW),
        (True, False, "two_factor", Verdict.SIGN_IN),
        (False, True, "two_factor", Verdict.SIGN_IN),
        (True, True, "deny", Verdict.DENY),
    ],
)
def test_a_preflight_is_spared_the_sign_in_where_its_route_says_so_and_nothing_else(
    passes: bool, preflight: bool, require: str, expected: Verdict
) -> None:
    policy = Policy.model_validate({"require": require})
    route = Route(upstream="http://127.0.0.1:1", policy=policy, cors_preflight=passes)
    target = Target("http", "app.test", None, "OPTIONS", "/", "", ip_address("192.0.2.1"))
    assert decide(route, target, None, 2.0, preflight=preflight).verdict is expected
