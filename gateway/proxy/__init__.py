"""Sends a request that policy has allowed to an upstream, and its response back to the client."""
