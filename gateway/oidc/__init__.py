"""The OpenID provider: apps that speak OpenID Connect sign their users in through the gateway.

`gateway.policy` decides who may use an app, as it does for routes; this package speaks the protocol. `build` puts it
together; `authorize_views` and `token_views` are the two endpoints that a sign-in passes.
"""
