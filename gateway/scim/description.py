"""What the service says of itself (RFC 7644 §4): what it can do, its resources and their attributes."""

from collections.abc import Sequence
from typing import Any

from scim2_models import (
    AuthenticationScheme,
    Bulk,
    ChangePassword,
    ETag,
    Filter,
    Meta,
    Pagination,
    Patch,
    ResourceType,
    ServiceProviderConfig,
    Sort,
)

from gateway.scim.models import EnterpriseUser, Group, OwnUser, ScimUser

PAGE = 200
"""Resources in one answer, at most."""


def service_config(base: str) -> Any:
    """Return the ServiceProviderConfig (RFC 7643 §5). `base` is the URL of the service."""
    token = AuthenticationScheme(
        type="oauthbearertoken",
        name="API token",
        description="made by `auth-gateway token add NAME --scope scim`",
        primary=True,
    )
    return ServiceProviderConfig(
        patch=Patch(supported=True),
        bulk=Bulk(supported=False, max_operations=0, max_payload_size=0),
        filter=Filter(supported=True, max_results=PAGE),
        change_password=ChangePassword(supported=False),
        sort=Sort(supported=False),
        etag=ETag(supported=False),
        pagination=Pagination(cursor=False, index=True, default_page_size=PAGE, max_page_size=PAGE),
        authentication_schemes=[token],
        meta=Meta(resource_type="ServiceProviderConfig", location=f"{base}/ServiceProviderConfig"),
    )


def resource_types(base: str) -> Sequence[Any]:
    """Return the kinds of resources (RFC 7643 §6)."""
    users: Any = ResourceType.from_resource(ScimUser)
    users.id, users.name, users.endpoint = "User", "User", "/Users"
    found = [users, ResourceType.from_resource(Group)]
    for one in found:
        one.meta = Meta(resource_type="ResourceType", location=f"{base}/ResourceTypes/{one.id}")
    return found


def schemas(base: str) -> Sequence[Any]:
    """Return the attributes that count (RFC 7643 §7)."""
    found = [model.to_schema() for model in (OwnUser, EnterpriseUser, Group)]
    found[0].name = "User"
    for one in found:
        one.meta = Meta(resource_type="Schema", location=f"{base}/Schemas/{one.id}")
    return found
