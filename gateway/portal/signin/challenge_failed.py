"""Pages that end a challenge: too many wrong codes, or a refusal on the other device."""

from aiohttp import web

from gateway.authn.factors.base import Outcome
from gateway.authn.factors.challenge import WINDOW
from gateway.i18n.text import N_
from gateway.portal.rendering.render import Pages
from gateway.portal.request import PortalRequest
from gateway.portal.return_url import with_return

NOT_YET = N_("Nobody has answered yet.")
TOO_MANY = N_("That was one wrong code too many. Please sign in again.")
APPROVAL = {
    Outcome.EXHAUSTED: N_("This sign-in was refused on the other device."),
    Outcome.WRONG: N_("Another number was entered on the other device."),
    Outcome.EXPIRED: N_("Nobody answered on the other device in time."),
}


def refusal(
    pages: Pages, ask: PortalRequest, factor: str, outcome: Outcome, prefix: str, onward: str
) -> web.Response:
    """A page of its own: asking anew must be the user's decision, since it disturbs another device."""
    over, approval = outcome is Outcome.EXHAUSTED, factor == "approval"
    message = APPROVAL[outcome] if approval else TOO_MANY
    action = (
        (N_("Sign in again"), with_return(f"{prefix}/login", onward))
        if over
        else (N_("Try another way"), with_return(f"{prefix}/verify", onward))
    )
    return pages.error(
        (403 if over else 401) if approval else 429,
        title=N_("Not approved") if approval else "",
        message=message,
        reader=ask.reader,
        request_id=ask.request_id,
        retry_after=None if approval else int(WINDOW),
        actions=[action],
    )
