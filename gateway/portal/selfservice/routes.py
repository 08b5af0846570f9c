"""The table of pages for people without a password: reset and invitation, where the directory can be changed."""

from collections.abc import Mapping

from gateway.authn.invitations import Invitations
from gateway.authn.password_reset import Resets
from gateway.portal.forms import VisitorForms
from gateway.portal.request import View, Views
from gateway.portal.selfservice.invitation_views import InviteViews
from gateway.portal.selfservice.password_reset_views import ResetViews
from gateway.portal.services import Services


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
    return views
