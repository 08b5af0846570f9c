"""The provider's metadata (OpenID Connect Discovery 1.0 §3, RFC 8414 §2), from which apps read everything else."""

from collections.abc import Sequence

from gateway.config.sections.oidc import Oidc
from gateway.oidc.authorize_views import AUTHORIZE
from gateway.oidc.device_flow import DEVICE_GRANT
from gateway.oidc.pushed_requests import PAR
from gateway.oidc.registration_views import REGISTER
from gateway.oidc.rp_initiated_logout import END_SESSION
from gateway.oidc.session_names import ACR_VALUES

TOKEN, USERINFO, JWKS = "/oidc/token", "/oidc/userinfo", "/oidc/jwks.json"
INTROSPECT, REVOKE, DEVICE_START = "/oidc/introspect", "/oidc/revoke", "/oidc/device_authorization"
_SECRET_METHODS = ["client_secret_basic", "client_secret_post", "private_key_jwt"]
_SIGNATURES = ["ES256", "RS256", "PS256", "EdDSA"]


def metadata(
    issuer: str, pages_url: str, settings: Oidc, claims: Sequence[str], resources: Sequence[str] = ()
) -> dict[str, object]:
    """Return the metadata. `issuer` is `server.public_url`; below `pages_url` are the endpoints; `claims` are those
    about users; `resources` are the scopes that routes ask for.
    """
    # Only what is true here: apps choose by it. `none` stands among the methods of those endpoints that public clients
    # may use; of introspection they learn nothing. `request_uri` must be denied, since its default is true.
    base, unlisted = pages_url, settings.self_registration
    scopes = {scope for client in settings.clients for scope in client.offered} | set(resources)
    if unlisted.enabled:
        scopes |= set(unlisted.scopes)
    more: dict[str, object] = {"registration_endpoint": base + REGISTER} if unlisted.register_clients else {}
    if unlisted.document_hosts:
        more["client_id_metadata_document_supported"] = True
    return {
        **more,
        "issuer": issuer,
        "authorization_endpoint": base + AUTHORIZE,
        "token_endpoint": base + TOKEN,
        "userinfo_endpoint": base + USERINFO,
        "jwks_uri": base + JWKS,
        "introspection_endpoint": base + INTROSPECT,
        "revocation_endpoint": base + REVOKE,
        "end_session_endpoint": base + END_SESSION,
        "device_authorization_endpoint": base + DEVICE_START,
        "pushed_authorization_request_endpoint": base + PAR,
        "scopes_supported": sorted(scopes),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "form_post"],
        "grant_types_supported": [
            "authorization_code",
            "refresh_token",
            "client_credentials",
            DEVICE_GRANT,
        ],
        "subject_types_supported": ["public", "pairwise"],
        "id_token_signing_alg_values_supported": ["RS256", "ES256"],
        "token_endpoint_auth_methods_supported": [*_SECRET_METHODS, "none"],
        "token_endpoint_auth_signing_alg_values_supported": _SIGNATURES,
        "introspection_endpoint_auth_methods_supported": _SECRET_METHODS,
        "revocation_endpoint_auth_methods_supported": [*_SECRET_METHODS, "none"],
        "code_challenge_methods_supported": ["S256"],
        "acr_values_supported": list(ACR_VALUES),
        "claims_supported": [
            "sub",
            "iss",
            "aud",
            "exp",
            "iat",
            "auth_time",
            "nonce",
            "acr",
            "amr",
            "azp",
            "sid",
            "at_hash",
            *claims,
        ],
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "authorization_response_iss_parameter_supported": True,
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        "claims_parameter_supported": True,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
    }
