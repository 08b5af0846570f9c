"""Which headers of an upstream's response a client gets. Pure: raw name/value pairs in, raw pairs out.

An upstream can neither set, clear nor shadow our cookies, and its own address does not leak into redirects.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from gateway.config.schema import Rewrite
from gateway.model import Target
from gateway.proxy import shared_caches
from gateway.proxy.client_headers import HOP_BY_HOP, Pair, Pairs
from gateway.proxy.request_headers import canonical, connection_options

# Not a standard header, but every browser follows it: "5; url=/next", with or without quotes.
_REFRESH = re.compile(r"(?i)^(\s*[\d.]+\s*[;,]\s*(?:url\s*=\s*)?)(['\"]?)(.*?)(\2\s*)$")
_DEFAULT_PORT = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Rewriter:
    """Turns an upstream's addresses into the public ones of one request.

    `origins` are the (scheme, authority) pairs under which the upstream may know itself; `base` is the path of its
    URL and `prefix` the public path that was stripped on the way in.
    """

    rules: Rewrite
    target: Target
    origins: frozenset[tuple[str, str]]
    own_cookies: frozenset[bytes]
    base: str = ""
    prefix: str = ""
    private: bool = False
    """Whether the answer is to somebody whom we know, and so for no shared cache."""

    def headers(self, received: Sequence[Pair]) -> Pairs:
        """Turn the upstream's end-to-end headers into those for the client; order, case and bytes are kept."""
        # RFC 9110 §7.6.1: what belongs to the upstream's hop ends here, also what its Connection header names.
        # Trailers are passed on, so their announcement is too, unless ClientWriter can't send any.
        # Content-Length stays whatever Connection says: without it the client could not tell where the body ends.
        gone = (HOP_BY_HOP | connection_options(received)) - {"trailer", "content-length"}
        kept = [
            (name, value)
            for name, raw in received
            if canonical(name) not in gone and (value := self.value(name.lower(), raw)) is not None
        ]
        return kept + self.added(name.lower() for name, _ in kept)

    def added(self, names: Iterable[bytes]) -> Pairs:
        """What the client gets beside the headers with these names (in lower case)."""
        return [shared_caches.ADDED] if self.private and b"cache-control" not in names else []

    def value(self, name: bytes, value: bytes) -> bytes | None:
        """Rewrite the value of one header (its name in lower case); None leaves the header out."""
        if name == b"set-cookie":
            return self.set_cookie(value)
        if name == b"clear-site-data":
            return _keep_cookies(value)
        if name in (b"location", b"content-location") and self.rules.location:
            return self.location(value)
        if name == b"refresh" and self.rules.location:
            return self.refresh(value)
        if self.private and name == b"cache-control":
            return shared_caches.without_sharing(value)
        if self.private and name in shared_caches.OVERRULING:
            return None
        return value

    def location(self, value: bytes) -> bytes:
        """Turn an absolute URL of the upstream into a public one (RFC 9110 §10.2.2), and give a rooted path the
        stripped prefix back.
        """
        text = value.decode("latin-1").strip()
        parts = urlsplit_or_none(text)
        if parts is None:
            return value
        # Redirects of apps name the address that they know of themselves. Followed as they are, they would lead
        # around the gateway, or nowhere. A foreign URL is none of ours and stays.
        if parts.netloc:
            if (
                parts.scheme or self.target.scheme,
                normal_authority(parts.scheme, parts.netloc),
            ) not in self.origins:
                return value
            rest = text.split(parts.netloc, 1)[1]
            if self.prefix and not rest.startswith("/"):
                rest = "/" + rest  # no path is the path "/" (RFC 9110 §4.2.3), which is the prefix here
            path = self._public_path(rest) if rest.startswith("/") else rest
            return f"{self.target.scheme}://{self.target.authority}{path}".encode("latin-1")
        if text.startswith("/"):
            return self._public_path(text).encode("latin-1")
        return value

    def _public_path(self, path: str) -> str:
        if self.base and (path == self.base or path.startswith((self.base + "/", self.base + "?"))):
            path = path[len(self.base) :]
            path = path if path.startswith("/") else "/" + path
        if self.prefix and path != self.prefix and not path.startswith(self.prefix + "/"):
            path = self.prefix + path
        return path

    def refresh(self, value: bytes) -> bytes:
        """Rewrite the URL of a Refresh header as `location` does."""
        match = _REFRESH.match(value.decode("latin-1"))
        if match is None:
            return value
        before, quote, url, after = match.groups()
        return (
            (before + quote).encode("latin-1")
            + self.location(url.encode("latin-1"))
            + after.encode("latin-1")
        )

    def set_cookie(self, value: bytes) -> bytes | None:
        """Rewrite Domain and Path of a Set-Cookie as the route wants them; None if the cookie would take the place of
        ours.
        """
        # An app that sets our cookie could sign its visitor in as somebody else (session fixation, RFC 6265 §8.4).
        # Browsers store "=name=value" as a nameless cookie and send it back as "name=value".
        if re.split(rb"[=;]", value.lstrip(b" \t="), maxsplit=1)[0].strip().lower() in self.own_cookies:
            return None
        pair, *attributes = value.split(b";")
        if pair.strip().lower().startswith(b"__host-"):
            return value  # browsers take it with Path=/ and without Domain only
        return b";".join([pair, *map(self._cookie_attribute, attributes)])

    def _cookie_attribute(self, attribute: bytes) -> bytes:
        name, equals, value = attribute.partition(b"=")
        key, text = name.strip().lower(), value.strip().decode("latin-1")
        # Browsers refuse a cookie for a domain that does not cover the host (RFC 6265 §5.3), as an app's own name
        # does not: the user could not sign in to the app.
        if key == b"domain" and text and self.rules.cookie_domain and not covers(text, self.target.host):
            return name + equals + self.target.host.encode()
        if key == b"path" and text.startswith("/"):
            return name + equals + self._cookie_path(text).encode("latin-1")
        return attribute

    def _cookie_path(self, path: str) -> str:
        for old, new in self.rules.cookie_path.items():
            start = old.rstrip("/")
            if path == old or path.startswith(start + "/"):
                return (new.rstrip("/") + "/" + path[len(start) :].lstrip("/")).rstrip("/") or "/"
        if self.rules.cookie_prefix and (self.prefix or self.base):
            # Without the slash at the end: a cookie for /app/ is not sent to /app (RFC 6265 §5.1.4).
            return self._public_path(path).rstrip("/") or "/"
        return path


def covers(domain: str, host: str) -> bool:
    """Tell whether a browser accepts a cookie with this Domain from this host (RFC 6265 §5.1.3)."""
    domain = domain.lower().lstrip(".")
    return host == domain or host.endswith("." + domain)


def normal_authority(scheme: str, authority: str) -> str:
    """Return `authority` in lower case, without user info and without a port that the scheme implies."""
    host = authority.rsplit("@", 1)[-1].lower()
    return host.removesuffix(f":{_DEFAULT_PORT.get(scheme, '')}")


def urlsplit_or_none(text: str) -> SplitResult | None:
    """Split a URL reference; None if it has none of the forms of RFC 3986."""
    try:
        return urlsplit(text)
    except ValueError:
        return None


def _keep_cookies(value: bytes) -> bytes | None:
    """Clear-Site-Data without the part that would sign our users out."""
    # W3C Clear Site Data §3.1: "cookies" clears those of the whole registrable domain, ours among them. "*" means all
    # there is, so it is written out without them.
    kept: list[bytes] = []
    for directive in (part.strip() for part in value.split(b",")):
        if directive == b'"*"':
            kept += [b'"cache"', b'"storage"']
        elif directive.lower() != b'"cookies"':
            kept.append(directive)
    return b", ".join(kept) or None
