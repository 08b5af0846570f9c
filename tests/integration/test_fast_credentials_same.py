"""API tokens and HTTP Basic on the fast path against its reference: the same to app and client, ended as soon."""

import asyncio
import base64
import io
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.both_paths import RawUpstream, Said, both_paths, on_ordinary_path, request, same, talk
from tests.rig import PASSWORD, Rig
from tests.service_accounts_rig import TOKEN, add_token, revoke

LABEL = "app.test/"


def basic(username: str, password: str) -> str:
    return "Authorization: Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


BEARER = f"Authorization: Bearer {TOKEN}"
ALICE = basic("alice", PASSWORD)


@dataclass
class Both:
    upstream: RawUpstream
    fast: Rig
    ordinary: Rig
    handled: int = 0
    """Requests that the first one's ordinary path has answered."""

    def count(self) -> None:
        self.handled += 1

    async def same(
        self, data: bytes, methods: tuple[str, ...] = ("GET",), ordinary: Sequence[bytes] = ()
    ) -> list[Said]:
        """Send these requests to both; `ordinary` is what the second one gets instead, with its own cookies."""
        return await same(self.upstream, self.fast, self.ordinary, [data], methods, 0.001, instead=ordinary)

    async def taken(self, data: bytes, method: str = "GET", ordinary: Sequence[bytes] = ()) -> bool:
        """Whether the fast path answers this request when it comes again.

        News of the sign-in, heard meanwhile, has a session read anew once: so it may come a few times.
        """
        for _ in range(4):
            before = self.handled
            await self.same(data, methods=(method,), ordinary=ordinary)
            if self.handled == before:
                return True
        return False


@asynccontextmanager
async def both(**route: Any) -> AsyncIterator[Both]:
    route = {"tokens": True, "basic": True, "policy": {"require": "one_factor"}, **route}
    async with both_paths(**route) as (upstream, fast, ordinary):
        found = Both(upstream, fast, ordinary)
        for rig in (fast, ordinary):
            await rig.add_user("alice", email="a@example.com", groups=("ops",))
        on_ordinary_path(fast, found.count)
        yield found


async def give_token(pair: Both, **changes: Any) -> None:
    for rig in (pair.fast, pair.ordinary):
        await add_token(rig, **{"routes": (LABEL,), **changes})


@pytest.mark.parametrize("shown", [BEARER, ALICE, f"authorization:  bearer   {TOKEN} ".rstrip()])
async def test_what_was_checked_a_moment_ago_takes_the_fast_path(shown: str) -> None:
    async with both() as pair:
        await give_token(pair)
        assert await pair.taken(request("/plain", shown))
        assert not any(
            TOKEN in head.decode("latin-1") or "Basic" in head.decode("latin-1")
            for head in pair.upstream.heads
        )
        assert await pair.taken(request("/chunked", shown, method="HEAD"), "HEAD")
        upload = request("/plain", shown, "Content-Length: 5", method="POST") + b"hello"
        assert await pair.taken(upload, "POST")


SHOWN = [
    [BEARER],
    [ALICE],
    [BEARER + "x"],
    ["Authorization: Bearer the-apps-own"],
    [basic("alice", TOKEN)],
    [basic("bob", "wrong password")],
    ["Authorization: Basic !!"],
    ["Authorization: Digest x"],
    ["Authorization:"],
    [BEARER, ALICE],
    [BEARER, "Cookie: a=b"],
]


@pytest.mark.parametrize("require", ["bypass", "one_factor"])
@pytest.mark.parametrize("accepted", ["tokens", "basic", "both", "none"])
async def test_every_credential_is_answered_alike(accepted: str, require: str) -> None:
    doors = {"tokens": accepted in ("tokens", "both"), "basic": accepted in ("basic", "both")}
    async with both(**doors, policy={"require": require}) as pair:
        await give_token(pair)
        for shown in SHOWN:
            for _ in range(2):
                await pair.same(request("/plain", *shown))


@pytest.mark.parametrize(
    ("changes", "policy"),
    [
        ({"methods": ("GET",)}, {}),
        ({"routes": ("elsewhere/",)}, {}),
        ({"owner": "alice"}, {"methods": ["GET", "POST"]}),
        ({"groups": ("robots",)}, {"groups": ["robots"]}),
        ({}, {"require": "two_factor", "machine_suffices": True}),
        ({}, {"max_age": "5m"}),
    ],
)
async def test_scope_and_policy_say_the_same_on_both_paths(
    changes: dict[str, Any], policy: dict[str, Any]
) -> None:
    async with both(policy={"require": "one_factor", **policy}) as pair:
        await give_token(pair, **changes)
        for method in ("GET", "POST", "DELETE"):
            for shown in (BEARER, basic("alice", TOKEN), basic("bob", TOKEN), ALICE):
                for _ in range(2):
                    await pair.same(request("/plain", shown, method=method), methods=(method,))


async def test_a_token_that_expires_is_refused_although_it_was_right_a_moment_ago() -> None:
    async with both() as pair:
        await give_token(pair, expires_at=pair.fast.clock() + 20)
        assert await pair.taken(request("/plain", BEARER))
        for rig in (pair.fast, pair.ordinary):
            rig.clock.advance(20)
        said = await pair.same(request("/plain", BEARER))
        assert said[0][0] == b"HTTP/1.1 401 Unauthorized"


@pytest.mark.parametrize("how", ["revoked", "disabled"])
async def test_what_has_ended_is_refused_as_soon_as_the_news_is_heard(how: str) -> None:
    """Time stands still, so nothing but the news of a change can end what is remembered."""
    shown = BEARER if how == "revoked" else ALICE
    async with both() as pair:
        await give_token(pair)
        assert await pair.taken(request("/plain", shown))
        rig = pair.fast
        user = await rig.directory.get("alice")
        assert user is not None
        if how == "revoked":
            await revoke(rig)
        else:
            await rig.directory.replace(replace(user, disabled=True))
        async with asyncio.timeout(60):
            while (await talk(rig.port, [request("/plain", shown)], ["GET"]))[0][0] == b"HTTP/1.1 200 OK":
                await asyncio.sleep(0.05)
        again = await talk(rig.port, [request("/plain", shown)] * 3, ["GET"] * 3)
        assert b"HTTP/1.1 200 OK" not in [one[0] for one in again]


async def test_a_credential_is_checked_again_after_a_minute() -> None:
    async with both() as pair:
        await give_token(pair)
        for shown in (BEARER, ALICE):
            assert await pair.taken(request("/plain", shown))
            pair.fast.clock.advance(61)
            before = pair.handled
            await talk(pair.fast.port, [request("/plain", shown)], ["GET"])
            assert pair.handled == before + 1


async def test_a_refusal_is_audited_once_and_logged_as_on_the_ordinary_path(lines: io.StringIO) -> None:
    async with both() as pair:
        await give_token(pair, methods=("GET",))
        assert await pair.taken(request("/plain", BEARER))
        before = len(lines.getvalue())
        await pair.same(request("/plain", BEARER, method="DELETE"), methods=("DELETE",))
        await pair.same(request("/plain", BEARER))
    entries = [json.loads(one) for one in lines.getvalue()[before:].splitlines()]
    assert [one["event"] for one in entries].count("token_out_of_scope") == 2, "one of each gateway"
    told = [
        {key: one[key] for key in one if key not in ("ts", "ms", "id")}
        for one in entries
        if one["event"] == "request"
    ]
    assert told[0] == told[1]
    assert told[2] == told[3]
    assert (told[2]["user"], told[2]["factors"]) == ("token:ci", {"token": 0})
