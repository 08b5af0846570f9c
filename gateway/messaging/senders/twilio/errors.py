"""Twilio's error codes: what happened, what the operator does about it, and whether time alone may mend it.

The meanings are those of Twilio's error dictionary (twilio.com/docs/api/errors). Twilio's own message is
never passed on: it quotes the phone number in full.
"""

from dataclasses import dataclass

from gateway.errors import SendFailed
from gateway.i18n.text import N_
from gateway.messaging.addresses import LANDLINE

DICTIONARY = "https://www.twilio.com/docs/api/errors/"
BAD_NUMBER = N_("We could not send a code to your phone number.")
COUNTRY = N_("We can’t send codes to phone numbers of that country.")
OPTED_OUT = N_(
    "Your phone number has opted out of our messages. Text START to our number, then ask for a new code."
)
TOO_MANY = N_("Too many codes were asked for or tried. Please wait ten minutes, then ask for a new code.")


@dataclass(frozen=True, slots=True)
class TwilioError:
    """What an error code of Twilio's means. `retryable`: the same request may succeed later with nothing changed.

    `bad_number`: the user's number is at fault. `public` is what the user may read, where the usual sentence
    would leave them helpless.
    """

    what: str
    mend: str
    retryable: bool = False
    bad_number: bool = False
    public: str | None = None


def _number(what: str, mend: str, public: str = BAD_NUMBER) -> TwilioError:
    return TwilioError(what, mend, bad_number=True, public=public)


def _later(what: str, mend: str, public: str | None = None) -> TwilioError:
    return TwilioError(what, mend, retryable=True, public=public)


TWILIO_ERRORS: dict[int, TwilioError] = {
    # The account and the API
    14107: _later(
        "more than 30 messages between the same two numbers within 30 seconds",
        "look for a loop that sends; Twilio fails messages between the two for 30 seconds",
    ),
    20003: TwilioError(
        "Twilio refused the credentials",
        "check sms.account_sid and sms.auth_token: was the token rotated, is the account active?",
    ),
    20404: TwilioError(
        "Twilio does not know this resource",
        "check sms.service_sid and sms.account_sid; at a code check: the code expired or was used",
    ),
    20429: _later(
        "too many requests to Twilio at once", "lower sms.budgets.hourly or ask Twilio for more concurrency"
    ),
    30001: _later(
        "the sender's queue overflowed", "spread the load over more senders in a Messaging Service"
    ),
    30002: TwilioError(
        "the Twilio account is suspended", "pay or answer Twilio's notice; see the Twilio console"
    ),
    63038: _later(
        "the account's daily limit of messages is reached",
        "wait until the 24 hours are over, or ask Twilio Support for a higher limit",
    ),
    # Our side of the message
    21212: TwilioError("the sender number is invalid", "set sms.from to an E.164 number or a sender name"),
    21408: TwilioError(
        "the destination's country is not enabled",
        "enable it under Messaging > Settings > Geo Permissions, or leave it out of sms.allowed_countries",
        public=COUNTRY,
    ),
    21602: TwilioError("the message has no text", "report this as a bug of the gateway"),
    21603: TwilioError("the message has no sender", "set sms.from or sms.messaging_service_sid"),
    21606: TwilioError(
        "the sender can't send SMS from this account to this destination",
        "set sms.from to an SMS-capable number of this account; short codes reach their own country only",
    ),
    21608: TwilioError(
        "a trial account, or one without an approved compliance profile, may write to verified numbers only",
        "verify the number in the Twilio console, or upgrade the account",
    ),
    21607: TwilioError(
        "a trial account may send from its trial number only",
        "set sms.from to that number, or upgrade the account",
    ),
    21657: TwilioError(
        "the destination's country does not take this sender name",
        "register the name for that country, or set sms.from to a number",
    ),
    21659: TwilioError(
        "the sender is no Twilio number, or a short code of another country",
        "set sms.from to an E.164 number of this account; is its porting complete?",
    ),
    21660: TwilioError(
        "the sender belongs to another account",
        "set sms.account_sid and sms.auth_token to the number's account",
    ),
    21661: TwilioError("the sender number can't send SMS", "set sms.from to an SMS-capable number"),
    572002: TwilioError(
        "the trial account writes to this recipient from another of its numbers",
        "set sms.from to the number that the Twilio console shows for the recipient, or upgrade the account",
    ),
    572005: TwilioError(
        "a trial account may write to verified numbers only, and this one's verification is not complete",
        "complete it in the Twilio console, or upgrade the account",
    ),
    21611: _later(
        "the sender has more than ten hours of messages queued",
        "use a Messaging Service with more numbers",
    ),
    21617: TwilioError("the text is longer than 1600 characters", "shorten the SMS text"),
    30007: TwilioError(
        "Twilio or the carrier filtered the message as unwanted",
        "check the text against Twilio's Messaging Policy; send three message SIDs to Twilio Support",
    ),
    30034: TwilioError(
        "a US carrier blocked a number that no A2P 10DLC campaign covers",
        "register brand and campaign, and put the sender into the campaign's Messaging Service",
    ),
    # The user's number
    21211: _number("the number is invalid", "correct the user's phone number; it must be E.164"),
    21214: _number("the number can't be reached", "check the user's phone number"),
    21610: _number(
        "the user answered STOP to this sender",
        "have the user text START to the sender",
        public=OPTED_OUT,
    ),
    21612: _number(
        "Twilio has no route from this sender to this number",
        "check the number; for some countries another sender, or a registered sender name, is needed",
    ),
    21614: _number("the number is not a mobile number", "have the user register a mobile number", LANDLINE),
    21265: _number("the number is a short code", "correct the user's phone number"),
    21266: _number("the number is our own sender's", "correct the user's phone number"),
    21635: _number("the number is a landline", "have the user register a mobile number", LANDLINE),
    30003: TwilioError(
        "the handset was unreachable: off, without signal, or unable to receive SMS",
        "try again later; if it persists, check the number",
        retryable=True,
        bad_number=True,
        public=BAD_NUMBER,
    ),
    30004: _number(
        "the number is blocked from receiving this message",
        "ask whether the user opted out or is on a do-not-disturb register",
    ),
    30005: _number("the number is unknown or no longer in service", "check the user's phone number"),
    30006: _number(
        "the number is a landline, or a short code can't reach its carrier",
        "have the user register a mobile number; add a long code to the Messaging Service",
        LANDLINE,
    ),
    30008: _later(
        "the carrier gave no reason for the failure",
        "try again with a short text; if it persists, send message SIDs to Twilio Support",
    ),
    # Fraud protection
    30450: _later(
        "SMS Pumping Protection blocked the destination, usually for 15 to 30 minutes",
        "look for a flood of sign-ins; put known numbers on Twilio's Global Safe List",
    ),
    60410: _later(
        "Verify Fraud Guard blocked the number's prefix for 12 hours",
        "look for a flood of sign-ins; the block ends by itself",
    ),
    # Verify
    60200: _number("Verify found a parameter invalid, usually the number", "the number must be E.164"),
    60202: _later(
        "five wrong codes for one verification",
        "none needed: the verification expires ten minutes after it began",
        public=TOO_MANY,
    ),
    60203: _later(
        "five codes sent without a successful check",
        "none needed: the verification expires ten minutes after it began",
        public=TOO_MANY,
    ),
    60205: _number("the number is a landline", "have the user register a mobile number", LANDLINE),
    60220: TwilioError(
        "messages to China need Twilio's use case vetting",
        "apply for it with Twilio Support, or leave CN out of sms.allowed_countries",
        public=COUNTRY,
    ),
}


def twilio_failure(status: int, code: int | None) -> SendFailed:
    """The SendFailed for an HTTP status and the code in Twilio's answer (None or the status: it had none)."""
    known = TWILIO_ERRORS.get(code or status)
    if known is None:
        mend = f"see {DICTIONARY}{code}" if code and code != status else "see Twilio's status page"
        known = TwilioError(f"answered {status}", mend, retryable=status == 429 or status >= 500)
    detail = f"Twilio: {known.what}"
    return SendFailed(
        detail, code=str(code or status), mend=known.mend, retryable=known.retryable, public=known.public
    )
