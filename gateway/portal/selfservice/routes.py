"""The pages for people who have no password (any more): reset and invitation, where the directory can be changed."""

from collections.abc import Mapping

from gateway.authn.invitations import Invitations
from gateway.authn.password_reset import Resets
from gateway.portal.forms import VisitorForms
from gateway.portal.request import View, Views
from gateway.portal.selfservice.invitation_views import InviteViews
from gateway.portal.selfservice.password_reset_views import ResetViews
from gateway.portal.services import Services


def self_service(parts: Services) -> Views:
    """Pages by path, below the prefix."""
    directory, pages, prefix = parts.writable, parts.pages, parts.prefix
    if directory is None:
        return {}
    base = parts.public_url.rstrip("/") + prefix
    forms = VisitorForms(parts.sessions, pages)
    invitations = Invitations(directory, parts.ledger, parts.clock, base=base)
    invite = InviteViews(invitations, forms, parts.sessions, parts.limits, parts.audit, pages, prefix=prefix)
    views: dict[str, Mapping[str, View]] = {"/invite": {"GET": invite.page, "POST": invite.submit}}
    if parts.config.passwords.reset_by_mail:
        resets = Resets(
            directory,
            parts.signin,
            parts.records,
            parts.ledger,
            parts.limits,
            parts.passwords,
            parts.audit,
            parts.notices,
            parts.clock,
            base=base,
        )
        reset = ResetViews(resets, forms, pages, prefix=prefix)
        views["/reset"] = {"GET": reset.page, "POST": reset.submit}
    return views
