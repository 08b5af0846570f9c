"""Answers nginx, Traefik, Caddy and Envoy, which ask whether a request may pass (docs/forward-auth.md).

Each address that they ask at has a `Dialect`: where the original request stands, and how a yes or a no is written.
`original_request` reads ours, `compatible_gateways` has the addresses of other gateways, and `decision` asks the same
`policy.decide` as the proxy. Only `server.trusted_proxies` may ask: whoever names the original request may name any.
"""

from gateway.forwardauth.decision import CONSUMED, CONSUMES, ForwardAuth, route_key

__all__ = ["CONSUMED", "CONSUMES", "ForwardAuth", "route_key"]
