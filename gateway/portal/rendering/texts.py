"""Texts that several pages share."""

from gateway.errors import TooManyAttempts
from gateway.i18n.catalogues import Language
from gateway.i18n.text import N_, Text, duration
from gateway.messaging.sms.dispatch import Outlook

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

DELIVERY = {
    ("sms", "sending"): N_("Your message is on its way."),
    ("sms", "sent"): N_("Sent. It should arrive in a moment."),
    ("sms", "delivered"): N_("Delivered to your phone."),
    ("sms", "failed"): N_("Your message could not be delivered."),
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
