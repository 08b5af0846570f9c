"""Domains under which anybody may have a name: no cookie and no key may be for all of one (publicsuffix.org)."""

from functools import cache

from publicsuffixlist import PublicSuffixList


@cache
def _listed() -> PublicSuffixList:
    """Read when first asked: most configurations name no domain."""
    return PublicSuffixList()


def is_public_suffix(domain: str) -> bool:
    """Whether this is one, such as `co.uk` or `duckdns.org`. Of names that no list has, only top levels are."""
    return bool(_listed().is_public(domain))


def registrable_domain(host: str) -> str:
    """The part of a name that somebody registered, such as `example.com` of `a.b.example.com`; "" if it has none."""
    return _listed().privatesuffix(host) or ""
