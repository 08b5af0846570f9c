"""The doors for other proxies: nginx, Traefik, Caddy and Envoy ask here whether a request may pass.

One engine, many doors. A door only says where the original request stands and in which words the answer is given:
our own in `asked`, those of other gateways in `peers`. The verdict is `policy.decide`, as for the proxy.
Nothing but `server.trusted_proxies` is believed: whoever may name the original request may name any.
"""

from gateway.forwardauth.decision import ForwardAuth, route_key

__all__ = ["ForwardAuth", "route_key"]
