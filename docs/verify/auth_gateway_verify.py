"""Checks X-Auth-Assertion in a Python app, as WSGI or ASGI middleware. Needs `pip install "pyjwt[crypto]"`.

    verifier = Verifier("https://login.example.com", "app.example.com")
    application = wsgi(application, verifier)     # Flask, Django, Pyramid ...: environ["auth_gateway.user"]
    app = asgi(app, verifier)                     # FastAPI, Starlette ...: scope["auth_gateway.user"]

The audience is the app's own host as its users know it. Requests without a sound assertion get 401.
"""

import asyncio

import jwt

HEADER = "X-Auth-Assertion"
USER = "auth_gateway.user"


class Verifier:
    """Knows the gateway's keys, and asks for them again at most every five minutes or when an unknown one signs."""

    def __init__(self, issuer, audience, jwks_url=None):
        self.issuer, self.audience = issuer, audience
        self.keys = jwt.PyJWKClient(
            jwks_url or f"{issuer.rstrip('/')}/_auth/jwks.json", lifespan=300, timeout=5
        )

    def claims(self, assertion):
        """Return who the user is. Raises jwt.PyJWTError for anything but an assertion that is good here and now."""
        key = self.keys.get_signing_key_from_jwt(assertion)
        return jwt.decode(
            assertion,
            key,
            algorithms=["ES256"],  # never what the token itself says
            issuer=self.issuer,
            audience=self.audience,
            leeway=10,
            options={"require": ["exp", "iat", "iss", "aud", "sub"]},
        )


def wsgi(app, verifier):
    """Wrap a WSGI application."""

    def guarded(environ, start_response):
        try:
            environ[USER] = verifier.claims(environ.get("HTTP_X_AUTH_ASSERTION", ""))
        except jwt.PyJWTError:
            start_response("401 Unauthorized", [("Content-Type", "text/plain")])
            return [b"not signed in"]
        return app(environ, start_response)

    return guarded


def asgi(app, verifier):
    """Wrap an ASGI application; WebSockets are guarded as well."""

    async def guarded(scope, receive, send):
        if scope["type"] not in ("http", "websocket"):
            return await app(scope, receive, send)
        shown = [value for name, value in scope["headers"] if name.lower() == HEADER.lower().encode()]
        try:
            text = shown[0].decode("ascii", "replace") if len(shown) == 1 else ""
            user = await asyncio.to_thread(verifier.claims, text)  # it may have to ask for keys
        except jwt.PyJWTError:
            if scope["type"] == "websocket":
                return await send({"type": "websocket.close", "code": 1008})
            await send(
                {"type": "http.response.start", "status": 401, "headers": [(b"content-type", b"text/plain")]}
            )
            return await send({"type": "http.response.body", "body": b"not signed in"})
        return await app({**scope, USER: user}, receive, send)

    return guarded
