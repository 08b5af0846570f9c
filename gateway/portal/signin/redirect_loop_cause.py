"""Finds out why a sign-in does not hold, from what one request shows. Pure.

The user gets a sentence, the operator the cause and how to mend it.
"""

from dataclasses import dataclass

from gateway.config import addresses
from gateway.i18n.text import N_


@dataclass(frozen=True, slots=True)
class Facts:
    """What one request shows of a sign-in that does not hold. `cookies` counts those that bear our session cookie's
    name; `opened` says whether one of our keys opens it.
    """

    scheme: str
    host: str
    destination: str
    cookies: int
    opened: bool
    signed_in: bool
    secure: bool
    domain: str | None


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a sign-in does not hold: a code for the log, a sentence for the user, a mend for the operator."""

    code: str
    public: str
    operator: str


PLAIN_HTTP = Cause(
    "plain_http",
    N_(
        "This page was opened with http://, but signing in needs https://. Open the same address with https://."
    ),
    "server.public_url is https, but the request came as http, so browsers refuse the cookie; if a proxy in front ends "
    "TLS, list it in server.trusted_proxies and let it send X-Forwarded-Proto: https",
)
COOKIE_DOMAIN = Cause(
    "cookie_domain",
    N_("This address is not one that the sign-in is set up for. Ask whoever runs it for the right address."),
    "session.domain does not cover this host, so browsers refuse the cookie; use a host below it, or list the host's "
    "domain under `domains`",
)
NO_COOKIE = Cause(
    "no_cookie",
    N_("Your browser did not send our cookie back. Please allow cookies for this site and try again."),
    "the browser sends no session cookie: blocked by the browser or an extension, or removed by a proxy in front",
)
TWO_COOKIES = Cause(
    "two_cookies",
    N_(
        "Your browser holds an old sign-in cookie that is in the way. Delete the cookies of this site and try again."
    ),
    "several cookies bear the session cookie's name: session.domain was changed, or another program uses the same "
    "name; session.cookie_name helps",
)
UNREADABLE = Cause(
    "unreadable",
    N_("Your sign-in is not understood here. Wait a minute and try again, or tell whoever runs this."),
    "the session cookie was not sealed with a key of this gateway: replicas must share session.keys_file, and no other "
    "program may use session.cookie_name",
)
OTHER_HOST = Cause(
    "other_host",
    N_("You are signed in, but the address that you want to open does not know it. Tell whoever runs this."),
    "signed in on this host, but the cookie never reaches the host of the destination; set session.domain to the "
    "domain of both, or list the destination's domain under `domains`",
)
SESSION_LOST = Cause(
    "session_lost",
    N_("Your session ended as soon as it had begun. Wait a minute and try again, or tell whoever runs this."),
    "the cookie is good, but its session is not in the store: replicas must share storage.url (and state_url), their "
    "clocks must agree, and session.idle_timeout must not be too short",
)
ASKED_AGAIN = Cause(
    "asked_again",
    N_("You are signed in, but the application keeps sending you back here. Tell whoever runs it."),
    "the session is good here, yet the destination asks to sign in again: the app itself redirects here, another "
    "gateway with the same prefix is in between, or a forward-auth proxy does not pass Cookie on",
)
CAUSES = (
    PLAIN_HTTP,
    COOKIE_DOMAIN,
    NO_COOKIE,
    TWO_COOKIES,
    UNREADABLE,
    OTHER_HOST,
    SESSION_LOST,
    ASKED_AGAIN,
)


def diagnose(facts: Facts) -> Cause:
    """Return the likeliest cause."""
    if facts.cookies == 0:
        if facts.secure and facts.scheme == "http":
            return PLAIN_HTTP
        outside = facts.domain is not None and not addresses.is_below(facts.host, facts.domain)
        return COOKIE_DOMAIN if outside else NO_COOKIE
    if not facts.signed_in:
        if facts.cookies > 1:
            return TWO_COOKIES
        return SESSION_LOST if facts.opened else UNREADABLE
    return ASKED_AGAIN if facts.destination == facts.host else OTHER_HOST
