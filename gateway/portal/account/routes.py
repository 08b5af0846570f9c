"""Puts the account page together from the gateway's services."""

from functools import partial

from gateway.portal.account.change_notices import AccountNews
from gateway.portal.account.change_password import PasswordChange
from gateway.portal.account.enrolment import FactorEnrolment
from gateway.portal.account.factors import AccountFactors
from gateway.portal.account.links import doors
from gateway.portal.account.sessions import AccountSessions
from gateway.portal.account.views import AccountViews
from gateway.portal.request import Views
from gateway.portal.services import Services


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
