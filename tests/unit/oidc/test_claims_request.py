"""The parameter `claims`: what it asks for is read, what nobody may have is left out, what is no claims is refused."""

import json
from typing import Any

import pytest

from gateway.oidc.claims_request import AskedClaims, BadClaims, read_claims

MAY = frozenset({"email", "department", "name"})


def read(**members: Any) -> AskedClaims:
    return read_claims(json.dumps(members), MAY)


def test_claims_are_asked_for_by_place_and_others_are_left_out() -> None:
    asked = read(
        userinfo={
            "email": None,
            "department": {"essential": True},
            "salary": None,
            "iss": None,
            "name#de": None,
        },
        id_token={
            "name": {"value": "x"},
            "unknown": {"essential": True, "more": [1]},
            "aud": {"value": "evil"},
        },
        elsewhere={"email": None},
    )
    assert (asked.userinfo, asked.id_token) == (("email", "department"), ("name",))
    assert read_claims("", MAY) == read() == AskedClaims()
    assert read(userinfo=None, id_token={}) == AskedClaims()


@pytest.mark.parametrize(
    ("acr", "liked", "needed"),
    [
        (None, (), ()),
        ({"essential": True}, (), ()),
        ({"value": "2fa"}, ("2fa",), ()),
        ({"values": ["gold", "phr", "2fa"]}, ("phr", "2fa"), ()),
        ({"essential": True, "value": "phr"}, ("phr",), ("phr",)),
        ({"essential": True, "values": ["2fa", "gold", 7]}, ("2fa",), ("2fa",)),
        ({"essential": True, "values": ["gold"]}, (), ("unknown",)),
    ],
)
def test_a_context_is_a_wish_unless_it_is_essential(acr: Any, liked: Any, needed: Any) -> None:
    asked = read(id_token={"acr": acr})
    assert (asked.acr, asked.acr_needed) == (liked, needed)
    assert read(userinfo={"acr": acr}) == AskedClaims(), "the sign-in is described in the id token"


def test_a_user_and_the_time_of_proof_can_be_asked_for() -> None:
    asked = read(id_token={"sub": {"value": "s1"}, "auth_time": {"essential": True}})
    assert (asked.subjects, asked.tell_time) == (("s1",), True)
    assert read(id_token={"sub": {"values": ["s1", "s2"]}}).subjects == ("s1", "s2")
    assert read(userinfo={"auth_time": None}) == AskedClaims()


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "null",
        '"x"',
        "1",
        "[" * 4000,
        '{"userinfo": []}',
        '{"id_token": "email"}',
        '{"userinfo": {"email": true}}',
        '{"userinfo": {"email": "x"}}',
        '{"userinfo": {"email": {"essential": "yes"}}}',
        '{"id_token": {"acr": {"essential": true, "values": "2fa"}}}',
        '{"id_token": {"sub": {"values": {"s1": 1}}}}',
        json.dumps({"userinfo": {f"c{n}": None for n in range(51)}}),
        json.dumps({"userinfo": {"email": {"value": "x" * 5000}}}),
    ],
)
def test_what_is_no_claims_is_refused(text: str) -> None:
    with pytest.raises(BadClaims):
        read_claims(text, MAY)
