"""Sign-in sessions and their cookie, and what is kept for those whose session has ended."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints

from gateway.config.sections.base import Section, Words
from gateway.config.units import Duration, KeptSize

CookieName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_]+$"), Words("a name of letters, digits and underscores")
]


class Session(Section):
    """Sign-in sessions: their cookie, how long they last, and what is kept for those that ended."""

    cookie_name: CookieName = Field("auth_session", description="__Host- is put before it on https")
    domain: str | None = Field(None, description="share the session with all hosts below this domain")
    keys_file: Path = Field(
        Path("var/session.keys"), description="key ring; made at the very first start alone, mode 0600"
    )
    idle_timeout: Duration = Field(3600.0, description="unused sessions end after this")
    absolute_timeout: Duration = Field(12 * 3600.0, description="every session ends after this")
    remember_device: Duration = Field(
        30 * 86400.0, description="how long a remembered device skips the second factor; 0s = never"
    )
    keep_posts: KeptSize = Field(
        256 * 1024,
        description="largest form that is kept (encrypted, 10 minutes) when its session has ended, to be sent after "
        "signing in again; 0 = none (docs/re-login.md)",
    )
