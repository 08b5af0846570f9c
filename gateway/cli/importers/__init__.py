"""Reads users, second factors and rules of other gateways for `auth-gateway import`. Each reader turns text into
`Found`.

An import is never looser than the original: a rule that cannot be expressed becomes a refusal of all that it matched,
and each such rule is reported with the reason.
"""
