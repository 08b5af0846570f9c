"""Over which channels a code goes, in which order: as the operator says for the number's country.

A channel on which this user's newest message to this number failed comes last for a while: some people have no
WhatsApp, and Twilio tells so only after it took the message.
"""

from collections.abc import Mapping, Sequence

from gateway.clock import Clock
from gateway.config.sections.sms_channels import ChannelName
from gateway.messaging.addresses import country_of
from gateway.messaging.sms.outgoing import OutgoingSms
from gateway.messaging.sms.outlook import state_of
from gateway.messaging.sms.spending import Channel
from gateway.stores.protocols.sms import SmsMessages

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
        failed = await self._failed(outgoing.username, hashes)
        return sorted(wanted, key=lambda channel: channel.value in failed)

    async def _failed(self, username: str, hashes: Sequence[str]) -> set[str]:
        """The channels on which the newest message to this number of the user's failed."""
        newest: dict[str, str] = {}
        for message in await self._messages.of_number(username, hashes, self._clock() - _REMEMBERED):
            newest.setdefault(message.channel, state_of(message))
        return {channel for channel, state in newest.items() if state == "failed"}
