"""Text messages through an HTTP service that the configuration describes (`sms.backup`).

Redirects are refused: they would carry the code and the credentials to a host that nobody chose. So are private
addresses, unless allowed: a name that points there must not make us speak to our own network. Nothing of an answer is
passed on but the vendor's error code and id: vendors quote numbers, some whole texts.
"""

import base64
import json
import re
import socket
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import quote, urlsplit

from aiohttp import ClientResponse, ClientSession
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from gateway.config import addresses
from gateway.config.sections.sms_backup import HttpTemplate, SmsBackup, template_of
from gateway.errors import SendFailed
from gateway.messaging.senders.http_client import WIRE_ERRORS, open_session, retry_after, wire_miss
from gateway.messaging.senders.retry import Backoff, Miss, with_retries
from gateway.request.small_body import read_answer

_PLACEHOLDER = re.compile(r"\{([a-z]+)\}")
_LARGEST = 64 * 1024
_CODE = re.compile(r"[A-Za-z0-9._-]{1,12}")
_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà^{}\\[~]|€"
)
"""GSM 03.38 with its extension."""
_LONGEST_ID = 64
"""Characters of a vendor's id that are kept."""


class TemplateSender:
    """Sends messages as `sms.backup` describes."""

    def __init__(self, config: SmsBackup, backoff: Backoff) -> None:
        self._config, self._backoff = config, backoff
        self._template = template_of(config)
        self.name = self._template.name
        self._session: ClientSession | None = None  # opened by the first call: the loop does not run yet

    async def send(self, to: str, text: str, reference: str = "") -> str:
        """Hand the message over and return the vendor's id of it ("" if the answer has none). Raises SendFailed."""
        values = self._values(to, text, reference)
        return await with_retries(lambda: self._attempt(values), self._backoff)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _values(self, to: str, text: str, reference: str) -> Mapping[str, str]:
        account = self._config.account
        secret = self._config.secret.get_secret_value() if self._config.secret else ""
        return {
            "to": to,
            "digits": to.removeprefix("+"),
            "text": text,
            "from": self._config.from_,
            "account": account,
            "secret": secret,
            "basic": base64.b64encode(f"{account}:{secret}".encode()).decode(),
            "encoding": "text" if _GSM.issuperset(text) else "unicode",
            "reference": reference,
        }

    async def _attempt(self, values: Mapping[str, str]) -> str | Miss:
        template, allowed = self._template, self._config.allow_private
        url = filled(template.url, {name: quote(value, safe="") for name, value in values.items()})
        if not allowed and not _is_public(urlsplit(url).hostname or ""):
            return Miss(_private(self.name))
        if self._session is None:
            resolver = None if allowed else PublicResolver()
            self._session = open_session(self._config.timeout, resolver=resolver)
        headers = {name: filled(text, values) for name, text in template.headers.items()}
        try:
            async with self._session.request(
                self._config.method, url, headers=headers, allow_redirects=False, **_body(template, values)
            ) as response:
                return self._judge(response, await read_answer(response.content, _LARGEST))
        except PrivateAddress:
            return Miss(_private(self.name))
        except WIRE_ERRORS as error:
            if isinstance(getattr(error, "os_error", None), PrivateAddress):
                return Miss(_private(self.name))
            return wire_miss(error, self.name)

    def _judge(self, response: ClientResponse, body: bytes) -> str | Miss:
        template, status = self._template, response.status
        if 300 <= status < 400:
            mend = "set sms.backup.url to the final address"
            return Miss(SendFailed(f"{self.name}: redirect refused ({status})", code="redirect", mend=mend))
        answer = _parsed(body)
        good = status in template.accepted if template.accepted else 200 <= status < 300
        if not good:
            return self._refused(status, answer, retry_after(response.headers))
        if template.success_path:
            if answer is None:
                mend = "check sms.backup.url: something that is not the vendor answered"
                return Miss(SendFailed(f"{self.name}: the answer is not JSON", code="bad_answer", mend=mend))
            found = at(answer, template.success_path)
            if found not in template.success_values if template.success_values else not found:
                return self._refused(status, answer, None)
        return at(answer, template.id_path)[:_LONGEST_ID] if template.id_path else ""

    def _refused(self, status: int, answer: object, pause: float | None) -> Miss:
        code = at(answer, self._template.error_path) if self._template.error_path else ""
        code = code if _CODE.fullmatch(code) else str(status)
        again = status == 429 or status >= 500
        mend = f"look up {code} in the list of errors of {self.name}; check sms.backup"
        failure = SendFailed(
            f"{self.name}: answered {status}, error {code}",
            # Its own error codes must not be taken for Twilio's or ours.
            code=f"{self.name[:11]} {code}",
            mend=mend,
            retryable=again,
        )
        # 504 is a gateway's timeout: the message may be on its way.
        return Miss(failure, again=again and status != 504, retry_after=pause)


class PrivateAddress(OSError):
    """A name leads to an address that is not on the public Internet."""


class PublicResolver(AbstractResolver):
    """Resolves names to public addresses only; the connection goes to the very address that was looked at."""

    def __init__(self, inner: Callable[[], AbstractResolver] = ThreadedResolver) -> None:
        self._inner = inner()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Raise PrivateAddress if no address of `host` is public."""
        found = await self._inner.resolve(host, port, family)
        good = [one for one in found if _is_public(one["host"])]
        if not good:
            raise PrivateAddress(f"{host} has no public address")
        return good

    async def close(self) -> None:
        await self._inner.close()


def _is_public(host: str) -> bool:
    """Whether a host may be asked: a public address, or a name (whose addresses are looked at later)."""
    if addresses.is_ip(host):
        return ip_address(host).is_global
    return not addresses.is_local(host)


def _private(name: str) -> SendFailed:
    mend = "correct sms.backup.url, or set sms.backup.allow_private"
    return SendFailed(f"{name}: its name leads to a private address", code="private", mend=mend)


def filled(text: str, values: Mapping[str, str]) -> str:
    """Return a text with its placeholders filled in; other words in braces stay."""
    return _PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), text)


def _body(template: HttpTemplate, values: Mapping[str, str]) -> dict[str, Any]:
    """The body as aiohttp takes it (Any: it is JSON, or fields). Placeholders are filled in parsed JSON, so that no
    quotation mark of a text can end its string.
    """
    if template.json:
        return {"json": _filled_json(json.loads(template.json), values)}
    return {"data": {name: filled(text, values) for name, text in template.form.items()}}


def _filled_json(value: object, values: Mapping[str, str]) -> object:
    if isinstance(value, str):
        return filled(value, values)
    if isinstance(value, list):
        return [_filled_json(one, values) for one in value]
    if isinstance(value, dict):
        return {name: _filled_json(one, values) for name, one in value.items()}
    return value


def _parsed(body: bytes) -> object:
    """None for what is no JSON."""
    try:
        parsed: object = json.loads(body)
    except ValueError:
        return None
    return parsed


def at(answer: object, path: str) -> str:
    """Return the text or number at a path such as `messages.0.status`; "" if there is none."""
    for part in path.split("."):
        if isinstance(answer, dict):
            answer = answer.get(part)
        elif isinstance(answer, list) and part.isascii() and part.isdigit() and int(part) < len(answer):
            answer = answer[int(part)]
        else:
            return ""
    return str(answer) if isinstance(answer, str | int) and not isinstance(answer, bool) else ""
