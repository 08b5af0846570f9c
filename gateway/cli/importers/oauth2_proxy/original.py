"""oauth2-proxy's rules as it reads them, to compare ours with: exceptions first, then who may pass."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from gateway.cli.importers.findings import Access, Sample, as_list, named_people
from gateway.cli.importers.oauth2_proxy.limits import passes_limits
from gateway.cli.importers.oauth2_proxy.options import Options, parts_of
from gateway.model import User

_PLAIN = re.compile(r"\^?((?:[A-Za-z0-9/_-]|\\\.)*)")
_HOST = "app.example.test"


@dataclass(frozen=True, slots=True)
class OAuth2ProxyRules:
    """What oauth2-proxy would say to a request. `listed` are the users whom the list of addresses and the htpasswd
    file name, None if there is no list.
    """

    options: Options
    listed: frozenset[str] | None

    def samples(self, people: Sequence[User]) -> Sequence[Sample]:
        return [
            Sample(rule=rule, host=_HOST, path=path, method=method, client=client)
            for rule, path, methods in self._places()
            for method in methods
            for client in dict.fromkeys(["192.0.2.1", *self._trusted_clients()])
        ]

    def named(self) -> Sequence[User]:
        return named_people(users=(), groups=map(str, as_list(self.options.get("allowed_groups"))))

    def access(self, sample: Sample, person: User | None) -> Access:
        trusted = map(str, as_list(self.options.get("trusted_ips")))
        if any(ip_address(sample.client) in ip_network(one, strict=False) for one in trusted):
            return Access.ANYTHING
        if any(self._skips(str(text), sample) for text in self._exceptions()):
            return Access.ANYTHING
        if person is None:
            return Access.NEVER
        listed = self.listed is None or person.username in self.listed or "email_domains" in self.options
        held = passes_limits(self.options, person.username, person.email, person.groups)
        of_htpasswd = self.listed is not None and person.username in self.listed and not person.email
        allowed = set(map(str, as_list(self.options.get("allowed_groups"))))
        if of_htpasswd:  # no address, so none is asked
            held = not allowed or bool(allowed & set(person.groups))
        return Access.ONE_FACTOR if listed and held else Access.NEVER

    def _exceptions(self) -> list[object]:
        return [
            *as_list(self.options.get("skip_auth_routes")),
            *as_list(self.options.get("skip_auth_regex")),
        ]

    def _skips(self, text: str, sample: Sample) -> bool:
        method, negated, pattern = parts_of(text)
        try:
            found = re.search(pattern, sample.path) is not None
        except re.error:
            return False
        return (not method or method == sample.method) and found != negated

    def _places(self) -> Iterator[tuple[str, str, tuple[str, ...]]]:
        for url in map(str, as_list(self.options.get("upstreams"))):
            yield f"upstream {url}", urlsplit(url).path or "/", ("GET",)
        for text in map(str, self._exceptions()):
            method, _, pattern = parts_of(text)
            match = _PLAIN.match(pattern)
            path = "/" + (match[1].replace("\\", "").lstrip("/") if match else "")
            yield f"skip_auth {text}", path, tuple(dict.fromkeys([method or "GET", "GET", "POST"]))
        yield "everything else", "/anything-else", ("GET", "POST")

    def _trusted_clients(self) -> list[str]:
        networks = map(str, as_list(self.options.get("trusted_ips")))
        return [str(ip_network(one, strict=False)[0]) for one in networks]
