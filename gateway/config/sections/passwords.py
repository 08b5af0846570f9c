"""Rules for passwords that are set, and the cost of checking them (docs/passwords.md)."""

from pathlib import Path

from pydantic import Field

from gateway.config.sections.base import Section, Url
from gateway.config.units import Duration, Size


class Breached(Section):
    """Passwords that were seen in breaches are refused where they are set. Both may be asked."""

    api: bool = Field(
        False,
        description="ask Have I Been Pwned; it gets the first five of forty digits of a hash, nothing more",
    )
    url: Url = Field(
        "https://api.pwnedpasswords.com", description="its address, or that of a mirror of yours"
    )
    timeout: Duration = Field(
        3.0, description="longest wait for it; then the password is taken, with a log line"
    )
    file: Path | None = Field(
        None,
        description="the same offline: one sorted file of `SHA1:count`, or a folder with one file for each range",
    )


class PasswordRules(Section):
    """Which passwords are accepted, and what it costs to guess one."""

    min_length: int = Field(8, ge=8, description="characters (NIST SP 800-63B-4 §3.1.1.2)")
    max_length: int = Field(256, ge=64, description="characters; longer ones are refused, never cut")
    min_guesses: float = Field(
        7.5,
        ge=0,
        le=20,
        description="how many guesses a password must stand by zxcvbn's estimate, as a power of ten; 0 = any",
    )
    words: tuple[str, ...] = Field(
        (),
        description="words that are no password with a number, beside user, host and product, such as your company",
    )
    breached: Breached = Field(Breached(), description="passwords that were seen in breaches")
    argon2_memory: Size = Field(
        19 * 1024 * 1024, description="Argon2id memory (OWASP: 19 MiB, 2 passes, 1 lane)"
    )
    argon2_passes: int = Field(2, ge=1, description="Argon2id passes over that memory")
    by_email: bool = Field(
        False,
        description="take the mail address for the username at the sign-in page, where one user alone has it",
    )
    reset_by_mail: bool = Field(
        True, description="let users set a new password by a mailed link and their second factor"
    )
    concurrency: int = Field(2, ge=1, description="hashes at once in one worker; the rest wait their turn")
    queue: int = Field(
        100, ge=1, description="checks that may wait so in one worker; what comes then gets 503"
    )
