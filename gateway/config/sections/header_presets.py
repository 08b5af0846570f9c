"""The header names by which other gateways tell apps who the user is, by preset. Data only.

All of them are removed from every client's request, on every route, whether the preset is on or not: an app may
listen to any of these dialects (security rule 1).
"""

from dataclasses import dataclass
from typing import Literal

PresetName = Literal["remote-user", "x-forwarded", "x-auth-request", "authentik", "goog-iap", "cf-access"]
Fact = Literal["username", "name", "email", "groups", "groups_piped", "assertion"]

ASSERTION = "X-Auth-Assertion"


@dataclass(frozen=True, slots=True)
class HeaderFact:
    """What a header says: a fact about the user, behind a fixed text."""

    fact: Fact
    before: str = ""


_GOOGLE = "accounts.google.com:"

PRESETS: dict[str, dict[str, HeaderFact]] = {
    "remote-user": {
        "Remote-User": HeaderFact("username"),
        "Remote-Name": HeaderFact("name"),
        "Remote-Email": HeaderFact("email"),
        "Remote-Groups": HeaderFact("groups"),
    },
    "x-forwarded": {
        "X-Forwarded-User": HeaderFact("username"),
        "X-Forwarded-Email": HeaderFact("email"),
        "X-Forwarded-Groups": HeaderFact("groups"),
        "X-Forwarded-Preferred-Username": HeaderFact("username"),
    },
    "x-auth-request": {
        "X-Auth-Request-User": HeaderFact("username"),
        "X-Auth-Request-Email": HeaderFact("email"),
        "X-Auth-Request-Groups": HeaderFact("groups"),
        "X-Auth-Request-Preferred-Username": HeaderFact("username"),
    },
    "authentik": {
        "X-authentik-username": HeaderFact("username"),
        "X-authentik-groups": HeaderFact("groups_piped"),
        "X-authentik-email": HeaderFact("email"),
        "X-authentik-name": HeaderFact("name"),
        "X-authentik-uid": HeaderFact("username"),
        "X-authentik-jwt": HeaderFact("assertion"),
    },
    "goog-iap": {
        "X-Goog-Authenticated-User-Email": HeaderFact("email", _GOOGLE),
        "X-Goog-Authenticated-User-Id": HeaderFact("username", _GOOGLE),
        "X-Goog-IAP-JWT-Assertion": HeaderFact("assertion"),
    },
    "cf-access": {
        "Cf-Access-Authenticated-User-Email": HeaderFact("email"),
        "Cf-Access-Jwt-Assertion": HeaderFact("assertion"),
    },
}
ALWAYS = {ASSERTION: HeaderFact("assertion")}

_NEVER_TOLD = (
    "X-Auth-Request-Access-Token",
    "X-Forwarded-Access-Token",
    "X-Forwarded-Roles",
    "GAP-Auth",
    "GAP-Signature",
    "X-authentik-entitlements",
    "X-authentik-meta-app",
    "X-authentik-meta-jwks",
    "X-authentik-meta-outpost",
    "X-authentik-meta-provider",
    "X-authentik-meta-version",
    "X-Vouch-User",
    "X-Vouch-Success",
    "X-Vouch-IdP-Claims",
    "X-Vouch-IdP-Groups",
    "X-Vouch-IdP-IdToken",
    "X-Vouch-IdP-AccessToken",
    "X-Pomerium-Jwt-Assertion",
    "X-Pomerium-Claim-Sub",
    "X-Pomerium-Claim-User",
    "X-Pomerium-Claim-Email",
    "X-Pomerium-Claim-Name",
    "X-Pomerium-Claim-Groups",
    "Remote-Sub",
    "Auth-User",
    "Auth-Mail",
    "Auth-Groups",
    "X-Auth-User",
    "X-Auth-Userid",
    "X-Auth-Username",
    "X-Auth-Name",
    "X-Auth-Given-Name",
    "X-Auth-Family-Name",
    "X-Auth-Email",
    "X-Auth-Groups",
    "X-Auth-Roles",
    "X-Auth-Subject",
    "X-Auth-Audience",
    "X-Auth-ExpiresIn",
    "X-Auth-Session-State",
    "X-Token-Subject",
    "X-Token-User-Name",
    "X-Token-User-Email",
    "X-Token-User-Roles",
    "X-Remote-User",
    "X-Remote-Group",
    "X-Remote-Groups",
    "X-Remote-Name",
    "X-Remote-Email",
    "X-Authenticated-User",
    "X-Authenticated-Userid",
    "X-Authenticated-Groups",
    "X-WEBAUTH-USER",
    "X-WEBAUTH-NAME",
    "X-WEBAUTH-EMAIL",
    "X-WEBAUTH-GROUPS",
    "X-WEBAUTH-ROLE",
    # Azure App Service ("Easy Auth"), Static Web Apps and Container Apps
    "X-MS-CLIENT-PRINCIPAL",
    "X-MS-CLIENT-PRINCIPAL-ID",
    "X-MS-CLIENT-PRINCIPAL-NAME",
    "X-MS-CLIENT-PRINCIPAL-IDP",
    "X-MS-TOKEN-AAD-ID-TOKEN",
    "X-MS-TOKEN-AAD-ACCESS-TOKEN",
    "X-MS-TOKEN-AAD-REFRESH-TOKEN",
    "X-MS-TOKEN-AAD-EXPIRES-ON",
    "X-ARR-ClientCert",
    # AWS: ALB, Verified Access
    "X-Amzn-Oidc-Identity",
    "X-Amzn-Oidc-Data",
    "X-Amzn-Oidc-Accesstoken",
    "X-Amzn-Mtls-Clientcert",
    "X-Amzn-Mtls-Clientcert-Leaf",
    "X-Amzn-Mtls-Clientcert-Subject",
    "X-Amzn-Mtls-Clientcert-Issuer",
    "X-Amzn-Ava-User-Context",
    # Google: App Engine, Cloud Endpoints, API Gateway
    "X-Appengine-User-Email",
    "X-Appengine-User-Id",
    "X-Appengine-User-Nickname",
    "X-Appengine-User-Organization",
    "X-Appengine-User-Is-Admin",
    "X-Endpoint-API-UserInfo",
    "X-Apigateway-Api-Userinfo",
    # Tailscale, Teleport, Replit, Sandstorm, Cosmos, YunoHost
    "Tailscale-User-Login",
    "Tailscale-User-Name",
    "Tailscale-User-Profile-Pic",
    "Tailscale-App-Capabilities",
    "Teleport-Jwt-Assertion",
    "X-Replit-User-Id",
    "X-Replit-User-Name",
    "X-Replit-User-Roles",
    "X-Sandstorm-User-Id",
    "X-Sandstorm-Username",
    "X-Sandstorm-Permissions",
    "X-Cosmos-User",
    "X-Cosmos-Role",
    "YNH-User",
    "YNH-User-Email",
    "YNH-User-Fullname",
    # API gateways: Kong, APISIX, Oathkeeper, WSO2
    "X-Consumer-ID",
    "X-Consumer-Username",
    "X-Consumer-Custom-ID",
    "X-Consumer-Groups",
    "X-Credential-Identifier",
    "X-Userinfo",
    "X-User",
    "X-JWT-Assertion",
    # Kubernetes' API, which believes them of whoever may impersonate; Elasticsearch and OpenSearch
    "Impersonate-User",
    "Impersonate-Group",
    "Impersonate-Uid",
    "Es-Security-Runas-User",
    "X-Proxy-User",
    "X-Proxy-Roles",
    "X-Proxy-Remote-User",
    # Web access management: SiteMinder, Oracle Access Manager, WebSEAL, CAS, Shibboleth, mod_auth_openidc
    "SM-User",
    "SM-UserDN",
    "SM-UniversalId",
    "SM-AuthType",
    "OAM-Remote-User",
    "IV-User",
    "IV-User-L",
    "IV-Groups",
    "IV-Creds",
    "CAS-User",
    "Eppn",
    "Shib-Session-ID",
    "Shib-Identity-Provider",
    "Shib-Authentication-Method",
    "OIDC-Claim-Sub",
    "OIDC-Claim-Preferred-Username",
    "OIDC-Claim-Email",
    "OIDC-Claim-Name",
    "OIDC-Claim-Groups",
    "OIDC-Access-Token",
    "OIDC-Id-Token",
    "OIDC-Id-Token-Payload",
    # Client certificates that a proxy has checked (RFC 9440, and what came before it)
    "Client-Cert",
    "Client-Cert-Chain",
    "SSL-Client-Cert",
    "SSL-Client-Verify",
    "SSL-Client-Subject-DN",
    "SSL-Client-Issuer-DN",
    "X-SSL-Cert",
    "X-SSL-Client-Cert",
    "X-SSL-Client-Verify",
    "X-SSL-Client-DN",
    "X-SSL-Client-S-DN",
    "X-SSL-Client-CN",
    "X-Client-Cert",
    "X-Client-DN",
    "X-Client-Verify",
)
"""Names that we don't set, but that an app which was set up for another gateway may believe (docs/comparison.md).

Not here: X-Auth-Token, X-Access-Token and X-ID-Token, which are credentials that apps check by themselves and that
programs send, and X-User-Id, which goes with such a one (Rocket.Chat).
"""

FAMILIES: tuple[str, ...] = (
    "x-auth-request-",
    "x-authenticated-",
    "x-authentik-",
    "x-goog-authenticated-user-",
    "x-goog-iap-",
    "cf-access-",
    "impersonate-",
    "oidc-",
    "shib-",
    "ssl-client-",
    "tailscale-",
    "x-amzn-ava-",
    "x-amzn-mtls-",
    "x-amzn-oidc-",
    "x-appengine-user-",
    "x-consumer-",
    "x-credential-",
    "x-ms-client-principal-",
    "x-ms-token-",
    "x-pomerium-",
    "x-remote-",
    "x-replit-user-",
    "x-sandstorm-",
    "x-ssl-client-",
    "x-token-",
    "x-vouch-",
    "x-webauth-",
)
"""Beginnings of the names that gateways make of any claim: nobody can list them all."""

IDENTITY: tuple[str, ...] = (
    *(name for preset in PRESETS.values() for name in preset),
    *ALWAYS,
    *_NEVER_TOLD,
)
"""Everything that an app could take for our word about the user."""


def told_by(presets: tuple[str, ...]) -> dict[str, HeaderFact]:
    """Header name -> what it says, for a route with these presets."""
    return {name: told for preset in presets for name, told in PRESETS[preset].items()} | ALWAYS
