"""Tells what an answer of Twilio's means: what happened, what the operator does about it, what is tried next.

Twilio's own message is never passed on: it quotes the phone number in full.
"""

from gateway.errors import SendFailed
from gateway.messaging.senders.twilio.channel_error_codes import CHANNEL_ERRORS
from gateway.messaging.senders.twilio.error_codes import MESSAGE_ERRORS
from gateway.messaging.senders.twilio.error_entry import Kind, TwilioError
from gateway.messaging.senders.twilio.sender_error_codes import SENDER_ERRORS

DICTIONARY = "https://www.twilio.com/docs/api/errors/"
TWILIO_ERRORS: dict[int, TwilioError] = {**MESSAGE_ERRORS, **SENDER_ERRORS, **CHANNEL_ERRORS}
"""By code: what a sender of codes meets."""


def twilio_failure(status: int, code: int | None) -> SendFailed:
    """The SendFailed for an HTTP status and the code in Twilio's answer (None or the status: it had none)."""
    known = TWILIO_ERRORS.get(code or status) or _unknown(status, code)
    return SendFailed(
        f"Twilio: {known.what}",
        code=str(code or status),
        mend=known.mend,
        retryable=known.retryable,
        public=known.public,
        outage=known.outage,
        next_channel=known.next_channel,
        next_number=known.next_number,
    )


def _unknown(status: int, code: int | None) -> TwilioError:
    """A code that no table has is judged by the HTTP status."""
    busy = status == 429 or status >= 500
    return TwilioError(
        what=f"answered {status}",
        mend=f"see {DICTIONARY}{code}" if code and code != status else "see Twilio's status page",
        kind=Kind.TEMPORARY if busy else Kind.ACCOUNT,
        retryable=busy,
        outage=busy,
        next_channel=status not in (401, 403, 429),
        next_number=not busy,
    )
