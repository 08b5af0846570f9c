"""A code by SMS, or read out in a call. `messaging/sms/dispatch.py` decides whether it may be sent."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from math import ceil

from gateway.authn.factors.base import Attempt, Outcome, Prompt, Resend
from gateway.authn.factors.challenge import Codes, normal_code
from gateway.authn.factors.phone_lines import Line, Phones
from gateway.config.schema import SmsBase
from gateway.errors import SendFailed
from gateway.i18n.catalogues import language
from gateway.i18n.text import N_
from gateway.messaging.addresses import mask_phone
from gateway.messaging.senders.base import Caller, Chat, Sender
from gateway.messaging.sms.dispatch import SmsDispatch
from gateway.messaging.sms.outgoing import OutgoingSms
from gateway.messaging.sms.spending import Channel
from gateway.model import User

_CALL_AFTER = 2
"""A call is offered once a code was sent again: calls cost more, and most messages do arrive."""
EVERY_NUMBER = ("budget", "cap")
"""Refusals that another number would meet as well."""


class PhoneFactor(ABC):
    """A code to one of the user's numbers: to which, how often, and what the page may know of it.

    `phones` is None while a number is being added: the code goes to that very number.
    """

    name = "sms"

    def __init__(
        self, *, config: SmsBase, codes: Codes, dispatch: SmsDispatch, phones: Phones | None
    ) -> None:
        self._config, self._codes, self._dispatch, self._phones = config, codes, dispatch, phones

    @abstractmethod
    async def _send(self, attempt: Attempt) -> None:
        """Issue a code and have it sent to the number of `attempt.user`. Raises SendFailed."""

    async def enrolled(self, user: User) -> bool:
        return await self._phones.any(user) if self._phones is not None else bool(user.phone)

    async def begin(self, attempt: Attempt, *, again: bool = False) -> Prompt:
        """Send a code unless one is out, to the user's other number if `attempt` says so.

        Raises SendFailed, with `instead` set where the user's other number may do, and TooManyAttempts.
        """
        await self._void_if_gone(attempt)
        line = running = await self._line(attempt)
        wait, due = await self._codes.turn(attempt, self._config.resend_after, again=again)
        if due:
            line = running.switched if attempt.resend is Resend.OTHER_NUMBER else running
            try:
                async with self._codes.replacing(attempt):
                    if self._phones is not None:
                        await self._phones.keep_to(attempt, line)
                    await self._send(replace(attempt, user=replace(attempt.user, phone=line.phone)))
            except SendFailed as failure:
                if failure.next_number and failure.code not in EVERY_NUMBER:
                    failure.instead = mask_phone(line.other) if line.other else ""
                raise
        view = await self._dispatch.outlook(attempt.sid)
        return Prompt(
            hint=mask_phone(line.phone),
            other=mask_phone(line.other) if line.other else "",
            code_length=self._codes.length,
            resend_after=ceil(wait),
            sent=due,
            outlook=view,
            can_call=self._dispatch.calls and (view.sends >= _CALL_AFTER or view.state == "failed"),
            cooling=line.cooling,
        )

    async def _line(self, attempt: Attempt) -> Line:
        """Raises SendFailed if no number may have codes now."""
        return await self._phones.line(attempt) if self._phones is not None else Line(attempt.user.phone)

    async def _void_if_gone(self, attempt: Attempt) -> None:
        """A code at a number that is the user's no longer is good for nothing."""
        if self._phones is not None and await self._phones.is_gone(attempt):
            await self._codes.void(attempt)
            await self._phones.forget_choice(attempt)  # last: until the code is void, it is known to be gone


class SmsFactor(PhoneFactor):
    """Codes of our own. `caller` is None where the provider can't call; `chats` are its other channels."""

    def __init__(
        self,
        *,
        config: SmsBase,
        sender: Sender,
        caller: Caller | None,
        chats: Mapping[str, Chat],
        codes: Codes,
        dispatch: SmsDispatch,
        phones: Phones | None,
        brand: str,
    ) -> None:
        super().__init__(config=config, codes=codes, dispatch=dispatch, phones=phones)
        self._sender, self._caller, self._chats, self._brand = sender, caller, chats, brand

    async def _send(self, attempt: Attempt) -> None:
        code, challenge = self._codes.draw(attempt)
        asked = outgoing(attempt)

        async def over(channel: Channel) -> None:
            """The same code, whatever the channel."""
            admission = await self._dispatch.admit(asked, channel, keep=challenge)
            if not admission.kept:
                await self._codes.keep(challenge)
            async with self._dispatch.sending(admission) as sent:
                sent.sid = await self._deliver(attempt, code, admission.channel, sent.id)

        await self._dispatch.over_channels(asked, over, call=attempt.resend is Resend.CALL)

    async def _deliver(self, attempt: Attempt, code: str, channel: Channel, reference: str) -> str:
        """Give a code to the provider and return its id of the message."""
        phone, lang = attempt.user.phone, attempt.lang
        if channel is Channel.CALL and self._caller is not None:
            return await self._caller.call(phone, code, lang=lang, reference=reference)
        text = message(self._brand, code, attempt.host, lang)
        if chat := self._chats.get(channel.value):
            return await chat.send(phone, code, text, lang=lang, reference=reference)
        return await self._sender.send(phone, text, reference)

    async def verify(self, attempt: Attempt, form: Mapping[str, str]) -> Outcome:
        """Judge a code, and tell the SMS statistics of a right one."""
        await self._void_if_gone(attempt)
        outcome = await self._codes.verify(attempt, normal_code(form.get("code", ""), self._codes.length))
        if outcome is Outcome.RIGHT:
            await self._dispatch.verified(attempt.sid)
        return outcome


def outgoing(attempt: Attempt) -> OutgoingSms:
    """Describe the message that an attempt needs, for limits and log."""
    return OutgoingSms(
        username=attempt.user.username,
        phone=attempt.user.phone,
        session=attempt.sid,
        ip=attempt.ip,
        known_device=attempt.known_device,
        no_other_way=attempt.no_other_way,
    )


def message(brand: str, code: str, host: str, lang: str) -> str:
    """Return the text of the SMS in language `lang`.

    Its last line binds the code to our host, so that browsers fill it in there only (WICG origin-bound one-time
    codes).
    """
    # Translators: short, for one SMS; in the letters of GSM 03.38 where the language allows (no á í ó ú ê ç).
    sentence = N_("%(code)s is your %(brand)s code. Never share it.", code=code, brand=brand)
    return f"{language(lang).text(sentence)}\n\n@{host} #{code}"
