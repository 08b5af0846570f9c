"""Puts the SCIM service together: which paths it answers."""

from gateway.admin.services import AdminServices
from gateway.admin.users import UserChanges
from gateway.portal.request import Views
from gateway.scim.endpoint import ScimEndpoint
from gateway.scim.groups import ScimGroups
from gateway.scim.user_facts import UserFacts
from gateway.scim.users import ScimUsers
from gateway.stores.protocols.scim import ProvisionedNames


def scim_views(admin: AdminServices, names: ProvisionedNames) -> Views:
    """Views by path, below the gateway's prefix."""
    services, section, admins = admin.services, admin.config.scim, admin.config.admin.groups
    base = f"{services.pages_url}/scim/v2"
    facts = UserFacts(attributes=section.attributes, country=admin.config.sms.default_country, base=base)
    users = ScimUsers(
        people=UserChanges(admin),
        directory=services.users.directory,
        names=names,
        facts=facts,
        clock=services.clock,
        admins=admins,
        invite=section.invite,
    )
    groups = ScimGroups(users=users, names=names, clock=services.clock, admins=admins, base=base)
    endpoint = ScimEndpoint(
        credentials=admin.credentials,
        users=users,
        groups=groups,
        base=base,
        path=f"{services.prefix}/scim/v2",
        networks=section.networks,
    )
    methods = ("GET", "POST", "PUT", "PATCH", "DELETE")
    return {"/scim/*": dict.fromkeys(methods, endpoint.handle)}
