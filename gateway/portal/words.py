"""What several pages tell people in the same words."""

from gateway.errors import TooManyAttempts

WRONG_PASSWORD = "Wrong username or password."  # noqa: S105
STALE_FORM = "This page had been open for too long. Please try again."
NO_COOKIE = "Your browser did not send our cookie back. Please allow cookies for this site and try again."

REQUEST_ACCESS = "Request access"
ANOTHER_ACCOUNT = "Use another account"

FACTOR_LABELS = {
    "sms": "Text message",
    "email": "E-mail",
    "totp": "Authenticator app",
    "webauthn": "Security key or passkey",
    "recovery": "Recovery code",
}


def too_many(limit: TooManyAttempts) -> str:
    wait = limit.retry_after
    span = f"{wait} seconds" if wait < 100 else f"{round(wait / 60)} minutes"
    return f"Too many attempts. Please wait {span} and try again."
