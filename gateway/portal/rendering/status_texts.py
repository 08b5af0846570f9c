"""The words for each status that the gateway answers itself: a code for programs, a title, a sentence.

The sentences say what the reader can do. They must not reveal what went wrong inside.
"""

from dataclasses import dataclass

from gateway.i18n.text import N_


@dataclass(frozen=True, slots=True)
class Wording:
    """What is said of a status: a code for programs, a title and a sentence for people."""

    code: str
    title: str
    message: str


_WORDINGS = {
    400: Wording(
        "bad_request",
        N_("That request didn’t work"),
        N_("The request could not be understood. Go back and try again."),
    ),
    401: Wording("unauthorized", N_("Please sign in"), N_("You need to sign in to see this page.")),
    403: Wording(
        "forbidden", N_("You don’t have access"), N_("Your account is not allowed to open this page.")
    ),
    404: Wording(
        "not_found",
        N_("Page not found"),
        N_("There is nothing at this address. Check it for typing mistakes."),
    ),
    405: Wording(
        "method_not_allowed",
        N_("That action isn’t possible"),
        N_("This address does not accept that kind of request."),
    ),
    408: Wording(
        "request_timeout",
        N_("That took too long"),
        N_("The request did not arrive in time. Please try again."),
    ),
    409: Wording("conflict", N_("Something changed meanwhile"), N_("Reload the page and try again.")),
    410: Wording("gone", N_("That is gone"), N_("What was here is no longer kept.")),
    413: Wording(
        "too_large", N_("That is too large"), N_("What you sent is larger than this application accepts.")
    ),
    422: Wording("unprocessable", N_("That can’t be used"), N_("Check what you entered and try again.")),
    429: Wording(
        "too_many_requests",
        N_("Too many attempts"),
        N_("To protect your account, please wait before you try again."),
    ),
    431: Wording(
        "headers_too_large",
        N_("Your browser sent too much"),
        N_("The request’s headers are too large. Deleting the cookies of this site often helps."),
    ),
    500: Wording(
        "internal_error",
        N_("Something went wrong"),
        N_("The fault is on our side. Please try again in a moment."),
    ),
    502: Wording(
        "bad_gateway",
        N_("The application didn’t answer"),
        N_("It may be restarting. Please try again in a moment."),
    ),
    503: Wording("unavailable", N_("Unavailable for a moment"), N_("Please try again shortly.")),
    504: Wording(
        "gateway_timeout",
        N_("The application is too slow"),
        N_("It took too long to answer. Please try again."),
    ),
}


def wording(status: int) -> Wording:
    """The words for `status`; one that we don't know reads like its class (400 or 500)."""
    return _WORDINGS.get(status) or _WORDINGS[400 if 400 <= status < 500 else 500]
