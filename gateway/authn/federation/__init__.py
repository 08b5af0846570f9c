"""Sign-in with an account at another provider (OpenID Connect, GitHub) as a first factor. The second factor stays the
gateway's.
"""
