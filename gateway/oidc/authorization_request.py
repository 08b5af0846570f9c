"""Reads and judges an authorization request (RFC 6749 §4.1.1, OpenID Connect Core §3.1.2.1). Pure.

A request is judged once. While the user signs in it travels in the address, sealed: there is no state to fill up
before anybody has signed in, and nothing that was checked can be changed on the way.
"""

import json
import re
import zlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, replace

from gateway.errors import RequestRefused
from gateway.i18n.text import N_
from gateway.oidc.claims import ClaimRules, claim_wish
from gateway.oidc.claims_request import AskedClaims, BadClaims, read_claims
from gateway.oidc.clients import Apps, Client
from gateway.oidc.errors import OAuthError, UnknownApp
from gateway.oidc.session_names import ACR_VALUES
from gateway.oidc.tokens import unverified_claim

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")  # a SHA-256 in base64url (RFC 7636 §4.2)
# OpenID Connect Core §3.1.2.1. `select_account` means a new sign-in here: a browser has one account at a time.
_PROMPTS = frozenset({"none", "login", "consent", "select_account"})
# Parameters that would replace others by what a JWT or another address says (§6, §7.2.1), and the errors for those who
# don't have that (§3.1.2.6). Ignoring them would be judging another request than the app made.
_UNSUPPORTED = {
    "request": "request_not_supported",
    "request_uri": "request_uri_not_supported",
    "registration": "registration_not_supported",
}
SEALED_FOR = 3600.0
"""Seconds that a user may take to sign in."""
_LONGEST_SEALED = 3800
"""Characters. With the path before it, it must fit into the return address of the sign-in page."""


@dataclass(frozen=True, slots=True)
class Return:
    """Where the answer goes: all of it was checked."""

    client_id: str
    redirect_uri: str
    response_mode: str
    state: str


@dataclass(frozen=True, slots=True)
class SignInRequest:
    """A request that was judged.

    Attributes:
        nonce: goes into the id token, by which the app knows that it is the answer to this request (Core §3.1.2.1).
        challenge: of PKCE (RFC 7636 §4.2), "" without.
        silent: the app wants no page shown (`prompt=none`).
        login_since, proof_since: Unix times: what must have been proven after them (0 = at any time).
        acr: the context that was asked for, "" for any.
        subject: who must be signed in, by `id_token_hint`; "" for anybody.
        asked_at: when the request came, as a Unix time.
    """

    back: Return
    scopes: tuple[str, ...]
    nonce: str
    challenge: str
    silent: bool
    ask_consent: bool
    login_since: float
    proof_since: float
    acr: str
    login_hint: str
    subject: str
    asked_at: float
    resources: tuple[str, ...] = ()
    """APIs that access tokens are to be for (RFC 8707); empty: all of the client's."""
    ui_locales: str = ""
    """Languages for our pages, best first, separated by blanks (OpenID Connect Core §3.1.2.1)."""
    tell_time: bool = False
    """The app asks when the user proved something (`max_age`, OpenID Connect Core §2, `auth_time`)."""
    userinfo: tuple[str, ...] = ()
    """Claims that are asked for one by one there, and in `id_token` (OpenID Connect Core §5.5)."""
    id_token: tuple[str, ...] = ()
    beyond: tuple[str, ...] = ()
    """Those of them that no scope of the request stands for."""
    acr_needed: tuple[str, ...] = ()
    """Contexts of which one is a must (OpenID Connect Core §5.5.1.1)."""
    subjects: tuple[str, ...] = ()
    """Users of whom one must be signed in; empty: anybody."""

    @property
    def wishes(self) -> tuple[str, ...]:
        """What the user is asked to allow: scopes, and claims beyond them."""
        return (*self.scopes, *map(claim_wish, self.beyond))


class Denied(OAuthError):
    """An error of which the app is told, since its redirect URI was checked."""

    def __init__(self, back: Return, code: str, detail: str = "") -> None:
        super().__init__(code, detail)
        self.back = back


def read_request(
    params: Mapping[str, str],
    apps: Apps,
    rules: ClaimRules,
    now: float,
    subject_of: Callable[[str, Client], str | None],
) -> SignInRequest:
    """Judge a request that came at `now` (Unix time). `subject_of` reads an id_token_hint.

    Raises UnknownApp where nobody may be told, Denied where the app may: an error goes to a redirect URI only once that
    is known to be the app's (RFC 6749 §4.1.2.1). Otherwise we would send browsers wherever somebody wants them (open
    redirect).
    """
    app = apps.find(params.get("client_id", ""))
    if app is None:
        raise UnknownApp(f"no client {params.get('client_id', '')[:80]!r} in oidc.clients")
    # Compared as a whole and as text (RFC 9700 §2.1): patterns are how codes reached foreign addresses.
    asked = params.get("redirect_uri", "")
    if not app.may_return_to(asked):
        raise UnknownApp(f"client {app.id}: redirect_uri {asked[:200]!r} is not one of its redirect_uris")
    # A request object is refused below, and its refusal arrives where it says. Nothing else in it is believed.
    claimed = unverified_claim(params.get("request", ""), "response_mode")
    mode = params.get("response_mode") or ("form_post" if claimed == "form_post" else "query")
    back = Return(
        client_id=app.id,
        redirect_uri=asked,
        response_mode=mode if mode == "form_post" else "query",
        state=params.get("state", ""),
    )
    if mode not in ("query", "form_post"):
        raise Denied(back, "invalid_request", "response_mode must be query or form_post")
    for name, code in _UNSUPPORTED.items():
        if name in params:
            raise Denied(back, code)
    # No `token` and no `id_token`: in the implicit flow tokens come in the address, from where they leak (RFC 9700
    # §2.1.2).
    if params.get("response_type") != "code":
        raise Denied(back, "unsupported_response_type", "response_type must be code")
    if "authorization_code" not in app.settings.grants:
        raise Denied(back, "unauthorized_client", "this client may not use authorization_code")
    scopes, single = _scopes(back, app, params), _asked(back, rules.askable(app), params)
    liked = (*params.get("acr_values", "").split(), *single.acr)
    request = SignInRequest(
        back=back,
        scopes=scopes,
        nonce=params.get("nonce", ""),
        challenge=_challenge(back, app, params),
        silent=False,
        ask_consent=False,
        login_since=0.0,
        proof_since=0.0,
        # Of several that would do, the least: who has proven more has proven that, too.
        acr=next((value for value in ACR_VALUES if value in single.acr_needed), "")
        or next((value for value in liked if value in ACR_VALUES), ""),
        login_hint=params.get("login_hint", "")[:128],
        subject=_subject(back, app, params, subject_of),
        asked_at=now,
        resources=_resources(back, app, params),
        ui_locales=params.get("ui_locales", "")[:200],
        tell_time=single.tell_time,
        userinfo=single.userinfo,
        id_token=single.id_token,
        beyond=tuple(sorted({*single.userinfo, *single.id_token} - rules.of(scopes))),
        acr_needed=single.acr_needed,
        subjects=single.subjects,
    )
    return _with_prompt(request, params, now)


def asked_scopes(text: str, listed: Collection[str]) -> tuple[str, ...]:
    """Return the scopes of a request that this client may have, each once.

    Others are dropped, not refused: OpenID Connect Core §3.1.2.1 says that scopes that are not understood should be
    ignored, and apps ask for what other providers have. Some write commas between them.
    """
    words = [part for word in text.split() for part in ([word] if word in listed else word.split(","))]
    return tuple(dict.fromkeys(word for word in words if word in listed))


def _scopes(back: Return, app: Client, params: Mapping[str, str]) -> tuple[str, ...]:
    asked = params.get("scope", "")
    scopes = asked_scopes(asked, app.settings.offered)
    if not asked:
        scopes = app.scopes_for(params.get("resource", ""))
    if not scopes:
        raise Denied(back, "invalid_scope", "no scope of this client was asked for")
    return scopes


def _asked(back: Return, askable: Collection[str], params: Mapping[str, str]) -> AskedClaims:
    try:
        return read_claims(params.get("claims", ""), askable)
    except BadClaims as problem:
        raise Denied(back, "invalid_request", str(problem)) from None


def _resources(back: Return, app: Client, params: Mapping[str, str]) -> tuple[str, ...]:
    # RFC 8707 §2: the API that the token is for. A token that names its API can't be used by it at another one.
    resource = params.get("resource", "")
    if resource and not app.may_call(resource):
        raise Denied(back, "invalid_target", "the resource is not in the audience of this client")
    return (resource.rstrip("/") if not app.is_listed else resource,) if resource else ()


def _challenge(back: Return, app: Client, params: Mapping[str, str]) -> str:
    """PKCE with S256 and nothing else (RFC 9700 §2.1.1); `plain` would protect nothing from who reads the request."""
    challenge, method = params.get("code_challenge", ""), params.get("code_challenge_method", "plain")
    if not challenge:
        if app.settings.pkce or app.settings.is_public or "code_challenge_method" in params:
            raise Denied(back, "invalid_request", "code_challenge is required (PKCE)")
        return ""
    if method != "S256" or not _CHALLENGE.fullmatch(challenge):
        raise Denied(back, "invalid_request", "code_challenge_method must be S256")
    return challenge


def _subject(
    back: Return, app: Client, params: Mapping[str, str], subject_of: Callable[[str, Client], str | None]
) -> str:
    hint = params.get("id_token_hint", "")
    subject = subject_of(hint, app) if hint else ""
    if subject is None:
        raise Denied(back, "invalid_request", "id_token_hint is no id token of this client")
    return subject


def _with_prompt(request: SignInRequest, params: Mapping[str, str], now: float) -> SignInRequest:
    prompts = frozenset(params.get("prompt", "").split())
    if not prompts <= _PROMPTS or ("none" in prompts and len(prompts) > 1):
        raise Denied(
            request.back, "invalid_request", "prompt is none, or some of login, consent, select_account"
        )
    age = params.get("max_age")
    if age is not None and not re.fullmatch(r"[0-9]{1,9}", age):
        raise Denied(request.back, "invalid_request", "max_age is a number of seconds")
    # max_age=0 is `prompt=login` in other words. Beside `none` nobody can sign in anew, so there it asks for a proof of
    # this very moment, which nobody has, and the app gets its error.
    again = bool(prompts & {"login", "select_account"}) or (age == "0" and "none" not in prompts)
    return replace(
        request,
        silent="none" in prompts,
        ask_consent="consent" in prompts,
        login_since=now if again else 0.0,
        proof_since=now if again else now - int(age) if age is not None else 0.0,
        tell_time=request.tell_time or age is not None,
    )


# -- sealed on its way through the sign-in ---------------------------------------------------------------------------


def seal(request: SignInRequest, seal: Callable[[bytes], bytes]) -> str:
    """Encrypt the request for the address. Raises Denied where it would be too long."""
    text = json.dumps({"oidc": asdict(request)}, separators=(",", ":"))
    sealed = seal(zlib.compress(text.encode())).decode()
    if len(sealed) > _LONGEST_SEALED:
        raise Denied(replace(request.back, state=""), "invalid_request", "state and the rest are too long")
    return sealed


def unseal(sealed: str, open: Callable[[bytes], bytes], now: float) -> SignInRequest:
    """Return the request that was sealed. Raises RequestRefused for what we did not seal, or more than SEALED_FOR
    seconds before `now`.
    """
    try:
        fields = json.loads(zlib.decompress(open(sealed.encode())))["oidc"]
        fields["back"] = Return(**fields["back"])
        fields |= {name: tuple(value) for name, value in fields.items() if isinstance(value, list)}
        request = SignInRequest(**fields)
    except (ValueError, KeyError, TypeError, zlib.error):
        raise RequestRefused("a sealed sign-in request that is not ours") from None
    if now - request.asked_at > SEALED_FOR:
        raise RequestRefused("a sealed sign-in request that is too old", public=TOO_OLD)
    return request


TOO_OLD = N_("This sign-in took too long. Please go back to the application and start again.")
