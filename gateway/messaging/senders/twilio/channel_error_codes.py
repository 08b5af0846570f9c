"""Twilio's error codes of Verify, WhatsApp, RCS, content templates and Lookup.

The meanings are those of Twilio's error dictionary (twilio.com/docs/api/errors).
"""

from gateway.i18n.text import N_
from gateway.messaging.senders.twilio.error_entry import (
    BLOCKED,
    COUNTRY,
    TOO_MANY,
    TwilioError,
    account,
    carrier,
    landline,
    number,
    passing,
)

NOT_REACHED = N_("Your number could not be reached by WhatsApp or RCS.")
_TEMPLATE = "check the template's SID, variables and approval in the Content Template Builder"

CHANNEL_ERRORS: dict[int, TwilioError] = {
    # Verify
    60200: number(
        "Verify found a parameter invalid, usually the number", "the number must be E.164", next_channel=False
    ),
    60201: account(
        "the Verify template's translation is not approved",
        "approve it in the Twilio console, or use the default template",
    ),
    60202: passing(
        "five wrong codes for one verification",
        "none needed: the verification expires ten minutes after it began",
        TOO_MANY,
    ),
    60203: passing(
        "five codes sent without a successful check",
        "none needed: the verification expires ten minutes after it began",
        TOO_MANY,
    ),
    60204: account(
        "the Verify Service lacks a feature that was asked for",
        "check the service's settings in the Twilio console, or ask Twilio Support",
    ),
    60205: landline("the number is a landline"),
    60206: account(
        "the Verify Service wants amount and payee", "switch PSD2 off for the service of sms.service_sid"
    ),
    60212: passing(
        "too many requests for one number at once", "none needed: users ask for another code in a moment"
    ),
    60214: account(
        "the Verify Service can't call while PSD2 is on", "switch PSD2 off for the service of sms.service_sid"
    ),
    60217: account(
        "the Verify Service is not set up for this channel",
        "check the service's channels in the Twilio console",
        next_channel=True,
    ),
    60220: account(
        "messages to China need Twilio's use case vetting",
        "apply for it with Twilio Support, or leave CN out of sms.allowed_countries",
        COUNTRY,
        next_number=True,
    ),
    60223: account(
        "the channel is disabled in the Verify Service",
        "enable it in the service's settings, or leave it out of sms.channels",
        next_channel=True,
    ),
    60228: account("the Verify template was not found", "check the service's template in the Twilio console"),
    60238: account(
        "Twilio blocks the account's verifications: a review of it, or a country under embargo",
        "wait 72 hours for the review, then ask Twilio Support",
    ),
    60242: account(
        "there is no approved WhatsApp template for the account and language",
        "create it and have it approved in the Twilio console, or leave whatsapp out of sms.channels",
        next_channel=True,
    ),
    60410: passing(
        "Verify Fraud Guard blocked the number's prefix for 12 hours",
        "look for a flood of sign-ins; the block ends by itself",
        next_number=True,
    ),
    60605: account(
        "the destination's country is not enabled in Verify",
        "enable it under Verify > Settings > Geo Permissions, or leave it out of sms.allowed_countries",
        COUNTRY,
        next_number=True,
    ),
    60728: passing(
        "the account's limit of verifications an hour is reached",
        "wait an hour, or ask Twilio Support for a higher limit",
        outage=True,
    ),
    # Content templates
    21654: account("the message has no template", _TEMPLATE, next_channel=True),
    21655: account("Twilio does not know the template", _TEMPLATE, next_channel=True),
    21656: account("the template's variables are invalid", _TEMPLATE, next_channel=True),
    21910: account(
        "sender and recipient are of different channels",
        "check sms.whatsapp.from and sms.rcs.from",
        next_channel=True,
    ),
    # WhatsApp and RCS
    63001: account(
        "the channel refused Twilio's credentials",
        "check the WhatsApp or RCS sender in the Twilio console",
        next_channel=True,
    ),
    63003: number("the number is not on this channel", "none needed: the next channel is tried", NOT_REACHED),
    63005: carrier("the channel did not take the content", _TEMPLATE, public=None),
    63007: account(
        "the account has no such sender on this channel",
        "set sms.whatsapp.from or sms.rcs.from to a sender of this account",
        next_channel=True,
    ),
    63009: passing("the channel failed inside", "none needed: the next channel is tried", next_channel=True),
    63010: passing("the channel failed inside Twilio", "see Twilio's status page", next_channel=True),
    63012: passing("the channel failed inside", "see the status page of WhatsApp or RCS", next_channel=True),
    63013: carrier(
        "the message breaks the channel's policy",
        "check the sender's quality and policy notices",
        public=None,
    ),
    63014: number(
        "the user blocked the sender on this channel",
        "ask the user to unblock the sender, or leave it: the next channel is tried",
        BLOCKED,
    ),
    63016: account(
        "a text without template outside WhatsApp's 24-hour window",
        "set sms.whatsapp.templates to an approved authentication template",
        next_channel=True,
    ),
    63018: passing(
        "the channel's rate limit is reached",
        "spread messages over time; raise the WhatsApp sender's limit",
        next_channel=True,
    ),
    63020: account(
        "Meta's Business Manager has a problem with the account",
        "look into Meta's Business Manager",
        next_channel=True,
    ),
    63021: carrier("the channel rejects the content", _TEMPLATE, public=None),
    63022: account(
        "the WhatsApp sender's certificate is invalid", "register the sender again", next_channel=True
    ),
    63023: carrier(
        "the channel failed and names no cause", "send message SIDs to Twilio Support", public=None
    ),
    63024: number(
        "the number can't receive on this channel", "none needed: the next channel is tried", NOT_REACHED
    ),
    63027: account("there is no such template in this language", _TEMPLATE, next_channel=True),
    63028: account("the template takes other variables", _TEMPLATE, next_channel=True),
    63030: account("the channel does not know a parameter", _TEMPLATE, next_channel=True),
    63032: number(
        "WhatsApp holds messages to this user back for now",
        "none needed: the next channel is tried",
        NOT_REACHED,
    ),
    63035: account(
        "the RCS sender is not launched there",
        "have the RCS sender launched for that country, or leave rcs out of sms.channels",
        next_channel=True,
    ),
    63036: number(
        "the number can't be reached by RCS now", "none needed: the next channel is tried", NOT_REACHED
    ),
    # Lookup: asked about a number, so nobody waits for these
    60600: carrier("Lookup has no data for this number", "none needed", public=None),
    60601: account(
        "Lookup tells of Canadian numbers to approved accounts only", "ask Twilio for access to Canadian data"
    ),
    60606: account(
        "the Lookup package is not enabled for the account",
        "have Twilio enable it, or switch it off in sms.lookup",
    ),
    60607: carrier("Lookup does not cover the number's country", "none needed", public=None),
    60612: carrier("Lookup knows this of mobile numbers only", "none needed", public=None),
    60614: account(
        "Lookup answers for this number in another Twilio region",
        "set sms.lookup.base_url to that region's address",
    ),
    60620: carrier("the carrier told Lookup too little of a SIM swap", "none needed", public=None),
}
