"""Texts that several pages share."""

from collections.abc import Sequence

from gateway.errors import SendFailed, TooManyAttempts
from gateway.i18n.catalogues import Language
from gateway.i18n.text import N_, Text, duration
from gateway.messaging.sms.outlook import Outlook

WRONG_PASSWORD = N_("Wrong username or password.")
STALE_FORM = N_("This page had been open for too long. Please try again.")
NO_COOKIE = N_("Your browser did not send our cookie back. Please allow cookies for this site and try again.")
OTHER_TAB = N_("You have signed in again in another tab. Please enter the newest code here.")
WRONG_CODE = N_("That code is not right.")
OLD_CODE = N_("That code is no longer good.")
NEW_CODE = N_("A new code is on its way.")

REQUEST_ACCESS = N_("Request access")
ANOTHER_ACCOUNT = N_("Use another account")

FACTOR_LABELS = {
    "federated": N_("Account elsewhere"),
    "email_link": N_("Link by e-mail"),
    "sms": N_("Text message"),
    "second_phone": N_("Second phone number"),
    "email": N_("E-mail"),
    "totp": N_("Authenticator app"),
    "webauthn": N_("Security key or passkey"),
    "recovery": N_("Recovery code"),
    "approval": N_("Approve on another device"),
    "bypass": N_("Code from your administrator"),
}


def too_many(limit: TooManyAttempts) -> Text:
    return N_("Too many attempts. Please wait %(time)s and try again.", time=duration(limit.retry_after))


TRIED_OUT = N_("Too many wrong codes that way. Please verify this way instead.")
FELL_BACK = N_("We can’t send text messages right now. Please verify this way instead.")

LOOKED_UP = ("lookup", "voip", "sim_swap", "reassigned", "pumping_risk")
"""What a lookup has against a number: the page never says which."""
NOT_SENT = {
    "budget": N_("Too many codes were sent lately. Please wait a while before you ask for another."),
    "cap": N_("No more text messages can be sent today."),
    "range": N_("Text messages to numbers like yours are stopped for now."),
    "country": N_("We can’t send codes to phone numbers of that country."),
    "number": N_("We could not send a code to your phone number."),
    **dict.fromkeys(LOOKED_UP, N_("We could not send a code to your phone number.")),
    "cool_off": N_("Your number was changed lately and gets no codes yet."),
}
"""Why we ourselves sent no code, by the failure's code."""
_SAYS_WHAT_TO_DO = ("budget", "21610", "60202", "60203")


def why_not_sent(failure: SendFailed) -> str:
    """Return why no code came, in a sentence of this failure's own; "" if it has none."""
    return failure.public if "public" in vars(failure) else NOT_SENT.get(failure.code, "")


def not_sent(failure: SendFailed, *, others: bool) -> Sequence[str]:
    """Return why no code came, and the way out, in sentences; `others` says whether the page has another way."""
    own = why_not_sent(failure)
    if failure.retryable:
        way = _WAY_OR_AGAIN if others else _AGAIN
        return [own, way] if own else [way]
    own = own or _NO_USE
    if others:
        return [own, _WAY]
    return [own] if failure.code in _SAYS_WHAT_TO_DO else [own, ASK_SOMEBODY]


_AGAIN = N_("Please try again in a moment.")
_WAY_OR_AGAIN = N_("Please use another way below, or try again in a moment.")
_NO_USE = N_("Trying again won’t help.")
_WAY = N_("Please use another way below.")
ASK_SOMEBODY = N_("Please ask your administrator.")

DELIVERY = {
    ("sms", "sending"): N_("Your message is on its way."),
    ("sms", "sent"): N_("Sent. It should arrive in a moment."),
    ("sms", "delivered"): N_("Delivered to your phone."),
    ("sms", "failed"): N_("Your message could not be delivered."),
    ("whatsapp", "sending"): N_("Your WhatsApp message is on its way."),
    ("whatsapp", "sent"): N_("Sent by WhatsApp. It should arrive in a moment."),
    ("whatsapp", "delivered"): N_("Delivered to your WhatsApp."),
    ("whatsapp", "failed"): N_("Your WhatsApp message could not be delivered."),
    ("rcs", "sending"): N_("Your message is on its way."),
    ("rcs", "sent"): N_("Sent. It should arrive in a moment."),
    ("rcs", "delivered"): N_("Delivered to your phone."),
    ("rcs", "failed"): N_("Your message could not be delivered."),
    ("call", "sending"): N_("We are calling you."),
    ("call", "sent"): N_("Your phone is ringing."),
    ("call", "delivered"): N_("We have called you."),
    ("call", "failed"): N_("Our call did not reach you."),
}
ANOTHER_WAY = N_("Please try another way.")


def delivery_words(view: Outlook, language: Language) -> str:
    """Return how far the code is that somebody waits for; "" if none was sent."""
    words = [DELIVERY.get((view.channel, view.state), "")]
    if view.state == "failed":
        words += [language.say(view.problem, {}), ANOTHER_WAY]
    return " ".join(language.text(one) for one in words if one)
