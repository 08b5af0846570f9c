"""The errors that an app is told: codes of RFC 6749 §4.1.2.1, §5.2 and their extensions."""

from gateway.errors import GatewayError


class OAuthError(GatewayError):
    """An error that an app is told.

    `code` is for programs; `detail` is for the app's developer, so it never holds a secret or a name of a user.
    `challenge` goes into WWW-Authenticate (RFC 6750 §3).
    """

    status = 400

    def __init__(self, code: str, detail: str = "", *, status: int = 400, challenge: str = "") -> None:
        super().__init__(detail or code, status=status)
        self.code, self.challenge = code, challenge


class UnknownApp(GatewayError):
    """The client or its redirect_uri is not registered: the browser must not be sent anywhere (RFC 6749 §4.1.2.1)."""

    status = 400
    public = (
        "The application asked for a sign-in in a way that we don’t accept. Please tell its administrator."
    )
