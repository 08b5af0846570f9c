"""Headers made of facts of the user: whole or not there, never the client's, and never more than one line."""

import json
from base64 import b64decode

import pytest

from gateway.config.header_templates import read_template
from gateway.config.schema import Route
from gateway.engines.carrying import _of_route
from gateway.forwardauth.engine_pass import is_settled
from gateway.proxy.user_headers import filled
from tests.header_rig import prepared, rules, values
from tests.proxy_rig import principal

OPS = (("department", ("ops", "R&D, Köln")), ("desk", ("4",)))
ALICE = principal(attributes=OPS)


@pytest.mark.parametrize(
    ("value", "made"),
    [
        ("{user.desk}", "4"),
        ("desk {user.desk} of {user.username}", "desk 4 of alice"),
        ("{user.department}", "ops,R&D%2C Köln"),
        ("{user.department|json}", '["ops", "R&D, K\\u00f6ln"]'),
        ("{user.groups}", "staff,ops"),
        ("{user.name|json}", '"Alice \\u00c4hren"'),
        ("{user.desk|base64}", "NA=="),
        ("{user.desk}{x}", "4{x}"),
        ("{user.site}", None),
        ("{user.desk} {user.site}", None),
        ("{user.site|json}", None),
        ("{user.site|base64}", None),
    ],
)
def test_a_value_is_made_whole_or_not_at_all(value: str, made: str | None) -> None:
    assert filled(read_template(value), ALICE) == made


def test_all_of_a_user_is_one_object() -> None:
    text = filled(read_template("{user|base64}"), ALICE)
    assert text is not None
    assert json.loads(b64decode(text)) == {
        "username": "alice",
        "name": "Alice Ähren",
        "email": "a@example.com",
        "groups": ["staff", "ops"],
        "attributes": {"department": ["ops", "R&D, Köln"], "desk": ["4"]},
    }


@pytest.mark.parametrize(
    "value",
    [
        "{user}",
        "{user.}",
        "{user.phone}",
        "{user.Desk}",
        "{user.desk",
        "{user.desk|xml}",
        "{user.a b}",
        "{users}",
    ],
)
def test_what_stands_for_no_fact_is_a_mistake(value: str) -> None:
    with pytest.raises(ValueError, match=r"user\.department"):
        read_template(value)


def test_what_a_client_sends_under_such_a_name_never_reaches_the_app() -> None:
    compiled = rules(headers={"add": {"X-Department": "{user.department}", "X-Site": "{user.site}"}})
    sent = ((b"X-Site", b"root"), (b"x_department", b"root"), (b"X-Department", b"root"))
    for who, told in ((ALICE, ["ops,R&D%2C Köln".encode()]), (principal(), []), (None, [])):
        pairs = prepared(*sent, who=who, compiled=compiled)
        assert values(pairs, "X-Department") == told
        assert values(pairs, "X-Site") == values(pairs, "x_department") == []


def test_no_fact_ends_its_line() -> None:
    compiled = rules(headers={"add": {"X-Name": "{user.name}", "X-Sites": "{user.site}"}})
    odd = principal(name="a\r\nRemote-User: root", attributes=(("site", ("b\nX: y",)),))
    pairs = prepared(who=odd, compiled=compiled)
    assert values(pairs, "X-Name") == [b"a  Remote-User: root"]
    assert not any(set(b"\r\n\0") & set(name + value) for name, value in pairs)


def test_an_app_is_signed_in_to_with_basic_and_the_clients_own_stays_here() -> None:
    compiled = rules(headers={"basic": {"username": "{user.username}", "password": "p-{user.desk}"}})
    sent = (b"Authorization", b"Basic cm9vdDpyb290")
    pairs = prepared(sent, who=ALICE, compiled=compiled)
    assert [b64decode(value.removeprefix(b"Basic ")) for value in values(pairs, "Authorization")] == [
        b"alice:p-4"
    ]
    for who in (principal(), principal(username="a:b", attributes=OPS), None):
        assert values(prepared(sent, who=who, compiled=compiled), "Authorization") == []


def test_what_engines_can_not_make_goes_through_the_gateway() -> None:
    basic = {"basic": {"username": "{user.username}", "password": "x"}}
    for headers, alone in (
        ({"add": {"X": "{user.desk}"}}, False),
        (basic, False),
        ({"add": {"X": "1"}}, True),
    ):
        route = Route(upstream="http://app", headers=headers)
        assert is_settled(route) is alone
        assert (not _of_route(route)) is alone
