"""Which of a client's headers an app must not get, since it could take them for our word. Names only.

Our own proxy and the exported engines read the same sets: `request_headers.removed_from` says what a route removes.
"""

Pair = tuple[bytes, bytes]
Pairs = list[Pair]

# RFC 9110 §7.6.1, and the older names that its predecessors listed. HTTP2-Settings: RFC 7540 §3.2.1.
HOP_BY_HOP = frozenset(
    {
        "connection",
        "http2-settings",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
# What apps read to learn who connected, and what was asked. Names that begin with x-forwarded- belong here too. No
# standard lists them: they are what CDNs, load balancers and frameworks send or believe.
ADDRESS = frozenset(
    {
        "forwarded",
        "via",
        "x-real-ip",
        "client-ip",
        "x-client-ip",
        "proxy-client-ip",
        "wl-proxy-client-ip",
        "x-cluster-client-ip",
        "true-client-ip",
        "cf-connecting-ip",
        "cf-connecting-ipv6",
        "cf-pseudo-ipv4",
        "fastly-client-ip",
        "fly-client-ip",
        "x-appengine-user-ip",
        "x-azure-clientip",
        "x-envoy-external-address",
        "x-forwarded",
        "forwarded-for",
        "x-original-forwarded-for",
        "x-remote-ip",
        "x-remote-addr",
        "x-host",
        "x-scheme",
        "x-url-scheme",
        "front-end-https",
        "x-original-url",
        "x-original-uri",
        "x-original-method",
        "x-original-host",
        "x-rewrite-url",
    }
)
FORWARDED_FAMILY = "x-forwarded-"
# Members of that family that proxies are known to send, for engines which can't remove a family.
FORWARDED_KNOWN = (
    "x-forwarded-by",
    "x-forwarded-client-cert",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-method",
    "x-forwarded-path",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-forwarded-protocol",
    "x-forwarded-scheme",
    "x-forwarded-server",
    "x-forwarded-ssl",
    "x-forwarded-uri",
    "x-forwarded-url",
)
# By which a request asks to be taken for another than the one that rules about methods have judged.
METHOD_OVERRIDE = frozenset({"x-http-method-override", "x-http-method", "x-method-override"})
# Always written by us; `proxy` would become HTTP_PROXY in a CGI app ("httpoxy").
REPLACED = frozenset(
    {
        "host",
        "content-length",
        "proxy",
        "forwarded",
        "via",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-prefix",
        "x-request-id",
        # Between an engine and the gateway: whether Authorization was for us (docs/forward-auth.md).
        "x-gateway-consumes",
        "x-gateway-consumed",
    }
)
