"""A route made ready for proxying: its header rules compiled, its upstreams parsed."""

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.clock import Clock
from gateway.config.schema import Route
from gateway.model import Target
from gateway.proxy.request_headers import HeaderRules
from gateway.proxy.response_headers import Rewriter
from gateway.proxy.upstreams import Pool, UpstreamAddress


@dataclass(frozen=True)
class PreparedRoute:
    route: Route
    rules: HeaderRules
    pool: Pool

    @classmethod
    def of(cls, route: Route, own_cookies: Iterable[str], clock: Clock) -> "PreparedRoute":
        return cls(route, HeaderRules.of(route, own_cookies), Pool(route, clock))

    def host_for(self, upstream: UpstreamAddress, target: Target) -> str:
        return target.authority if self.route.preserve_host else upstream.authority

    def rewriter(self, upstream: UpstreamAddress, target: Target) -> Rewriter:
        """An upstream that sees the public Host believes it to be its own, often with the wrong scheme."""
        own = {(scheme, upstream.authority) for scheme in ("http", "https")}
        if self.route.preserve_host:
            own |= {("http", target.authority), (target.scheme, target.authority)}
        return Rewriter(
            rules=self.route.rewrite,
            target=target,
            origins=frozenset(own),
            own_cookies=self.rules.own_cookies,
            base=upstream.base,
            prefix=self.rules.prefix,
        )
