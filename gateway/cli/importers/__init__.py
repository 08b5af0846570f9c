"""Reads what other gateways were set up with: users, second factors, rules. Pure text in, `Found` out.

Never looser than the original: a rule that can't be said in our words becomes a refusal of all that it matched, and
each such thing is named with its reason.
"""
