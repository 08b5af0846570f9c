"""What oauth2-proxy was told that is not taken over, each with its reason."""

from collections.abc import Iterator

from gateway.cli.importers.findings import LeftOut, as_list
from gateway.cli.importers.oauth2_proxy.limits import WHO_MAY_PASS
from gateway.cli.importers.oauth2_proxy.options import Options

_UNDERSTOOD = frozenset(
    {
        "cookie_expire",
        "client_id",
        "client_secret",
        "client_secret_file",
        "cookie_secret",
        "cookie_secret_file",
        "provider",
        "provider_display_name",
        "scope",
        "oidc_issuer_url",
        "redirect_url",
        "reverse_proxy",
        "set_xauthrequest",
        "http_address",
        "https_address",
        "proxy_prefix",
        "cookie_domains",
        "cookie_secure",
        "cookie_httponly",
        "cookie_name",
        "cookie_samesite",
        "pass_user_headers",
        "pass_host_header",
        "email_domains",
        "upstreams",
        "skip_auth_routes",
        "skip_auth_regex",
        "skip_auth_preflight",
        "trusted_ips",
        "trusted_proxy_ips",
        "allowed_groups",
        "htpasswd_file",
        "htpasswd_user_groups",
        "authenticated_emails_file",
        "api_routes",
        "ssl_upstream_insecure_skip_verify",
        "skip_provider_button",
        "display_htpasswd_form",
        "proxy_websockets",
        "upstream_timeout",
        "whitelist_domains",
        "session_store_type",
        "redis_connection_url",
        "code_challenge_method",
    }
)
"""Translated, told below, or without a counterpart that could matter here."""
_TOLD = {
    "whitelist_domains": "a sign-in leads back to hosts of routes only: name further hosts as routes",
    "api_routes": "programs are known by what they accept (docs/re-login.md), not by their path",
    "htpasswd_file": "give the file with --htpasswd, too, or its users are not here",
}


def not_read(options: Options) -> Iterator[LeftOut]:
    """All of it; limits on who may pass are told elsewhere, because they stop the import."""
    if provider := options.get("provider") or options.get("oidc_issuer_url"):
        yield LeftOut(
            f"provider {provider}", "people sign in here instead, with a password and a second factor"
        )
    if not options.get("redirect_url"):
        why = "not given, so server.public_url is http://localhost:8080: write the address that people use"
        yield LeftOut("redirect_url", why)
    for domain in as_list(options.get("cookie_domains"))[1:]:
        why = "set up the further domain by hand (docs/domains.md)"
        yield LeftOut(f"cookie_domains: {str(domain).lstrip('.')}", why)
    for key, why in _TOLD.items():
        if options.get(key):
            yield LeftOut(key, why)
    if not as_list(options.get("trusted_proxy_ips")):
        yield LeftOut(
            "reverse_proxy",
            "name your proxies in server.trusted_proxies: only those on this machine are believed",
        )
    for name in sorted(set(options) - _UNDERSTOOD - WHO_MAY_PASS):
        yield LeftOut(name, "not read: set it up by hand if you need it")
