"""A code by SMS that the provider makes and checks (Twilio Verify); our limits and single use hold all the same.

The provider knows only the number. That a session asked for a code is our challenge in the ledger: without it, no
code is accepted, and of two requests with the right code one takes it.
"""

from collections.abc import Mapping
from math import ceil

from gateway.config.schema import SmsBase
from gateway.factors.base import Attempt, Outcome, Prompt
from gateway.factors.challenge import Codes
from gateway.factors.sms import check_country, normal_code, spend_sms_budgets
from gateway.limits import Limits
from gateway.model import User
from gateway.senders.base import CodeService
from gateway.senders.masking import mask_phone


class SmsVerifyFactor:
    name = "sms"

    def __init__(self, config: SmsBase, service: CodeService, codes: Codes, limits: Limits) -> None:
        self._config, self._service, self._codes, self._limits = config, service, codes, limits

    async def enrolled(self, user: User) -> bool:
        return bool(user.phone)

    async def begin(self, attempt: Attempt, *, again: bool = False) -> Prompt:
        wait, sent = await self._codes.offer(
            attempt, self._config.resend_after, lambda: self._start(attempt), again=again
        )
        return Prompt(mask_phone(attempt.user.phone), self._codes.length, ceil(wait), sent)

    async def _start(self, attempt: Attempt) -> None:
        check_country(attempt.user.phone, self._config.allowed_countries)
        await spend_sms_budgets(self._limits, self._config, attempt)
        await self._service.start(attempt.user.phone)
        await self._codes.issue(attempt)

    async def verify(self, attempt: Attempt, form: Mapping[str, str]) -> Outcome:
        async def provider_agrees() -> bool:
            return await self._service.check(attempt.user.phone, normal_code(form.get("code", "")))

        return await self._codes.consume_if(attempt, provider_agrees)
