"""Puts Twilio's parts together: messages, calls, reports and bills share one client."""

from collections.abc import Callable, Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from gateway.config.addresses import is_local
from gateway.config.sections.sms_email import SmsTwilio, SmsTwilioVerify
from gateway.messaging.senders.base import SmsProvider
from gateway.messaging.senders.retry import Backoff
from gateway.messaging.senders.twilio.bills import TwilioBills, VerifyBills
from gateway.messaging.senders.twilio.chat import TwilioChat
from gateway.messaging.senders.twilio.client import TwilioApi
from gateway.messaging.senders.twilio.lookup import TwilioLookup
from gateway.messaging.senders.twilio.messages import TwilioSender
from gateway.messaging.senders.twilio.progress import TwilioProgress
from gateway.messaging.senders.twilio.status_callbacks import TwilioReports
from gateway.messaging.senders.twilio.verify import TwilioVerify
from gateway.messaging.senders.twilio.voice import TwilioCaller


def messages_provider(config: SmsTwilio, status_url: str) -> SmsProvider:
    """Make the provider of `sms.provider: twilio`; `status_url` is where Twilio can report to ("" = nowhere)."""
    wanted = is_public(status_url) if config.status_callbacks is None else config.status_callbacks
    reports = TwilioReports(config.auth_token.get_secret_value(), status_url) if wanted else None
    callback = reports.address if reports else lambda reference: ""
    sender = TwilioSender(config, Backoff(config.retries), callback)
    number = calling_number(config)
    caller = TwilioCaller(sender.api, number, callback) if number else None
    return SmsProvider(
        sender=sender,
        caller=caller,
        reports=reports,
        bills=TwilioBills(sender.api),
        progress=TwilioProgress(sender.api),
        chats=dict(_chats(config, sender.api, callback)),
        lookup=_lookup(config),
    )


def _chats(
    config: SmsTwilio, api: TwilioApi, callback: Callable[[str], str]
) -> Iterator[tuple[str, TwilioChat]]:
    for name, chat in (("whatsapp", config.whatsapp), ("rcs", config.rcs)):
        if chat is not None:
            yield (
                name,
                TwilioChat(
                    api, prefix=f"{name}:", sender=chat.from_, templates=chat.templates, callback=callback
                ),
            )


def verify_provider(config: SmsTwilioVerify) -> SmsProvider:
    """Make the provider of `sms.provider: twilio_verify`."""
    verify = TwilioVerify(config, Backoff(config.retries))
    return SmsProvider(
        verify, bills=VerifyBills(verify.api), service_calls=config.voice, lookup=_lookup(config)
    )


def _lookup(config: SmsTwilio | SmsTwilioVerify) -> TwilioLookup | None:
    """Lookup has an address of its own, and a sign-in waits for it less long. Asking twice does no harm."""
    wanted = config.lookup
    if not wanted.packages:
        return None
    return TwilioLookup(
        TwilioApi(config, Backoff(min(1, config.retries)), base_url=wanted.base_url, timeout=wanted.timeout)
    )


def calling_number(config: SmsTwilio) -> str:
    """Return the number that calls come from; "" where they are not wanted, or only a name or a Messaging Service
    sends.
    """
    sender = config.sender_of("default")
    number = config.voice_from or (sender if sender.startswith("+") else "")
    return number if config.voice else ""


def is_public(url: str) -> bool:
    """Tell whether Twilio could reach this URL: it refuses messages whose status callback is a local
    address (21609).
    """
    host = urlsplit(url).hostname or ""
    if not host or is_local(host):
        return False
    try:
        return ip_address(host).is_global
    except ValueError:
        return "." in host
