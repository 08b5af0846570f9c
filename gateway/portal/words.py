"""What several pages tell people in the same words."""

from gateway.errors import TooManyAttempts
from gateway.language.catalogues import Language
from gateway.language.text import N_
from gateway.sms.outlook import Outlook

WRONG_PASSWORD = "Wrong username or password."  # noqa: S105
STALE_FORM = "This page had been open for too long. Please try again."
NO_COOKIE = "Your browser did not send our cookie back. Please allow cookies for this site and try again."
OTHER_TAB = N_("You have signed in again in another tab. Please enter the newest code here.")

REQUEST_ACCESS = "Request access"
ANOTHER_ACCOUNT = "Use another account"

FACTOR_LABELS = {
    "sms": "Text message",
    "email": "E-mail",
    "totp": "Authenticator app",
    "webauthn": "Security key or passkey",
    "recovery": "Recovery code",
}


def too_many(limit: TooManyAttempts) -> str:
    wait = limit.retry_after
    span = f"{wait} seconds" if wait < 100 else f"{round(wait / 60)} minutes"
    return f"Too many attempts. Please wait {span} and try again."


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
    """How far the code is that somebody waits for; "" if none was sent."""
    words = [DELIVERY.get((view.channel, view.state), "")]
    if view.state == "failed":
        words += [language.say(view.problem, {}), ANOTHER_WAY]
    return " ".join(language.text(one) for one in words if one)
