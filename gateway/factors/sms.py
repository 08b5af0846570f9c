"""A code by SMS, or read out in a call. Whether it may be sent, and by which of the two, the desk says."""

from collections.abc import Mapping
from dataclasses import replace
from math import ceil

from gateway.config.schema import SmsBase
from gateway.factors.base import Attempt, Outcome, Prompt
from gateway.factors.challenge import Codes
from gateway.language.catalogues import language
from gateway.language.text import N_
from gateway.model import User
from gateway.senders.base import Caller, Sender
from gateway.senders.masking import mask_phone
from gateway.sms.cool_off import CoolOff
from gateway.sms.desk import Errand, SmsDesk
from gateway.sms.outlook import outlook
from gateway.sms.prices import Channel

_CALL_AFTER = 2
"""A call is offered once a code was sent again: calls cost more, and most messages do arrive."""


class SmsFactor:
    """`caller` is None where the provider can't call, `cool_off` while a number is being added."""

    name = "sms"

    def __init__(
        self,
        config: SmsBase,
        sender: Sender,
        caller: Caller | None,
        codes: Codes,
        desk: SmsDesk,
        cool_off: CoolOff | None,
        brand: str,
    ) -> None:
        self._config, self._sender, self._caller, self._codes = config, sender, caller, codes
        self._desk, self._cool_off, self._brand = desk, cool_off, brand

    async def enrolled(self, user: User) -> bool:
        return bool(user.phone)

    async def begin(self, attempt: Attempt, *, again: bool = False) -> Prompt:
        number = attempt.user.phone
        attempt = await settled(attempt, self._cool_off)
        wait, sent = await self._codes.offer(
            attempt, self._config.resend_after, lambda: self._send(attempt), again=again
        )
        asked = Prompt(code_length=self._codes.length, resend_after=ceil(wait), sent=sent)
        return await prompt(self._desk, attempt, replace(asked, cooling=number != attempt.user.phone))

    async def _send(self, attempt: Attempt) -> None:
        admission = await self._desk.admit(errand(attempt), channel_of(attempt))
        code = await self._codes.issue(attempt)
        phone, caller = attempt.user.phone, self._caller
        if admission.channel is Channel.CALL and caller is not None:
            await self._desk.hand_over(
                admission, lambda id: caller.call(phone, code, lang=attempt.lang, reference=id)
            )
            return
        text = message(self._brand, code, attempt.host, attempt.lang)
        await self._desk.hand_over(admission, lambda id: self._sender.send(phone, text, id))

    async def verify(self, attempt: Attempt, form: Mapping[str, str]) -> Outcome:
        outcome = await self._codes.verify(attempt, normal_code(form.get("code", "")))
        if outcome is Outcome.RIGHT:
            await self._desk.verified(attempt.sid)
        return outcome


async def settled(attempt: Attempt, cool_off: CoolOff | None) -> Attempt:
    """The attempt with the number that codes may go to now. Raises SendFailed if there is none."""
    if cool_off is None or not attempt.user.phone:
        return attempt
    return replace(attempt, user=replace(attempt.user, phone=await cool_off.number(attempt.user)))


def errand(attempt: Attempt) -> Errand:
    return Errand(attempt.user.username, attempt.user.phone, attempt.sid, attempt.ip)


def channel_of(attempt: Attempt) -> Channel:
    return Channel.CALL if attempt.by_call else Channel.SMS


async def prompt(desk: SmsDesk, attempt: Attempt, prompt: Prompt) -> Prompt:
    """The prompt with what is known of the code's way."""
    view = outlook(await desk.waiting(attempt.sid))
    can_call = desk.calls and (view.sends >= _CALL_AFTER or view.state == "failed")
    return replace(prompt, hint=mask_phone(attempt.user.phone), outlook=view, can_call=can_call)


def normal_code(text: str) -> str:
    """The digits that were meant: people type and paste spaces and dashes."""
    return "".join(character for character in text if character not in " -\u00a0\u2011\u2013\t")


def message(brand: str, code: str, host: str, lang: str) -> str:
    """The text of the SMS. Its last line binds the code to our host (WICG origin-bound one-time codes)."""
    # Translators: short, for one SMS; in the letters of GSM 03.38 where the language allows (no á í ó ú ê ç).
    sentence = N_("%(code)s is your %(brand)s code. Never share it.", code=code, brand=brand)
    return f"{language(lang).text(sentence)}\n\n@{host} #{code}"
