"""Over which channels a code goes, in which order: as the operator says for the number's country.

A channel on which this user's newest message to this number failed comes last for a while: some people have no
WhatsApp, and Twilio tells so only after it took the message. Who asks for another code gets it over the next channel,
unless the one before is known to have arrived; a call never comes of that alone.
"""

from collections.abc import Mapping, Sequence

from gateway.clock import Clock
from gateway.config.sections.sms_channels import ChannelName
from gateway.messaging.addresses import country_of
from gateway.messaging.sms.outgoing import OutgoingSms
from gateway.messaging.sms.outlook import state_of
from gateway.messaging.sms.spending import Channel
from gateway.stores.protocols.sms import SmsMessage, SmsMessages

_REMEMBERED = 3600.0
"""Seconds for which a failed channel comes last."""


class ChannelOrder:
    """The order of channels. `channels` is the operator's, by country, with "default" for all others."""

    def __init__(
        self, channels: Mapping[str, Sequence[ChannelName]], messages: SmsMessages, clock: Clock
    ) -> None:
        self._channels, self._messages, self._clock = channels, messages, clock

    async def of(self, outgoing: OutgoingSms, hashes: Sequence[str]) -> list[Channel]:
        """Return the channels for a message, the one to try first in front; `hashes` are those of its number."""
        names = self._channels.get(country_of(outgoing.phone)) or self._channels.get("default") or ("sms",)
        wanted = [Channel(name) for name in names]
        if len(wanted) < 2:  # the usual case costs no look into the store
            return wanted
        newest: dict[str, SmsMessage] = {}
        since = self._clock() - _REMEMBERED
        for message in await self._messages.of_number(outgoing.username, hashes, since):
            newest.setdefault(message.channel, message)
        silent = {name for name, one in newest.items() if _silent(one, outgoing)}
        texts = iter(
            sorted((one for one in wanted if one is not Channel.CALL), key=lambda one: one.value in silent)
        )
        wanted = [one if one is Channel.CALL else next(texts) for one in wanted]
        failed = {name for name, one in newest.items() if state_of(one) == "failed"}
        return sorted(wanted, key=lambda channel: channel.value in failed)


def _silent(message: SmsMessage, outgoing: OutgoingSms) -> bool:
    """Whether a message of this session is not known to have arrived."""
    return message.session == outgoing.digest and state_of(message) != "delivered"
