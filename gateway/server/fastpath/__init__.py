"""The fast path: plain requests with a known session go from socket to socket, without an object per header or task.

It serves only what it fully understands and hands everything else, untouched, to the ordinary path, which stays the
reference: the same decisions, the same bytes to the upstream and to the client. It must never answer differently.
"""

from gateway.server.fastpath.fast_path import FastPath

__all__ = ["FastPath"]
