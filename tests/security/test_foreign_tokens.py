"""Tokens of other issuers are a door, too: what is not signed, not for us or not as agreed opens nothing."""

import base64
import json
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from gateway.authn.shown_credentials import NotAccepted, ShownSecret
from gateway.model import Target
from tests.foreign_issuer import AUDIENCE, KEYS, NOW, RSA, forged, issuer_and_gateway, shown
from tests.rig import Rig
from tests.service_accounts_rig import get


async def test_a_token_of_a_named_issuer_is_one_factor_and_does_not_reach_the_app(tmp_path: Path) -> None:
    async with issuer_and_gateway(tmp_path) as (rig, issuer):
        token = issuer.token()
        for _ in range(3):  # the first is verified, the others are remembered
            status, headers = await shown(rig, token)
            assert status == 200
            assert headers["remote-user"] == "jwt:github:acme/app"
            assert headers["remote-groups"] == "ci"
            assert "authorization" not in headers
        assert issuer.asked == 1
        assert (await shown(rig, token, "/machine"))[0] == 200
        assert (await shown(rig, token, "/two"))[0] == 401
        status, headers = await shown(rig, token, "/open")
        assert (headers["remote-user"], "authorization" in headers) == ("jwt:github:acme/app", False)
        assert (await shown(rig, token, "/none"))[0] == 401


@pytest.mark.parametrize(
    ("reason", "status", "changes"),
    [
        ("expired", 401, {"exp": NOW - 61}),
        ("no_expiry", 401, {"exp": None}),
        ("no_expiry", 401, {"exp": "9999999999"}),
        ("no_expiry", 401, {"exp": True}),
        ("no_expiry", 401, {"exp": float("inf")}),
        ("no_expiry", 401, {"exp": 10**400}),
        ("not_yet", 401, {"nbf": NOW + 3600}),
        ("not_yet", 401, {"iat": NOW + 3600}),
        ("not_yet", 401, {"nbf": "now"}),
        ("audience", 401, {"aud": "https://other.example.com"}),
        ("audience", 401, {"aud": None}),
        ("audience", 401, {"aud": [[AUDIENCE]]}),
        ("claims", 403, {"repository": "evil/app"}),
        ("claims", 403, {"repository": "acme/app/x"}),
        ("claims", 403, {"repository": "xacme/app"}),
        ("claims", 403, {"ref": "refs/heads/Main"}),
        ("claims", 403, {"ref": None}),
        ("claims", 403, {"ref": {"refs/heads/main": 1}}),
        ("claims", 403, {"ref": "refs/heads/main\n"}),
        ("name", 403, {"repository": "acme/a,root"}),
        ("name", 403, {"repository": "acme/a b"}),
        ("name", 403, {"repository": "acme/ä"}),
        ("name", 403, {"repository": ["acme/a", "acme/b"]}),
        ("name", 403, {"repository": "acme/" + "a" * 120}),
    ],
)
async def test_a_signed_token_counts_only_in_its_time_for_us_and_as_agreed(
    reason: str, status: int, changes: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with issuer_and_gateway(tmp_path) as (rig, issuer):
        token = issuer.token(**changes)
        assert (await shown(rig, token))[0] == status
        assert (await shown(rig, token, "/open"))[0] == status
        assert rig.upstream.requests == []
        line = next(one for one in caplog.messages if "jwt_refused" in one)
        assert reason in line
        assert token not in caplog.text
        assert token.split(".")[2] not in caplog.text


async def test_what_the_issuer_has_not_signed_opens_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with issuer_and_gateway(tmp_path) as (rig, issuer):
        good = issuer.token()
        claims = issuer.claims()
        public = json.dumps(KEYS["k1"].as_dict(private=False)).encode()
        body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
        none = base64.urlsafe_b64encode(b'{"alg":"none","kid":"k1"}').rstrip(b"=").decode()
        own = KEYS["k2"].as_dict(private=False)
        bad = [
            forged(good, repository="acme/other"),
            good[:-2] + ("AA" if good[-2:] != "AA" else "BB"),
            f"{none}.{body}.",
            f"{none}.{body}.{good.split('.')[2]}",
            jwt.encode({"alg": "HS256", "kid": "k1"}, claims, OctKey.import_key(public)),
            jwt.encode({"alg": "ES256", "kid": "k1"}, claims, KEYS["k2"]),
            jwt.encode({"alg": "ES256", "kid": "k1", "jwk": own}, claims, KEYS["k2"]),
            jwt.encode({"alg": "ES256", "kid": "k2"}, claims, KEYS["k2"]),
            jwt.encode({"alg": "RS256", "kid": "k1"}, claims, RSA),
            f"{'!' * 10}.{body}.x",
        ]
        for token in bad:
            status, headers = await shown(rig, token)
            assert (status, headers.get("WWW-Authenticate")) == (401, 'Bearer error="invalid_token"'), token
        assert rig.upstream.requests == []
        assert caplog.text.count("jwt_refused") == len(bad)
        assert issuer.asked == 1


async def test_a_token_of_another_issuer_than_those_of_the_route_is_the_apps_own(tmp_path: Path) -> None:
    async with issuer_and_gateway(tmp_path) as (rig, issuer):
        token = issuer.token(iss="https://other.example.com")
        assert (await shown(rig, token))[0] == 401
        status, headers = await shown(rig, token, "/open")
        assert (status, headers["authorization"], "remote-user" in headers) == (200, f"Bearer {token}", False)


async def test_wrong_tokens_count_against_the_address(tmp_path: Path) -> None:
    async with issuer_and_gateway(tmp_path) as (rig, issuer):
        for number in range(30):
            assert (await shown(rig, issuer.token(aud="x", jti=str(number))))[0] == 401
        assert (await shown(rig, issuer.token()))[0] == 429


async def test_a_token_that_was_right_ends_with_its_time_though_it_is_remembered(tmp_path: Path) -> None:
    async with issuer_and_gateway(tmp_path) as (rig, issuer):
        token = issuer.token(exp=NOW + 30)
        assert (await shown(rig, token))[0] == 200
        rig.clock.now = NOW + 30 + 60
        assert (await shown(rig, token))[0] == 401


async def test_new_keys_are_read_once_in_half_a_minute_and_old_ones_end(tmp_path: Path) -> None:
    async with issuer_and_gateway(tmp_path) as (rig, issuer):
        assert (await shown(rig, issuer.token()))[0] == 200
        issuer.kids = ("k2",)
        assert (await shown(rig, issuer.token("k2")))[0] == 401
        assert issuer.asked == 1
        rig.clock.advance(31)
        assert (await shown(rig, issuer.token("k2")))[0] == 200
        for number in range(3):
            assert (await shown(rig, issuer.token("k1", jti=f"old{number}")))[0] == 401
        assert issuer.asked == 2


async def test_an_issuer_that_is_down_lets_nobody_in_and_is_not_asked_by_everybody(tmp_path: Path) -> None:
    async with issuer_and_gateway(tmp_path) as (rig, issuer):
        issuer.fails = True
        for number in range(3):
            assert (await shown(rig, issuer.token(jti=str(number))))[0] == 503
        assert (await shown(rig, issuer.token(), "/open"))[0] == 503
        assert rig.upstream.requests == []
        issuer.fails = False
        rig.clock.advance(31)
        assert (await shown(rig, issuer.token()))[0] == 200
        rig.clock.advance(3600)  # what was read then says nothing about today
        issuer.fails = True
        later = int(rig.clock.now) + 300
        assert (await shown(rig, issuer.token(exp=later)))[0] == 503


@pytest.mark.parametrize(
    ("discovery", "keys"),
    [
        ({"issuer": "https://other.example.com"}, None),
        ({"jwks_uri": "http://10.0.0.1/jwks"}, None),
        ({"jwks_uri": "https://169.254.169.254/jwks"}, None),
        ({"jwks_uri": "https://internal/jwks"}, None),
        ({"jwks_uri": 7}, None),
        ({}, []),
        ({}, [{"kty": "oct", "k": "AAAA", "kid": "k1"}]),
        ({}, [{**KEYS["k1"].as_dict(private=False), "use": "enc"}]),
    ],
)
async def test_keys_come_from_where_the_issuer_may_have_them_and_can_sign(
    discovery: dict[str, Any], keys: list[dict[str, Any]] | None, tmp_path: Path
) -> None:
    async with issuer_and_gateway(tmp_path) as (rig, issuer):
        issuer.discovery, issuer.keys = discovery, keys
        assert (await shown(rig, issuer.token()))[0] == 503
        assert rig.upstream.requests == []


async def test_a_token_that_counts_once_is_refused_the_second_time(tmp_path: Path) -> None:
    async with issuer_and_gateway(tmp_path, once=True) as (rig, issuer):
        token = issuer.token()
        assert [(await shown(rig, token))[0] for _ in range(3)] == [200, 401, 401]
        assert (await shown(rig, issuer.token(jti="j1", sub="x")))[0] == 401
        assert (await shown(rig, issuer.token(jti="j2")))[0] == 200
        assert (await shown(rig, issuer.token(jti=None)))[0] == 401
        assert (await shown(rig, issuer.token(jti="j3", exp=NOW + 10**6)))[0] == 401


async def test_the_app_gets_the_token_where_the_route_says_so(tmp_path: Path) -> None:
    async with issuer_and_gateway(tmp_path, pass_on=True) as (rig, issuer):
        token = issuer.token()
        assert (await shown(rig, token))[1]["authorization"] == f"Bearer {token}"


async def test_a_proxy_that_asks_is_told_the_same_if_it_keeps_the_token_from_the_app(tmp_path: Path) -> None:
    async with issuer_and_gateway(tmp_path) as (rig, issuer):

        async def asked(token: str, path: str = "/one", **headers: str) -> tuple[int, Any]:
            where = {"X-Original-URL": f"{rig.url}{path}", "X-Original-Method": "GET", **headers}
            return await get(rig, "/_auth/forward", f"Bearer {token}", **where)

        consumes = {"X-Gateway-Consumes": "authorization"}
        for _ in range(2):
            assert await yes(rig, f"{rig.url}/one", issuer.token()) == (
                "jwt:github:acme/app",
                "authorization",
            )
        assert (await asked(issuer.token(aud="x"), **consumes))[0] == 401
        assert (await asked(issuer.token(repository="evil/app"), **consumes))[0] == 403
        assert (await asked(issuer.token()))[0] == 401  # this one would pass it on
        assert (await asked(issuer.token(), "/none", **consumes))[0] == 401
        issuer.fails = True
        rig.clock.advance(3600)
        later = int(rig.clock.now) + 300
        assert (await asked(issuer.token(exp=later), **consumes))[0] == 503


async def yes(rig: Rig, url: str, token: str) -> tuple[str, str]:
    """Whom a proxy is told of, and what it must keep from the app."""
    sent = {
        "Authorization": f"Bearer {token}",
        "X-Original-URL": url,
        "X-Original-Method": "GET",
        "X-Gateway-Consumes": "authorization",
    }
    async with (
        aiohttp.ClientSession() as client,
        client.get(f"{rig.url}/_auth/forward", headers=sent) as answer,
    ):
        assert answer.status == 200
        return answer.headers["Remote-User"], answer.headers["X-Gateway-Consumed"]


async def test_only_signatures_that_the_route_lists_count(tmp_path: Path) -> None:
    async with issuer_and_gateway(tmp_path) as (rig, issuer):
        issuer.keys = [RSA.as_dict(private=False)]
        for algorithm, status in (("PS256", 401), ("RS512", 401), ("RS256", 200)):
            token = jwt.encode({"alg": algorithm, "kid": "rsa"}, issuer.claims(), RSA, algorithms=[algorithm])
            assert (await shown(rig, token))[0] == status, algorithm


async def test_keys_that_name_another_algorithm_or_are_too_short_verify_nothing(tmp_path: Path) -> None:
    for keys in (
        [{**RSA.as_dict(private=False), "alg": "PS256"}],
        [{**RSA.as_dict(private=False), "n": "x" * 341}, KEYS["k1"].as_dict(private=False)],
    ):
        async with issuer_and_gateway(tmp_path / str(len(keys))) as (rig, issuer):
            issuer.keys = keys
            token = jwt.encode({"alg": "RS256", "kid": "rsa"}, issuer.claims(), RSA)
            assert (await shown(rig, token))[0] == 401


async def test_what_a_token_says_of_its_issuer_before_it_is_verified_decides_nothing(tmp_path: Path) -> None:
    async with issuer_and_gateway(tmp_path) as (rig, issuer):
        foreign = rig.gateway._composed.credentials.foreign
        route = next(one for one in rig.config.routes if one.path == "/one")
        target = Target("http", "h", None, "GET", "/one", "", ip_address("127.0.0.1"))
        token = issuer.token(iss="https://other.example.com")
        with pytest.raises(NotAccepted):
            await foreign.read(route, target, ShownSecret("token", token, issuer=issuer.url))
