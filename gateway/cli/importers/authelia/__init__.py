"""Reads Authelia's configuration, its users file and its database dump."""
