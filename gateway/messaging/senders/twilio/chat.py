"""Codes by WhatsApp and RCS through Twilio's Messages API.

WhatsApp takes codes in approved templates only (ContentSid, ContentVariables); RCS takes them, and plain text as well.
As with text messages, what may have gone out is not sent again.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from twilio.base import values

from gateway.messaging.senders.twilio.client import TwilioApi

CODE = "1"
"""The template's variable that stands for the code."""


class TwilioChat:
    """Sends codes over one channel. `prefix` is Twilio's for addresses on it, such as "whatsapp:"; `templates` are
    content SIDs ("HX…") by language, with "default" for all others.
    """

    def __init__(
        self,
        api: TwilioApi,
        *,
        prefix: str,
        sender: str,
        templates: Mapping[str, str],
        callback: Callable[[str], str],
    ) -> None:
        self._api, self._prefix, self._sender = api, prefix, sender
        self._templates, self._callback = templates, callback

    async def send(self, to: str, code: str, text: str, *, lang: str = "en", reference: str = "") -> str:
        """Hand the code to Twilio and return its SID. Without a template `text` goes out as it is."""
        message = await self._api.call(
            lambda client: client.messages.create_async(
                to=f"{self._prefix}{to}",
                from_=f"{self._prefix}{self._sender}",
                status_callback=self._callback(reference) or values.unset,
                **self._content(code, text, lang),
            )
        )
        return str(message.sid)

    def _content(self, code: str, text: str, lang: str) -> dict[str, Any]:
        template = self._templates.get(lang) or self._templates.get("default")
        if template is None:
            return {"body": text}
        return {"content_sid": template, "content_variables": json.dumps({CODE: code})}
