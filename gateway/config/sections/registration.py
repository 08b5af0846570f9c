"""Whether people may make accounts of their own, who may, and what such an account has."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from gateway.config.names import GroupName, mail_domain
from gateway.config.sections.base import Section, Words
from gateway.config.units import Duration


def _domains(text: str) -> str:
    below = text.startswith("*.")
    if not (name := mail_domain(text.removeprefix("*.").removeprefix("@"))):
        raise ValueError("is not a domain such as `example.com` or `*.example.com`")
    return f"*.{name}" if below else name


MailDomains = Annotated[
    str,
    AfterValidator(_domains),
    Words("a domain such as `example.com`, or `*.example.com` for those below it"),
]


class RegistrationSection(Section):
    """Accounts that people make themselves (docs/registration.md)."""

    mode: Literal["closed", "open", "approval"] = Field(
        "closed",
        description="`open`: who proves a mailbox gets an account; `approval`: once an administrator agrees",
    )
    domains: tuple[MailDomains, ...] = Field(
        (),
        description="mail domains from which people may register, `*.example.com` for those below; empty = all",
    )
    groups: tuple[GroupName, ...] = Field((), description="groups of new users")
    phone: Literal["required", "none"] = Field(
        "required",
        description="`required`: there is no account before a code to a phone number has come back",
    )
    approvers: tuple[GroupName, ...] = Field(
        (), description="groups of administrators who are mailed about requests; empty = `admin.groups`"
    )
    lifetime: Duration = Field(1800.0, description="for how long a link is good, 5m to 24h")

    @property
    def enabled(self) -> bool:
        return self.mode != "closed"

    def takes(self, domain: str) -> bool:
        """Tell whether mail addresses of a domain, in the spelling of `mail_domain`, may register."""
        below = (one[1:] for one in self.domains if one.startswith("*."))
        return not self.domains or domain in self.domains or any(map(domain.endswith, below))
