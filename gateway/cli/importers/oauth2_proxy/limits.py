"""Who may pass oauth2-proxy, in our words; what can't be said stops the import.

There somebody passes whose address is in the list or in one of the domains, and who is in one of the allowed groups
and whatever else the provider asks. Users of the htpasswd file have no address and need none.
"""

from dataclasses import dataclass

from gateway.cli.importers.findings import (
    ONLY_GROUP_STANDS_IN,
    Found,
    LeftOut,
    Values,
    as_list,
    username,
    users_of,
)
from gateway.cli.importers.oauth2_proxy.options import Options

_OF_PROVIDERS = (
    *("github_org", "github_team", "github_repo", "github_user", "github_users"),
    *("gitlab_group", "gitlab_groups", "gitlab_project", "gitlab_projects"),
    *("google_group", "google_groups", "allowed_role", "allowed_roles", "keycloak_group", "keycloak_groups"),
    *("bitbucket_team", "bitbucket_repository", "azure_tenant", "entra_id_allowed_tenant"),
    *("entra_id_allowed_tenants", "allowed_email_domains", "allowed_emails"),
)
WHO_MAY_PASS = frozenset({*_OF_PROVIDERS, "allowed_groups", "authenticated_emails_file", "email_domains"})


@dataclass(frozen=True, slots=True)
class Limits:
    """Who may sign in, in our words. `policy` is ours; `listed` are the usernames that the list of addresses and the
    htpasswd file name, None if nothing names any.
    """

    policy: Values
    left_out: tuple[LeftOut, ...]
    stops: tuple[LeftOut, ...]
    listed: frozenset[str] | None


def limits_of(options: Options, people: Found, *, emails: bool, only_group: str) -> Limits:
    """Translate who may sign in: to a policy, and to what has no equal here and so stops the import or is left out."""
    policy: Values = {"require": "two_factor"}
    listed = frozenset(user.username for user in users_of(people)) if emails else None
    if listed is not None:
        policy["users"] = sorted(listed)
    if groups := list(map(str, as_list(options.get("allowed_groups")))):
        policy["groups"] = groups
    unsaid = _unsaid(options, emails=emails)
    if not only_group:
        return Limits(
            policy=policy, left_out=_domains_beside_list(options, emails), stops=tuple(unsaid), listed=listed
        )
    policy["groups"] = [only_group]
    told = [LeftOut(one.where, f"put those who may pass into group `{only_group}`") for one in unsaid]
    if groups:
        told.append(LeftOut("allowed_groups", f"group `{only_group}` stands for these too"))
    return Limits(
        policy=policy, left_out=(*_domains_beside_list(options, emails), *told), stops=(), listed=listed
    )


def _unsaid(options: Options, *, emails: bool) -> list[LeftOut]:
    found = [LeftOut(key, ONLY_GROUP_STANDS_IN) for key in _OF_PROVIDERS if options.get(key)]
    if options.get("authenticated_emails_file") and not emails:
        found.append(
            LeftOut("authenticated_emails_file", "give the file with --emails: it says who may pass")
        )
    elif _domains(options) and not emails:
        found.append(LeftOut("email_domains", ONLY_GROUP_STANDS_IN))
    return found


def _domains_beside_list(options: Options, emails: bool) -> tuple[LeftOut, ...]:
    if not emails or not _domains(options):
        return ()
    return (LeftOut("email_domains", "only those on the list of addresses may pass; users must be named"),)


def _domains(options: Options) -> list[str]:
    domains = list(map(str, as_list(options.get("email_domains"))))
    return [] if "*" in domains else domains


def passes_limits(options: Options, name: str, email: str, groups: tuple[str, ...]) -> bool:
    """As oauth2-proxy judges an account of its provider, but for what only the provider knows."""
    allowed = set(map(str, as_list(options.get("allowed_groups"))))
    if allowed and not allowed & set(groups):
        return False
    domains = _domains(options)
    address = email or username(name)
    return not domains or address.rpartition("@")[2].lower() in {one.lstrip(".").lower() for one in domains}
