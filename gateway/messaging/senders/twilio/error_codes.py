"""Twilio's error codes of accounts, numbers and carriers, for text messages and calls.

The meanings are those of Twilio's error dictionary (twilio.com/docs/api/errors).
"""

from gateway.messaging.senders.twilio.error_entry import (
    BLOCKED,
    OPTED_OUT,
    TwilioError,
    account,
    carrier,
    landline,
    number,
    passing,
)

MESSAGE_ERRORS: dict[int, TwilioError] = {
    # The account and the API
    10001: account(
        "the Twilio account is not active", "pay or answer Twilio's notice; see its console", outage=True
    ),
    14107: passing(
        "more than 30 messages between the same two numbers within 30 seconds",
        "look for a loop that sends; Twilio fails messages between the two for 30 seconds",
        next_channel=True,
        next_number=True,
    ),
    20003: account(
        "Twilio refused the credentials",
        "check sms.account_sid and sms.auth_token: was the token rotated, is the account active?",
        outage=True,
    ),
    20005: account(
        "the Twilio account is not active", "pay or answer Twilio's notice; see its console", outage=True
    ),
    20404: account(
        "Twilio does not know this resource",
        "check sms.service_sid and sms.account_sid; at a code check: the code expired or was used",
    ),
    20429: passing(
        "too many requests to Twilio at once",
        "lower sms.budgets.hourly or ask Twilio for more concurrency",
        outage=True,
    ),
    20500: passing("Twilio failed inside", "see Twilio's status page", outage=True),
    20503: passing("Twilio is unavailable for a while", "see Twilio's status page", outage=True),
    30001: passing(
        "the sender's queue overflowed",
        "spread the load over more senders in a Messaging Service",
        outage=True,
        next_channel=True,
    ),
    30002: account(
        "the Twilio account is suspended",
        "pay or answer Twilio's notice; see the Twilio console",
        outage=True,
    ),
    30020: passing("Twilio's scheduling failed inside", "see Twilio's status page", next_channel=True),
    30021: passing(
        "Twilio's Messaging Service failed inside",
        "see Twilio's status page",
        outage=True,
        next_channel=True,
    ),
    30037: account(
        "sending messages is disabled for the account",
        "answer Twilio's notice in its console, or ask Twilio Support",
        outage=True,
        next_channel=True,
    ),
    30410: passing(
        "the carrier's provider did not answer in time",
        "none needed: Twilio does not repeat it, users ask for another code",
        next_channel=True,
    ),
    30454: passing(
        "the account's limit of messages is reached",
        "wait until it is renewed, or ask Twilio Support for a higher limit",
        outage=True,
    ),
    30500: passing("Twilio failed inside", "see Twilio's status page", outage=True, next_channel=True),
    63038: passing(
        "the account's daily limit of messages is reached",
        "wait until the 24 hours are over, or ask Twilio Support for a higher limit",
        outage=True,
    ),
    # The user's number
    21211: number(
        "the number is invalid", "correct the user's phone number; it must be E.164", next_channel=False
    ),
    21214: number("the number can't be reached", "check the user's phone number"),
    21610: number(
        "the user answered STOP to this sender", "have the user text START to the sender", OPTED_OUT
    ),
    21612: number(
        "Twilio has no route from this sender to this number",
        "check the number; for some countries another sender, or a registered sender name, is needed",
    ),
    21614: landline("the number is not a mobile number"),
    21265: number("the number is a short code", "correct the user's phone number", next_channel=False),
    21266: number("the number is our own sender's", "correct the user's phone number", next_channel=False),
    21635: landline("the number is a landline"),
    30003: number(
        "the handset was unreachable: off, without signal, or unable to receive SMS",
        "try again later; if it persists, check the number",
        retryable=True,
    ),
    30004: number(
        "the number is blocked from receiving this message",
        "ask whether the user opted out or is on a do-not-disturb register",
        BLOCKED,
    ),
    30005: number("the number is unknown or no longer in service", "check the user's phone number"),
    30006: landline(
        "the number is a landline, or a short code can't reach its carrier",
        "have the user register a mobile number; add a long code to the Messaging Service",
    ),
    # Carriers
    30007: carrier(
        "Twilio or the carrier filtered the message as unwanted",
        "check the text against Twilio's Messaging Policy; send three message SIDs to Twilio Support",
    ),
    30008: passing(
        "the carrier gave no reason for the failure",
        "try again with a short text; if it persists, send message SIDs to Twilio Support",
        next_channel=True,
        next_number=True,
    ),
    30036: passing(
        "the message was not delivered while its code was good",
        "none needed: users ask for another; if it persists, raise sms.code_lifetime",
        next_channel=True,
        next_number=True,
    ),
    30038: carrier(
        "the text of the code was filtered as unwanted",
        "send message SIDs to Twilio Support; codes of Twilio Verify (`provider: twilio_verify`) pass such filters",
    ),
    30039: carrier(
        "Twilio took the message for one of a loop of machines",
        "is the user's number that of a program, or of another Twilio number? Use a person's",
    ),
    30485: carrier(
        "Twilio did not deliver the message and names no cause",
        "send the message SID to Twilio Support",
        public=None,
    ),
    # Fraud protection
    30450: passing(
        "SMS Pumping Protection blocked the destination, usually for 15 to 30 minutes",
        "look for a flood of sign-ins; put known numbers on Twilio's Global Safe List",
        next_number=True,
    ),
    30453: passing(
        "Twilio held the message back as a risk",
        "look for a flood of sign-ins; if they are real, send message SIDs to Twilio Support",
        next_number=True,
    ),
}
