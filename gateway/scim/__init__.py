"""SCIM 2.0 (RFC 7643, RFC 7644), below `/_auth/scim/v2`: a directory elsewhere adds, changes and ends users here.

`endpoint` reads a request and finds what answers it; `users` and `groups` do it; `user_facts` says
what of a SCIM user is ours; `description` is what the service says of itself.
"""
