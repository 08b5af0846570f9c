"""Countries by their ISO 3166-1 codes: which exist, which rules ask about them, and what those rules need."""

from collections.abc import Iterator

import phonenumbers

from gateway.config.checks.finding import Finding
from gateway.config.schema import Config
from gateway.config.sections.policy import Policy
from gateway.config.yaml_document import KeyPath

_WITHOUT_TELEPHONE = frozenset({"AQ", "BV", "GS", "HM", "PN", "TF", "UM"})
_SLIPS = {"UK": "GB", "EN": "GB", "EL": "GR"}


def telephone_country(path: KeyPath, code: str) -> Iterator[Finding]:
    """Find a country that no telephone number can be of (ISO 3166-1 alpha-2)."""
    if code not in phonenumbers.SUPPORTED_REGIONS:
        near = _SLIPS.get(code)
        mend = f"did you mean `{near}`?" if near else "ISO 3166 codes, such as `DE`, `US`, `GB`"
        yield Finding(path, f"there is no country `{code}`", mend)


def countries_of(base: KeyPath, policy: Policy, config: Config) -> Iterator[Finding]:
    """Find mistakes in the `countries` of one policy, which stands at `base`."""
    place = (*base, "countries")
    if not policy.countries:
        return
    for number, entry in enumerate(policy.countries):
        if entry.removeprefix("!") not in _WITHOUT_TELEPHONE:
            yield from telephone_country((*place, number), entry.removeprefix("!"))
    if len({entry.startswith("!") for entry in policy.countries}) > 1:
        mend = "list the countries that match, or with `!` those that don't"
        yield Finding(place, "has entries with `!` and without, so some have no effect", mend)
    if config.risk.geoip_file is None:
        mend = "name a MaxMind DB with countries (.mmdb) there"
        yield Finding(place, "needs `risk.geoip_file`: without it every country is unknown", mend)


def policies_of_clients(config: Config) -> Iterator[tuple[KeyPath, Policy]]:
    for number, client in enumerate(config.oidc.clients):
        yield ("oidc", "clients", number, "policy"), client.policy
    yield ("oidc", "self_registration", "policy"), config.oidc.self_registration.policy


def asks_countries(config: Config) -> bool:
    """Whether any rule wants to know where callers are."""
    of_routes = [rule for route in config.routes for rule in route.access]
    of_clients = [policy for _, policy in policies_of_clients(config)]
    return any(policy.countries for policy in (*config.rules, *of_routes, *of_clients))
