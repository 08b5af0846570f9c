"""Builds what the provider's views share: apps, keys, tokens, grants, and how users are called and described."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.oidc.claims import ClaimRules
from gateway.oidc.client_documents import ClientDocuments
from gateway.oidc.clients import Apps
from gateway.oidc.consents import Asking, texts_of
from gateway.oidc.grants import Issuing
from gateway.oidc.living_grants import LivingGrants
from gateway.oidc.protected_resources import ProtectedResources
from gateway.oidc.pushed_requests import PushedRequests
from gateway.oidc.registered_clients import RegisteredClients
from gateway.oidc.sector_identifiers import SectorIdentifiers
from gateway.oidc.signing_keys import SigningKeys, keys_path
from gateway.oidc.subjects import NamesForApps
from gateway.oidc.tokens import TokenSigner
from gateway.portal.services import Services
from gateway.stores.protocols.oidc import Consents, Grants, Logins, Subjects


@dataclass(frozen=True, slots=True)
class Core:
    """What the views share. `unlisted` are apps that the configuration does not name, None where there can be none."""

    resources: ProtectedResources
    unlisted: RegisteredClients | None
    apps: Apps
    keys: SigningKeys
    names: NamesForApps
    sectors: SectorIdentifiers
    rules: ClaimRules
    texts: Mapping[str, str]
    """What users read about scopes of the configuration."""
    tokens: TokenSigner
    living: LivingGrants
    issuing: Issuing
    asking: Asking
    pushed: PushedRequests
    grants: Grants
    consents: Consents
    logins: Logins


def build_core(
    services: Services, grants: Grants, consents: Consents, logins: Logins, subjects: Subjects
) -> Core:
    """Build it. Raises ConfigError."""
    settings = services.config.oidc
    names, rules = NamesForApps(subjects, by_name=settings.subject == "username"), ClaimRules(settings)
    resources = ProtectedResources(services.routes, services.public_url)
    sectors = SectorIdentifiers(services.stores.ledger)
    unlisted = _unlisted(services, resources, sectors) if settings.self_registration.enabled else None
    keys = SigningKeys(keys_path(services.config), services.clock, announce=settings.announce)
    tokens = TokenSigner(issuer=services.public_url, keys=keys, claims=rules, clock=services.clock)
    living = LivingGrants(
        directory=services.users.directory,
        sessions=services.stores.records,
        names=names,
        clock=services.clock,
        lifetimes=services.config.session.lifetimes,
        with_lent_groups=services.sessions.with_lent_groups,
    )
    issuing = Issuing(
        tokens=tokens,
        grants=grants,
        logins=logins,
        rules=rules,
        names=names,
        living=living,
        ledger=services.stores.ledger,
        sessions=services.stores.records,
        audit=services.audit,
        clock=services.clock,
    )
    return Core(
        resources=resources,
        unlisted=unlisted,
        apps=Apps(settings.clients, unlisted),
        keys=keys,
        names=names,
        sectors=sectors,
        rules=rules,
        texts=texts_of(settings.scopes),
        tokens=tokens,
        living=living,
        issuing=issuing,
        asking=Asking(consents, services.audit, services.clock),
        pushed=PushedRequests(services.stores.ledger, services.ring, services.clock),
        grants=grants,
        consents=consents,
        logins=logins,
    )


def _unlisted(
    services: Services, resources: ProtectedResources, sectors: SectorIdentifiers
) -> RegisteredClients:
    settings, ledger = services.config.oidc.self_registration, services.stores.ledger
    return RegisteredClients(
        settings=settings,
        ledger=ledger,
        documents=ClientDocuments(settings.document_hosts, ledger, services.limits),
        sectors=sectors,
        clock=services.clock,
        scopes=scopes_of_routes(services),
        resources=resources.scopes,
    )


def scopes_of_routes(services: Services) -> list[str]:
    """Return the scopes that routes ask for."""
    return [scope for route in services.config.routes if route.oauth for scope in route.oauth.scopes]
