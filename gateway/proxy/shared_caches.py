"""Keeps what an app answers to somebody we know out of caches that others share (RFC 9111 §3). Pure.

A cache in front of us knows nothing of our sessions: `Cache-Control: max-age=600` on a page behind sign-in would be
given to the next stranger. `private` stops the caches that stand by the RFC; headers that speak to one kind of cache
alone, and overrule Cache-Control there, are left out.
"""

import re

ADDED = (b"Cache-Control", b"private")
"""What an answer gets that says nothing of caches: some keep it then, by a rule of their own."""

OVERRULING = frozenset(
    {
        b"x-accel-expires",  # nginx
        b"cdn-cache-control",  # RFC 9213
        b"cloudflare-cdn-cache-control",
        b"vercel-cdn-cache-control",
        b"netlify-cdn-cache-control",
        b"surrogate-control",  # Fastly, Varnish
        b"edge-control",  # Akamai
    }
)
_DIRECTIVE = re.compile(rb'(?:[^,"]|"(?:[^"\\]|\\.)*"?)+')
_SHARED = frozenset({b"public", b"s-maxage"})
_ENOUGH = frozenset({b"private", b"no-store"})


def without_sharing(value: bytes) -> bytes:
    """A Cache-Control that lets the browser keep the answer as the app wants, and nobody else."""
    given = [directive.strip() for directive in _DIRECTIVE.findall(value)]
    # `private="set-cookie"` is about that field alone (RFC 9111 §5.2.2.7).
    kept = [one for one in given if one.partition(b"=")[0].strip().lower() not in (*_SHARED, b"private")]
    if any(one.lower() == b"private" for one in given) or not any(one.lower() in _ENOUGH for one in kept):
        kept.insert(
            0, b"private"
        )  # before whatever could be wrong with the rest, such as a quote without its end
    return value if len(kept) == len(given) and set(kept) == set(given) else b", ".join(kept)
