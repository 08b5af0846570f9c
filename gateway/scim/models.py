"""The SCIM resources that are served here, with the attributes that count. Others are taken and dropped.

They are those of RFC 7643 but for what real programs send otherwise: mail addresses of domains that exist inside only
(`corp.local`), which the library takes for no address at all, and no `manager`, which comes in three shapes.
"""

from typing import Any

from scim2_models import (
    URN,
    ComplexAttribute,
    Context,
    Extension,
    Group,
    PatchOp,
    ScimPolicy,
)
from scim2_models import User as AnyUser
from scim2_models.resources.resource import AnyExtension

__all__ = ["POLICY", "Context", "EnterpriseUser", "Group", "OwnUser", "PatchGroup", "PatchUser", "ScimUser"]


class Email(ComplexAttribute):
    """A mail address (RFC 7643 §4.1.2), of any domain."""

    value: str | None = None
    display: str | None = None
    type: str | None = None
    primary: bool | None = None


class OwnUser(AnyUser[AnyExtension]):
    """A user (RFC 7643 §4.1)."""

    emails: list[Email] | None = None  # type: ignore[assignment]


class EnterpriseUser(Extension):
    """What companies say of a user (RFC 7643 §4.3)."""

    __schema__ = URN("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User")

    employee_number: str | None = None
    cost_center: str | None = None
    organization: str | None = None
    division: str | None = None
    department: str | None = None


ScimUser: Any = OwnUser[EnterpriseUser]
PatchUser: Any = PatchOp[ScimUser]
PatchGroup: Any = PatchOp[Group]
POLICY = ScimPolicy(
    unknown=ScimPolicy.Unknown.ignore,
    remove_value_as_filter=ScimPolicy.RemoveValue.apply,
    unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
)
"""What Microsoft Entra and Okta send otherwise than the RFCs say is understood as they mean it."""
