"""Every SMS and call passes here before and after it is sent: whether it may go, what it costs, whether it arrived.

A factor asks `admit` first, then gives its message to the provider inside `sending`. The record of a message is written
before the provider hears of it: its report may be faster than its answer.
"""

import hmac
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256

from gateway.clock import Clock
from gateway.config.sections.sms_email import Sms
from gateway.errors import SendFailed
from gateway.messaging.addresses import (
    LANDLINE,
    check_number,
    country_of,
    is_landline,
    mask_phone,
    range_of,
)
from gateway.messaging.sms.budgets import Counted, give_back, spend_budgets, spend_with_money
from gateway.messaging.sms.channels import ChannelOrder
from gateway.messaging.sms.failover import MAYBE_SENT, is_vendor_down
from gateway.messaging.sms.lookup import Lookups
from gateway.messaging.sms.lookup_answers import Asked, Known
from gateway.messaging.sms.outage import Outage
from gateway.messaging.sms.outgoing import Admission, OutgoingSms, Sending, digest
from gateway.messaging.sms.outlook import Outlook, outlook
from gateway.messaging.sms.pumping import SETTLING, Ranges
from gateway.messaging.sms.spending import Channel, Spend, price_of
from gateway.observability import metrics
from gateway.observability.audit import Audit
from gateway.rate_limits import RateLimits
from gateway.stores.protocols.ledger import Value
from gateway.stores.protocols.sms import FINAL, Delivery, SmsMessage, SmsMessages


class SmsDispatch:
    """Decides whether a message may be sent, and notes what becomes of it.

    Args:
        keys: hash numbers and ranges, newest first.
        calls: whether the provider can call.
        order: over which channels codes go.
        lookups: what is known of numbers; None where nobody asks.
    """

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
        order: ChannelOrder,
        audit: Audit,
        lookups: Lookups | None = None,
        token: Callable[[int], str] = secrets.token_hex,
    ) -> None:
        self._config, self._limits, self._spend, self._ranges = config, limits, spend, ranges
        self._outage = outage
        self._messages, self._keys, self._clock = messages, keys, clock
        self.calls, self._order, self._audit, self._token = calls, order, audit, token
        self._lookups = lookups

    async def over_channels(
        self, outgoing: OutgoingSms, send: Callable[[Channel], Awaitable[None]], *, call: bool
    ) -> None:
        """Have `send` send a code over the first channel that takes it: a call if the user asks for one, else as the
        country's order is. Raises SendFailed of the last one tried.
        """
        channels = [Channel.CALL] if call else await self._order.of(outgoing, self._hashes(outgoing.phone))
        for channel in channels[:-1]:
            try:
                await send(channel)
                return
            except SendFailed as failure:
                if not (failure.next_channel or self._second_vendor_may(channel, failure)):
                    raise
                self._audit.record(
                    "sms_channel_failed",
                    outgoing.username,
                    outgoing.ip,
                    channel=channel.value,
                    to=mask_phone(outgoing.phone),
                    code=failure.code,
                    cause=failure.detail,
                    mend=failure.mend,
                )
        await send(channels[-1])

    def _second_vendor_may(self, failed: Channel, failure: SendFailed) -> bool:
        """Whether an SMS goes out although the first vendor is down: the second one has no other channel."""
        return failed is not Channel.SMS and self._config.backup is not None and is_vendor_down(failure)

    async def admit(self, outgoing: OutgoingSms, channel: Channel, *, keep: Value | None = None) -> Admission:
        """Whether a message may go, with its price counted. `keep` is stored in the same step where that can be; the
        answer says whether it is.

        A known device, and who answered one of the last few, meet no limit that others share but those over all: what
        colleagues at the same address or in the same range of numbers leave unanswered is not theirs.

        Raises SendFailed whose code says which rule refused: country, number, range, budget or cap.
        """
        phone, config = outgoing.phone, self._config
        try:
            check_number(phone, config.allowed_countries)
            channel = self._fitting(outgoing, channel)
            known = outgoing.known_device or await self._answers(outgoing)
            if not known:
                await self._ranges.check(range_of(phone), self._hashes(range_of(phone)))
            channel = self._fitting(outgoing, channel, await self._line(outgoing))
            if admission := await self._at_once(outgoing, channel, keep, known=known):
                return admission
            # Something is full. What that is, and whether a call may go instead, shows when each is asked alone.
            counted = await spend_budgets(
                self._limits,
                config.budgets,
                username=outgoing.username,
                phone=phone,
                ip=outgoing.ip,
                known=known,
            )
            try:
                return await self._reserved(outgoing, channel, counted)
            except SendFailed:
                await give_back(self._limits, counted)
                raise
        except SendFailed as refused:
            if refused.code != "budget":  # each budget counts under its own name
                metrics.sms_refused.labels(refused.code).inc()
            raise

    async def _at_once(
        self, outgoing: OutgoingSms, channel: Channel, keep: Value | None, *, known: bool
    ) -> Admission | None:
        """Count budgets and price in one step; None, with nothing counted, if any of them is full."""
        micros = price_of(outgoing.phone, channel, self._config.spending)
        done = await spend_with_money(
            self._limits,
            self._config.budgets,
            self._spend.hit(channel, micros),
            keep,
            username=outgoing.username,
            phone=outgoing.phone,
            ip=outgoing.ip,
            known=known,
        )
        if done is None:
            return None
        counted, total = done
        self._spend.reserved(channel, total)
        return Admission(
            outgoing=outgoing, channel=channel, micros=micros, counted=counted, kept=keep is not None
        )

    async def _line(self, outgoing: OutgoingSms) -> str:
        """The kind of line that a lookup knows, "" if nobody asks. Raises SendFailed for what speaks against a number.

        News about the account go to the number before all the same.
        """
        if self._lookups is None or outgoing.text_only:
            return ""
        return await self._lookups.judge(
            Asked(
                username=outgoing.username,
                phone=outgoing.phone,
                hashes=self._hashes(outgoing.phone),
                no_other_way=outgoing.no_other_way,
            )
        )

    async def known_of(self, username: str, phone: str) -> Known:
        """What lookups told of a user's number, by package, with the time of each; empty where nobody asks."""
        if self._lookups is None or not phone:
            return {}
        asked = Asked(username=username, phone=phone, hashes=self._hashes(phone))
        return await self._lookups.known(asked)

    def _fitting(self, outgoing: OutgoingSms, channel: Channel, line: str = "") -> Channel:
        """A fixed line gets a call. Raises SendFailed (code "landline") where it can't have one."""
        if (
            channel is Channel.CALL
            or self._config.landlines == "sms"
            or not (line == "landline" or is_landline(outgoing.phone))
        ):
            return channel
        if self._config.landlines == "call" and self.calls and not outgoing.text_only:
            return Channel.CALL
        raise SendFailed(
            "the number is at a fixed line",
            code="landline",
            mend="have the user register a mobile number, or set sms.landlines (docs/sms.md)",
            public=LANDLINE,
        )

    async def _answers(self, outgoing: OutgoingSms) -> bool:
        numbers, until = self._hashes(outgoing.phone), self._clock() - SETTLING
        return await self._messages.answers(outgoing.username, numbers, until)

    async def _reserved(self, outgoing: OutgoingSms, channel: Channel, counted: Counted) -> Admission:
        """With its price counted; as a call where no more SMS may be paid, and the operator wants calls then."""
        micros = price_of(outgoing.phone, channel, self._config.spending)
        try:
            await self._spend.reserve(channel, micros)
        except SendFailed:
            may_call = self.calls and not outgoing.text_only and "voice" in self._config.fallback
            if channel is Channel.CALL or not may_call:
                raise
            return await self._reserved(outgoing, Channel.CALL, counted)
        return Admission(outgoing=outgoing, channel=channel, micros=micros, counted=counted)

    @asynccontextmanager
    async def sending(self, admission: Admission) -> AsyncIterator[Sending]:
        """Inside, the message is given to the provider; it is on record before, and how that went is after."""
        message = self._message(admission)
        await self._messages.add(message)
        sending = Sending(message.id)
        try:
            yield sending
        except SendFailed as failure:
            await self._not_taken(message, failure)
            await give_back(self._limits, admission.counted)
            await self._outage.failed(failure)
            raise
        if self._outage.going_on:
            await self._outage.ended()
        await self._report(message, Delivery(status="queued", stage=1, sid=sending.sid))

    async def _not_taken(self, message: SmsMessage, failure: SendFailed) -> None:
        """What the provider did not take costs nothing. If it took it all the same, its bill counts."""
        maybe = failure.code in MAYBE_SENT
        status, stage = ("unknown", 1) if maybe else ("failed", FINAL)
        await self._report(message, Delivery(status=status, stage=stage, error=failure.code))
        if await self._messages.price(message.id, 0, final=not maybe) is not None:
            await self._spend.correct(Channel(message.channel), message.created_at, -message.micros)

    async def _report(self, message: SmsMessage, delivery: Delivery) -> None:
        reported = await self._messages.report(message.id, delivery, self._clock())
        if reported is not None:  # as it is now: a second vendor may have taken it
            count_status(reported, delivery.status)

    async def outlook(self, session: str) -> Outlook:
        """How far the code is that this session waits for; it learns of nobody else's."""
        return outlook(await self._messages.of_session(digest(session)))

    async def verified(self, session: str) -> None:
        """Note that the code of this session came back: its range of numbers is no pumping."""
        await self._messages.verify(digest(session), self._clock())

    def _message(self, admission: Admission) -> SmsMessage:
        outgoing, now = admission.outgoing, self._clock()
        return SmsMessage(
            id=self._token(16),
            username=outgoing.username,
            session=outgoing.digest,
            masked=mask_phone(outgoing.phone),
            number=self._hashes(outgoing.phone)[0],
            range=self._hashes(range_of(outgoing.phone))[0],
            country=country_of(outgoing.phone),
            provider=self._config.provider,
            channel=admission.channel.value,
            micros=admission.micros,
            currency=self._config.spending.currency,
            created_at=now,
            updated_at=now,
        )

    def _hashes(self, text: str) -> list[str]:
        """Under each key of the ring, so that a rotation loses no count."""
        keys = self._keys()[:]  # no key that comes only now: it has hashed nothing yet
        return [hmac.new(key, text.encode(), sha256).hexdigest() for key in keys]


def count_status(message: SmsMessage, status: str) -> None:
    """Count a status in `auth_gateway_sms_messages_total` and the like, by provider and country."""
    metrics.sms_total.labels(message.provider, message.channel, message.country, status).inc()
