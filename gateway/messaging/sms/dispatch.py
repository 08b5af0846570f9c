"""Every SMS and call passes here before and after it is sent: whether it may go, what it costs, whether it arrived.

A factor asks `admit` first, then hands over what it sends. The record of a message is written before the provider
hears of it: its report may be faster than its answer.
"""

import hmac
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from gateway.clock import Clock
from gateway.config.sections.sms_email import Sms
from gateway.errors import SendFailed
from gateway.messaging.senders.masking import mask_phone
from gateway.messaging.sms.budgets import Counted, give_back, spend_budgets
from gateway.messaging.sms.outage import Outage
from gateway.messaging.sms.phone_numbers import check_number, country_of, range_of
from gateway.messaging.sms.prices import Channel, price_of
from gateway.messaging.sms.pumping import Ranges
from gateway.messaging.sms.spending_cap import Spend
from gateway.observability import metrics
from gateway.rate_limits import RateLimits
from gateway.stores.protocols.sms import FINAL, Delivery, SmsMessage, SmsMessages

MAYBE_SENT = ("timeout", "connection_lost", "bad_answer")
"""Failures after which the message may be on its way all the same, and then be billed."""


@dataclass(frozen=True, slots=True)
class OutgoingSms:
    """A code that is to be sent: whose it is and where it goes. `session` is the id of the session that
    waits for it.
    """

    username: str
    phone: str
    session: str
    ip: str
    text_only: bool = False
    """It is no code, so nobody can read it out."""


@dataclass(frozen=True, slots=True)
class Admission:
    """A message that may go, through `channel`; its price is counted already."""

    errand: OutgoingSms
    channel: Channel
    micros: int
    counted: Counted = ()
    """The budgets that it was counted against."""


class SmsDispatch:
    """`keys` hash numbers and ranges, newest first; `calls` says whether the provider can call."""

    def __init__(
        self,
        config: Sms,
        limits: RateLimits,
        spend: Spend,
        ranges: Ranges,
        outage: Outage,
        messages: SmsMessages,
        keys: Callable[[], Sequence[bytes]],
        clock: Clock,
        *,
        calls: bool,
        token: Callable[[int], str] = secrets.token_hex,
    ) -> None:
        self._config, self._limits, self._spend, self._ranges = config, limits, spend, ranges
        self._outage = outage
        self._messages, self._keys, self._clock = messages, keys, clock
        self.calls, self._token = calls, token

    async def admit(self, errand: OutgoingSms, channel: Channel) -> Admission:
        """Ask all limits about a message and count it. Raises SendFailed; its code says which one refused: country,
        number, range, budget or cap.
        """
        try:
            return await self._admitted(errand, channel)
        except SendFailed as refused:
            if refused.code != "budget":  # each budget counts under its own name
                metrics.sms_refused.labels(refused.code).inc()
            raise

    async def _admitted(self, errand: OutgoingSms, channel: Channel) -> Admission:
        phone = errand.phone
        check_number(phone, self._config.allowed_countries)
        await self._ranges.check(range_of(phone), self._hashes(range_of(phone)))
        counted = await spend_budgets(
            self._limits, self._config.budgets, username=errand.username, phone=phone, ip=errand.ip
        )
        try:
            return await self._affordable(errand, channel, counted)
        except SendFailed:
            await give_back(self._limits, counted)
            raise

    async def _affordable(self, errand: OutgoingSms, channel: Channel, counted: Counted) -> Admission:
        try:
            return await self._reserved(errand, channel, counted)
        except SendFailed:
            if channel is Channel.CALL or not self._may_call(errand):
                raise
            return await self._reserved(errand, Channel.CALL, counted)

    def _may_call(self, errand: OutgoingSms) -> bool:
        return self.calls and not errand.text_only and "voice" in self._config.fallback

    async def _reserved(self, errand: OutgoingSms, channel: Channel, counted: Counted) -> Admission:
        micros = price_of(errand.phone, channel, self._config.spending)
        await self._spend.reserve(channel, micros)
        return Admission(errand=errand, channel=channel, micros=micros, counted=counted)

    async def hand_over(self, admission: Admission, send: Callable[[str], Awaitable[str]]) -> None:
        """Give the message to the provider and note what became of it; `send` gets our id of it and returns the
        provider's.

        Raises what `send` raises (SendFailed).
        """
        message = self._message(admission)
        await self._messages.add(message)
        try:
            sid = await send(message.id)
        except SendFailed as failure:
            await self._not_taken(message, failure)
            await give_back(self._limits, admission.counted)
            await self._outage.failed(failure)
            raise
        await self._outage.taken()
        await self._report(message, Delivery(status="queued", stage=1, sid=sid))

    async def _not_taken(self, message: SmsMessage, failure: SendFailed) -> None:
        """What the provider did not take costs nothing. If it took it all the same, its bill counts."""
        maybe = failure.code in MAYBE_SENT
        status, stage = ("unknown", 1) if maybe else ("failed", FINAL)
        await self._report(message, Delivery(status=status, stage=stage, error=failure.code))
        if await self._messages.price(message.id, 0, final=not maybe) is not None:
            await self._spend.correct(Channel(message.channel), message.created_at, -message.micros)

    async def _report(self, message: SmsMessage, delivery: Delivery) -> None:
        if await self._messages.report(message.id, delivery, self._clock()) is not None:
            count_status(message, delivery.status)

    async def waiting(self, session: str) -> Sequence[SmsMessage]:
        """Return what was sent for this session, newest first; nobody else's."""
        return await self._messages.of_session(digest(session))

    async def verified(self, session: str) -> None:
        """Note that the code of this session came back: its range of numbers is no pumping."""
        await self._messages.verify(digest(session), self._clock())

    def _message(self, admission: Admission) -> SmsMessage:
        errand, now = admission.errand, self._clock()
        return SmsMessage(
            id=self._token(16),
            username=errand.username,
            session=digest(errand.session),
            masked=mask_phone(errand.phone),
            number=self._hashes(errand.phone)[0],
            range=self._hashes(range_of(errand.phone))[0],
            country=country_of(errand.phone),
            provider=self._config.provider,
            channel=admission.channel.value,
            micros=admission.micros,
            currency=self._config.spending.currency,
            created_at=now,
            updated_at=now,
        )

    def _hashes(self, text: str) -> list[str]:
        """Under each key of the ring, so that a rotation loses no count."""
        return [hmac.new(key, text.encode(), sha256).hexdigest() for key in self._keys()]


def digest(session: str) -> str:
    """Return a digest of a session id. Ids open sessions; records beside the sessions keep only this."""
    return sha256(f"sms\0{session}".encode()).hexdigest()


def count_status(message: SmsMessage, status: str) -> None:
    """Count a status in `auth_gateway_sms_messages_total` and the like, by provider and country."""
    metrics.sms_total.labels(message.provider, message.channel, message.country, status).inc()
