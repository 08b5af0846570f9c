"""Puts the account page together and says which other pages of ours it leads to."""

from functools import partial

from gateway.config.schema import Config
from gateway.i18n.text import N_
from gateway.model import Principal
from gateway.portal.account.change_notices import AccountNews
from gateway.portal.account.change_password import PasswordChange
from gateway.portal.account.enrolment import FactorEnrolment
from gateway.portal.account.factors import AccountFactors
from gateway.portal.account.sessions import AccountSessions
from gateway.portal.account.views import AccountViews
from gateway.portal.request import Views
from gateway.portal.services import Services


def doors(config: Config, principal: Principal) -> list[tuple[str, str]]:
    """Words and path below the prefix. Groups that were lent open neither of these."""
    own = set(principal.user.groups)
    found: list[tuple[str, str]] = []
    if own.intersection(config.admin.groups):
        found.append((N_("Administration"), "/admin"))
    if any(own.intersection(offered.approvers) for offered in config.access_requests):
        found.append((N_("Access requests"), "/approvals"))
    if config.user_tokens.enabled:
        found.append((N_("Access tokens"), "/tokens"))
    return found


def account_pages(services: Services, enrolment: FactorEnrolment, news: AccountNews) -> Views:
    """Pages by path, below the prefix."""
    places = AccountSessions(
        layer=services.sessions,
        records=services.stores.records,
        devices=services.authn.devices,
        audit=services.audit,
        geo=services.authn.geo,
    )
    password = (
        PasswordChange(
            directory=services.users.writable,
            layer=services.sessions,
            sessions=places,
            passwords=services.users.passwords,
            news=news,
        )
        if services.users.writable is not None
        else None
    )
    views = AccountViews(
        account=AccountFactors(
            factors=services.authn.factors,
            enrolment=enrolment,
            sessions=services.sessions,
            directory=services.users.directory,
            writable=services.users.writable,
            news=news,
        ),
        places=places,
        passwords=password,
        activity=services.stores.audit_log,
        asks=services.authn.factors.approval.asks,
        sessions=services.sessions,
        pages=services.pages,
        doors=partial(doors, services.config),
        prefix=services.prefix,
    )
    return {"/account": {"GET": views.page, "POST": views.submit}}
