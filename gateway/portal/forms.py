"""Reads our own forms: small, without duplicate fields, and only from our own pages (security rule 6)."""

import hmac
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web

from gateway.errors import RequestRefused
from gateway.i18n.text import N_
from gateway.model import Target
from gateway.request.small_body import read_small

_LARGEST = 32 * 1024


class ForeignForm(RequestRefused):
    """The form was sent by a page that is not ours."""

    status = 403
    public = N_("This form was not sent from our own page. Please go back and try again.")


async def read_form(request: web.BaseRequest) -> dict[str, str]:
    """The fields of an urlencoded POST. Raises RequestRefused for anything that our pages don't send."""
    if request.content_type != "application/x-www-form-urlencoded":
        raise RequestRefused(f"content type {request.content_type[:60]!r}", status=415)
    body = await read_small(request, _LARGEST)
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=40, errors="strict")
    except ValueError:
        raise RequestRefused("form is not urlencoded UTF-8") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise RequestRefused("form has duplicate fields")
    return form


def check_origin(request: web.BaseRequest, target: Target, public_url: str) -> None:
    """Browsers say where a request comes from (Origin, Sec-Fetch-Site); it must be us. Raises ForeignForm."""
    origin = request.headers.get("Origin")
    if origin is not None:
        if origin not in (f"{target.scheme}://{target.authority}", _origin_of(public_url)):
            raise ForeignForm(
                f"Origin {origin[:100]!r} is not {target.scheme}://{target.authority}; behind a proxy, "
                "list it in server.trusted_proxies so that X-Forwarded-Proto and -Host count"
            )
        return
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        raise ForeignForm("Sec-Fetch-Site says cross-site")


def token_matches(form: Mapping[str, str], csrf: str) -> bool:
    """Whether the form carries the csrf token of the cookie."""
    return bool(csrf) and hmac.compare_digest(form.get("csrf_token", "").encode(), csrf.encode())


def _origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
