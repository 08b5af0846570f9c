"""`key_models`: a rule may ask for security keys of certain models, and other proofs open nothing behind it."""

import hashlib
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from gateway.authn.factors.webauthn_relying_party import RegisteredKey
from gateway.stores.protocols.core import Credential
from tests.key_models import MODEL, NOW, OTHER, Issuer, Metadata, ModelKey
from tests.rig import Browser, FakeClock, Rig, csrf_of, running_gateway
from tests.software_key import SoftwareKey

MAKER = Issuer.root("Maker")
WEBAUTHN = {"require": "two_factor", "key_models": [str(MODEL)]}

RECENT = {"require": "two_factor", "factors": ["webauthn"], "max_age": "5m"}


@asynccontextmanager
async def gateway(folder: Path, *, fast: bool = True, **policy: Any) -> AsyncIterator[Rig]:
    metadata = Metadata(folder, maker=MAKER)
    files = metadata.written(metadata.entry(MODEL), metadata.entry(OTHER)).model_dump(mode="json")
    attestation = {name: files[name] for name in ("metadata_file", "metadata_root_file")}
    config: dict[str, Any] = {
        "server": {
            "public_url": "http://localhost:PORT",
            "trusted_proxies": ["127.0.0.0/8"],
            "fast_path": fast,
        },
        "webauthn": {"attestation": {**attestation, "required": "by_rules"}},
        "routes": [
            {"host": "*", "path": "/vault", "upstream": "UPSTREAM", "policy": {**WEBAUTHN, **policy}},
            {
                "host": "*",
                "path": "/lab",
                "upstream": "UPSTREAM",
                "policy": {"require": "one_factor", "key_models": ["*"]},
            },
            {"host": "*", "path": "/recent", "upstream": "UPSTREAM", "policy": RECENT},
            {"host": "*", "path": "/", "upstream": "UPSTREAM"},
        ],
    }
    async with running_gateway(folder, clock=FakeClock(NOW), **config) as rig:
        rig.url = rig.url.replace("127.0.0.1", "localhost")
        yield rig


async def has_key(rig: Rig, model: UUID | None, *, attested: bool = True, user: str = "alice") -> SoftwareKey:
    """Give a user a key: of a model that somebody vouched for, of one that it says itself, or of none (None)."""
    key = SoftwareKey()
    stored = RegisteredKey(
        key.id,
        key.public,
        key.handle,
        aaguid=model.bytes if model else b"",
        attested=b"1" if model and attested else b"",
    )
    name = hashlib.sha256(key.id).hexdigest()
    await rig.gateway.stores.credentials.add(
        Credential(name, user, "webauthn", "Key", stored.packed(), NOW, NOW, key.count)
    )
    return key


def options_in(page: str) -> str:
    found = re.search(r"data-options=\"([^\"]*)\"", page)
    assert found, page
    return unescape(found[1])


async def proves(browser: Browser, key: SoftwareKey, rd: str = "/") -> tuple[int, list[str]]:
    """Answer the page of the second factor with a key; also return the ids of the keys that were asked for."""
    page = await (await browser.get(f"/_auth/verify?rd={rd}&factor=webauthn")).text()
    options = options_in(page)
    key.count += 1
    form = {
        "csrf_token": csrf_of(page),
        "rd": rd,
        "method": "webauthn",
        "credential": key.answer(options, browser.rig.url),
    }
    answer = await browser.post("/_auth/verify", {**form, "code": "-"})
    return answer.status, [one["id"] for one in json.loads(options)["allowCredentials"]]


async def sees(browser: Browser, path: str) -> int:
    return (await browser.get(path)).status


@pytest.mark.parametrize("fast", [True, False], ids=["fast path", "ordinary path"])
async def test_only_a_key_of_the_model_opens_the_route_and_others_open_the_rest(
    tmp_path: Path, fast: bool
) -> None:
    async with gateway(tmp_path, fast=fast) as rig, rig.browser() as browser:
        await rig.add_user()
        right, other, plain = await has_key(rig, MODEL), await has_key(rig, OTHER), await has_key(rig, None)
        await browser.password()
        assert (await proves(browser, plain))[0] == 303
        for _ in range(3):  # read, then remembered, then on the fast path
            assert await sees(browser, "/") == 200
            refused = await browser.get("/vault")
            assert (refused.status, refused.headers["Location"][:13]) == (303, "/_auth/verify")
            assert (await browser.get("/vault", Accept="application/json")).status == 401
            assert await sees(browser, "/lab") == 303
        assert not [one for one in rig.upstream.requests if "vault" in one or "lab" in one]
        status, asked = await proves(browser, other, "/lab")
        assert (status, len(asked)) == (303, 2)  # both keys that somebody vouches for, not the third
        for _ in range(2):
            assert await sees(browser, "/lab") == 200
            assert await sees(browser, "/vault") == 303
        status, asked = await proves(browser, right, "/vault")
        assert (status, len(asked)) == (303, 1)
        for _ in range(3):
            assert await sees(browser, "/vault") == 200


async def test_a_key_of_another_model_is_wrong_where_one_is_asked_for(tmp_path: Path) -> None:
    async with gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await has_key(rig, MODEL)
        liar, other = await has_key(rig, MODEL, attested=False), await has_key(rig, OTHER)
        await browser.password()
        for key in (liar, other):
            assert (await proves(browser, key, "/vault"))[0] == 401
        assert await sees(browser, "/vault") == 303


async def test_who_has_no_such_key_is_led_to_adding_one_and_codes_do_not_help(tmp_path: Path) -> None:
    async with gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await has_key(rig, OTHER)
        await browser.sign_in()
        page = await browser.get("/_auth/verify?rd=/vault&factor=sms")
        assert (page.status, page.headers["Location"][:12]) == (303, "/_auth/enrol")
        assert await sees(browser, "/vault") == 303


async def test_the_forward_auth_question_is_answered_likewise(tmp_path: Path) -> None:
    async with gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        right, plain = await has_key(rig, MODEL), await has_key(rig, None)

        async def may(path: str) -> int:
            asked = {"X-Forwarded-Host": f"localhost:{rig.port}", "X-Forwarded-Uri": path}
            more = {"X-Forwarded-Method": "GET", "X-Forwarded-Proto": "http"}
            return (await browser.get("/_auth/forward", **asked, **more)).status

        await browser.password()
        await proves(browser, plain)
        for _ in range(2):
            assert [await may("/"), await may("/vault"), await may("/lab")] == [200, 302, 302]
        await proves(browser, right, "/vault")
        for _ in range(2):
            assert [await may("/"), await may("/vault"), await may("/lab")] == [200, 200, 200]


async def test_with_max_age_the_key_itself_must_have_been_used_lately(tmp_path: Path) -> None:
    async with gateway(tmp_path, max_age="5m") as rig, rig.browser() as browser:
        await rig.add_user()
        right, plain = await has_key(rig, MODEL), await has_key(rig, None)
        await browser.password()
        assert (await proves(browser, right, "/vault"))[0] == 303
        assert await sees(browser, "/vault") == 200
        rig.clock.advance(301)
        assert await sees(browser, "/vault") == 303
        assert (await proves(browser, plain, "/recent"))[0] == 303
        assert await sees(browser, "/recent") == 200  # a fresh proof by another key is none of this one
        assert await sees(browser, "/vault") == 303


KEYS = (
    (SoftwareKey(), 303),
    (ModelKey(model=MODEL), 303),
    (ModelKey(model=OTHER, maker=MAKER), 303),
    (ModelKey(model=MODEL, maker=MAKER), 200),
)
"""Keys that are added one by one, and what the route answers then."""


async def test_a_key_that_is_added_counts_as_what_its_maker_says_it_is(tmp_path: Path) -> None:
    async with gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        for key, vault in KEYS:
            page = await (await browser.get("/_auth/enrol?factor=webauthn&rd=/vault")).text()
            made = key.registration(options_in(page), rig.url)
            form = {
                "csrf_token": csrf_of(page),
                "rd": "/vault",
                "factor": "webauthn",
                "credential": made,
                "code": "-",
            }
            assert (await browser.post("/_auth/enrol", form)).status in (200, 303)
            assert await sees(browser, "/vault") == vault
        stored = await rig.gateway.stores.credentials.list("alice", "webauthn")
        assert len(stored) == len(KEYS)  # both were added: nothing else asks for a model
