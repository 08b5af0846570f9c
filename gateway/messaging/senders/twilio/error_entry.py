"""What the gateway knows of one error code of Twilio's, and the sentences that users read."""

from dataclasses import dataclass
from enum import StrEnum

from gateway.i18n.text import N_
from gateway.messaging.addresses import LANDLINE

BAD_NUMBER = N_("We could not send a code to your phone number.")
COUNTRY = N_("We can’t send codes to phone numbers of that country.")
OPTED_OUT = N_(
    "Your phone number has opted out of our messages. Text START to our number, then ask for a new code."
)
TOO_MANY = N_("Too many codes were asked for or tried. Please wait ten minutes, then ask for a new code.")
NETWORK = N_("Your phone network does not take our messages at the moment. That is ours to mend.")
BLOCKED = N_("Our messages are blocked for your phone number. If you blocked us, please unblock us first.")


class Kind(StrEnum):
    """Whose it is to mend."""

    NUMBER = "number"
    """The user's number can't receive the code."""
    ACCOUNT = "account"
    """The operator's account, sender, registration or configuration."""
    CARRIER = "carrier"
    """A carrier or a channel behind Twilio refused it."""
    TEMPORARY = "temporary"
    """It passes by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TwilioError:
    """What an error code of Twilio's means.

    `retryable`: the same request may succeed later with nothing changed. `outage`: nobody gets a code while it lasts,
    so it counts as an outage of the provider. `next_channel` and `next_number`: another channel, or the user's other
    number, may do. `public` is what the user may read, where the usual sentence would leave them helpless.
    """

    what: str
    mend: str
    kind: Kind
    retryable: bool = False
    outage: bool = False
    next_channel: bool = False
    next_number: bool = False
    public: str | None = None

    @property
    def bad_number(self) -> bool:
        """Whether the user's number is at fault."""
        return self.kind is Kind.NUMBER


def number(
    what: str, mend: str, public: str = BAD_NUMBER, *, retryable: bool = False, next_channel: bool = True
) -> TwilioError:
    """Describe a failure of the user's number; the other one may do."""
    return TwilioError(
        what=what,
        mend=mend,
        kind=Kind.NUMBER,
        retryable=retryable,
        next_channel=next_channel,
        next_number=True,
        public=public,
    )


def landline(what: str, mend: str = "have the user register a mobile number") -> TwilioError:
    """Describe a number that takes calls and no messages."""
    return number(what, mend, LANDLINE)


def account(
    what: str,
    mend: str,
    public: str | None = None,
    *,
    outage: bool = False,
    next_channel: bool = False,
    next_number: bool = False,
) -> TwilioError:
    """Describe a failure of the operator's making."""
    return TwilioError(
        what=what,
        mend=mend,
        kind=Kind.ACCOUNT,
        outage=outage,
        next_channel=next_channel,
        next_number=next_number,
        public=public,
    )


def carrier(
    what: str,
    mend: str,
    public: str | None = NETWORK,
    *,
    retryable: bool = False,
    next_channel: bool = True,
) -> TwilioError:
    """Describe a refusal by a carrier or a channel behind Twilio."""
    return TwilioError(
        what=what,
        mend=mend,
        kind=Kind.CARRIER,
        retryable=retryable,
        next_channel=next_channel,
        next_number=True,
        public=public,
    )


def passing(
    what: str,
    mend: str,
    public: str | None = None,
    *,
    outage: bool = False,
    next_channel: bool = False,
    next_number: bool = False,
) -> TwilioError:
    """Describe what passes by itself."""
    return TwilioError(
        what=what,
        mend=mend,
        kind=Kind.TEMPORARY,
        retryable=True,
        outage=outage,
        next_channel=next_channel,
        next_number=next_number,
        public=public,
    )
