"""A code by SMS or call that the provider makes and checks (Twilio Verify); our limits and single use hold too.

The provider knows only the number. That a session asked for a code is our challenge in the ledger: without it, no
code is accepted, and of two requests with the right code one takes it.
"""

from collections.abc import Mapping

from gateway.authn.factors.base import Attempt, Outcome, Resend
from gateway.authn.factors.challenge import Codes, normal_code
from gateway.authn.factors.phone_lines import Phones
from gateway.authn.factors.sms import PhoneFactor, outgoing
from gateway.config.schema import SmsBase
from gateway.messaging.senders.base import CodeService
from gateway.messaging.sms.dispatch import SmsDispatch
from gateway.messaging.sms.spending import Channel


class SmsVerifyFactor(PhoneFactor):
    """Codes of the provider's. `service` makes and checks the codes."""

    def __init__(
        self,
        *,
        config: SmsBase,
        service: CodeService,
        codes: Codes,
        dispatch: SmsDispatch,
        phones: Phones | None,
    ) -> None:
        super().__init__(config=config, codes=codes, dispatch=dispatch, phones=phones)
        self._service = service

    async def _send(self, attempt: Attempt) -> None:
        asked = outgoing(attempt)

        async def over(channel: Channel) -> None:
            admission = await self._dispatch.admit(asked, channel)
            async with self._dispatch.sending(admission) as sent:
                sent.sid = await self._service.start(
                    attempt.user.phone, channel=admission.channel.value, lang=attempt.lang
                )

        await self._dispatch.over_channels(asked, over, call=attempt.resend is Resend.CALL)
        await self._codes.issue(attempt)

    async def verify(self, attempt: Attempt, form: Mapping[str, str]) -> Outcome:
        """Have the provider judge a code. A code counts only while our own challenge stands, and once."""
        await self._void_if_gone(attempt)

        async def provider_agrees(_: bytes) -> bool:
            """Asked about the number as it is once the challenge was read: a switch meanwhile makes that differ."""
            phone = (await self._line(attempt)).phone
            return await self._service.check(phone, normal_code(form.get("code", ""), self._codes.length))

        outcome = await self._codes.consume_if(attempt, provider_agrees)
        if outcome is Outcome.RIGHT:
            await self._dispatch.verified(attempt.sid)
        return outcome
