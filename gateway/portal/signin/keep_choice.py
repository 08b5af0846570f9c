"""Whether somebody who signs in wants to stay signed in: ticked in a form of ours, or by a link that our page made.

A link elsewhere can't choose it for anybody: ours hold a digest of the csrf token that this browser's cookie has.
"""

import hmac
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256

from gateway.authn.login_origin import LoginOrigin
from gateway.portal.request import PortalRequest

FIELD = "keep_signed_in"
_IN_LINKS = "keep"


def choosing(client: LoginOrigin, form: Mapping[str, str]) -> LoginOrigin:
    """Return who signs in, with what they chose in the form."""
    return replace(client, keep=form.get(FIELD, "") == "1")


def link_token(csrf: str) -> str:
    """Return what a link says `keep=` with, on the page that has this csrf token."""
    return sha256(f"keep signed in\0{csrf}".encode()).hexdigest()[:32]


def chosen_by_link(request: PortalRequest) -> bool:
    """Whether a link of our own page in this browser says it."""
    given, csrf = request.http.query.get(_IN_LINKS, ""), request.visit.csrf
    return bool(csrf) and hmac.compare_digest(given.encode(), link_token(csrf).encode())
