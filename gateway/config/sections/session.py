"""Sign-in sessions and their cookie, and what is kept for those whose session has ended."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from gateway.config.sections.base import Section, Words
from gateway.config.units import Duration, KeptSize
from gateway.model import SessionLifetimes

CookieName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_]+$"), Words("a name of letters, digits and underscores")
]


Prefix4 = Annotated[
    str,
    StringConstraints(pattern=r"^/([0-9]|[12][0-9]|3[0-2])$"),
    Words("a prefix such as `/24`, up to `/32`"),
]
Prefix6 = Annotated[
    str,
    StringConstraints(pattern=r"^/([0-9]|[1-9][0-9]|1[01][0-9]|12[0-8])$"),
    Words("a prefix such as `/48`, up to `/128`"),
]


class Bind(Section):
    """What a session is bound to: a cookie that is used elsewhere is refused there (docs/session-binding.md)."""

    network: Prefix4 | None = Field(
        None, description="the network of the last proof, by this prefix of IPv4 addresses, such as `/24`"
    )
    network6: Prefix6 = Field("/48", description="the same for IPv6; counts only with `network`")
    country: bool = Field(False, description="the country of the last proof, by `risk.geoip_file`")
    user_agent: Literal["major", "browser"] | None = Field(
        None, description="the kind of browser of the last proof, with its main version or without"
    )

    device: bool = Field(
        False,
        description="a key that the browser keeps, where it offers one (Device Bound Session Credentials: Chrome 145)",
    )
    device_refresh: Duration = Field(
        300.0, description="for how long a proof with that key is good, 3m to 1h; counts only with `device`"
    )

    def __bool__(self) -> bool:
        """Whether sessions are bound to where they were proven."""
        return bool(self.network or self.country or self.user_agent)


class SignOut(Section):
    """Where a browser goes after signing out."""

    url: str = Field(
        "",
        description="where to, if the link to `/_auth/logout` does not say (`rd`); default: a page of ours",
    )
    allowed: tuple[str, ...] = Field(
        (),
        description="origins beside the hosts of routes that `rd` may lead to, such as `https://example.com`",
    )


class Session(Section):
    """Sign-in sessions: their cookie, how long they last, and what is kept for those that ended."""

    cookie_name: CookieName = Field("auth_session", description="__Host- is put before it on https")
    same_site: Literal["lax", "none"] = Field(
        "lax",
        description="`none` also sends our cookies to apps in frames of other sites, over https alone: keeping "
        "foreign forms out is then up to your apps (docs/re-login.md)",
    )
    domain: str | None = Field(None, description="share the session with all hosts below this domain")
    keys_file: Path = Field(
        Path("var/session.keys"), description="key ring; made at the very first start alone, mode 0600"
    )
    idle_timeout: Duration = Field(3600.0, description="unused sessions end after this")
    absolute_timeout: Duration = Field(12 * 3600.0, description="every session ends after this")
    keep_signed_in: Duration = Field(
        0.0,
        description="how long a session lasts, used or not, whose user ticks “Keep me signed in”, such as 30d; 0s = "
        "nobody is asked (docs/re-login.md)",
    )
    remember_device: Duration = Field(
        30 * 86400.0, description="how long a remembered device skips the second factor; 0s = never"
    )
    sign_out: SignOut = Field(SignOut(), description="where a browser goes after signing out")
    bind: Bind = Field(Bind(), description="what a session is bound to; default: nothing")
    keep_posts: KeptSize = Field(
        256 * 1024,
        description="largest form that is kept (encrypted, 10 minutes) when its session has ended, to be sent after "
        "signing in again; 0 = none (docs/re-login.md)",
    )

    @property
    def lifetimes(self) -> SessionLifetimes:
        """How long sessions last."""
        return SessionLifetimes(self.idle_timeout, self.absolute_timeout, self.keep_signed_in)
