"""Headers by which platforms tell their apps who asks: no client's gets through, at any door."""

import pytest

from gateway.config.schema import Route
from gateway.engines.headers import removed_families, removed_names
from gateway.proxy.request_headers import canonical, removed_from

ROUTE = Route(upstream="http://127.0.0.1:1")
BELIEVED = [
    "X-MS-CLIENT-PRINCIPAL",
    "X-MS-CLIENT-PRINCIPAL-ID",
    "X-MS-CLIENT-PRINCIPAL-NAME",
    "X-MS-CLIENT-PRINCIPAL-IDP",
    "X-MS-TOKEN-AAD-ACCESS-TOKEN",
    "X-MS-TOKEN-GOOGLE-ID-TOKEN",
    "X-ARR-ClientCert",
    "X-Amzn-Oidc-Identity",
    "X-Amzn-Oidc-Data",
    "X-Amzn-Oidc-Accesstoken",
    "X-Amzn-Mtls-Clientcert",
    "X-Amzn-Ava-User-Context",
    "Cf-Access-Authenticated-User-Email",
    "Cf-Access-Jwt-Assertion",
    "Cf-Access-Client-Id",
    "X-Goog-Authenticated-User-Email",
    "X-Goog-IAP-JWT-Assertion",
    "X-Appengine-User-Email",
    "X-AppEngine-User-Is-Admin",
    "X-Endpoint-API-UserInfo",
    "X-Apigateway-Api-Userinfo",
    "Tailscale-User-Login",
    "Tailscale-User-Name",
    "Tailscale-App-Capabilities",
    "Teleport-Jwt-Assertion",
    "X-Vouch-User",
    "X-Vouch-IdP-Claims-Groups",
    "X-Pomerium-Claim-Roles",
    "X-Pomerium-Jwt-Assertion",
    "X-Auth-Request-User",
    "X-Auth-Request-Access-Token",
    "X-authentik-username",
    "X-WEBAUTH-USER",
    "X-Remote-User",
    "X-Remote-Extra-Scopes",
    "X-Token-Subject",
    "X-Token-User-Email",
    "OIDC_CLAIM_sub",
    "OIDC_access_token",
    "OIDC-CLAIM-email",
    "X-Userinfo",
    "X-User",
    "X-JWT-Assertion",
    "X-Consumer-Username",
    "X-Consumer-Groups",
    "X-Credential-Identifier",
    "X-Authenticated-Groups",
    "X-Replit-User-Id",
    "X-Sandstorm-User-Id",
    "X-Cosmos-User",
    "X-Cosmos-Role",
    "YNH_USER",
    "YNH_USER_EMAIL",
    "Impersonate-User",
    "Impersonate-Group",
    "Impersonate-Extra-scopes",
    "Es-Security-Runas-User",
    "X-Proxy-User",
    "X-Proxy-Roles",
    "X-Proxy-REMOTE-USER",
    "SM_USER",
    "SM_USERDN",
    "OAM_REMOTE_USER",
    "iv-user",
    "iv-groups",
    "iv-creds",
    "CAS-User",
    "eppn",
    "Shib-Session-ID",
    "Client-Cert",
    "Client-Cert-Chain",
    "ssl-client-cert",
    "ssl-client-verify",
    "ssl-client-subject-dn",
    "X-SSL-Client-Cert",
    "X-SSL-Client-S-DN",
    "X-SSL-Client-Verify",
    "X-Client-Cert",
    "X-Client-DN",
    "X-Client-Verify",
    "X-Forwarded-Tls-Client-Cert",
    "X-Forwarded-Client-Cert",
    "X-Forwarded-User",
    "X-Forwarded-Login",
    "Remote-User",
    "Auth-User",
    "X-Auth-Username",
]


@pytest.mark.parametrize("name", BELIEVED)
def test_what_a_platform_says_of_the_user_is_no_clients_to_say(name: str) -> None:
    assert removed_from(ROUTE).takes(canonical(name), trusted=False)
    assert canonical(name) in removed_names(ROUTE) or canonical(name).startswith(
        tuple(removed_families(ROUTE))
    )


@pytest.mark.parametrize(
    "name",
    [
        "X-Auth-Token",
        "X-Access-Token",
        "X-ID-Token",
        "X-User-Id",
        "X-Api-Key",
        "Authorization",
        "Client-Version",
        "X-Ms-Version",
    ],
)
def test_what_programs_send_for_themselves_stays(name: str) -> None:
    assert not removed_from(ROUTE).takes(canonical(name), trusted=False)


@pytest.mark.parametrize("name", ["X-SSL-Client-Cert", "Impersonate-User", "Client-Cert"])
def test_a_route_can_keep_one(name: str) -> None:
    kept = Route(upstream="http://127.0.0.1:1", headers={"keep": [name]})
    assert not removed_from(kept).takes(canonical(name), trusted=False)
