"""The error tree. Each error carries what the caller needs; one middleware turns them into pages.

GatewayError
├── RequestRefused          the request itself is at fault (400, 404, 413, 431 ...)
│   ├── TooManyAttempts     a budget is spent (429, with retry_after)
│   └── SessionEnded        it was ended by somebody while its user went on (403)
├── ClientGone              nobody is left to answer (499, for the log only)
├── UpstreamError           the app behind us failed
│   ├── UpstreamUnreachable (502)
│   └── UpstreamTimeout     (504)
├── SendFailed              a sender could not deliver a code
├── StoreUnavailable        database or Redis is away (503)
├── SchemaTooNew            the database belongs to a newer gateway (no request meets it)
├── Overloaded              more password checks wait than can be done soon (503)
├── UserExists, UserUnknown the directory's answers to commands
├── InvalidUser             a username, group, phone number or address that can't be
├── WeakPassword            with the sentence that tells the user what to change
└── ConfigError             every mistake of a configuration at once
"""

from dataclasses import dataclass
from pathlib import Path

from gateway.i18n.text import N_


class GatewayError(Exception):
    """Root of all errors that the gateway raises on purpose.

    `status` is the HTTP status of the page, `public` the sentence that a user may read,
    `detail` what the operator reads in the log.
    """

    status = 500
    public: str = N_("Something went wrong on our side.")

    def __init__(self, detail: str = "", *, public: str | None = None, status: int | None = None) -> None:
        super().__init__(detail or str(self.public))
        self.detail = detail or self.public
        if public is not None:
            self.public = public
        if status is not None:
            self.status = status


class RequestRefused(GatewayError):
    """The request itself is at fault; `status` says in which way."""

    status = 400
    public: str = N_("The request could not be understood.")


class TooManyAttempts(RequestRefused):
    """A budget is spent. `retry_after` is in whole seconds, for Retry-After (RFC 9110 §10.2.3)."""

    status = 429
    public: str = N_("Too many attempts. Please wait and try again.")

    def __init__(self, detail: str = "", *, retry_after: int, public: str | None = None) -> None:
        super().__init__(detail, public=public)
        self.retry_after = max(1, retry_after)


class SessionEnded(RequestRefused):
    """Somebody ended the session while a request of it was under way."""

    status = 403
    public: str = N_("Your session has ended. Please sign in again.")


class ClientGone(GatewayError):
    """The client closed its connection before it had its answer. There is nobody to send a page to."""

    status = 499
    public = "The client went away."


class UpstreamError(GatewayError):
    """The app behind us failed, or what it answered was not HTTP."""

    status = 502
    public: str = N_("The application behind this page did not answer.")


class UpstreamUnreachable(UpstreamError):
    """No connection to the app, or one that broke before there was an answer."""


class UpstreamTimeout(UpstreamError):
    """The app took longer than the route's `timeouts` allow."""

    status = 504
    public: str = N_("The application behind this page took too long to answer.")

    @classmethod
    def after(cls, url: str, seconds: float) -> "UpstreamTimeout":
        """Make the error for an app at `url` that has not answered within `seconds`."""
        return cls(f"{url}: no response in {seconds:g} s")


class SendFailed(GatewayError):
    """A code could not be delivered.

    `code` is the provider's error code ("21608") or ours ("timeout", "connect", "budget"); `mend` tells the operator
    what to do; `retryable` says whether the same request may succeed later; `outage` whether nobody gets codes while
    it lasts (as `retryable`, unless given); `next_channel` and `next_number` whether another channel, or the user's
    other number, may do; `instead` is that number, masked, if codes may go there.
    """

    status = 503
    public: str = N_("We could not send your code right now.")

    def __init__(
        self,
        detail: str,
        *,
        code: str = "",
        mend: str = "",
        retryable: bool = False,
        public: str | None = None,
        outage: bool | None = None,
        next_channel: bool = False,
        next_number: bool = True,
    ) -> None:
        super().__init__(detail, public=public)
        self.code = code
        self.mend = mend
        self.retryable = retryable
        self.outage = retryable if outage is None else outage
        self.next_channel, self.next_number = next_channel, next_number
        self.instead = ""


class StoreUnavailable(GatewayError):
    """The database or Redis does not answer, so nobody can be let in for now."""

    status = 503
    public: str = N_("Sign-in is unavailable for a moment. Please try again shortly.")


class StoreBusy(StoreUnavailable):
    """More callers than connections, for too long: this caller is not served, and the server may be well."""


class SchemaTooNew(GatewayError):
    """The database was written by a newer gateway than this one. No request meets it: the gateway does not start."""


class Overloaded(GatewayError):
    """More password checks wait than can be done soon."""

    status = 503
    public: str = StoreUnavailable.public


class UserExists(GatewayError):
    """There is a user of this name already."""

    status = 409


class UserUnknown(GatewayError):
    """There is no user of this name."""

    status = 404


class InvalidUser(GatewayError):
    """A username, group, phone number or mail address that can't be one."""

    status = 422
    public: str = N_("Please check what you entered.")


class WeakPassword(GatewayError):
    """A password that is too easy to guess; `public` tells the user what to change."""

    status = 422


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake in a configuration: where it is, what is wrong, how to mend it. `line` starts at 1, 0 = unknown."""

    file: str
    line: int
    key: str
    problem: str
    mend: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        text = f"{where}: {self.key}: {self.problem}" if self.key else f"{where}: {self.problem}"
        return f"{text}\n    mend: {self.mend}" if self.mend else text


class ConfigError(GatewayError):
    """Every mistake of a configuration at once, in `mistakes`, so that the author mends them in one go.

    `sources` are the files that were read until then.
    """

    def __init__(self, mistakes: list[Mistake], *, sources: tuple[Path, ...] = ()) -> None:
        super().__init__("\n".join(map(str, mistakes)))
        self.mistakes = mistakes
        self.sources = sources
