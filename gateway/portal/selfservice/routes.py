"""The table of pages for people without a password: reset, invitation and registration, where the directory can be
changed.
"""

from collections.abc import Mapping

from gateway.authn.federation.accounts import named_users
from gateway.authn.invitations import Invitations
from gateway.authn.password_reset import Resets
from gateway.authn.registration import SelfRegistration
from gateway.authn.registration_letters import Letters
from gateway.authn.registration_phone import RegistrationPhones
from gateway.directory.base import WritableDirectory
from gateway.portal.forms import VisitorForms
from gateway.portal.request import View, Views
from gateway.portal.selfservice.invitation_views import InviteViews
from gateway.portal.selfservice.password_reset_views import ResetViews
from gateway.portal.selfservice.registration_views import PortalPlace, RegistrationViews
from gateway.portal.services import Services
from gateway.session.cookie import AuxiliaryCookie


def self_service(services: Services) -> Views:
    """Pages by path, below the prefix."""
    directory, pages, prefix = services.users.writable, services.pages, services.prefix
    if directory is None:
        return {}
    base = services.pages_url
    forms = VisitorForms(services.sessions, pages)
    invitations = Invitations(directory, services.stores.ledger, services.clock, base=base)
    invite = InviteViews(
        invitations=invitations,
        forms=forms,
        sessions=services.sessions,
        limits=services.limits,
        audit=services.audit,
        pages=pages,
        prefix=prefix,
    )
    views: dict[str, Mapping[str, View]] = {"/invite": {"GET": invite.page, "POST": invite.submit}}
    if services.config.passwords.reset_by_mail:
        resets = Resets(
            directory=directory,
            signin=services.authn.signin,
            sessions=services.stores.records,
            ledger=services.stores.ledger,
            limits=services.limits,
            passwords=services.users.passwords,
            audit=services.audit,
            notices=services.messaging.notices,
            clock=services.clock,
            base=base,
        )
        reset = ResetViews(resets, forms, pages, prefix=prefix)
        views["/reset"] = {"GET": reset.page, "POST": reset.submit}
    if services.config.registration.enabled:
        views["/register"] = _registration(services, directory)
    return views


def _registration(services: Services, directory: WritableDirectory) -> Mapping[str, View]:
    config, ring, ledger = services.config, services.ring, services.stores.ledger
    section = config.registration
    registration = SelfRegistration(
        config=section,
        directory=directory,
        store=services.stores.registrations,
        ledger=ledger,
        limits=services.limits,
        fingerprint=services.users.passwords.fingerprint,
        audit=services.audit,
        letters=Letters(
            notices=services.messaging.notices,
            directory=directory,
            limits=services.limits,
            base=services.pages_url,
            approvers=section.approvers or config.admin.groups,
            can_reset=config.passwords.reset_by_mail,
        ),
        clock=services.clock,
        reserved=named_users(config),
    )
    phones = RegistrationPhones(
        services.authn.factors.prove_phone,
        ledger,
        seal=ring.seal,
        open=ring.open,
        country=config.sms.default_country,
        lifetime=section.lifetime,
    )
    views = RegistrationViews(
        registration=registration,
        phones=phones if section.phone == "required" else None,
        sessions=services.sessions,
        recovery=services.authn.factors.recovery,
        pages=services.pages,
        tokens=services.authn.form_tokens,
        routes=services.routes,
        audit=services.audit,
        cookie=AuxiliaryCookie.of(config, "register", shared=True),
        place=PortalPlace(
            home=services.home,
            base=services.pages_url,
            prefix=services.prefix,
            shared=config.session.domain is not None,
        ),
    )
    return {"GET": views.page, "POST": views.submit}
