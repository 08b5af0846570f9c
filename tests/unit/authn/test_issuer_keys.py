"""Where the keys of other issuers are read from, and what is shown to whom."""

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from gateway.authn.federation.http_client import PublicAddresses
from gateway.authn.issuer_keys import IssuerKeys, IssuerUnavailable
from gateway.config.sections.foreign_jwt import ForeignIssuer
from tests.foreign_issuer import CLAIMS, KEYS, Issuer
from tests.rig import FakeClock, running_upstream
from tests.sending import write_certificate


def entry(issuer: str, **more: Any) -> ForeignIssuer:
    as_ = {"user": "github:{repository}"}
    fields = {"issuer": issuer, "audience": ["us"], "claims": CLAIMS, "as": as_, **more}
    return ForeignIssuer.model_validate(fields)


class Shown(Issuer):
    """Also notes what was shown, by path."""

    seen: dict[str, str]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.seen[request.path] = request.headers.get("Authorization", "")
        return await super().handle(request)


@pytest.fixture
async def issuer() -> AsyncIterator[Shown]:
    made = Shown()
    made.seen = {}
    async with running_upstream(made.handle) as upstream:
        made.url = upstream.url
        yield made


async def verified(config: ForeignIssuer, token: str, **more: Any) -> str:
    keys = IssuerKeys(config, FakeClock(), **more)
    try:
        claims, _ = await keys.verified(token)
        return str(claims["repository"])
    finally:
        await keys.close()


async def test_keys_of_a_file_are_read_without_asking_anybody(issuer: Shown, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": [KEYS["k1"].as_dict(private=False)]}))
    assert await verified(entry(issuer.url, jwks_file=file), issuer.token()) == "acme/App"
    assert issuer.seen == {}
    for text in ("", "[]", '{"keys": []}', "no json"):
        file.write_text(text)
        with pytest.raises(IssuerUnavailable):
            await verified(entry(issuer.url, jwks_file=file), issuer.token())
    file.unlink()
    with pytest.raises(IssuerUnavailable):
        await verified(entry(issuer.url, jwks_file=file), issuer.token())


async def test_keys_at_an_address_of_their_own_need_no_discovery(issuer: Shown) -> None:
    config = entry(issuer.url, jwks_url=f"{issuer.url}/jwks")
    assert await verified(config, issuer.token()) == "acme/App"
    assert list(issuer.seen) == ["/jwks"]


async def test_the_token_for_the_keys_is_shown_to_the_issuer_and_read_each_time(
    issuer: Shown, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    clock = FakeClock()
    keys = IssuerKeys(entry(issuer.url, bearer_file=file), clock)
    await keys.verified(issuer.token())
    assert issuer.seen == {"/.well-known/openid-configuration": "Bearer first", "/jwks": "Bearer first"}
    file.write_text("second")
    clock.advance(3601)
    await keys.verified(issuer.token())
    await keys.close()
    assert issuer.seen["/jwks"] == "Bearer second"


class Answers(AbstractResolver):
    """A resolver with these answers."""

    def __init__(self, **addresses: tuple[str, ...]) -> None:
        self._addresses = addresses

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=one, port=port, family=2, proto=0, flags=0)
            for one in self._addresses[host.partition(".")[0]]
        ]

    async def close(self) -> None:
        pass


async def test_a_name_that_leads_inside_is_not_followed() -> None:
    answers = Answers(
        keys=("8.8.8.8", "2001:4860:4860::8888"),
        mixed=("8.8.8.8", "10.0.0.1"),
        test=("198.51.100.0",),
        home=("127.0.0.1",),
        cloud=("169.254.169.254",),
        six=("fd00::1",),
        scoped=("fe80::1%eth0",),
        mapped=("::ffff:10.0.0.1",),
    )
    names = PublicAddresses(answers)
    found = await names.resolve("keys.example", 443)
    assert [one["host"] for one in found] == ["8.8.8.8", "2001:4860:4860::8888"]
    for name in ("mixed", "test", "home", "cloud", "six", "scoped", "mapped"):
        with pytest.raises(OSError, match="inside"):
            await names.resolve(f"{name}.example", 443)


@asynccontextmanager
async def elsewhere(tmp_path: Path, keys: list[Any]) -> AsyncIterator[tuple[str, Path, list[str]]]:
    """Another port with keys over TLS: its address, what to trust, and what was shown there."""
    certificate, key = write_certificate(tmp_path, "localhost", "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    seen: list[str] = []

    async def answer(request: web.BaseRequest) -> web.Response:
        seen.append(request.headers.get("Authorization", ""))
        return web.json_response({"keys": keys})

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield f"https://127.0.0.1:{port}/jwks", certificate, seen
    finally:
        await runner.cleanup()


async def test_keys_elsewhere_are_read_from_public_addresses_and_without_the_token(
    issuer: Shown, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("secret")
    async with elsewhere(tmp_path, [KEYS["k1"].as_dict(private=False)]) as (address, trusted, seen):
        port = address.split(":")[2].split("/")[0]
        issuer.discovery = {"jwks_uri": f"https://keys.example.com:{port}/jwks"}
        config = entry(issuer.url, ca_file=trusted, bearer_file=token)
        with pytest.raises(IssuerUnavailable, match="inside"):
            await verified(config, issuer.token(), names=Answers(keys=("127.0.0.1",)))
        assert seen == []
        issuer.discovery = {"jwks_uri": address}
        assert await verified(config, issuer.token()) == "acme/App"
        assert seen == [""]
        # Where the operator names the address, it may be anywhere.
        named = entry(issuer.url, jwks_url=address, ca_file=trusted, bearer_file=token)
        assert await verified(named, issuer.token()) == "acme/App"
        assert seen == ["", "Bearer secret"]
        with pytest.raises(IssuerUnavailable):
            await verified(entry(issuer.url, jwks_url=address), issuer.token())
