"""The OpenID provider: apps that speak OpenID Connect sign their users in through us.

Who may go where decides `gateway.policy`, as for routes; this package only speaks the protocol. `build` puts it
together; `authorize` and `token` are where a sign-in passes.
"""
