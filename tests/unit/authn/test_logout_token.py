"""A logout token ends sessions if all of it is right (OpenID Connect Back-Channel Logout 1.0 §2.4, §2.6)."""

from typing import Any

import pytest

from gateway.authn.federation.base import NotSignedIn
from gateway.authn.federation.logout_token import EVENT, LogoutNotice, read_notice

NOW = 1_800_000_000
GOOD: dict[str, Any] = {
    "iss": "https://id.example.com",
    "aud": "gateway",
    "iat": NOW,
    "exp": NOW + 120,
    "jti": "j1",
    "sub": "s1",
    "sid": "p1",
    "events": {EVENT: {}},
}
ABSENT = object()


def read(header: dict[str, Any] | None = None, **changed: Any) -> LogoutNotice:
    claims = {name: value for name, value in {**GOOD, **changed}.items() if value is not ABSENT}
    return read_notice(
        header or {}, claims, issuer="https://id.example.com", client_id="gateway", now=float(NOW)
    )


@pytest.mark.parametrize(
    ("changed", "subject", "sid"),
    [
        ({}, "s1", "p1"),
        ({"sid": ABSENT}, "s1", ""),
        ({"sub": ABSENT}, "", "p1"),
        ({"aud": ["other", "gateway"]}, "s1", "p1"),
        ({"events": {EVENT: {}, "urn:more": {}}}, "s1", "p1"),
        ({"iat": NOW + 59, "exp": NOW - 59}, "s1", "p1"),
    ],
)
def test_what_is_right_names_a_session_or_an_account(changed: dict[str, Any], subject: str, sid: str) -> None:
    notice = read(**changed)
    assert (notice.id, notice.subject, notice.sid) == ("j1", subject, sid)
    assert notice.until == changed.get("exp", NOW + 120) + 60


@pytest.mark.parametrize("kind", ["logout+jwt", "application/logout+jwt", "JWT"])
def test_its_type_may_be_said(kind: str) -> None:
    assert read({"typ": kind}).sid == "p1"


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("iss", ("https://evil.test", "https://id.example.com/", ABSENT, None, ["https://id.example.com"])),
        ("aud", ("other", [], ["other"], ABSENT, None)),
        ("iat", (NOW + 60, NOW - 86400, ABSENT, None, "1800000000", True, float("nan"))),
        ("exp", (NOW - 60, NOW + 86401, ABSENT, None, str(NOW), True, float("nan"), float("inf"))),
        ("jti", ("", ABSENT, None, 7, "x" * 256, "\x00")),
        ("events", (ABSENT, None, {}, [EVENT], EVENT, {EVENT: None}, {EVENT: True}, {"urn:other": {}})),
        ("nonce", ("n", "", None)),
        ("sub", ("", None, 7, ["s1"], "x" * 256)),
        ("sid", ("", None, 7, ["p1"], "x" * 256)),
    ],
)
def test_what_is_wrong_is_named_and_ends_nothing(name: str, values: tuple[Any, ...]) -> None:
    for value in values:
        with pytest.raises(NotSignedIn) as refused:
            read(**{name: value})
        assert refused.value.detail == f"the logout token has a wrong {name}", value


def test_whose_sessions_end_must_be_said() -> None:
    with pytest.raises(NotSignedIn, match="wrong sub, sid"):
        read(sub=ABSENT, sid=ABSENT)


@pytest.mark.parametrize("kind", ["at+jwt", "secevent+jwt", "id_token", 7])
def test_another_kind_of_token_is_none(kind: object) -> None:
    with pytest.raises(NotSignedIn, match="wrong typ"):
        read({"typ": kind})


def test_where_no_issuer_is_known_nothing_is_believed() -> None:
    with pytest.raises(NotSignedIn, match="wrong iss"):
        read_notice({}, {**GOOD, "iss": None}, issuer=None, client_id="gateway", now=float(NOW))
