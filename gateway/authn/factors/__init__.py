"""The second factors: how a code is sent and checked, an authenticator app, a passkey, an approval, and how they are
enrolled.
"""
