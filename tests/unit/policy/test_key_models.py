"""What rules say of models of security keys, and how it is explained."""

from ipaddress import ip_address
from typing import Any

import pytest

from gateway.config.schema import Route, Rule
from gateway.model import Principal, SessionRecord, Target, User, Verdict
from gateway.policy.decide import decide
from gateway.policy.explain import explain
from tests.key_models import MODEL, OTHER

NOW = 10_000.0


def principal(amr: tuple[str, ...], **used: float) -> Principal:
    session = SessionRecord(
        sid="s",
        username="alice",
        amr=amr,
        proven_at=dict.fromkeys(amr, NOW),
        created_at=NOW,
        last_seen=NOW,
        expires_at=NOW + 3600,
        key_models=used,
    )
    return Principal(User("alice"), session)


def route_with(**policy: Any) -> Route:
    rule = Rule.model_validate({"name": "vault", **policy})
    return Route.model_validate({"host": "*", "upstream": "http://127.0.0.1:1"}).model_copy(
        update={"access": (rule,)}
    )


TARGET = Target("https", "vault.example.com", None, "GET", "/", "", ip_address("192.0.2.1"))


@pytest.mark.parametrize(
    ("wanted", "used", "passes"),
    [
        ([str(MODEL)], {str(MODEL): NOW}, True),
        ([str(MODEL), str(OTHER)], {str(OTHER): NOW}, True),
        (["*"], {str(OTHER): NOW}, True),
        ([str(MODEL)], {str(OTHER): NOW}, False),
        ([str(MODEL)], {}, False),
        (["*"], {}, False),
        (["*"], {"": NOW}, False),
    ],
)
def test_only_a_model_that_was_used_passes(wanted: list[str], used: dict[str, float], passes: bool) -> None:
    route = route_with(require="two_factor", key_models=wanted)
    decision = decide(route, TARGET, principal(("password", "webauthn"), **used), NOW)
    if passes:
        assert decision.verdict is Verdict.ALLOW
    else:
        assert (decision.verdict, decision.reason) == (Verdict.STEP_UP, "key_model")
        assert (decision.factors, decision.key_models) == (frozenset({"webauthn"}), frozenset(wanted))
    shown = {
        one.criterion: one for one in explain(route, TARGET, principal((), **used), NOW).rules[0].demands
    }
    assert shown["key_models"].holds is passes
    assert shown["key_models"].wants == ", ".join(wanted)


def test_the_key_asks_for_no_less_than_the_rule_does_without_it() -> None:
    route = route_with(require="two_factor", key_models=["*"])
    alone = decide(route, TARGET, principal(("webauthn",), **{str(MODEL): NOW}), NOW)
    assert (alone.verdict, alone.reason) == (Verdict.STEP_UP, "factor")
    assert decide(route, TARGET, None, NOW).verdict is Verdict.SIGN_IN
    machine = decide(route, TARGET, principal(("token",)), NOW)
    assert machine.verdict is Verdict.STEP_UP  # a token is no key, unless the rule says that machines suffice


def test_with_max_age_the_use_of_the_key_must_be_as_fresh() -> None:
    route = route_with(require="two_factor", key_models=["*"], max_age="5m")
    amr = ("password", "webauthn")
    assert decide(route, TARGET, principal(amr, **{str(MODEL): NOW - 299}), NOW).verdict is Verdict.ALLOW
    stale = decide(route, TARGET, principal(amr, **{str(MODEL): NOW - 301}), NOW)
    assert (stale.verdict, stale.reason) == (Verdict.STEP_UP, "key_model")
