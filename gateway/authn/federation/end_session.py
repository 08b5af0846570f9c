"""Where a browser signs out at a provider (OpenID Connect RP-Initiated Logout 1.0 §2). Pure."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from gateway.config import addresses

LONGEST_HINT = 6000
"""Characters: servers refuse addresses of 8 KiB and more, and without the hint a provider asks its user."""


def end_session_address(
    found: Mapping[str, Any], *, issuer: str, client_id: str, back: str, state: str, hint: str
) -> str:
    """Return the address, "" where the provider's discovery document has none that may be told who is signed in.

    Args:
        found: the discovery document.
        back: where the provider sends the browser afterwards, with `state`.
        hint: the ID token of the sign-in, "" for none.
    """
    endpoint = found.get("end_session_endpoint")
    if not isinstance(endpoint, str) or not _is_own(endpoint, issuer, found.get("authorization_endpoint")):
        return ""
    query = {"id_token_hint": hint} if 0 < len(hint) <= LONGEST_HINT else {}
    query |= {"client_id": client_id, "post_logout_redirect_uri": back, "state": state}
    if (urlsplit(issuer).hostname or "").startswith("cognito-idp."):
        query["logout_uri"] = back  # Amazon Cognito has a name of its own for it
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"


def _is_own(endpoint: str, issuer: str, authorize: object) -> bool:
    """Whether an address is at the host that is the issuer's or signs users in: the hint says who they are."""
    parts = addresses.split(endpoint)
    if parts is None or parts.fragment or "@" in parts.netloc:
        return False
    if parts.scheme != "https" and not (parts.scheme == "http" and issuer.startswith("http:")):
        return False
    own = {addresses.origin(_origin(one)) for one in (issuer, authorize) if isinstance(one, str)}
    return addresses.origin(_origin(endpoint)) in own - {None}


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
