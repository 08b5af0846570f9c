"""Rule 2 where codes are kept for years: nothing in the database is worth anything to whoever reads it."""

from pathlib import Path

from tests.integration.test_factor_enrolment import enrol_totp
from tests.rig import running_gateway


async def test_neither_secrets_nor_recovery_codes_rest_in_the_clear(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user(phone="")
        await browser.password()
        secret, codes = await enrol_totp(rig, browser)
        files = b"".join(file.read_bytes() for file in tmp_path.glob("gateway.db*"))
        assert b"alice" in files
        for kept_secret in (secret, *codes, *(code.replace("-", "") for code in codes)):
            assert kept_secret.encode() not in files
