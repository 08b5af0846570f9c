"""Device Bound Session Credentials in a real Chromium, whose keys are made by software: Linux has none in hardware."""

import base64
import hashlib
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.async_api import BrowserContext, Error, Page, async_playwright, expect

from tests.e2e.conftest import ARGUMENTS
from tests.rig import PASSWORD, Rig, running_gateway
from tests.sending import self_signed
from tests.waiting import until

HOST = "login.example.com"
BOUND, LONG = "__Host-auth_session_bound", "__Host-auth_session"
FEATURES = (
    "DeviceBoundSessions:RequireOriginTrialTokens/false/RefreshQuota/false",
    "DeviceBoundSessionsIncludeAudienceClaim",
    "EnableBoundSessionCredentialsSoftwareKeysForManualTesting",
)
"""What chrome://flags sets for "Enabled - For developers", the claim `aud`, and keys without a security chip."""


def served(folder: Path) -> tuple[ssl.SSLContext, list[str]]:
    """A certificate, and what has Chromium take it for sound: a connection with an error registers no key."""
    server, _ = self_signed(folder)
    certificate = x509.load_pem_x509_certificate((folder / "cert.pem").read_bytes())
    public = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    pin = base64.b64encode(hashlib.sha256(public).digest()).decode()
    return server, [
        f"--ignore-certificate-errors-spki-list={pin}",
        f"--host-resolver-rules=MAP {HOST} 127.0.0.1",
        f"--enable-features={','.join(FEATURES)}",
    ]


async def skip_unless_known(context: BrowserContext, page: Page) -> None:
    """Browsers that can show such sessions to developers have them."""
    try:
        session = await context.new_cdp_session(page)
        await session.send("Network.enableDeviceBoundSessions", {"enable": True})
    except Error as unknown:
        pytest.skip(f"this Chromium knows no device bound sessions: {unknown}")


async def audited(rig: Rig, event: str) -> bool:
    await rig.gateway.services.audit.flush()
    return bool(await rig.gateway.stores.audit_log.tail(1, event=event))


async def test_a_browser_with_the_key_goes_on_and_its_cookies_open_nothing_elsewhere(
    tmp_path: Path, whole_chromium: str
) -> None:
    server, arguments = served(tmp_path)
    config = {
        "server": {"public_url": f"https://{HOST}:PORT"},
        "session": {"bind": {"device": True}},
        "webauthn": {"nudge": "0s"},
    }
    async with (
        running_gateway(tmp_path, ssl_context=server, **config) as rig,
        async_playwright() as playwright,
    ):
        await rig.add_user()
        mine = await playwright.chromium.launch_persistent_context(
            str(tmp_path / "profile"), executable_path=whole_chromium, args=[*ARGUMENTS, *arguments]
        )
        page, home = await mine.new_page(), f"https://{HOST}:{rig.port}"
        await skip_unless_known(mine, page)
        await page.goto(f"{home}/_auth/login")
        await page.get_by_label("Username").fill("alice")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Continue").click()
        await expect(page.get_by_label("Code")).to_be_visible()

        async def bound() -> bool:
            return any(one["name"] == BOUND for one in await mine.cookies())

        await until(bound, "a bound cookie")
        await page.get_by_label("Code").fill(await rig.newest_code())
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"{home}/")
        rig.clock.advance(400)  # what the browser has is over now, and it is made to notice
        stolen = [one for one in await mine.cookies() if one["name"] in (LONG, BOUND)]
        await mine.clear_cookies(name=BOUND)
        answer = await page.goto(f"{home}/reports")
        assert answer is not None
        assert (answer.status, page.url) == (200, f"{home}/reports")
        thief = await playwright.chromium.launch(
            executable_path=whole_chromium, args=[*ARGUMENTS, *arguments]
        )
        elsewhere = await thief.new_context()
        await elsewhere.add_cookies(stolen)  # type: ignore[arg-type]  # what cookies() gave
        other = await elsewhere.new_page()
        await other.goto(f"{home}/reports")
        assert "/_auth/login" in other.url
        assert await audited(rig, "session_bound")
        assert await audited(rig, "session_key_missing")
        await thief.close()
        await mine.close()
