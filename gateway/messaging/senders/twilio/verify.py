"""Codes that Twilio Verify makes, sends and checks itself.

Twilio keys a verification by service and phone number, not by our challenge: whoever signs in with the same
number within its ten minutes shares the code. Counting tries per challenge and user stays the gateway's duty.
"""

import re

from gateway.config.sections.sms_email import SmsTwilioVerify
from gateway.errors import SendFailed
from gateway.messaging.senders.retry import Backoff
from gateway.messaging.senders.twilio.client import TwilioApi

_CODE = re.compile(r"[0-9]{4,10}")
_NO_SUCH_VERIFICATION = "20404"
_LOCALES = {"zh-Hans": "zh-CN", "zh-Hant": "zh-HK"}
"""Twilio names Chinese by place (docs/verify/supported-languages), and answers 404 to a locale that it has not."""


class TwilioVerify:
    """The code service of one Verify Service ("VA…")."""

    def __init__(self, config: SmsTwilioVerify, backoff: Backoff) -> None:
        self.api = TwilioApi(config, backoff)
        self._service_sid = config.service_sid

    async def start(self, to: str, *, channel: str = "sms", lang: str = "en") -> str:
        """Have Twilio send a code and return the SID of this attempt ("VL…"; of the verification, if it has none).

        Within ten minutes Twilio repeats the same code.
        """
        verification = await self.api.call(
            lambda client: client.verify.v2.services(self._service_sid).verifications.create_async(
                to=to, channel=channel, locale=_LOCALES.get(lang, lang)
            )
        )
        attempts = verification.send_code_attempts or []
        return str(attempts[-1].get("attempt_sid") if attempts else verification.sid)

    async def check(self, to: str, code: str) -> bool:
        """Return True if Twilio approves the code. A verification that expired, was used or never began is a plain
        no.
        """
        if not _CODE.fullmatch(code):
            return False  # Twilio would refuse it as 60200, which blames the number
        try:
            check = await self.api.call(
                lambda client: client.verify.v2.services(self._service_sid).verification_checks.create_async(
                    to=to, code=code
                )
            )
        except SendFailed as failure:
            if failure.code == _NO_SUCH_VERIFICATION:
                return False
            raise
        return bool(check.status == "approved")

    async def close(self) -> None:
        await self.api.close()
