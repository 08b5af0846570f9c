"""The words for each status that the gateway answers itself: a code for programs, a title, a sentence.

The sentences say what the reader can do. They must not reveal what went wrong inside.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wording:
    code: str
    title: str
    message: str


_WORDINGS = {
    400: Wording(
        "bad_request",
        "That request didn’t work",
        "The request could not be understood. Go back and try again.",
    ),
    401: Wording("unauthorized", "Please sign in", "You need to sign in to see this page."),
    403: Wording("forbidden", "You don’t have access", "Your account is not allowed to open this page."),
    404: Wording(
        "not_found", "Page not found", "There is nothing at this address. Check it for typing mistakes."
    ),
    405: Wording(
        "method_not_allowed",
        "That action isn’t possible",
        "This address does not accept that kind of request.",
    ),
    408: Wording(
        "request_timeout", "That took too long", "The request did not arrive in time. Please try again."
    ),
    409: Wording("conflict", "Something changed meanwhile", "Reload the page and try again."),
    413: Wording("too_large", "That is too large", "What you sent is larger than this application accepts."),
    422: Wording("unprocessable", "That can’t be used", "Check what you entered and try again."),
    429: Wording(
        "too_many_requests", "Too many attempts", "To protect your account, please wait before you try again."
    ),
    431: Wording(
        "headers_too_large",
        "Your browser sent too much",
        "The request’s headers are too large. Deleting the cookies of this site often helps.",
    ),
    500: Wording(
        "internal_error", "Something went wrong", "The fault is on our side. Please try again in a moment."
    ),
    502: Wording(
        "bad_gateway", "The application didn’t answer", "It may be restarting. Please try again in a moment."
    ),
    503: Wording("unavailable", "Unavailable for a moment", "Please try again shortly."),
    504: Wording(
        "gateway_timeout", "The application is too slow", "It took too long to answer. Please try again."
    ),
}


def wording(status: int) -> Wording:
    """The words for `status`; one that we don't know reads like its class (400 or 500)."""
    return _WORDINGS.get(status) or _WORDINGS[400 if 400 <= status < 500 else 500]
