"""Where the SMS provider reports deliveries, and where a waiting page asks for its own.

The first is for a machine: its signature stands in for session and CSRF token. The second tells a session about
its own codes and nothing else; there is nothing to ask with.
"""

import logging

from aiohttp import web

from gateway.errors import RequestRefused
from gateway.i18n.catalogues import language
from gateway.messaging.senders.base import Reports
from gateway.messaging.sms.delivery_reports import Deliveries
from gateway.messaging.sms.dispatch import SmsDispatch
from gateway.portal.forms import posted_by_anyone
from gateway.portal.rendering.texts import delivery_words
from gateway.portal.request import PortalRequest

log = logging.getLogger("gateway.sms")
_NO_STORE = {"Cache-Control": "no-store"}


class SmsViews:
    """The addresses for the SMS provider and for pages that wait. `reports` is None where the provider reports
    nothing.
    """

    def __init__(self, reports: Reports | None, deliveries: Deliveries, dispatch: SmsDispatch) -> None:
        self._reports, self._deliveries, self._dispatch = reports, deliveries, dispatch

    async def status(self, request: PortalRequest) -> web.StreamResponse:
        """Take a POST by the provider. What we don't know is taken without a word, so that it is not sent again.

        Raises UnsignedReport, and RequestRefused (404) where no provider reports.
        """
        if self._reports is None:
            raise RequestRefused("no SMS provider reports here", status=404, public="There is nothing here.")
        form = await posted_by_anyone(request)
        signature = request.http.headers.get("X-Twilio-Signature", "")
        report = self._reports.read(dict(request.http.query), form, signature)
        if report is None:
            raise UnsignedReport(
                "a status report without the provider's signature; if it is real: is server.public_url the address "
                "that the provider calls, and sms.auth_token the account's primary token?"
            )
        await self._deliveries.take(report)
        return web.Response(status=204, headers=_NO_STORE)

    async def delivery(self, request: PortalRequest) -> web.StreamResponse:
        """Answer GET by the script of the page that waits. Raises RequestRefused (401) if nobody is signed in."""
        principal = request.visit.principal
        if principal is None:
            raise RequestRefused("nobody waits here", status=401, public="Please sign in.")
        view = await self._dispatch.outlook(principal.session.sid)
        answer = {
            "state": view.state,
            "text": delivery_words(view, language(request.reader.lang)),
            "final": view.final,
        }
        return web.json_response(answer, headers=_NO_STORE)


class UnsignedReport(RequestRefused):
    """A report that does not come from the provider."""

    status = 403
    public = "This report is not signed."
