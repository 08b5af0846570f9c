"""Every address that takes something, as the table of pages has it: nothing without our page's token and origin.

A new page with a form is found here without being listed; what answers otherwise stands below with its reason.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.admin.dispatch import Console
from gateway.portal.dispatch import Sites
from gateway.portal.request import Views
from gateway.portal.routes import build_sites
from gateway.portal.services import Services
from gateway.server import gateway as server
from tests.admin_rig import ADMIN, API
from tests.oidc_rig import provider
from tests.rig import Browser, Rig

CHANGING = ("POST", "PUT", "PATCH", "DELETE")
NOT_FORMS: Mapping[str, str] = {
    "/oidc/authorize": "apps send browsers here from their own sites; it changes nothing but by /oidc/consent",
    "/oidc/token": "programs, which show a secret",
    "/oidc/par": "programs, which show a secret",
    "/oidc/introspect": "programs, which show a secret",
    "/oidc/revoke": "programs, which show a secret",
    "/oidc/device_authorization": "devices, which have no cookie",
    "/oidc/userinfo": "programs, which show a token",
    "/sms/status": "Twilio, which signs",
    "/device-key": "the browser itself, which signs with its key; no page can",
    "/device-key/refresh": "the browser itself, which signs with its key; no page can",
    "/federated/corp/backchannel-logout": "a provider, which signs",
    "/federated/corp/callback": "a provider's page; the state that our page made is what counts",
}
WITHOUT_TOKEN: Mapping[str, tuple[int, ...]] = {
    "/login": (303,),  # already signed in: on to where one wanted to go
    "/verify": (303,),
    "/passkey": (303,),
    "/": (303,),  # back to the page; nothing is pinned
    "/logout": (200,),  # asks
    "/oidc/end-session": (200,),  # asks, whoever sends it
    "/invite": (410,),  # no such invitation
    "/across": (400,),  # nothing began at the other domain
    "/kept": (415,),  # wants another type
    "/oidc/consent": (400,),  # no request of an app
    "/admin": (405,),
    "/admin/audit": (405,),
}
FOREIGN: Mapping[str, Mapping[str, str]] = {
    "another site": {"Origin": "https://evil.test"},
    "a host below ours": {"Origin": "http://evil.127.0.0.1"},
    "another port": {"Origin": "http://127.0.0.1:1"},
    "a page that hides where it is": {"Origin": "null"},
    "cross-site": {"Origin": "", "Sec-Fetch-Site": "cross-site"},
    "same-site": {"Origin": "", "Sec-Fetch-Site": "same-site"},
}
SETTINGS = {
    "access_requests": [{"group": "editors", "approvers": ["leads"]}],
    "user_tokens": {"enabled": True},
    "domains": [{"domain": "other.test"}],
    "webauthn": {"rp_id": "localhost"},
    "email_link": {"enabled": True},
    "registration": {"mode": "approval"},
    "identity_providers": [
        {
            "kind": "oidc",
            "name": "corp",
            "issuer": "http://127.0.0.1:9",
            "client_id": "x",
            "client_secret": "y",
        }
    ],
}


@dataclass
class Everything:
    """A gateway with all pages, an administrator's browser, and the token that its forms have."""

    rig: Rig
    browser: Browser
    token: str
    sites: Sites

    def addresses(self) -> Iterator[str]:
        """All that take a POST, below the prefix. The API has its own list."""
        views = self.sites._views[""]
        for path, methods in views.items():
            if "POST" in methods and path.startswith("/") and "*" not in path and path not in NOT_FORMS:
                yield path
        console = views["/admin"]["GET"].__self__  # type: ignore[attr-defined]
        assert isinstance(console, Console)
        yield from (f"/admin{path}" for path, methods in console._screens.items() if "POST" in methods)


@pytest.fixture
async def all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Everything]:
    made: list[Sites] = []

    def noted(services: Services, more: Views) -> Sites:
        made.append(build_sites(services, more))
        return made[0]

    monkeypatch.setattr(server, "build_sites", noted)
    async with provider(tmp_path, **SETTINGS) as rig, rig.browser() as browser:
        await rig.add_user(groups=("admins", "leads"))
        await browser.sign_in(rd=ADMIN)
        token = (await (await browser.get(f"{API}/me", Accept="*/*")).json())["csrf_token"]
        yield Everything(rig, browser, token, made[0])


async def test_no_form_counts_without_the_token_of_our_own_page(all_of_it: Everything) -> None:
    rig, browser = all_of_it.rig, all_of_it.browser
    found = list(all_of_it.addresses())
    assert len(found) > 15, found
    for path in found:
        for form in ({}, {"csrf_token": "x"}, {"csrf_token": ""}):
            answer = await browser.post(f"/_auth{path}", {"do": "add", **form})
            assert answer.status in WITHOUT_TOKEN.get(path, (403,)), (path, form, answer.status)
    await nothing_happened(rig, browser)


@pytest.mark.parametrize("whence", FOREIGN)
async def test_no_form_counts_that_another_page_sends(all_of_it: Everything, whence: str) -> None:
    """With the right token: a leaked one is no key."""
    rig, browser, token = all_of_it.rig, all_of_it.browser, all_of_it.token
    for path in all_of_it.addresses():
        if path == "/oidc/end-session":
            continue  # asks, whoever sends it: RP-initiated logout begins at apps
        headers = {**FOREIGN[whence]}
        url = f"{rig.url}/_auth{path}"
        sent = {name: value for name, value in headers.items() if value}
        answer = await browser.session.post(
            url,
            data={"do": "add", "csrf_token": token},
            headers={"Accept": "text/html", **sent},
            allow_redirects=False,
        )
        assert answer.status == (405 if path == "/admin" else 403), (path, answer.status)
    await nothing_happened(rig, browser)


async def test_no_change_by_the_api_counts_without_header_or_from_elsewhere(
    all_of_it: Everything,
) -> None:
    rig, browser, token = all_of_it.rig, all_of_it.browser, all_of_it.token
    document = await (await browser.get(f"{ADMIN}/api/openapi.json", Accept="*/*")).json()
    changes = [
        (method.upper(), path.replace("{", "").replace("}", ""))
        for path, methods in document["paths"].items()
        for method in methods
        if method.upper() in CHANGING
    ]
    assert len(changes) > 8, changes
    base = document["servers"][0]["url"]
    for method, path in changes:
        for headers in (
            {},
            {"X-CSRF-Token": "x"},
            {"X-CSRF-Token": token, "Origin": "https://evil.test"},
        ):
            sent = {"Origin": rig.url, **headers}
            answer = await browser.session.request(method, rig.url + base + path, json={}, headers=sent)
            assert answer.status == 403, (method, path, headers)
    await nothing_happened(rig, browser)


async def nothing_happened(rig: Rig, browser: Browser) -> None:
    """The session lives, nobody was added, and the audit log tells of nothing but the sign-in."""
    assert (await browser.get(ADMIN)).status == 200
    assert [user.username for user in await rig.directory.list(limit=9)] == ["alice"]
    await rig.gateway.services.audit.flush()
    rows = await rig.gateway.stores.audit_log.tail(1000)
    assert {row.event for row in rows} <= {"password_ok", "code_sent", "login", "form_refused"}
