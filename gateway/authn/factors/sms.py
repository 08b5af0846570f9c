"""A code by SMS, or read out in a call. `messaging/sms/dispatch.py` decides whether it may be sent."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from math import ceil

from gateway.authn.factors.base import Attempt, Outcome, Prompt, Resend
from gateway.authn.factors.challenge import Codes, normal_code
from gateway.authn.factors.phone_lines import Line, Phones
from gateway.config.schema import SmsBase
from gateway.errors import SendFailed
from gateway.i18n.catalogues import language
from gateway.i18n.text import N_
from gateway.messaging.senders.base import Caller, Sender
from gateway.messaging.senders.masking import mask_phone
from gateway.messaging.sms.delivery_status import outlook
from gateway.messaging.sms.dispatch import OutgoingSms, SmsDispatch
from gateway.messaging.sms.prices import Channel
from gateway.model import User

_CALL_AFTER = 2
"""A call is offered once a code was sent again: calls cost more, and most messages do arrive."""
EVERY_NUMBER = ("budget", "cap")
"""Refusals that another number would meet as well."""


class SmsFactor:
    """The factor `sms`. `caller` is None where the provider can't call, `phones` while a number is being added."""

    name = "sms"

    def __init__(
        self,
        config: SmsBase,
        sender: Sender,
        caller: Caller | None,
        codes: Codes,
        desk: SmsDispatch,
        phones: Phones | None,
        brand: str,
    ) -> None:
        self._config, self._sender, self._caller, self._codes = config, sender, caller, codes
        self._desk, self._phones, self._brand = desk, phones, brand

    async def enrolled(self, user: User) -> bool:
        return await has_number(user, self._phones)

    async def begin(self, attempt: Attempt, *, again: bool = False) -> Prompt:
        return await begin_on_line(
            self._codes,
            self._desk,
            self._phones,
            attempt,
            self._send,
            pause=self._config.resend_after,
            again=again,
        )

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
        await void_if_gone(self._codes, self._phones, attempt)
        outcome = await self._codes.verify(attempt, normal_code(form.get("code", "")))
        if outcome is Outcome.RIGHT:
            await self._desk.verified(attempt.sid)
        return outcome


async def begin_on_line(
    codes: Codes,
    desk: SmsDispatch,
    phones: Phones | None,
    attempt: Attempt,
    send: Callable[[Attempt], Awaitable[None]],
    *,
    pause: float,
    again: bool,
) -> Prompt:
    """Have `send` deliver a code unless one is out, to the user's other number if `attempt` says so.

    Raises SendFailed, with `instead` set where the user's other number may do, and TooManyAttempts.
    """
    await void_if_gone(codes, phones, attempt)
    running = await line_of(attempt, phones)
    wanted = running.switched if attempt.resend is Resend.OTHER_NUMBER else running

    async def deliver() -> None:
        if phones is not None:
            await phones.keep_to(attempt, wanted)
        await send(towards(attempt, wanted))

    try:
        wait, sent = await codes.offer(attempt, pause, deliver, again=again)
    except SendFailed as failure:
        if failure.code not in EVERY_NUMBER:
            failure.instead = mask_phone(wanted.other) if wanted.other else ""
        raise
    line = wanted if sent else running
    view = outlook(await desk.waiting(attempt.sid))
    return Prompt(
        hint=mask_phone(line.phone),
        other=mask_phone(line.other) if line.other else "",
        code_length=codes.length,
        resend_after=ceil(wait),
        sent=sent,
        outlook=view,
        can_call=desk.calls and (view.sends >= _CALL_AFTER or view.state == "failed"),
        cooling=line.cooling,
    )


async def void_if_gone(codes: Codes, phones: Phones | None, attempt: Attempt) -> None:
    """Void the code if it went to a number that is the user's no longer."""
    if phones is not None and await phones.is_gone(attempt):
        await codes.void(attempt)


async def has_number(user: User, phones: Phones | None) -> bool:
    """Tell whether the user has a number that codes could go to."""
    return await phones.any(user) if phones is not None else bool(user.phone)


async def line_of(attempt: Attempt, phones: Phones | None) -> Line:
    """Return where this attempt's code goes. Raises SendFailed if no number may have codes now."""
    return await phones.line(attempt) if phones is not None else Line(attempt.user.phone)


def towards(attempt: Attempt, line: Line) -> Attempt:
    """Return the attempt with the number that the line chose."""
    return replace(attempt, user=replace(attempt.user, phone=line.phone))


def errand(attempt: Attempt) -> OutgoingSms:
    return OutgoingSms(
        username=attempt.user.username, phone=attempt.user.phone, session=attempt.sid, ip=attempt.ip
    )


def channel_of(attempt: Attempt) -> Channel:
    """Return whether the attempt asks for a text or a call."""
    return Channel.CALL if attempt.resend is Resend.CALL else Channel.SMS


def message(brand: str, code: str, host: str, lang: str) -> str:
    """Return the text of the SMS in language `lang`.

    Its last line binds the code to our host, so that browsers fill it in there only (WICG origin-bound one-time
    codes).
    """
    # Translators: short, for one SMS; in the letters of GSM 03.38 where the language allows (no á í ó ú ê ç).
    sentence = N_("%(code)s is your %(brand)s code. Never share it.", code=code, brand=brand)
    return f"{language(lang).text(sentence)}\n\n@{host} #{code}"
