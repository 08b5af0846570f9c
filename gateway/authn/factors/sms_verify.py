"""A code by SMS or call that the provider makes and checks (Twilio Verify); our limits and single use hold too.

The provider knows only the number. That a session asked for a code is our challenge in the ledger: without it, no
code is accepted, and of two requests with the right code one takes it.
"""

from collections.abc import Mapping

from gateway.authn.factors.base import Attempt, Outcome, Prompt
from gateway.authn.factors.challenge import Codes, normal_code
from gateway.authn.factors.phone_lines import Phones
from gateway.authn.factors.sms import begin_on_line, channel_of, errand, has_number, line_of, void_if_gone
from gateway.config.schema import SmsBase
from gateway.messaging.senders.base import CodeService
from gateway.messaging.sms.dispatch import SmsDispatch
from gateway.messaging.sms.prices import Channel
from gateway.model import User


class SmsVerifyFactor:
    """`phones` is None while a number is being added."""

    name = "sms"

    def __init__(
        self, config: SmsBase, service: CodeService, codes: Codes, desk: SmsDispatch, phones: Phones | None
    ) -> None:
        self._config, self._service, self._codes = config, service, codes
        self._desk, self._phones = desk, phones

    async def enrolled(self, user: User) -> bool:
        return await has_number(user, self._phones)

    async def begin(self, attempt: Attempt, *, again: bool = False) -> Prompt:
        return await begin_on_line(
            self._codes,
            self._desk,
            self._phones,
            attempt,
            self._start,
            pause=self._config.resend_after,
            again=again,
        )

    async def _start(self, attempt: Attempt) -> None:
        admission = await self._desk.admit(errand(attempt), channel_of(attempt))
        call = admission.channel is Channel.CALL
        await self._desk.hand_over(
            admission, lambda _: self._service.start(attempt.user.phone, call=call, lang=attempt.lang)
        )
        await self._codes.issue(attempt)

    async def verify(self, attempt: Attempt, form: Mapping[str, str]) -> Outcome:
        await void_if_gone(self._codes, self._phones, attempt)

        async def provider_agrees() -> bool:
            """Asked about the number as it is once the challenge was read: a switch meanwhile makes that differ."""
            phone = (await line_of(attempt, self._phones)).phone
            return await self._service.check(phone, normal_code(form.get("code", "")))

        outcome = await self._codes.consume_if(attempt, provider_agrees)
        if outcome is Outcome.RIGHT:
            await self._desk.verified(attempt.sid)
        return outcome
