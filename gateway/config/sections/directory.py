"""The section `directory`: where users live (our own database, a YAML file, or LDAP)."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, StringConstraints

from gateway.config.sections.base import Section, Words
from gateway.config.units import Duration

LdapUrl = Annotated[
    str,
    StringConstraints(pattern=r"^ldaps?://(\[[0-9a-fA-F:]+\]|[^\s/:\[\]]+)(:[0-9]{1,5})?/?$"),
    Words("`ldaps://host` or `ldap://host:389`"),
]


class DirectoryDatabase(Section):
    """Users are in `storage.url`; `auth-gateway user` changes them."""

    kind: Literal["database"] = Field("database", description="our own database")


class DirectoryFile(Section):
    """Users are in a YAML file that is read again when it changes. See docs/directories.md."""

    kind: Literal["file"] = Field(description="a YAML file")
    path: Path = Field(description="the file; keep it readable for the gateway only")


class LdapAttributes(Section):
    """Which attributes of an entry hold what."""

    username: str = Field("uid", description="Active Directory: sAMAccountName")
    name: str = Field("cn", description="the full name")
    email: str = Field("mail", description="the mail address")
    phone: str = Field("mobile", description="the number for codes, in international form")
    groups: str = Field("memberOf", description="DNs of the groups, whose first value is the group's name")
    more: dict[str, str] = Field(
        default_factory=dict,
        description="attributes for rules and headers: name -> LDAP attribute, as `department: departmentNumber`",
    )


class DirectoryLdap(Section):
    """Users are in LDAP or Active Directory: found with a search, checked with a bind. Nothing is written there."""

    kind: Literal["ldap"] = Field(description="LDAP or Active Directory")
    urls: tuple[LdapUrl, ...] = Field(
        min_length=1, description="servers that hold the same: the first that answers"
    )
    starttls: bool = Field(False, description="switch an ldap:// connection to TLS before anything is sent")
    ca_file: Path | None = Field(None, description="PEM bundle to trust instead of the system's")
    bind_dn: str = Field(min_length=1, description="the account that searches")
    bind_password: SecretStr = Field(description="its password")
    base_dn: str = Field(min_length=1, description="where users are searched")
    user_filter: str = Field(
        "(&(objectClass=person)(uid={username}))", description="finds one user; the name is escaped"
    )
    attributes: LdapAttributes = Field(LdapAttributes(), description="which attribute holds what")
    group_base_dn: str | None = Field(None, description="search groups here instead of reading memberOf")
    group_filter: str = Field("(member={dn})", description="finds the groups of a user; the DN is escaped")
    nested_groups: Literal["none", "search", "matching_rule"] = Field(
        "none",
        description="groups that are members of groups: `search` asks again with `group_filter`, `matching_rule` has"
        " Active Directory follow them",
    )
    timeout: Duration = Field(5.0, description="one connection or one answer")
    connections: int = Field(4, ge=1, le=64, description="questions at once from one worker")


Directory = Annotated[DirectoryDatabase | DirectoryFile | DirectoryLdap, Field(discriminator="kind")]
