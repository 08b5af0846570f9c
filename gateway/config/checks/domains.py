"""Checks of `domains`."""

from collections.abc import Iterator

from gateway.config import addresses
from gateway.config.checks.finding import Check, Finding
from gateway.config.public_suffixes import is_public_suffix
from gateway.config.schema import Config


def domains(config: Config) -> Iterator[Finding]:
    """Find domains that anybody could have a name in, hosts outside of theirs, and logos that are not there."""
    seen: set[str] = set()
    for index, one in enumerate(config.domains):
        path = ("domains", index, "domain")
        if not addresses.is_name(one.domain) or "." not in one.domain or addresses.is_ip(one.domain):
            mend = "write a name with a dot and nothing before it, such as `other.org`"
            yield Finding(path, f"`{one.domain}` is not a domain", mend)
        elif is_public_suffix(one.domain):
            mend = "write your own names below it (publicsuffix.org)"
            yield Finding(path, f"anybody can have a name below `{one.domain}`", mend)
        elif one.domain in seen:
            yield Finding(path, f"`{one.domain}` is given twice", "remove one of them")
        seen.add(one.domain)
        for number, host in enumerate(one.hosts):
            name = host.removeprefix("*.")
            if not addresses.is_name(name) or not addresses.is_below(name, one.domain):
                mend = f"write a name below it, such as `app.{one.domain}` or `*.team.{one.domain}`"
                yield Finding(
                    ("domains", index, "hosts", number), f"`{host}` is not below `{one.domain}`", mend
                )
        named = [route.host for route in config.routes if "*" not in route.host]
        if not one.hosts and not any(addresses.is_below(host.lower(), one.domain) for host in named):
            problem = (
                f"no route names a host below `{one.domain}`, and a wildcard does not say which are yours"
            )
            mend = "name the hosts in routes or in `hosts`: nobody can sign in at others"
            yield Finding(path, problem, mend, warning=True)
        logo = one.branding.logo_file
        if logo and not logo.is_file():
            yield Finding(("domains", index, "branding", "logo_file"), f"there is no file {logo}")


DOMAIN_CHECKS: tuple[tuple[frozenset[str], Check], ...] = ((frozenset({"domains"}), domains),)
