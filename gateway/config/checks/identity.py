"""Checks of access requests, identity providers and the origins of security keys."""

from collections import Counter
from collections.abc import Iterator
from urllib.parse import urlsplit

from gateway.config import addresses
from gateway.config.checks.finding import Check, Finding
from gateway.config.names import is_attribute_name
from gateway.config.public_suffixes import is_public_suffix
from gateway.config.schema import Config, DirectoryDatabase, DirectoryLdap, GithubProvider, OidcProvider

_OURS = frozenset(
    {
        *("response_type", "response_mode", "client_id", "redirect_uri", "scope", "state", "nonce"),
        *("code_challenge", "code_challenge_method", "request", "request_uri"),
    }
)
NO_ATTRIBUTE = "is no name of an attribute"
NAMED_SO = "up to 40 lower-case letters, digits, `_` and `-`; not what every user has, as `groups` or `email`"


def access_requests(config: Config) -> Iterator[Finding]:
    """Find groups on offer that nobody could grant, that are offered twice, or that no rule asks for."""
    asked_for = {group for route in config.routes for rule in route.access for group in rule.groups}
    counts = Counter(one.group for one in config.access_requests)
    for number, one in enumerate(config.access_requests):
        place = ("access_requests", number)
        if not one.approvers:
            yield Finding((*place, "approvers"), "names nobody, so nobody could decide", "name a group")
        if counts[one.group] > 1:
            yield Finding((*place, "group"), f"`{one.group}` is offered twice", "keep one of them")
        if one.group not in asked_for:
            problem = f"no rule asks for the group `{one.group}`, so the button is never shown"
            yield Finding((*place, "group"), problem, "name a group that a rule names", warning=True)


def identity_providers(config: Config) -> Iterator[Finding]:
    """Find providers that would let in strangers, or that could let in nobody."""
    counts = Counter(one.name for one in config.identity_providers)
    for number, one in enumerate(config.identity_providers):
        place = ("identity_providers", number)
        if counts[one.name] > 1:
            yield Finding(
                (*place, "name"), f"`{one.name}` is given twice", "give each provider a name of its own"
            )
        if one.create and not one.domains:
            yield Finding(
                (*place, "create"), "would let anybody in who has an account there", "name `domains`"
            )
        if one.match == "username" and not one.domains and _lets_choose_names(one):
            mend = "match by mail address, or name `domains`"
            if isinstance(one, OidcProvider):
                mend += ", or say `assigns_usernames: true` if nobody can choose a name there"
            yield Finding((*place, "match"), "would let in whoever takes a user's name there first", mend)
        for key in sorted(_OURS & set(one.authorize)):
            yield Finding((*place, "authorize", key), "is what the gateway itself says there", "remove it")
        if one.groups is not None and not (one.groups.map or one.groups.prefix):
            yield Finding((*place, "groups"), "takes no group", "name some in `map`, or give all a `prefix`")
        if one.create and not isinstance(config.directory, DirectoryDatabase):
            kind = config.directory.kind
            yield Finding((*place, "create"), f"users can't be added to the {kind} directory", "remove it")
        if isinstance(one, OidcProvider) and "openid" not in one.scopes:
            yield Finding((*place, "scopes"), "lacks `openid`, so there would be no ID token", "add `openid`")


def mapped_attributes(config: Config) -> Iterator[Finding]:
    """Find names under which no attribute of LDAP could be had."""
    if isinstance(config.directory, DirectoryLdap):
        for name in config.directory.attributes.more:
            if not is_attribute_name(name):
                yield Finding(("directory", "attributes", "more", name), NO_ATTRIBUTE, NAMED_SO)


def key_origins(config: Config) -> Iterator[Finding]:
    """Find domains and origins at which no security key could ever be used."""
    id = config.webauthn.rp_id
    if id and id != "localhost" and is_public_suffix(id):
        problem = f"anybody can have a name below `{id}`, and browsers refuse keys for it"
        yield Finding(("webauthn", "rp_id"), problem, "write your own name below it (publicsuffix.org)")
    for number, origin in enumerate(config.webauthn.origins):
        if addresses.origin(origin) is None and not origin.startswith("android:apk-key-hash:"):
            mend = "write scheme, host and port only, such as `https://app.example.com`"
            yield Finding(("webauthn", "origins", number), f"`{origin}` is not an origin", mend)


def _lets_choose_names(provider: GithubProvider | OidcProvider) -> bool:
    """Whether anybody may get an account there under any name that is free: deny where nobody says otherwise."""
    if isinstance(provider, OidcProvider):
        return not (provider.assigns_usernames or _is_tenant(provider))
    return urlsplit(provider.base_url).hostname == "github.com"


def _is_tenant(provider: OidcProvider) -> bool:
    """Whether it is Entra, and its accounts are those of named tenants, whose administrators give the names."""
    parts = urlsplit(provider.issuer)
    shared = parts.path.strip("/").partition("/")[0] in ("common", "organizations", "consumers")
    return parts.hostname == "login.microsoftonline.com" and (bool(provider.tenants) or not shared)


def key_models(config: Config) -> Iterator[Finding]:
    """Find lists of keys that would rest on what a key says of itself, and metadata that is not there."""
    place, section = ("webauthn", "attestation"), config.webauthn.attestation
    if section.required == "by_rules":
        if section.metadata_file is None:
            problem = "has no effect without `webauthn.attestation.metadata_file`"
            yield Finding((*place, "required"), problem, "name FIDO's blob.jwt there, or remove it")
        if section.allow:
            problem = "can't be had with `required: by_rules`, by which keys of any model may be added"
            yield Finding((*place, "allow"), problem, "write `key_models` in the rules that ask for them")
    if section.allow and section.metadata_file is None:
        problem = "needs `webauthn.attestation.metadata_file`: any key can call itself by this model"
        yield Finding((*place, "allow"), problem, "name FIDO's blob.jwt there")
    if (section.metadata_file is None) != (section.metadata_root_file is None):
        problem = "`metadata_file` and `metadata_root_file` go together"
        yield Finding(place, problem, "name both: the blob, and the root that it is signed under")
    for key in ("metadata_file", "metadata_root_file"):
        if (file := getattr(section, key)) is not None and not file.is_file():
            yield Finding((*place, key), f"there is no file {file}")


PEOPLE_CHECKS: tuple[tuple[frozenset[str], Check], ...] = (
    (frozenset({"access_requests", "routes", "rules"}), access_requests),
    (frozenset({"identity_providers", "directory"}), identity_providers),
    (frozenset({"directory"}), mapped_attributes),
    (frozenset({"webauthn"}), key_origins),
    (frozenset({"webauthn"}), key_models),
)
