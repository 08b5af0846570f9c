"""The section `admin`, and the route that stands for the admin pages: policy judges them like any app."""

from pydantic import Field

from gateway.config.names import GroupName
from gateway.config.sections.base import Network, Section
from gateway.config.sections.policy import Policy
from gateway.config.sections.route import Route
from gateway.config.units import Duration


class Admin(Section):
    """Who may use the admin pages and their API. See docs/admin.md."""

    groups: tuple[GroupName, ...] = Field(
        ("admins",), min_length=1, description="members of any of these, with two factors, are administrators"
    )
    max_age: Duration = Field(
        900.0, ge=60, description="a second factor must have been proven within this time"
    )
    networks: tuple[Network, ...] = Field(
        (), description="where administrators and their API tokens come from; empty = anywhere"
    )


def admin_route(admin: Admin, prefix: str) -> Route:
    """Return the route that `policy.decide` is asked about. Its upstream is never called: the gateway answers by
    itself.
    """
    policy = Policy(require="two_factor", groups=admin.groups, max_age=admin.max_age, networks=admin.networks)
    return Route(name="admin", path=f"{prefix}/admin", upstream="http://localhost", policy=policy)
