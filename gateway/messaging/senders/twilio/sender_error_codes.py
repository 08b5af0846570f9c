"""Twilio's error codes of senders: what our side of a message lacks, and where the sender is not registered.

The meanings are those of Twilio's error dictionary (twilio.com/docs/api/errors).
"""

from gateway.messaging.senders.twilio.error_entry import COUNTRY, NETWORK, TwilioError, account, passing

_REGISTER = "register brand and campaign, and put the sender into the campaign's Messaging Service"

SENDER_ERRORS: dict[int, TwilioError] = {
    # Our side of the message
    21210: account(
        "the number that calls is not one of this account",
        "set sms.voice_from to a voice-capable number of this account",
    ),
    21212: account("the sender number is invalid", "set sms.from to an E.164 number or a sender name"),
    21408: account(
        "the destination's country is not enabled",
        "enable it under Messaging > Settings > Geo Permissions, or leave it out of sms.allowed_countries",
        COUNTRY,
        next_channel=True,
        next_number=True,
    ),
    21215: account(
        "calls to the destination's country are not enabled",
        "enable it under Voice > Settings > Geo Permissions, or leave it out of sms.allowed_countries",
        COUNTRY,
        next_channel=True,
        next_number=True,
    ),
    21216: account(
        "Twilio does not place calls to this number",
        "check the number; ask Twilio Support if it is a colleague's",
        next_channel=True,
        next_number=True,
    ),
    21602: account("the message has no text", "report this as a bug of the gateway"),
    21603: account("the message has no sender", "set sms.from or sms.messaging_service_sid"),
    21606: account(
        "the sender can't send SMS from this account to this destination",
        "set sms.from, or sms.senders for the country, to an SMS-capable number of this account; short codes reach "
        "their own country only",
        next_channel=True,
    ),
    21608: account(
        "a trial account, or one without an approved compliance profile, may write to verified numbers only",
        "verify the number in the Twilio console, or upgrade the account",
        next_number=True,
    ),
    21219: account(
        "a trial account may call verified numbers only",
        "verify the number in the Twilio console, or upgrade the account",
        next_number=True,
    ),
    21607: account(
        "a trial account may send from its trial number only",
        "set sms.from to that number, or upgrade the account",
    ),
    21611: passing(
        "the sender has more than ten hours of messages queued",
        "use a Messaging Service with more numbers",
        outage=True,
        next_channel=True,
    ),
    21617: account("the text is longer than 1600 characters", "shorten the SMS text"),
    21657: account(
        "the destination's country does not take this sender name",
        "register the name for that country, or give the country a number in sms.senders",
        next_channel=True,
        next_number=True,
    ),
    21659: account(
        "the sender is no Twilio number, or a short code of another country",
        "set sms.from to an E.164 number of this account; is its porting complete?",
        next_channel=True,
    ),
    21660: account(
        "the sender belongs to another account",
        "set sms.account_sid and sms.auth_token to the number's account",
    ),
    21661: account(
        "the sender number can't send SMS", "set sms.from to an SMS-capable number", next_channel=True
    ),
    21703: account(
        "the Messaging Service has no number that can send this",
        "add a number for that country to the service's Sender Pool",
        next_channel=True,
    ),
    21704: account(
        "the Messaging Service has no numbers", "add a number to the service's Sender Pool", next_channel=True
    ),
    572002: account(
        "the trial account writes to this recipient from another of its numbers",
        "set sms.from to the number that the Twilio console shows for the recipient, or upgrade the account",
    ),
    572005: account(
        "a trial account may write to verified numbers only, and this one's verification is not complete",
        "complete it in the Twilio console, or upgrade the account",
        next_number=True,
    ),
    # Registration of senders: A2P 10DLC, toll-free, sender names
    30022: passing(
        "US carriers took no more messages: the A2P campaign's rate is exceeded",
        "spread messages over time, or register for a higher rate; a number that got many at once meets it, too",
        next_channel=True,
        next_number=True,
    ),
    30023: account(
        "the A2P brand's or campaign's messages of the day are used up",
        "wait until tomorrow, or raise the brand's trust score",
        NETWORK,
        next_channel=True,
    ),
    30024: account(
        "the carrier does not know the numeric sender",
        "have Twilio provision the short code or number for that carrier, or give the country another sender",
        NETWORK,
        next_channel=True,
        next_number=True,
    ),
    30027: account(
        "T-Mobile's messages of the day for the A2P brand are used up (US)",
        "wait until midnight Pacific time, or raise the brand's trust score",
        NETWORK,
        next_channel=True,
        next_number=True,
    ),
    30032: account(
        "the toll-free sender number is not verified",
        "finish its verification under Messaging > Regulatory Compliance",
        NETWORK,
        next_channel=True,
    ),
    30034: account(
        "a US carrier blocked a number that no A2P 10DLC campaign covers",
        _REGISTER,
        NETWORK,
        next_channel=True,
    ),
    30035: account(
        "the sender's A2P 10DLC registration is still being set up",
        "wait until the campaign is verified in the Twilio console; until then use another sender",
        NETWORK,
        next_channel=True,
    ),
    30040: account(
        "the carrier takes registered sender names only",
        "register the name for that country, or give the country a number in sms.senders",
        NETWORK,
        next_channel=True,
        next_number=True,
    ),
    30041: account(
        "a UK carrier blocked a number that is not registered",
        "register the number for the United Kingdom, or give GB another sender in sms.senders",
        NETWORK,
        next_channel=True,
    ),
}
